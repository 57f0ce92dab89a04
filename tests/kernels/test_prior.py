"""Gaussian and scale-mixture prior: by value, weight by weight, far from zero, and wrong scores rejected."""

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from bbbnp import reference
from bbbnp.kernels import prior
from bbbnp.objective import ScaleMixture

GAUSSIAN = [(1.0, 0.7)]
PAPER = [(0.25, 1.0), (0.75, np.exp(-6))]
THREE = [(0.2, 0.1), (0.5, 2.0), (0.3, 0.6)]
W = np.array([-3.0, -0.4, -0.011, -0.0004, 0.0, 0.002, 0.009, 0.3, 1.0, 7.5])  # in the spike, between, in the slab


def components(pairs, dtype=np.float64):
    """(pi, sigma) as kernels take them: log weight, precision, log weight, ..."""
    return tuple(dtype(value) for pi, sigma in pairs
                 for value in (np.log(pi) + norm.logpdf(0, scale=sigma), sigma**-2.0))


def log_density(w, pairs):
    """Entry by entry, by scipy."""
    return logsumexp([np.log(pi) + norm.logpdf(w, scale=sigma) for pi, sigma in pairs], axis=0)


def score(w, pairs):
    """Of entries, shape (n,)."""
    return np.array([prior.mixture_score(v, components(pairs, w.dtype.type)) for v in w])


@pytest.mark.E6
@pytest.mark.parametrize("sigma", [1e-3, 0.7, 30.0])
def test_one_component_is_the_gaussian(sigma):
    """Museum 25: a stray constant."""
    gaussian = components([(1.0, sigma)])
    values = [prior.gaussian_log_density(w, *gaussian) for w in W]
    np.testing.assert_allclose(values, norm.logpdf(W, scale=sigma), rtol=1e-12)
    np.testing.assert_allclose([prior.gaussian_score(w, gaussian[1]) for w in W], -W / sigma**2, rtol=1e-12)
    np.testing.assert_allclose(score(W, [(1.0, sigma)]), -W / sigma**2, rtol=1e-12)
    assert prior.log_prior(W, gaussian) == pytest.approx(norm.logpdf(W, scale=sigma).sum(), rel=1e-12)


@pytest.mark.E6
@pytest.mark.E7
def test_equal_components_are_one_gaussian_and_unequal_ones_are_not():
    one, halves = components(GAUSSIAN), components([(0.3, 0.7), (0.7, 0.7)])
    assert prior.log_prior(W, halves) == pytest.approx(prior.log_prior(W, one), rel=1e-12)
    np.testing.assert_allclose(score(W, [(0.3, 0.7), (0.7, 0.7)]), score(W, GAUSSIAN), rtol=1e-12)
    assert abs(prior.log_prior(W, components([(0.3, 0.7), (0.7, 0.6)])) - prior.log_prior(W, one)) > 0.1


@pytest.mark.E7
@pytest.mark.parametrize("pairs", [PAPER, PAPER[::-1], THREE], ids=["paper", "spike first", "three"])
def test_log_prior_mixes_weight_by_weight_and_sums_over_weights(pairs):
    """Museum 5: whole vectors mixed, which is nearly a Gaussian prior, in place of weights."""
    entries, ours = log_density(W, pairs), components(pairs)
    np.testing.assert_allclose([prior.mixture(w, ours)[0] for w in W], entries, rtol=1e-12)
    assert prior.log_prior(W, ours) == pytest.approx(entries.sum(), rel=1e-12)
    of_vectors = logsumexp([np.log(pi) + norm.logpdf(W, scale=sigma).sum() for pi, sigma in pairs])
    assert abs(prior.log_prior(W, ours) - of_vectors) > 1


@pytest.mark.E7
@given(st.floats(-1e12, 1e12), st.floats(0.001, 0.999), st.floats(-9, 3), st.floats(-9, 3),
       st.sampled_from([np.float32, np.float64]))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_any_mixture_has_its_density_and_a_pull_between_those_of_its_components(w, pi, log_sigma1, log_sigma2, dtype):
    mixture = ScaleMixture(pi, np.exp(log_sigma1), np.exp(log_sigma2))
    ours, w = mixture.components(dtype), dtype(w)
    pairs, eps = [(pi, mixture.sigma1), (1 - pi, mixture.sigma2)], float(np.finfo(dtype).eps)
    parts = [np.log(part) + norm.logpdf(float(w), scale=sigma) for part, sigma in pairs]
    density, size = prior.mixture(w, ours)[0], max(np.abs(parts).max(), 1)
    assert density == pytest.approx(logsumexp(parts), rel=0, abs=16 * eps * size)
    pulls = sorted(-float(w) / sigma**2 for _, sigma in pairs)
    assert pulls[0] - 8 * eps * abs(pulls[0]) <= prior.mixture_score(w, ours) <= pulls[1] + 8 * eps * abs(pulls[1])


@pytest.mark.E7
def test_each_component_has_its_own_weight():
    """At 0 the density is (1/sqrt(2 pi)) sum_k pi_k/sigma_k."""
    assert prior.mixture(np.float64(0), components([(0.25, 1.0), (0.75, 0.5)]))[0] == pytest.approx(
        np.log((0.25 + 0.75 / 0.5) / np.sqrt(2 * np.pi)), rel=1e-14)


