"""exp, log, log1p(e)/e, 1/x and tanh that LLVM turns into vector instructions.

PyPI's build of llvmlite has no vector library, so ``math.exp`` in a loop stays one scalar call an entry: a softplus
pass costs 15 ns an entry with it and about 1 with the branch-free float32 polynomials below. In float64, where
gradients are checked, each function is libm's. The type decides when compiling; uncompiled, the NumPy bodies run.

Coefficients are minimax, of relative errors 4e-9 (exp), 3.5e-8 (log) and 4.3e-8 (`log1p_ratio`), except those of tanh,
which are Cephes' (Moshier). In float32 exp is zero where it would be subnormal: such numbers carry no weight here, and
make a pass slower.
``tests/kernels/test_vectormath.py`` states their errors in units in the last place (ulp).
"""

import math

from numba import types
from numba.extending import overload
import numpy as np

from bbbnp.kernels._jit import OPTIONS, kernel

f32 = np.float32

# Exact in float32 and typed so: a Python literal would turn a float32 expression into float64 when compiled.
ZERO, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)
STRIP = 1024  # numbers done at a time: so many terms a sum adds in their own precision; a multiple of four
HALF_LOG_2PI = 0.9189385332046727  # float64, for sums that are accumulated in float64

INFINITY, NAN = f32(np.inf), f32(np.nan)
LOG2_E = f32(1.44269504088896341)
LN2, LN2_HIGH, LN2_LOW = f32(0.69314718056), f32(0.693359375), f32(-2.12194440e-4)
EXP_MIN, EXP_MAX = f32(-87.33654), f32(88.72283)  # where exp leaves the normal numbers
TO_INTEGER = f32(1.5 * 2**23)  # added to a number below 2^22, it leaves the nearest integer in the low bits
BITS_OF_RECIPROCAL, LARGEST = np.int32(0x7EF311C7), f32(8e37)  # bits of x and 1/x together, about
TANH_SPLIT = f32(0.625)
MANTISSA_BITS, BITS_OF_SQRT_HALF = np.int32(23), f32(0.707106781186547524).view(np.int32)
EXP = tuple(f32(c) for c in (1.3813665738e-3, 8.3687054040e-3, 4.1668400118e-2, 1.6666520798e-1, 4.9999993441e-1))
LOG = tuple(f32(c) for c in (
    8.7341259879e-2, -1.4307145598e-1, 1.4918060005e-1, -1.6570565786e-1, 1.9962069986e-1, -2.5001752874e-1,
    3.3333950234e-1, -4.9999991628e-1))
TANH = tuple(f32(c) for c in (
    -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1))
LOG1P_RATIO = tuple(f32(c) for c in (
    5.387202371e-3, -3.014896438e-2, 7.932920754e-2, -1.376344115e-1, 1.915772706e-1, -2.485807836e-1, 3.332141936e-1,
    -4.999965131e-1, 1))


def exp(x):
    """Exponential of a scalar, float32 or float64."""
    return np.exp(x)


def exp_minus(x):
    """exp(-x) for x >= 0: what sigmas and responsibilities are made of, in fewer steps than `exp` takes."""
    return np.exp(-x)


def log(x):
    """Natural logarithm of a scalar, float32 or float64."""
    return np.log(x)


def log_positive(x):
    """Natural logarithm of a positive normal number, in fewer steps than `log` takes."""
    return np.log(x)


def log1p_ratio(x):
    """log(1 + x)/x for 0 <= x <= 1, and its limit 1 at x = 0: the digits survive however small x is."""
    return np.log1p(x) / x if x > 0 else x + ONE


def reciprocal(x):
    """1/x of a positive normal number, in steps that do not wait for a divider; in float32 zero beyond x = 8e37."""
    return ONE / x


def tanh(x):
    """Hyperbolic tangent of a scalar, float32 or float64."""
    return np.tanh(x)


@kernel(inline=True)
def horner(x, c):
    """Polynomial c[0] x^n + ... + c[n]; the tuple's length is known when compiling, so the loop unrolls."""
    y = c[0]
    for i in range(1, len(c)):
        y = y * x + c[i]
    return y


# The float32 twins, compiled only.


@kernel(inline=True)
def _exp_normal(x):  # pragma: no cover
    # exp(x) = 2^n exp(t) with t = x - n log 2; log 2 in two parts keeps t exact, n is added to the exponent's bits.
    shifted = x * LOG2_E + TO_INTEGER
    n = shifted - TO_INTEGER
    t = x - n * LN2_HIGH - n * LN2_LOW
    y = ONE + t + t * t * horner(t, EXP)
    exponent = np.int32(f32(shifted).view(np.int32) << MANTISSA_BITS)
    return np.int32(f32(y).view(np.int32) + exponent).view(np.float32)


