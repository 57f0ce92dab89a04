"""sigma, w = mu + sigma eps and log q: by value, beside reference.py, and wrong gradients rejected."""

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest
from scipy.stats import norm

from bbbnp import reference
from bbbnp.kernels import posterior
from bbbnp.kernels.vectormath import STRIP

WIDE_RHO = np.linspace(-20, 20, 81)


def random(dtype=np.float64, n=40):
    """mu, rho, eps and dw, rounded to `dtype`."""
    rng = np.random.default_rng(3)
    mu, eps, dw = rng.normal(size=(3, n))
    return [a.astype(dtype) for a in (mu, rng.uniform(-4, 4, n), eps, dw)]


def doubles(*arrays):
    return [a.astype(float) for a in arrays]


@pytest.mark.E4
@pytest.mark.parametrize("mu, rho, eps, w", [
    (1, np.log(np.e - 1), 2, 3), (1, 0, -3, 1 - 3 * np.log(2)), (0.25, -800, 5, 0.25), (-1, 800, 2, 1599)])
def test_a_weight_is_mu_plus_sigma_eps(mu, rho, eps, w):
    assert posterior.reparameterize(*np.array([mu, rho, eps], float)) == pytest.approx(w, rel=1e-14)


@pytest.mark.E4
def test_sampled_weights_are_those_of_the_reference(dtype, assert_twins):
    mu, rho, eps, _ = random(dtype)
    w = np.full_like(mu, np.nan)
    posterior.sample_weights(w, mu, rho, eps, eps[:0])
    assert_twins(w, reference.reparameterize(*doubles(mu, rho, eps)), eps32=2, scale=1)


@pytest.mark.E3
def test_softplus_and_its_derivatives_are_those_of_the_reference(each, dtype, assert_twins):
    _, rho, _, dsigma = random(dtype)
    rho64, dsigma64 = doubles(rho, dsigma)
    sigma, s = reference.softplus(rho64), reference.logistic(rho64)
    assert_twins(each(posterior.softplus, rho), sigma, eps32=3)
    assert_twins(each(posterior.softplus_backward, dsigma, rho), dsigma64 * s, eps32=3)
    assert_twins(each(posterior.log_softplus_backward, rho), s / sigma, eps32=3)
    assert_twins(each(posterior.log_softplus, rho), np.log(sigma), eps32=2, scale=1)


@pytest.mark.E5
def test_log_q_is_the_normal_log_density_for_rho_from_minus_20_to_20():
    """Museum 8 and 25: evaluated with another sigma than it was sampled with; a stray constant."""
    eps, sigma = np.linspace(-3, 3, WIDE_RHO.size), np.logaddexp(0, WIDE_RHO)
    right, other_sigma = (norm.logpdf(sigma * eps, scale=scale) for scale in (sigma, np.exp(WIDE_RHO)))
    log_q = [posterior.log_posterior(r, e) for r, e in zip(WIDE_RHO[:, None], eps[:, None])]
    np.testing.assert_allclose(log_q, right, rtol=1e-12)
    assert np.all(np.abs(log_q - other_sigma) > 1e-12 * np.abs(right))
    assert posterior.log_posterior(WIDE_RHO, eps) == pytest.approx(right.sum(), rel=1e-12)


@pytest.mark.E5
@given(st.lists(st.tuples(st.floats(-800, 800), st.floats(-7, 7)), min_size=1, max_size=30),
       st.sampled_from([np.float32, np.float64]))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_log_q_keeps_its_digits_for_any_rho(pairs, dtype):
    rho, eps = np.array(pairs, dtype).T.copy()
    low, exact = np.minimum(rho.astype(float), -40), np.maximum(rho.astype(float), -40)
    log_sigma = np.where(rho < -40, low, np.log(np.logaddexp(0, exact)))  # exp(-40) is below all digits of 40
    terms = np.array([-log_sigma, -eps.astype(float)**2 / 2, np.full(rho.size, -np.log(2 * np.pi) / 2)])
    assert posterior.log_posterior(rho, eps) == pytest.approx(
        terms.sum(), rel=0, abs=4 * np.finfo(dtype).eps * np.abs(terms).sum())
    for r, e in zip(rho, eps):
        dw, dmu, drho = posterior.log_posterior_backward(np.maximum(r, dtype(-80)), e)  # 1/sigma is a number there
        assert np.isfinite((dw, dmu, drho)).all() and dw == -dmu


@pytest.mark.E3
@pytest.mark.parametrize("x, pair", [(np.log(3), (0.25, 0.75)), (-np.log(3), (0.75, 0.25)), (0, (0.5, 0.5)),
                                     (40, (np.exp(-40), 1)), (-40, (1, np.exp(-40)))])
def test_responsibilities_are_s_of_minus_x_and_of_x(x, pair, dtype):
    a, b = dtype([1, 0, -3]), dtype([0, 1, 5])
    means = [posterior.logistic_mean(*values, dtype(x)) for values in zip(a, b)]
    np.testing.assert_allclose(means, pair[0] * a + pair[1] * b, rtol=8 * float(np.finfo(dtype).eps))