@pytest.mark.E7
@pytest.mark.parametrize("w", [-50.0, 50.0])
@pytest.mark.parametrize("mixture", [
    ScaleMixture(0.25, 1.0, np.exp(-8)), ScaleMixture(0.75, np.exp(-8), 1.0)], ids=["slab first", "spike first"])
def test_far_from_zero_the_density_is_finite_and_the_pull_is_that_of_the_slab(dtype, assert_twins, w, mixture):
    """Museum 20: without log-sum-exp -inf, or a floor under the density that takes its gradient away."""
    ours = mixture.components(dtype)
    assert_twins(prior.log_prior(np.array([w], dtype), ours), np.log(0.25) + norm.logpdf(w), eps32=1)
    assert_twins(prior.mixture_score(dtype(w), ours), -w, eps32=1)
    with np.errstate(divide="ignore"):
        assert reference.log_prior(np.array([w]), [(0.25, 1.0), (0.75, np.exp(-8))]) == -np.inf


@pytest.mark.parametrize("pairs", [
    pytest.param(GAUSSIAN, marks=pytest.mark.E6), pytest.param(PAPER, marks=pytest.mark.E7),
    pytest.param(THREE, marks=pytest.mark.E7)])
def test_density_and_score_are_those_of_the_reference(dtype, assert_twins, pairs):
    sigma = np.random.default_rng(4).choice([s for _, s in pairs], 40)
    w = (sigma * np.random.default_rng(5).normal(size=40)).astype(dtype)
    # float32: the rounding of the log odds grows with their size and passes into the responsibilities
    assert_twins(prior.log_prior(w, components(pairs, dtype)), reference.log_prior(w.astype(float), pairs), eps32=4)
    assert_twins(score(w, pairs), reference.mixture_score(w.astype(float), pairs), eps32=5)


@pytest.mark.E7
@pytest.mark.parametrize("pairs", [GAUSSIAN, PAPER, THREE], ids=len)
@pytest.mark.parametrize("size", [0, 1, 7, prior.STRIP + 1])
def test_the_score_of_a_vector_is_that_of_each_of_its_weights(dtype, assert_twins, pairs, size):
    w, ours = np.random.default_rng(6).normal(size=size).astype(dtype), components(pairs, dtype)
    of_vector = np.full_like(w, np.nan)
    log_p = prior.score_weights(of_vector, w, ours)
    assert_twins(of_vector, score(w, pairs), eps32=4)
    # a strip is added in its own precision, one after another in plain Python: sqrt(STRIP)/2 roundings
    assert_twins(log_p, np.sum([prior.mixture(v, ours)[0] for v in w], dtype=float), eps32=16)


def mixed(w, pairs, pi=None, sigma=None):
    """Score with responsibilities from other weights `pi`, or divided by other deviations `sigma`."""
    own_pi, own_sigma = np.array(pairs).T[:, :, None]
    parts = (own_pi if pi is None else pi) * norm.pdf(w, scale=own_sigma)
    return np.sum(parts / parts.sum(0) * -w / (own_sigma if sigma is None else sigma)**2, axis=0)


@pytest.mark.parametrize("pairs", [
    pytest.param(GAUSSIAN, marks=pytest.mark.E6), pytest.param([(0.25, 1.0), (0.75, 0.1)], marks=pytest.mark.E7)])
@pytest.mark.parametrize("wrong", [
    lambda g, w, pairs: 1.001 * g, lambda g, w, pairs: -g, lambda g, w, pairs: mixed(w, pairs, sigma=1.0),
    lambda g, w, pairs: mixed(w, pairs, sigma=np.sqrt(pairs[0][1])),
    lambda g, w, pairs: np.where(np.abs(w) > 0.5, 0, g)],
    ids=["x1.001", "flipped sign", "no 1/sigma^2", "1/sigma of the first", "no pull far out"])
def test_a_wrong_score_is_rejected(gradient_check, pairs, wrong):
    w = np.array([-1.3, -0.4, -0.06, 0.02, 0.15, 0.9])
    passes = gradient_check(lambda z: prior.log_prior(z, components(pairs)), w)
    assert passes(score(w, pairs)) and passes(mixed(w, pairs))
    assert not passes(wrong(score(w, pairs), w, pairs))


@pytest.mark.E7
@pytest.mark.parametrize("wrong", [
    lambda w, pairs: mixed(w, pairs, pi=0.5), lambda w, pairs: mixed(w, [(0.25, 1.0), (0.75, 1.0)]),
    lambda w, pairs: mixed(w, pairs[::-1], pi=np.array([[0.25], [0.75]]))],
    ids=["without pi", "one component twice", "pi swapped"])
def test_a_score_with_wrong_responsibilities_is_rejected(gradient_check, wrong):
    """Museum 13 among them: one mixture component used twice."""
    w, pairs = np.array([-0.4, -0.15, 0.02, 0.25]), [(0.25, 1.0), (0.75, 0.1)]
    assert not gradient_check(lambda z: prior.log_prior(z, components(pairs)), w)(wrong(w, pairs))
