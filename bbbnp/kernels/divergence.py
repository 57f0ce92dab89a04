"""Kullback-Leibler divergence of the posterior from a Gaussian prior in closed form (E14).

It may stand in the free energy for log q - log P(w) at a draw of the weights, which has it as its mean.
"""

import numpy as np

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.posterior import log_softplus, log_softplus_backward, softplus, softplus_backward
from bbbnp.kernels.vectormath import HALF, ONE, STRIP, log

SAMPLED, CLOSED = range(2)


@kernel(inline=True)
def prior_deviation(prior):
    """Standard deviation of a Gaussian prior, given as in `prior`: (log_weight, precision)."""
    return ONE / np.sqrt(prior[1])


@kernel(inline=True)
def gaussian_kl(mu, rho, prior_sigma):
    """KL(N(mu, sigma^2) || N(0, prior_sigma^2)) of one weight (E14).

    KL = log(prior_sigma/sigma) + (sigma^2 + mu^2)/(2 prior_sigma^2) - 1/2
    """
    sigma, precision = softplus(rho), ONE / (prior_sigma * prior_sigma)
    return HALF * precision * (sigma * sigma + mu * mu) - HALF - log_softplus(rho) + log(prior_sigma)  # E14


@kernel(inline=True)
def gaussian_kl_backward(mu, rho, prior_sigma):
    """Gradient of the closed-form KL in mu and rho (E14).

    dmu = mu/prior_sigma^2,  drho = sigma s(rho)/prior_sigma^2 - r(rho)
    """
    precision = ONE / (prior_sigma * prior_sigma)
    return mu * precision, softplus_backward(softplus(rho) * precision, rho) - log_softplus_backward(rho)


@kernel(reorder=True)
def kl_to_gaussian(mu, rho, prior_sigma):
    """Closed-form KL summed over the weights: mu and rho of shape (P,), in float64 strip by strip (E14)."""
    total = 0.0
    for a in range(0, mu.size, STRIP):
        part = mu.dtype.type(0)
        for j in range(a, min(a + STRIP, mu.size)):
            part += gaussian_kl(mu[j], rho[j], prior_sigma)
        total += float(part)
    return total


@kernel
def kl_to_gaussian_backward(dmu, drho, mu, rho, prior_sigma):
    """Fill `dmu` and `drho`, shape (P,), with the gradient of the summed closed-form KL (E14)."""
    for j in range(mu.size):
        dmu[j], drho[j] = gaussian_kl_backward(mu[j], rho[j], prior_sigma)
