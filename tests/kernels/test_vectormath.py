"""exp, log, log1p(e)/e, 1/x, tanh and the softplus family: their errors in ulps, their limits, their values by hand."""

import functools

import numba
import numpy as np
import pytest
from scipy import special

from bbbnp.kernels import posterior, prior, vectormath
from bbbnp.kernels.vectormath import ONE

JIT = not numba.config.DISABLE_JIT
compiled_only = pytest.mark.skipif(not JIT, reason="uncompiled kernels take NumPy's functions, not the polynomials")
POLYNOMIALS = {} if JIT else {  # what the compiler puts in a function's place for float32, as plain Python
    vectormath.exp: vectormath._exp32, vectormath.exp_minus: vectormath._exp_minus32, vectormath.log: vectormath._log32,
    vectormath.log_positive: vectormath._log_positive32,
    vectormath.reciprocal: vectormath._reciprocal32, vectormath.tanh: vectormath._tanh32,
    vectormath.log1p_ratio: lambda x: vectormath.horner(x, vectormath.LOG1P_RATIO)}
both_precisions = pytest.mark.parametrize("dtype", (np.float32, np.float64))
N = 300_000 if JIT else 300  # points of a grid
INF, NAN = np.inf, np.nan


@functools.cache
def loop(function):
    """`function` over an array, as kernels call it: inlined into a compiled loop, where it may become vectors."""
    @numba.njit(error_model="numpy")
    def apply(y, x):
        for i in range(x.size):
            y[i] = function(x[i])
    return apply


def values(function, x, dtype=np.float64):
    x = np.asarray(x, dtype)
    y = np.empty_like(x)
    loop(POLYNOMIALS.get(function, function) if dtype == np.float32 else function)(y, x)
    return y


def grid(ranges, size=N):
    """float32 numbers of one sign from low to high, evenly spaced in their bits, so that every binade is visited."""
    ends = [[int(np.float32(x).view(np.uint32)) for x in low_high] for low_high in ranges]
    return np.concatenate([np.linspace(*e, size).astype(np.uint32).view(np.float32) for e in ends])


def log1p_ratio(x):
    return np.log1p(x) / x


def softplus(rho):
    return np.logaddexp(0, rho)


def logistic(rho):
    """By exp(rho) - exp(2 rho) where the next term is below 1e-17 of it: scipy's is 0 where the value is subnormal."""
    low = np.exp(np.minimum(rho, -20))
    return np.where(rho < -20, low - low * low, special.expit(rho))


def log_softplus(rho):
    """By the asymptote rho - exp(rho)/2 where the next term is below 1e-18."""
    low, high = np.minimum(rho, -20), np.maximum(rho, -20)
    return np.where(rho < -20, low - np.exp(low) / 2, np.log(np.logaddexp(0, high)))


def log_softplus_backward(rho):
    low, high = np.minimum(rho, -20), np.maximum(rho, -20)
    return np.where(rho < -20, 1 - np.exp(low) / 2, special.expit(high) / np.logaddexp(0, high))


@numba.njit
def larger(x):
    """s(|x|), of the shares s(-x) and s(x)."""
    none, whole = x - x, x - x + ONE
    return max(posterior.logistic_mean(none, whole, x), posterior.logistic_mean(whole, none, x))


@numba.njit
def smaller(x):
    none, whole = x - x, x - x + ONE
    return min(posterior.logistic_mean(none, whole, x), posterior.logistic_mean(whole, none, x))


@numba.njit
def added(x):
    """log(1 + exp(x)), as a mixture adds its components."""
    return prior.log_add(x - x, x)


