"""What the tests of several kernels need: two precisions, scalar kernels on arrays, and the check of a gradient."""

import numpy as np
import pytest

from bbbnp.gradcheck import TOLERANCE, numerical_gradient, worst_entry

STEP = 0.02


@pytest.fixture(params=(np.float64, np.float32), ids=("float64", "float32"))
def dtype(request):
    return request.param


@pytest.fixture
def assert_twins(dtype):
    """A kernel's result in `dtype` equals the truth in float64: to 1e-12, or to so many eps of float32.

    The tolerance is relative; where terms cancel, `scale` is their size, which it is relative to as well.
    """
    def check(ours, truth, *, eps32, scale=0.0):
        tolerance = 1e-12 if dtype == np.float64 else eps32 * 2.0**-23
        np.testing.assert_allclose(ours, truth, rtol=tolerance, atol=scale * tolerance)
    return check


@pytest.fixture
def each():
    """Apply a scalar kernel to every entry of its arrays; what a kernel returns as a tuple becomes rows."""
    return lambda function, *arrays: np.array([function(*entries) for entries in zip(*arrays, strict=True)]).T


@pytest.fixture
def gradient_check():
    """Of f and x: the check that a gradient passes which agrees with finite differences, as a function of it."""
    def check(f, x):
        numeric = numerical_gradient(f, x, STEP)
        return lambda g: worst_entry(np.ravel(g), numeric)[0] <= TOLERANCE
    return check
