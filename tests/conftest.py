"""Small data that all tests share, and models that train on it in a blink, also as plain Python."""

from typing import NamedTuple

import numpy as np
import pytest

from bbbnp import BayesClassifier, BayesRegressor


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
def assert_same_bits():
    """Two models are at the same point of the same training, bit for bit."""
    def check(a, b):
        assert (a.state_.step, a.state_.epoch, a.state_.batch) == (b.state_.step, b.state_.epoch, b.state_.batch)
        for one, other in zip((*a.state_.arrays[:4], a.free_energy_), (*b.state_.arrays[:4], b.free_energy_)):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    return check
