"""Long runs: memory that stays, learning rates that are too high, and the same bits over processes and restarts."""

import gc
import os
from pathlib import Path
import subprocess
import sys
import tracemalloc

import numba
import numpy as np
import pytest

from bbbnp import BayesRegressor, DivergenceError, GaussianPrior

JIT = not numba.config.DISABLE_JIT
STEPS = 100_000 if JIT else 200
LINE = {"hidden": (), "prior": GaussianPrior(1.0), "batch_size": 12, "noise": 0.5, "epochs": 400,
        "schedule": "constant", "seed": 3}


def resident():
    """Bytes of this process in memory, what compiled code holds among them, where the system tells."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


@pytest.mark.parametrize("params", [
    {}, {"weight_noise": "flipout", "draws": 2}, {"posterior": "dropout"}], ids=["weights", "flipout", "dropout"])
def test_memory_does_not_grow_over_100_000_steps(params):
    """In ten calls: what lives after the last is what lived after the second."""
    X, rows = np.random.default_rng(0).normal(size=(STEPS // 100, 2)), []
    net = BayesRegressor(hidden=(3,), batch_size=1, epochs=100, **params)
    tracemalloc.start()
    for _ in range(10):
        net.partial_fit(X, X[:, 0], epochs=10)
        gc.collect()
        rows.append((tracemalloc.get_traced_memory()[0], resident()))
    tracemalloc.stop()
    assert net.state_.step == STEPS
    (traced, size), (traced_after, size_after) = rows[1], rows[-1]
    assert traced_after - traced < 100_000  # free lists of the interpreter fill with the first hundred slices: 60 kB
    assert size_after - size < 4_000_000  # compiled code is not traced: 64 bytes a step would be 5 MB


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@pytest.mark.parametrize("optimizer, largest", [("sgd", 2.0), ("momentum", 2 * 1.9)])
def test_a_rate_ten_times_too_high_ends_in_the_clear_error_with_the_last_good_state(optimizer, largest, small):
    """Gradient descent of a line is stable below 2/(largest curvature); with momentum 0.9, 1.9 times that."""
    X = np.column_stack([(small.X - small.X.mean(axis=0)) / small.X.std(axis=0), np.ones(12)])
    limit = largest / np.linalg.eigvalsh(X.T @ X / (0.5 / small.y.std())**2)[-1]
    good = BayesRegressor(**LINE, optimizer=optimizer, learning_rate=limit / 10).fit(small.X, small.y)
    wild = BayesRegressor(**LINE, optimizer=optimizer, learning_rate=10 * limit)
    with pytest.raises(DivergenceError, match=rf"not finite at step \d+ .*try learning_rate={limit:g} "):
        wild.fit(small.X, small.y)
    step = wild.state_.step
    assert 0 < step < 400
    assert all(np.isfinite(array).all() for array in wild.state_.arrays)
    assert np.isfinite(wild.predict(small.X, return_std=True)).all()
    wild.set_params(learning_rate=limit / 10).partial_fit(small.X, small.y, epochs=5)  # and it can go on
    assert wild.state_.step == step + 5 and np.isfinite(wild.mu_).all()
    misfit = good.free_energy_["misfit"]
    assert good.state_.step == 400 and misfit[-100:].mean() < misfit[0]


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@pytest.mark.parametrize("rate", [0.1, 10.0, 1e3])
def test_adam_far_too_fast_trains_badly_or_says_so_and_never_holds_nan(rate, small):
    net = BayesRegressor(hidden=(3,), epochs=200, batch_size=5, learning_rate=rate)
    try:
        net.fit(small.X, small.y)
    except DivergenceError as error:
        assert "try learning_rate" in str(error)
    assert all(np.isfinite(array).all() for array in net.state_.arrays)
    assert np.isfinite(net.predict(small.X, return_std=True)).all()


RESTART = """
import sys
import numpy as np
from bbbnp import BayesRegressor, load
X = np.random.default_rng(0).normal(size=(13, 2))
path, epochs = sys.argv[1], int(sys.argv[2])
net = load(path) if sys.argv[3] == "again" else BayesRegressor(
    hidden=(3,), epochs=6, batch_size=5, minibatch_weights="geometric", average_last=0.4)
net.partial_fit(X, X[:, 0], epochs=epochs).save(path)
print(net.state_.step, *(array.tobytes().hex() for array in net.state_.arrays))
"""


def test_three_processes_one_after_another_end_with_the_bits_of_one(tmp_path):
    def process(name, epochs, how, hash_seed):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run([sys.executable, "-c", RESTART, str(tmp_path / name), str(epochs), how], check=True,
                              env=environment, capture_output=True, text=True).stdout

    whole = process("whole.npz", 6, "new", "1")
    parts = [process("parts.npz", epochs, how, seed) for epochs, how, seed in (
        (1, "new", "2"), (3, "again", "3"), (2, "again", "4"))]
    assert parts[-1] == whole and whole.startswith("18 ")
    assert parts[0] != parts[1] != whole
