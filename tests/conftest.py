"""Small data that all tests share, and models that train on it in a blink, also as plain Python."""

from typing import NamedTuple

import matplotlib
import numpy as np
import pytest

from bbbnp import BayesClassifier, BayesRegressor
from bbbnp.experiments import mnist
from bbbnp.kernels.draw import unit_kept


class Small(NamedTuple):
    """Twelve examples: inputs (12, 2), one target (12,), three targets (12, 3), class indices of three classes."""

    X: np.ndarray
    y: np.ndarray
    Y: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="session")
def small():
    rng = np.random.default_rng(12)
    X = rng.normal(size=(12, 2)) * [1, 20] + [5, 0]
    y = 0.7 * X[:, 0] + 0.1 * rng.normal(size=12)
    arrays = X, y, np.column_stack([y, 10 - 3 * y, X[:, 1]]), np.digitize(X[:, 0], [4.5, 5.5])
    for array in arrays:
        array.flags.writeable = False  # nothing may write into what the user passes
    return Small(*arrays)


@pytest.fixture
def regressor():
    """Make a small BayesRegressor: two epochs of three minibatches, the last one shorter."""
    return lambda **params: BayesRegressor(**{"hidden": (3,), "epochs": 2, "batch_size": 5, **params})


@pytest.fixture
def classifier():
    return lambda **params: BayesClassifier(**{"hidden": (3,), "epochs": 2, "batch_size": 5, **params})


@pytest.fixture
def masks():
    """z of every layer, (B, K) each, from the kernel that draws them (E25)."""
    def of(architecture, rows, chances, draw):
        z = [np.empty((rows, width)) for width in architecture.widths[:-1]]
        for depth, mask in enumerate(z):
            for example, row in enumerate(mask):
                unit_kept(row, chances[depth > 0], architecture.network.widths, depth, example, draw)
        return z
    return of


@pytest.fixture
def assert_same_bits():
    """Two models are at the same point of the same training, bit for bit."""
    def check(a, b):
        assert (a.state_.step, a.state_.epoch, a.state_.batch) == (b.state_.step, b.state_.epoch, b.state_.batch)
        for one, other in zip((*a.state_.arrays[:4], a.free_energy_), (*b.state_.arrays[:4], b.free_energy_)):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    return check


@pytest.fixture
def assert_drawn_alike(tmp_path):
    """A function of a path draws a PNG 7 inches wide, the same bytes each time, and leaves matplotlib's settings."""
    def check(draw):
        before = dict(matplotlib.rcParams)
        figures = [draw(path=tmp_path / name) for name in ("a.png", "b.png")]
        assert dict(matplotlib.rcParams) == before
        data = (tmp_path / "a.png").read_bytes()
        assert data.startswith(b"\x89PNG") and data == (tmp_path / "b.png").read_bytes()
        assert all(figure.get_size_inches()[0] == 7 for figure in (*figures, draw()))
    return check


@pytest.fixture
def small_mnist(monkeypatch):
    """Two Gaussian classes in four dimensions in place of the images of MNIST, 300 and 100 of them."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    x = (rng.normal(size=(400, 4)) + 1.5 * y[:, None]).astype(np.float32)
    monkeypatch.setattr(mnist, "load_split", lambda held_out, data_dir=None: (x[:300], y[:300], x[300:], y[300:]))


@pytest.fixture
def settings():
    """Make the settings of a run on them: five units, six epochs."""
    return lambda method="mixture", **changed: mnist.settings_of(
        method, hidden=5, **{"epochs": 6, "learning_rate": 1e-2, **changed})


@pytest.fixture
def uncertainty_result():
    """Make a result of `experiments.uncertainty.run` with 4x4 pictures, one record for each (method, hidden)."""
    def make(*cells, sets=("mnist", "notmnist")):
        records = []
        for method, hidden in cells:
            point = method == "sgd"
            scores = {name: {"mean": 0.2, "quantiles": [0.0, 0.1, 0.2, 0.3, 0.4]} for name in sets}
            records.append({
                "method": method, "hidden": hidden, "seed": 0, "epochs": 1, "draws": 0 if point else 5, "error": 2.0,
                "nll": 0.1, "brier": 0.05, "ece": 0.01, "entropy": scores, "mutual_information": scores,
                "reliability": {"confidence": [None, 0.6, 0.9], "accuracy": [None, 0.5, 0.95], "count": [0, 40, 60]},
                "rejection": {"rejected": [0, 1, 2, 5, 10, 20, 50], "error": [2.0, 1.9, 1.8, 1.5, 1.0, 0.5, 0.0]},
                "auroc": {name: {"entropy": 0.8, "mutual_information": None if point else 0.9} for name in sets[1:]},
                "turned": {"p_true": [0.9, 0.1, 0.5], "winner": [1, 7, 1], "p_winner": [0.9, 0.9, 0.5],
                           "entropy": [0.1, 0.3, 1.0], "mutual_information": [0.0, 0.0 if point else 0.2, 0.0]}})
        return {"draws": 5, "note": "A point.", "quantiles": [0.05, 0.25, 0.5, 0.75, 0.95], "angles": [0, 90, 180],
                "left_out": {} if "fashion-mnist" in sets else {"fashion-mnist": "it is not there"},
                "digit": {"label": 1, "index": 2, "chosen": "the first", "angles": [0, 180],
                          "pictures": [bytes(range(16)).hex()] * 2}, "records": records}
    return make