RHO = (1e-8, 1000), (-1e-8, -1000)
NORMAL = (1e-8, 1000), (-1e-8, -87.3)  # where the value is a normal number; below it is zero
# Function, truth, ranges, bound in ulps, and the smallest |truth| whose ulp is a unit. A bound is the next half ulp
# above the maximum (behind each line) over every seventh float32 of the ranges, with and without fused multiply-adds.
# log_softplus passes through zero at rho = 0.54, where its relative error has no bound: its unit is the ulp of
# max(1, |truth|).
ULPS = (
    (vectormath.exp, np.exp, ((1e-8, 88.7228), (-1e-8, -87.3)), 1.5, 0),  # 1.26
    (vectormath.exp_minus, lambda x: np.exp(-x), ((1e-8, 87.3),), 1.5, 0),  # 1.26
    (vectormath.log, np.log, ((1.1754944e-38, 0.5), (0.5, 2), (2, 3.4e38)), 1.5, 0),  # 1.20
    (vectormath.log_positive, np.log, ((1.1754944e-38, 0.5), (0.5, 2), (2, 3.4e38)), 1.5, 0),  # 1.20
    (vectormath.log1p_ratio, log1p_ratio, ((1e-38, 1e-3), (1e-3, 1)), 2, 0),  # 1.95
    (vectormath.reciprocal, lambda x: 1 / x, ((1.1754944e-38, 1), (1, 8e37)), 1.5, 0),  # 1.46
    (vectormath.tanh, np.tanh, ((1e-30, 0.1), (0.1, 20), (-0.1, -20)), 2, 0),  # 1.51
    (posterior.softplus, softplus, NORMAL, 3.5, 0),  # 3.14
    (posterior.logistic, logistic, NORMAL, 3, 0),  # 2.60
    (larger, lambda x: special.expit(np.abs(x)), RHO, 1.5, 0),  # 1.497
    (smaller, lambda x: logistic(-np.abs(x)), ((1e-8, 87.3), (-1e-8, -87.3)), 3, 0),  # 2.95
    (added, softplus, NORMAL, 3.5, 0),  # 3.14
    (posterior.log_softplus, log_softplus, RHO, 2.5, 1),  # 2.12
    (posterior.log_softplus_backward, log_softplus_backward, RHO, 4.5, 0),  # 4.28
)
each_function = pytest.mark.parametrize("function, truth, ranges, bound, smallest", ULPS)


@each_function
def test_float32_error_is_the_stated_number_of_ulps(function, truth, ranges, bound, smallest):
    if not (JIT or function in POLYNOMIALS):
        pytest.skip("uncompiled kernels take NumPy's functions, not the polynomials")
    x = grid(ranges)
    y, true = values(function, x, np.float32), truth(x.astype(np.float64))
    unit = np.spacing(np.maximum(np.abs(true), smallest).astype(np.float32)).astype(np.float64)
    assert bound / 2 < np.max(np.abs(y - true) / unit) <= bound  # twice too wide a bound would say nothing
    assert np.max(np.abs(y - true * (1 + 1e-6)) / unit) > bound


@each_function
def test_float64_equals_libm_and_scipy(function, truth, ranges, bound, smallest):
    x = grid(ranges).astype(np.float64)
    y, true = values(function, x), truth(x)
    assert np.max(np.abs(y - true) / np.maximum(np.abs(true), smallest or np.finfo(float).tiny)) < 1e-15


@both_precisions
@pytest.mark.parametrize("function, x, expected", (
    (vectormath.exp, (NAN, INF, -INF, 0, 710, 1e30, -746, -1e30), (NAN, INF, 0, 1, INF, INF, 0, 0)),
    (vectormath.exp_minus, (NAN, INF, 0, 746, 1e30), (NAN, 0, 1, 0, 0)),
    (vectormath.log, (NAN, INF, 0, -1, -1e-45, -INF, 1), (NAN, INF, -INF, NAN, NAN, NAN, 0)),
    (vectormath.log1p_ratio, (NAN, 0, 1e-45, 1), (NAN, 1, 1, np.log(2))),
    (vectormath.tanh, (NAN, INF, -INF, 0, 1e-45, 1e30), (NAN, 1, -1, 0, 1e-45, 1)),
    (posterior.softplus, (NAN, INF, -INF), (NAN, INF, 0)),
    (posterior.logistic, (NAN, INF, -INF), (NAN, 1, 0)),
    (posterior.log_softplus, (NAN, INF, -INF), (NAN, INF, -INF)),
    (posterior.log_softplus_backward, (NAN, INF, -INF), (NAN, 0, 1)),
))
def test_nan_stays_nan_and_infinity_zero_and_overflow_have_their_limits(function, x, expected, dtype):
    with np.errstate(all="ignore"):  # uncompiled, NumPy warns of what is asked for here
        y = values(function, x, dtype)
    np.testing.assert_allclose(y, np.asarray(expected, dtype), rtol=np.finfo(dtype).eps, atol=0)


