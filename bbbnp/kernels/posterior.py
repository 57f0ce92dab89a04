"""The variational posterior: sigma, w = mu + sigma*eps, log q, and their backward (E3, E4, E5).

All five functions of rho that training needs come from one exponential e = exp(-|rho|) and one ratio
log(1 + e)/e, so that none overflows or loses its digits for any rho:

    sigma     = log(1 + exp(rho))   = exp(min(rho, 0)) m
    log sigma                       = min(rho, 0) + log m            (-> rho as rho -> -inf)
    s(rho)    = d sigma/d rho       = exp(min(rho, 0))/(1 + e)
    r(rho)    = s/sigma             = 1/((1 + e) m)                  (-> 1 as rho -> -inf; the quotient is NaN there)

where m = log(1 + e)/e for rho < 0 and m = rho + e log(1 + e)/e = sigma for rho >= 0.
"""

import numpy as np

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.stack import on_stack
from bbbnp.kernels.vectormath import (
    HALF, HALF_LOG_2PI, ONE, STRIP, ZERO, exp_minus, log, log1p_ratio, reciprocal, sum_of_logs)

two_strips = on_stack(2, STRIP)


@kernel(inline=True)
def decay(rho):
    """e = exp(-|rho|). In training a loop of its own makes it first, for those functions below that take it."""
    return exp_minus(abs(rho))


@kernel(inline=True)
def _mantissa(rho, e):
    """m = softplus(rho) exp(-min(rho, 0)), given e = decay(rho): between log 2 and max(1, rho + log 2)."""
    ratio = log1p_ratio(e)
    return ratio if rho < ZERO else rho + e * ratio


@kernel(inline=True)
def softplus(rho, e=None, m=None):
    """Standard deviation of a weight (E3).

    sigma = log(1 + exp(rho)) = e m for rho < 0 and m elsewhere, with e = exp(-|rho|) and m of log(1 + e)/e
    """
    e = decay(rho) if e is None else e
    m = _mantissa(rho, e) if m is None else m
    return e * m if rho < ZERO else m  # E3


@kernel(inline=True)
def logistic(rho):
    """Derivative of softplus (E3).

    s(rho) = 1/(1 + exp(-rho))
    """
    e = decay(rho)
    return (e if rho < ZERO else ONE) / (ONE + e)


@kernel(inline=True)
def logistic_mean(a, b, x, e=None):
    """s(-x) a + s(x) b, a mean whose small share keeps all its digits (E3).

    = (near + e far)/(1 + e),  e = exp(-|x|),  near that of the two with the larger share
    """
    e = decay(x) if e is None else e
    near, far = (b, a) if x > ZERO else (a, b)
    return (near + e * far) / (ONE + e)


@kernel(inline=True)
def softplus_backward(dsigma, rho):
    """Chain rule through sigma = log(1 + exp(rho)) (E3).

    drho = dsigma s(rho), since d sigma/d rho = s(rho) = 1/(1 + exp(-rho))
    """
    return dsigma * logistic(rho)


@kernel(inline=True)
def log_softplus(rho):
    """Log standard deviation (E3).

    log sigma = min(rho, 0) + log m
    """
    return min(rho, ZERO) + log(_mantissa(rho, decay(rho)))


@kernel(inline=True)
def log_softplus_backward(rho, e=None, m=None):
    """Derivative of log sigma with respect to rho (E3).

    r(rho) = d log sigma/d rho = s(rho)/sigma = 1/((1 + e) m)
    """
    e = decay(rho) if e is None else e
    return reciprocal((ONE + e) * (_mantissa(rho, e) if m is None else m))


@kernel(inline=True)
def reparameterize(mu, rho, eps, e=None, m=None):
    """A weight as a function of its parameters and of noise that does not depend on them (E4).

    w = mu + sigma eps
    """
    return mu + softplus(rho, e, m) * eps  # E4


@kernel(inline=True)
def reparameterize_backward(dw, rho, eps):
    """Chain rule through w = mu + sigma*eps (E4).

    dmu = dw,  drho = dw eps s(rho)
    """
    return dw, softplus_backward(dw * eps, rho)


@kernel(borrows=True)
def _sample_strip(w, e, m, mu, rho, eps):
    """w = mu + sigma*eps (E4), and what it is made of, e = exp(-|rho|) and m; all (P,)."""
    for j in range(w.size):
        e[j] = decay(rho[j])
    for j in range(w.size):
        m[j] = _mantissa(rho[j], e[j])
    for j in range(w.size):
        w[j] = reparameterize(mu[j], rho[j], eps[j], e[j], m[j])


@kernel(reorder=True, borrows=True)
def _log_posterior_strip(m, rho, eps):
    """log q of a strip, given its mantissas (E5)."""
    total = sum_of_logs(m, ZERO)
    for j in range(rho.size):
        total += min(rho[j], ZERO) + HALF * eps[j] * eps[j]
    return -float(total) - rho.size * HALF_LOG_2PI


@kernel(borrows=True)
def _slope_strip(slope, e, m, rho):
    """r(rho) of a strip, all (P,) (E3)."""
    for j in range(slope.size):
        slope[j] = log_softplus_backward(rho[j], e[j], m[j])


@kernel(borrows=True)
def _sample_strips(w, mu, rho, eps, slopes, scratch):
    # `sample_weights`, STRIP at a time, with rows of scratch for e and m.
    total = 0.0
    for a in range(0, rho.size, STRIP):
        b = min(a + STRIP, rho.size)
        e, m = scratch[0, :b - a], scratch[1, :b - a]
        _sample_strip(w[a:b], e, m, mu[a:b], rho[a:b], eps[a:b])
        total += _log_posterior_strip(m, rho[a:b], eps[a:b])
        _slope_strip(slopes[a:b], e, m, rho[a:b])
    return total


@kernel
def sample_weights(w, mu, rho, eps, slopes):
    """Fill `w` with mu + sigma*eps (E4), and return log q at it, in float64 strip by strip (E5).

    Shapes: all (P,). `slopes` is filled with r(rho) unless it is empty; it may be `eps`, whose noise is then lost.
    """
    return _sample_strips(w, mu, rho, eps, slopes, two_strips(rho.dtype))


@kernel
def log_posterior(rho, eps):
    """log q(w | mu, rho) at w = mu + sigma*eps, summed over the weights; mu does not enter (E5).

    log q = sum_j -log sigma_j - eps_j^2/2 - log(2 pi)/2,  log sigma = min(rho, 0) + log m

    Shapes: both (P,); eps in place of (w - mu)/sigma, which loses eight digits at rho = -20. float64 result.
    """
    return sample_weights(np.empty_like(rho), np.zeros_like(rho), rho, eps, eps[:0])  # E5


@kernel(inline=True)
def log_posterior_backward(rho, eps):
    """Partial derivatives of one weight's log q in w, mu and rho, each with the other two held (E5).

    d log q/dw = -eps/sigma,  d log q/dmu = eps/sigma,  d log q/drho = (eps^2 - 1) r(rho)
    """
    slope = eps / softplus(rho)
    return -slope, slope, (eps * eps - ONE) * log_softplus_backward(rho)
