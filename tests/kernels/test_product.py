"""The matrix product of views, compiled and not: exact on small integers, and nothing beside its place is written."""

import itertools

import numpy as np
import pytest

from bbbnp.kernels._jit import kernel
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


@pytest.mark.parametrize("of_b", VIEWS)
@pytest.mark.parametrize("of_a", VIEWS)
def test_the_product_of_views_is_exact_and_stays_in_its_place(of_a, of_b, dtype):
    rng = np.random.default_rng(0)
    for m, n, k in itertools.product((1, 2, 5), (1, 3), (1, 4)):
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
