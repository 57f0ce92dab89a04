"""Kullback-Leibler divergence of the posterior from a Gaussian prior in closed form (E14)."""

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.posterior import log_softplus, log_softplus_backward, softplus, softplus_backward
from bbbnp.kernels.vectormath import HALF, ONE, log


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


@kernel
def kl_to_gaussian(mu, rho, prior_sigma):
    """Closed-form KL summed over the weights: mu and rho of shape (P,), float64 result (E14)."""
    total = 0.0
    for j in range(mu.size):
        total += gaussian_kl(mu[j], rho[j], prior_sigma)
    return total


@kernel
def kl_to_gaussian_backward(dmu, drho, mu, rho, prior_sigma):
    """Fill `dmu` and `drho`, shape (P,), with the gradient of the summed closed-form KL (E14)."""
    for j in range(mu.size):
        dmu[j], drho[j] = gaussian_kl_backward(mu[j], rho[j], prior_sigma)
