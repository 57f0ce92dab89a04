"""Priors on a weight: a Gaussian (E6) and a scale mixture of Gaussians (E7), log-density and score.

A prior is a flat tuple (log_weight_1, precision_1, log_weight_2, precision_2, ...), so that the number of components is
known when compiling:

    log_weight_k = log pi_k - log sigma_k - log(2 pi)/2,     precision_k = 1/sigma_k^2

One component is the Gaussian prior; two are the paper's spike and slab. The components are added by one rule, which
never leaves the logarithm:

    log(exp(a) + exp(b)) = max(a, b) + log(1 + exp(-|b - a|)),     responsibility of b = s(b - a)
"""

import numpy as np

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.posterior import decay, logistic_mean
from bbbnp.kernels.stack import on_stack
from bbbnp.kernels.vectormath import HALF, ONE, STRIP, log1p_ratio, sum_of_logs

strip = on_stack(1, STRIP)


@kernel(inline=True)
def gaussian_log_density(w, log_weight, precision):
    """Weighted log-density of one Gaussian component (E6).

    log(pi N(w; 0, sigma^2)) = log pi - log sigma - log(2 pi)/2 - w^2/(2 sigma^2)
    """
    return log_weight - HALF * precision * w * w  # E6


@kernel(inline=True)
def gaussian_score(w, precision):
    """Derivative of the Gaussian log-density (E6).

    d log N(w; 0, sigma^2)/dw = -w/sigma^2
    """
    return -w * precision


@kernel(inline=True)
def log_add(a, b, e=None):
    """log(exp(a) + exp(b)), with no digit lost whichever is the larger; e = decay(b - a)."""
    e = decay(b - a) if e is None else e
    return max(a, b) + e * log1p_ratio(e)


@kernel(inline=True)
def joining(w, prior):
    """exp(-|b - a|), of which a mixture of two components is made; a, b their log-densities at one weight (E7)."""
    return decay(gaussian_log_density(w, prior[2], prior[3]) - gaussian_log_density(w, prior[0], prior[1]))


@kernel(inline=True)
def mixture(w, prior, e=None):
    """Log-density of one weight under the scale mixture, and its derivative (E7; paper, equation 7, per weight).

    log P(w) = log sum_k pi_k N(w; 0, sigma_k^2),  d log P(w)/dw = -w sum_k r_k/sigma_k^2,  r_k the responsibility of
    component k for w: both are made of the same exponential, which of two components may be given, `joining(w, prior)`
    """
    total, precision = gaussian_log_density(w, prior[0], prior[1]), prior[1]
    for k in range(2, len(prior), 2):
        log_density = gaussian_log_density(w, prior[k], prior[k + 1])
        precision = logistic_mean(precision, prior[k + 1], log_density - total, e)
        total = log_add(total, log_density, e)  # E7
    return total, gaussian_score(w, precision)


@kernel(inline=True)
def mixture_score(w, prior, e=None):
    """d log P(w)/dw of one weight under the scale mixture (E7)."""
    return mixture(w, prior, e)[1]


@kernel(borrows=True)
def _score_strip(score, shared, w, prior):
    """Score of a strip's weights (E7), and what `_log_prior_strip` needs: of two components the exponential that they
    share, else log P(w)."""
    if len(prior) == 4:
        for j in range(w.size):
            shared[j] = joining(w[j], prior)
        for j in range(w.size):
            score[j] = mixture_score(w[j], prior, shared[j])
    else:
        for j in range(w.size):
            shared[j], score[j] = mixture(w[j], prior)


@kernel(reorder=True, borrows=True)
def _log_prior_strip(shared, w, prior):
    """log P(w) of a strip, in its own precision, of two components max(a, b) + log(1 + e) (E7).

    To add while storing would be to add in an order that depends on where the arrays lie.
    """
    total = w.dtype.type(0)
    if len(prior) == 4:
        for j in range(w.size):
            total += max(gaussian_log_density(w[j], prior[0], prior[1]), gaussian_log_density(w[j], prior[2], prior[3]))
        return total + sum_of_logs(shared, ONE)
    for j in range(w.size):
        total += shared[j]
    return total


@kernel(borrows=True)
def _score_strips(score, w, prior, scratch):
    # `score_weights`, STRIP at a time.
    total = 0.0
    for a in range(0, w.size, STRIP):
        b = min(a + STRIP, w.size)
        _score_strip(score[a:b], scratch[:b - a], w[a:b], prior)
        total += float(_log_prior_strip(scratch[:b - a], w[a:b], prior))
    return total


@kernel
def score_weights(score, w, prior):
    """Fill `score` with d log P(w)/dw, and return log P(w), summed in float64 strip by strip (E7).

    Shapes: both (P,). The two share their exponentials.
    """
    return _score_strips(score, w, prior, strip(w.dtype)[0])


@kernel
def log_prior(w, prior):
    """log P(w), summed over the weights of a vector of shape (P,), in float64 (E7)."""
    return score_weights(np.empty_like(w), w, prior)