@pytest.mark.E5
@pytest.mark.parametrize("size", [STRIP - 1, STRIP, STRIP + 1, 2 * STRIP + 7])
def test_log_q_of_many_weights_is_added_strip_by_strip(size):
    rho, eps = np.random.default_rng(1).normal(size=(2, size))
    sigma, w = np.logaddexp(0, rho), np.empty(size)
    truth = norm.logpdf(sigma * eps, scale=sigma).sum()
    assert posterior.log_posterior(rho, eps) == pytest.approx(truth, rel=1e-12)
    assert posterior.sample_weights(w, rho + 1, rho, eps, eps[:0]) == pytest.approx(truth, rel=1e-12)
    np.testing.assert_allclose(w, rho + 1 + sigma * eps, rtol=1e-12)


@pytest.mark.E3
@pytest.mark.parametrize("size", [1, STRIP + 7])
def test_slopes_may_take_the_place_of_the_noise(each, dtype, assert_twins, size):
    mu, rho, eps, _ = random(dtype, size)
    slopes, w, same = eps.copy(), np.empty_like(mu), np.empty_like(mu)
    log_q = posterior.sample_weights(w, mu, rho, slopes, slopes)
    assert log_q == posterior.sample_weights(same, mu, rho, eps, eps[:0])
    np.testing.assert_array_equal(w, same)
    assert_twins(slopes, each(posterior.log_softplus_backward, rho), eps32=1)


@pytest.mark.E4
@pytest.mark.E5
def test_log_q_is_the_density_of_the_weights_that_were_sampled():
    mu, rho, eps, _ = random()
    w = np.empty_like(mu)
    posterior.sample_weights(w, mu, rho, eps, eps[:0])
    expected = norm.logpdf(w, mu, np.logaddexp(0, rho)).sum()
    assert posterior.log_posterior(rho, eps) == pytest.approx(expected, rel=1e-12)


@pytest.mark.E5
def test_log_q_is_that_of_the_reference(dtype, assert_twins):
    _, rho, eps, _ = random(dtype)
    assert_twins(posterior.log_posterior(rho, eps), reference.log_posterior(*doubles(rho, eps)), eps32=2)


@pytest.mark.E5
def test_partial_derivatives_of_log_q_by_hand():
    log2 = np.log(2)  # sigma at rho = 0, where s = 1/2
    by_hand = -2 / log2, 2 / log2, 1.5 / log2
    assert posterior.log_posterior_backward(*np.array([0.0, 2.0])) == pytest.approx(by_hand, rel=1e-14)


@pytest.mark.parametrize("name, arguments", [
    pytest.param("reparameterize_backward", (3, 1, 2), marks=pytest.mark.E4),
    pytest.param("log_posterior_backward", (1, 2), marks=pytest.mark.E5)])
def test_backward_is_that_of_the_reference(each, dtype, assert_twins, name, arguments):
    arrays = [random(dtype)[i] for i in arguments]
    expected = getattr(reference, name)(*doubles(*arrays))
    assert_twins(each(getattr(posterior, name), *arrays), expected, eps32=3, scale=1)


@pytest.mark.E4
@pytest.mark.parametrize("wrong", [
    lambda dmu, drho, s, eps: (1.001 * dmu, drho), lambda dmu, drho, s, eps: (dmu, 1.001 * drho),
    lambda dmu, drho, s, eps: (-dmu, drho), lambda dmu, drho, s, eps: (dmu, -drho),
    lambda dmu, drho, s, eps: (dmu, drho / s), lambda dmu, drho, s, eps: (dmu, drho / eps)],
    ids=["dmu x1.001", "drho x1.001", "sign of dmu", "sign of drho", "no s(rho)", "no eps"])
def test_a_wrong_gradient_of_the_weights_is_rejected(each, gradient_check, wrong):
    mu, rho, eps, dw = random(n=7)
    passes = gradient_check(
        lambda z: dw @ each(posterior.reparameterize, z[:7], z[7:], eps), np.concatenate([mu, rho]))
    g = each(posterior.reparameterize_backward, dw, rho, eps)
    assert passes(g)
    assert not passes(wrong(*g, each(posterior.logistic, rho), eps))


@pytest.mark.E5
@pytest.mark.parametrize("wrong", [
    lambda dw, dmu, drho, s, sigma: (1.001 * dw, dmu, drho), lambda dw, dmu, drho, s, sigma: (dw, dmu, 1.001 * drho),
    lambda dw, dmu, drho, s, sigma: (-dw, dmu, drho), lambda dw, dmu, drho, s, sigma: (dw, -dmu, drho),
    lambda dw, dmu, drho, s, sigma: (dw * sigma, dmu, drho), lambda dw, dmu, drho, s, sigma: (dw, dmu * sigma, drho),
    lambda dw, dmu, drho, s, sigma: (dw, dmu, drho / s), lambda dw, dmu, drho, s, sigma: (dw, dmu, drho * sigma),
    lambda dw, dmu, drho, s, sigma: (dw, dmu, drho + s / sigma)],
    ids=["dw x1.001", "drho x1.001", "sign of dw", "sign of dmu", "dw without 1/sigma", "dmu without 1/sigma",
         "no s(rho)", "drho without 1/sigma", "drho without -1"])
def test_a_wrong_derivative_of_log_q_is_rejected(each, gradient_check, wrong):
    mu, rho, eps, _ = random(n=7)
    passes = gradient_check(
        lambda z: posterior.log_posterior(z[14:], (z[:7] - z[7:14]) / each(posterior.softplus, z[14:])),
        np.concatenate([each(posterior.reparameterize, mu, rho, eps), mu, rho]))
    g = each(posterior.log_posterior_backward, rho, eps)
    assert passes(g)
    assert not passes(wrong(*g, each(posterior.logistic, rho), each(posterior.softplus, rho)))
