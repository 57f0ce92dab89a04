"""Scratch on the stack is an array like others while its function runs, and each call has its own."""

import numpy as np
import pytest

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.stack import on_stack

scratch = on_stack(3, 5)


@kernel
def filled(a, depth):
    """Sum of scratch filled with the depth, those of deeper calls filled meanwhile."""
    ours = scratch(a.dtype)
    ours[:] = depth
    if depth > 0:
        filled(a, depth - 1)
    return ours.sum() + ours[2, 4] - ours[0].size, ours.shape, ours[1:].strides


@pytest.mark.parametrize("depth", (0, 1, 3))
def test_scratch_is_its_functions_own(dtype, depth):
    total, shape, strides = filled(np.zeros(1, dtype), depth)
    assert total == 16 * depth - 5 and shape == (3, 5)
    assert strides == (5 * np.dtype(dtype).itemsize, np.dtype(dtype).itemsize)