@both_precisions
def test_the_reciprocal_of_nan_is_nan_and_of_what_is_too_large_next_to_nothing(dtype):
    with np.errstate(over="ignore", invalid="ignore"):  # uncompiled, NumPy warns of what is asked for here
        y = values(vectormath.reciprocal, np.asarray((NAN, INF, np.finfo(dtype).max, 1e38), dtype), dtype)
    assert np.isnan(y[0]) and np.all((0 <= y[1:]) & (y[1:] < 1.3e-38))
    assert dtype == np.float64 or not y[1:].any()


def test_float32_exp_reaches_the_last_float_and_is_zero_where_it_would_be_subnormal():
    low, high = values(vectormath.exp, (88.722832, 88.72284), np.float32)  # neighbours, either side of log(max)
    assert 3.4027e38 < low < INF and high == INF
    y, tiny = values(vectormath.exp, grid([(-87, -105)]), np.float32), np.finfo(np.float32).tiny
    assert np.all(np.diff(y) <= 0) and not np.any((y > 0) & (y < tiny)) and y[-1] == 0
    last = np.float32(vectormath.EXP_MIN)
    smallest, below = values(vectormath.exp, (last, np.nextafter(last, -INF)), np.float32)
    assert tiny <= smallest < 1.0001 * tiny and below == 0


POINTS = (-800.0, -110.0, -40.0, 0.0, 40.0, 800.0)
BY_HAND = {
    "softplus": (0.0, 1.6889118802245324e-48, 4.248354255291589e-18, 0.6931471805599453, 40.0, 800.0),
    "logistic": (0.0, 1.6889118802245324e-48, 4.248354255291589e-18, 0.5, 1.0, 1.0),
    "log_softplus": (-800.0, -110.0, -40.0, -0.36651292058166435, 3.6888794541139363, 6.684611727667927),
    "log_softplus_backward": (1.0, 1.0, 1.0, 0.7213475204444817, 0.025, 0.00125),
}


def naive_softplus(rho):
    return np.log(1 + np.exp(rho))


def naive_logistic(rho):
    return np.exp(rho) / (1 + np.exp(rho))


NAIVE = (naive_softplus, naive_logistic, lambda rho: np.log(naive_softplus(rho)),
         lambda rho: naive_logistic(rho) / naive_softplus(rho))


def wrong_points(name, y):
    """Where `y` at POINTS is not the value by hand."""
    expected = np.asarray(BY_HAND[name], y.dtype)  # rounds to zero what float32 cannot hold
    return np.asarray(POINTS)[~np.isclose(y, expected, rtol=4 * np.finfo(y.dtype).eps, atol=0)]


@pytest.mark.E3
@both_precisions
@pytest.mark.parametrize("name, naive", list(zip(BY_HAND, NAIVE)))
def test_softplus_family_by_value_where_the_naive_formulas_fail(name, naive, dtype):
    assert wrong_points(name, values(getattr(posterior, name), POINTS, dtype)).size == 0
    with np.errstate(all="ignore"):
        failed = set(wrong_points(name, naive(np.asarray(POINTS, dtype))))
    expected = {"logistic": {800}, "softplus": {-40, 800}, "log_softplus": {-800, -110, -40, 800}}
    assert failed >= expected.get(name, {-800, -110, -40, 800}) and 0 not in failed


@pytest.mark.E3
@pytest.mark.parametrize("wrong", (
    lambda g: 1.001 * g, lambda g: -g, np.ones_like), ids=("times 1.001", "flipped sign", "missing factor"))
