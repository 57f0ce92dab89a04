"""Priors on a weight: a Gaussian (E6) and a scale mixture of Gaussians (E7), log-density and score.

A prior is a flat tuple (log_weight_1, precision_1, log_weight_2, precision_2, ...), so that the number of components is
known when compiling:

    log_weight_k = log pi_k - log sigma_k - log(2 pi)/2,     precision_k = 1/sigma_k^2

One component is the Gaussian prior; two are the paper's spike and slab. The components are added by one rule, which
never leaves the logarithm:

    log(exp(a) + exp(b)) = max(a, b) + softplus(-|b - a|),     responsibility of b = s(b - a)
"""

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.posterior import logistic_pair, softplus
from bbbnp.kernels.vectormath import HALF, STRIP


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
def log_add(a, b):
    """log(exp(a) + exp(b)), with no digit lost whichever is the larger."""
    return max(a, b) + softplus(-abs(b - a))


@kernel(inline=True)
def mixture_log_density(w, prior):
    """Log-density of one weight under the scale mixture (E7; paper, equation 7, per weight).

    log P(w) = log sum_k pi_k N(w; 0, sigma_k^2)
    """
    total = gaussian_log_density(w, prior[0], prior[1])
    for k in range(2, len(prior), 2):
        total = log_add(total, gaussian_log_density(w, prior[k], prior[k + 1]))  # E7
    return total


@kernel(inline=True)
def mixture_score(w, prior):
    """Derivative of the scale mixture's log-density (E7).

    d log P(w)/dw = sum_k r_k (-w/sigma_k^2),  r_k the responsibility of component k for w
    """
    total, score = gaussian_log_density(w, prior[0], prior[1]), gaussian_score(w, prior[1])
    for k in range(2, len(prior), 2):
        log_density = gaussian_log_density(w, prior[k], prior[k + 1])
        before, component = logistic_pair(log_density - total)
        score = before * score + component * gaussian_score(w, prior[k + 1])
        total = log_add(total, log_density)
    return score


@kernel(reorder=True)
def log_prior(w, prior):
    """log P(w), summed over the weights of a vector of shape (P,), in float64 strip by strip (E7)."""
    total = 0.0
    for start in range(0, w.size, STRIP):
        strip, part = w[start:start + STRIP], w.dtype.type(0)
        for j in range(strip.size):
            part += mixture_log_density(strip[j], prior)
        total += float(part)
    return total
