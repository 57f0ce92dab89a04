"""The matrix product of views, compiled and not: exact on small integers, nothing beside its place is written, and the
bits of an entry are those of one sum, wherever the matrices are cut."""

import itertools

import numba
import numpy as np
import pytest

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.microkernel import REGISTER, ROWS, VECTORS
from bbbnp.kernels.product import product

pytestmark = pytest.mark.E10
VIEWS = {
    "whole": lambda integers, m, n: integers((m, n)),
    "transposed": lambda integers, m, n: integers((n, m)).T,
    "part": lambda integers, m, n: integers((m + 2, n + 5))[1:m + 1, 2:n + 2],
    "part, transposed": lambda integers, m, n: integers((n + 2, m + 5))[1:n + 1, 2:m + 2].T}


@kernel
def compiled(c, a, b):
    product(c, a, b)


def sizes(dtype):
    """Shapes (m, n, k) that BLAS multiplies, and those that are cut into blocks, whole ones and not, and the edge."""
    lanes = REGISTER // np.dtype(dtype).itemsize
    yield from itertools.product((1, 2), (1, 3), (1, 4))
    yield from itertools.product((5, ROWS, 3 * ROWS + 1), (lanes - 1, lanes, VECTORS * lanes, 2 * VECTORS * lanes + 3),
                                 (1, 5))
    yield from ((VECTORS * lanes + 1, ROWS, 7), (ROWS - 1, 2 * lanes, 5), (ROWS, lanes + 1, 5))


@pytest.mark.parametrize("of_b", VIEWS)
@pytest.mark.parametrize("of_a", VIEWS)
def test_the_product_of_views_is_exact_and_stays_in_its_place(of_a, of_b, dtype):
    rng = np.random.default_rng(0)
    for m, n, k in sizes(dtype):
        a, b = (VIEWS[of](lambda shape: rng.integers(-9, 9, shape).astype(dtype), *shape)
                for of, shape in ((of_a, (m, k)), (of_b, (k, n))))
        expected = np.full((m + 2, n + 3), np.nan, dtype)
        expected[1:m + 1, 1:n + 1] = a @ b
        for function in (compiled, product):
            place = np.full_like(expected, np.nan)  # what was there must not matter
            function(place[1:m + 1, 1:n + 1], a, b)
            np.testing.assert_array_equal(place, expected)
            alone = np.full((m, n), np.nan, dtype)
            function(alone, a, b)
            np.testing.assert_array_equal(alone, a @ b)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="NumPy's product adds in an order of its own")
def test_an_entry_of_a_large_product_has_the_same_bits_wherever_the_matrices_are_cut(dtype):
    rng, lanes = np.random.default_rng(1), REGISTER // np.dtype(dtype).itemsize
    m, k, n = 5 * ROWS + 3, 211, 2 * VECTORS * lanes + 5
    a, b, whole = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype), np.empty(
        (m, n), dtype)
    compiled(whole, a, b)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    bound = k * np.finfo(dtype).eps * (abs(a) @ abs(b))
    assert np.all(abs(whole - exact) <= bound)
    assert np.any(abs(1.001 * whole - exact) > bound)
    for top, left in ((0, 1), (1, 0), (7, lanes + 3), (m - m // 2, n - n // 2)):
        rows, columns = slice(top, top + m // 2), slice(left, left + n // 2)
        part = np.empty(whole[rows, columns].shape, dtype)
        for of_b in (b, np.asfortranarray(b)):
            compiled(part, a[rows], of_b[:, columns])
            np.testing.assert_array_equal(part, whole[rows, columns])