@kernel(inline=True)
def _exp32(x):  # pragma: no cover
    y = _exp_normal(min(max(x, EXP_MIN), EXP_MAX))
    y = ZERO if x < EXP_MIN else (INFINITY if x > EXP_MAX else y)
    return x if x != x else y


@kernel(inline=True)
def _exp_minus32(x):  # pragma: no cover
    # NaN is below no bound, and of one that arithmetic made the added integer is zero; written to be one maximum.
    low = -x
    y = _exp_normal(EXP_MIN if EXP_MIN > low else low)
    return ZERO if x > -EXP_MIN else y


@kernel(inline=True)
def _log_positive32(x):  # pragma: no cover
    # x = 2^n (1 + t) with 1 + t in [sqrt(1/2), sqrt(2)): log x = n log 2 + log(1 + t). Floats are in the order of their
    # bits, so that n is what the exponent has grown since sqrt(1/2).
    bits = f32(x).view(np.int32)
    exponent = np.int32(np.int32(bits - BITS_OF_SQRT_HALF) >> MANTISSA_BITS)
    t = np.int32(bits - np.int32(exponent << MANTISSA_BITS)).view(np.float32) - ONE
    return t + t * t * horner(t, LOG) + f32(exponent) * LN2


@kernel(inline=True)
def _log32(x):  # pragma: no cover
    y = _log_positive32(x)
    y = (NAN if x < ZERO else -INFINITY) if x <= ZERO else y
    return y if x < INFINITY else x


@kernel(inline=True)
def _tanh32(x):  # pragma: no cover
    t = _exp_minus32(TWO * abs(x))
    far = (ONE - t) / (ONE + t)
    near = x + x * (x * x) * horner(x * x, TANH)
    return near if abs(x) < TANH_SPLIT else (far if x > ZERO else -far)


@kernel(inline=True)
def _reciprocal32(x):  # pragma: no cover
    # To negate the bits of x is about to negate its logarithm: that is 1/x but for e = 1 - x r of 5 % at most. Newton's
    # step r (1 + e) leaves e^2 of it, and then r (1 + e + e^2) leaves e^3.
    r = np.int32(BITS_OF_RECIPROCAL - f32(x).view(np.int32)).view(np.float32)
    r = r + r * (ONE - x * r)
    e = ONE - x * r
    return ZERO if x > LARGEST else r + r * (e + e * e)


def _overload(function, single, double):
    """Give `function` its compiled form: `single` for float32, `double` for float64."""
    @overload(function, jit_options={"forceinline": True, **OPTIONS})
    def choose(x):  # pragma: no cover
        return single if x == types.float32 else double


_overload(exp, lambda x: _exp32(x), lambda x: math.exp(x))
_overload(exp_minus, lambda x: _exp_minus32(x), lambda x: math.exp(-x))
_overload(log, lambda x: _log32(x), lambda x: math.log(x) if x > ZERO else (-np.inf if x == ZERO else np.nan))
_overload(log_positive, lambda x: _log_positive32(x), lambda x: math.log(x))
_overload(reciprocal, lambda x: _reciprocal32(x), lambda x: ONE / x)
_overload(tanh, lambda x: _tanh32(x), lambda x: math.tanh(x))
_overload(log1p_ratio, lambda x: horner(x, LOG1P_RATIO), lambda x: math.log1p(x) / x if x > ZERO else x + 1.0)


@kernel(borrows=True)
def log_sum_exp(v):
    """log(exp(v_1) + ... + exp(v_n)) of a vector whose largest entry is finite."""
    top, total = v[0], v.dtype.type(0)
    for i in range(1, v.size):
        top = max(top, v[i])
    for i in range(v.size):
        total += exp(v[i] - top)
    return top + log(total)


@kernel(reorder=True, borrows=True)
def sum_of_logs(v, shift):
    """log(shift + v_1) + ... + log(shift + v_n) of numbers shift + v_j that are zero, infinite or at least 1e-4: by the
    logarithms of products of eight, or where one of these is not finite, one by one."""
    part, total = v.size // 8, v.dtype.type(0)
    for j in range(part):
        product = shift + v[j]
        for k in range(1, 8):
            product *= shift + v[k * part + j]
        total += log(product)
    for j in range(8 * part, v.size):
        total += log(shift + v[j])
    if not abs(total) < INFINITY:
        total = v.dtype.type(0)
        for j in range(v.size):
            total += log(shift + v[j])
    return total
