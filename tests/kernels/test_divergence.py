"""Closed-form KL to a Gaussian prior: exact, by Monte Carlo, its sign and zero, and wrong gradients rejected."""

import numba
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest
from scipy.stats import norm

from bbbnp import GaussianPrior, reference
from bbbnp.kernels import divergence, posterior, prior

pytestmark = pytest.mark.E14

DRAWS = 10_000 if numba.config.DISABLE_JIT else 1_000_000
PRIOR_SIGMA = np.float64(0.7)  # typed: uncompiled, a Python float would become float32 beside a float32 constant
FAR = [(3.0, 1.2), (-2.0, 0.05), (0.0, 4.0), (0.5, 0.3)]  # mu, sigma


def rho_of(sigma):
    return np.log(np.expm1(sigma))


def kl(mu, sigma, prior_sigma=PRIOR_SIGMA):
    return divergence.gaussian_kl(np.float64(mu), rho_of(sigma), np.float64(prior_sigma))


def gradient(mu, rho, prior_sigma):
    dmu, drho = np.full_like(mu, np.nan), np.full_like(rho, np.nan)
    divergence.kl_to_gaussian_backward(dmu, drho, mu, rho, prior_sigma)
    return np.array([dmu, drho])


def test_prior_deviation_is_that_of_the_prior(dtype):
    assert divergence.prior_deviation(GaussianPrior(0.7).components(dtype)) == pytest.approx(
        0.7, rel=2 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("mu, sigma", FAR)
def test_kl_is_the_mean_of_log_q_minus_log_p(mu, sigma):
    """Museum 21: a term is missing. Quadratic in w, so that Gauss-Hermite quadrature is exact."""
    eps, weight = np.polynomial.hermite_e.hermegauss(5)
    w = mu + sigma * eps
    mean = weight @ (norm.logpdf(w, mu, sigma) - norm.logpdf(w, scale=PRIOR_SIGMA)) / weight.sum()
    assert kl(mu, sigma) == pytest.approx(mean, rel=1e-12)
    reverse = np.log(sigma / PRIOR_SIGMA) + (PRIOR_SIGMA**2 + mu**2) / (2 * sigma**2) - 0.5
    assert abs(kl(mu, sigma) - reverse) > 0.1  # museum 1: KL(p || q)


@pytest.mark.parametrize("mu, sigma", FAR)
def test_kl_is_the_monte_carlo_mean_of_the_kernels_it_replaces(mu, sigma):
    mu_n, rho_n = np.full(DRAWS, mu), np.full(DRAWS, rho_of(sigma))
    eps, w = np.random.default_rng(6).normal(size=DRAWS), np.empty(DRAWS)
    posterior.sample_weights(w, mu_n, rho_n, eps, eps[:0])
    component = (norm.logpdf(0, scale=PRIOR_SIGMA), PRIOR_SIGMA**-2.0)
    mean = (posterior.log_posterior(rho_n, eps) - prior.log_prior(w, component)) / DRAWS
    ratio = sigma / PRIOR_SIGMA
    error = np.sqrt(((ratio**2 - 1)**2 / 2 + (ratio * mu / PRIOR_SIGMA)**2) / DRAWS)
    assert abs(mean - kl(mu, sigma)) <= 5 * error + 1e-12  # Var[a eps^2 + b eps] = 2 a^2 + b^2


@given(st.floats(-10, 10), st.floats(-20, 20), st.floats(0.01, 10))
@settings(derandomize=True, deadline=None)
def test_kl_is_never_negative(mu, rho, prior_sigma):
    assert divergence.gaussian_kl(*np.array([mu, rho, prior_sigma])) >= -1e-14


@pytest.mark.parametrize("prior_sigma", [1e-3, 0.7, 1.0, 20.0])
def test_kl_and_its_gradient_are_zero_at_the_prior_and_nowhere_near(prior_sigma):
    """Museum 13: a KL that is zero whatever the weights."""
    assert kl(0, prior_sigma, prior_sigma) == pytest.approx(0, abs=1e-13)
    g = divergence.gaussian_kl_backward(np.float64(0), rho_of(prior_sigma), np.float64(prior_sigma))
    assert g == pytest.approx((0, 0), abs=1e-13 / prior_sigma)
    for mu, sigma in [(0.1, 1), (-0.1, 1), (0, 0.9), (0, 1.1)]:
        assert kl(mu * prior_sigma, sigma * prior_sigma, prior_sigma) > 0.004


@pytest.mark.parametrize("sigma, sign", [(0.1, -1), (0.69, -1), (0.71, 1), (1.2, 1), (30, 1)])
def test_kl_pulls_sigma_to_that_of_the_prior_and_mu_to_zero(sigma, sign):
    """Museum 1: KL(p || q) would widen q at mu = 3 whenever sigma^2 < prior_sigma^2 + mu^2."""
    for mu in (-3.0, 3.0):
        dmu, drho = divergence.gaussian_kl_backward(mu, rho_of(sigma), PRIOR_SIGMA)
        assert np.sign(drho) == sign and dmu == pytest.approx(mu / 0.49, rel=1e-14)


def test_kl_of_a_vector_and_its_gradient_are_those_of_the_reference(dtype, assert_twins):
    mu, rho = np.random.default_rng(7).normal([[0], [-1]], [[1], [2]], (2, 40)).astype(dtype)
    arguments = mu.astype(float), rho.astype(float), float(dtype(PRIOR_SIGMA))
    assert_twins(divergence.kl_to_gaussian(mu, rho, dtype(PRIOR_SIGMA)), reference.kl_to_gaussian(*arguments), eps32=3)
    assert_twins(gradient(mu, rho, dtype(PRIOR_SIGMA)), reference.kl_to_gaussian_backward(*arguments), eps32=4,
                 scale=1)


@pytest.mark.parametrize("wrong", [
    lambda dmu, drho, mu, rho: (1.001 * dmu, drho), lambda dmu, drho, mu, rho: (dmu, 1.001 * drho),
    lambda dmu, drho, mu, rho: (-dmu, drho), lambda dmu, drho, mu, rho: (dmu, -drho),
    lambda dmu, drho, mu, rho: (dmu * PRIOR_SIGMA**2, drho),
    lambda dmu, drho, mu, rho: (dmu, drho / reference.logistic(rho)),
    lambda dmu, drho, mu, rho: (dmu, drho + reference.logistic(rho) / reference.softplus(rho)),
    lambda dmu, drho, mu, rho: (dmu / 7, drho / 7)],
    ids=["dmu x1.001", "drho x1.001", "sign of dmu", "sign of drho", "no 1/prior_sigma^2", "no s(rho)", "no -1/sigma",
         "averaged over weights"])
def test_a_wrong_gradient_of_the_kl_is_rejected(gradient_check, wrong):
    """Museum 3 among them: the KL averaged in place of summed."""
    mu, rho = np.random.default_rng(8).normal(size=(2, 7))
    passes = gradient_check(lambda z: divergence.kl_to_gaussian(z[:7], z[7:], PRIOR_SIGMA), np.concatenate([mu, rho]))
    dmu, drho = gradient(mu, rho, PRIOR_SIGMA)
    assert passes((dmu, drho))
    assert not passes(wrong(dmu, drho, mu, rho))