@pytest.mark.parametrize("function, gradient", (
    (posterior.softplus, lambda rho: posterior.softplus_backward(1.5, rho) / 1.5),
    (posterior.log_softplus, posterior.log_softplus_backward)), ids=("softplus", "log_softplus"))
def test_derivatives_equal_central_differences_and_wrong_ones_do_not(function, gradient, wrong):
    rho, h = np.linspace(-40, 40, 81), 1e-2

    def central(h):
        return np.array([(function(r + h) - function(r - h)) / (2 * h) for r in rho])

    def agrees(g):
        return np.all(np.abs(fd - g) <= 1e-9 * np.abs(g))

    fd = (4 * central(h / 2) - central(h)) / 3  # Richardson: error of order h^4
    g = np.array([gradient(r) for r in rho])
    assert agrees(g) and not agrees(wrong(g))


def test_the_constant_of_a_normal_density():
    assert vectormath.HALF_LOG_2PI == np.log(2 * np.pi) / 2


@pytest.mark.parametrize("shift", (0, -745, 800, -1e6, 1e30))
@both_precisions
def test_log_sum_exp_equals_scipy_however_large_the_shift(shift, dtype):
    v = (np.array([-INF, 0.3, -1.7, 2.5, 2.4, -90, 0]) + shift).astype(dtype)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(vectormath.log_sum_exp(v), special.logsumexp(v.astype(np.float64)), rtol=4 * eps)
    assert vectormath.log_sum_exp(v[3:4]) == v[3]
    for largest in range(3):
        assert vectormath.log_sum_exp(np.where(np.arange(3) == largest, 800, 0).astype(dtype)) == 800


@pytest.mark.parametrize("size", (0, 1, 7, 8, 9, 100, 1024))
@pytest.mark.parametrize("shift", (0, 1))
@both_precisions
def test_a_sum_of_logs_is_right_and_says_what_is_not_a_number(size, shift, dtype):
    v = np.random.default_rng(0).uniform(1e-4, 40, size).astype(dtype)
    logs = np.log(shift + v.astype(float))
    total = vectormath.sum_of_logs(v, dtype(shift))
    assert total == pytest.approx(logs.sum(), rel=0, abs=4 * np.finfo(dtype).eps * np.abs(logs).sum())
    large = v * dtype(np.finfo(dtype).max**0.5)  # no eight have a product
    with np.errstate(over="ignore"):
        total = vectormath.sum_of_logs(large, dtype(shift))
    logs = np.log(large.astype(float))  # one by one: sqrt(1024)/2 roundings of numbers of one size
    assert total == pytest.approx(logs.sum(), rel=0, abs=16 * np.finfo(dtype).eps * np.abs(logs).sum())
    for place in {0, size // 2, size - 1} if size else ():
        for value, expected in ((NAN, NAN), (INF, INF), (-shift, -INF), (-41, NAN)):
            for wrong in v.copy(), large.copy():
                wrong[place] = value
                with np.errstate(all="ignore"):
                    np.testing.assert_equal(float(vectormath.sum_of_logs(wrong, dtype(shift))), expected)


@compiled_only
def test_float32_log_sum_exp_of_up_to_thirty_terms_is_right_to_two_and_a_half_ulps():
    """Of the larger of one, the largest term and the sum; 2.35 at most over 100,000 vectors of thirty."""
    rng, worst = np.random.default_rng(0), 0.0
    for terms in (2, 3, 10, 30):
        for _ in range(10_000):
            v = (rng.normal(size=terms) * rng.choice([0.1, 1, 10, 100]) + rng.choice([0, -50, 80])).astype(np.float32)
            exact = v.max() + np.log(np.sum(np.exp(v.astype(float) - v.max())))
            unit = np.spacing(np.float32(max(abs(v.max()), abs(exact), 1)))
            worst = max(worst, abs(float(vectormath.log_sum_exp(v)) - exact) / unit)
    assert 1.25 < worst <= 2.5
