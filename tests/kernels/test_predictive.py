"""Bayes' rule, averages over draws, and the two parts of uncertainty: by hand, and beside reference.py."""

from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest
from scipy.stats import norm

from bbbnp import reference
from bbbnp.architecture import Architecture
from bbbnp.kernels import noise, predictive
from bbbnp.kernels.draw import DROPOUT, WEIGHTS, Draw, unit_kept
from bbbnp.kernels.elbo import Parameters

E1, E18, E25 = pytest.mark.E1, pytest.mark.E18, pytest.mark.E25
ARCHITECTURE = Architecture((2, 5, 4, 2), "tanh")  # 49 weights: the last of tiles of 4 or 8 has one
ROWS, SEED = 7, 5


def bayes_rule(log_joint):
    log_post = np.full_like(log_joint, np.nan)
    return log_post, predictive.bayes_rule(log_post, log_joint)


def log_predictive(log_lik):
    log_mean = np.full(log_lik.shape[1], np.nan)
    predictive.log_predictive(log_mean, log_lik)
    return log_mean


def moments(f, variance):
    """mean, aleatoric, epistemic"""
    parts = [np.full(f.shape[1:], np.nan) for _ in range(3)]
    predictive.predictive_moments(*parts, f, variance)
    return parts


def entropy_split(p):
    """mean, aleatoric, epistemic"""
    parts = [np.full(p.shape[1:], np.nan), np.full(p.shape[1], np.nan), np.full(p.shape[1], np.nan)]
    predictive.entropy_split(*parts, p)
    return parts


def parameters(dtype=np.float64):
    mu, rho = np.random.default_rng(15).normal(size=(2, ARCHITECTURE.size)).astype(dtype)
    return Parameters(mu, rho, mu[:0])


def draws(x, at_once=ROWS, count=3, build=predictive.predict_draws_serial, dropout=None, **pieces):
    """Outputs, shape (count, N, 2), from a workspace with room for so many rows."""
    samples = np.full((count, len(x), 2), np.nan, x.dtype)
    workspace = ARCHITECTURE.workspace(
        at_once, x.dtype, weight_noise="weights" if dropout is None else "dropout", **pieces)
    noisy = Draw(WEIGHTS if dropout is None else DROPOUT, SEED, 0, 0, 1, noise.PREDICTION, *(dropout or (0.0, 0.0)))
    build(samples, parameters(x.dtype), ARCHITECTURE.network, x, noisy, workspace)
    return samples


def inputs(dtype=np.float64):
    return np.random.default_rng(16).normal(size=(ROWS, 2)).astype(dtype)


@E1
@pytest.mark.parametrize("shift", [0, -1e4, 1e4])
def test_bayes_rule_by_hand_also_where_the_joint_underflows(shift):
    joint = np.array([0.1, 0.0625, 0.0375, 0.2])
    log_post, log_evidence = bayes_rule(np.log(joint) + shift)
    np.testing.assert_allclose(log_post, np.log(joint / 0.4), atol=4e-12, rtol=0)  # an ulp of 1e4 is 1.8e-12
    assert log_evidence == pytest.approx(np.log(0.4) + shift, abs=4e-12, rel=0)
    with np.errstate(all="ignore"):
        naive = reference.bayes_rule(np.log(joint) + shift)[1]
    assert naive == (pytest.approx(0.4, rel=1e-14) if shift == 0 else 0 if shift < 0 else np.inf)


@E1
def test_bayes_rule_is_that_of_the_reference():
    log_joint = np.random.default_rng(17).normal(-3, 2, 40)
    log_post, log_evidence = bayes_rule(log_joint)
    posterior, evidence = reference.bayes_rule(log_joint)
    np.testing.assert_allclose(np.exp(log_post), posterior, rtol=1e-12)
    assert np.exp(log_evidence) == pytest.approx(evidence, rel=1e-12)


@E1
def test_prediction_averages_probabilities_and_not_their_logarithms():
    """Museum 15."""
    log_lik = np.log([[0.9, 0.2], [0.1, 0.2]])
    np.testing.assert_allclose(log_predictive(log_lik), np.log([0.5, 0.2]), rtol=1e-14)
    assert log_lik.mean(axis=0)[0] == pytest.approx(np.log(0.3))  # the average of logarithms
    np.testing.assert_allclose(log_predictive(log_lik - 1e4), np.log([0.5, 0.2]) - 1e4, rtol=1e-14)
    np.testing.assert_array_equal(log_predictive(log_lik[:1]), log_lik[0])


@E1
def test_log_predictive_is_that_of_the_reference():
    log_lik = np.random.default_rng(18).normal(-2, 3, (9, 40))
    np.testing.assert_allclose(log_predictive(log_lik), reference.log_predictive(log_lik), rtol=1e-12, atol=1e-12)


@E1
def test_draws_are_the_reference_network_under_noise_of_their_own_stream(dtype, assert_twins):
    x, eps = inputs(dtype), np.empty(ARCHITECTURE.size)
    mu, rho, x64 = (a.astype(float) for a in (*parameters(dtype)[:2], x))
    for s, sample in enumerate(draws(x)):
        noise.normals(eps, SEED, noise.PREDICTION, 0, s)
        w = reference.reparameterize(mu, rho, eps)
        assert_twins(sample, reference.network(w, x64, ARCHITECTURE.widths, "tanh")[-1], eps32=4, scale=4)


@E1
@pytest.mark.parametrize("at_once", [1, 3, ROWS + 2])
def test_draws_do_not_depend_on_how_many_rows_are_taken_at_once(at_once):
    np.testing.assert_allclose(draws(inputs(), at_once), draws(inputs()), rtol=1e-12, atol=1e-14)
    cut = draws(inputs(), at_once, block=2, tile=8)
    np.testing.assert_allclose(cut, draws(inputs()), rtol=1e-12, atol=1e-14)


def dropped(x, at_once=ROWS, count=3):
    """The same under dropout by reference.py, with the masks that each row has at its place among those at once."""
    mu, outputs = parameters()[0], np.empty((count, len(x), 2))
    for s in range(count):
        for start in range(0, len(x), at_once):
            rows = x[start:start + at_once]
            z = [np.empty((len(rows), width)) for width in ARCHITECTURE.widths[:-1]]
            for depth, mask in enumerate(z):
                for example, row in enumerate(mask):
                    unit_kept(row, 0.5 if depth else 0.2, ARCHITECTURE.network.widths, depth, example,
                              Draw(DROPOUT, SEED, start // at_once, s, 1, noise.PREDICTION))
            outputs[s, start:start + at_once] = reference.network(mu, rows, ARCHITECTURE.widths, "tanh", z)[-1]
    return outputs


@E25
@pytest.mark.parametrize("at_once", [ROWS, 3])
def test_draws_under_dropout_are_the_reference_network_with_units_left_out(at_once):
    ours = draws(inputs(), at_once, dropout=(0.2, 0.5))
    np.testing.assert_allclose(ours, dropped(inputs(), at_once), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(ours, draws(inputs(), at_once, dropout=(0.2, 0.5), block=2, tile=8), rtol=1e-12,
                               atol=1e-13)
    assert not np.isclose(ours, draws(inputs(), at_once, dropout=(0.5, 0.2))).all(axis=2).any()


@E25
def test_without_chances_dropout_draws_are_the_mean_network():
    samples = draws(inputs(), dropout=(0.0, 0.0))
    mean = reference.network(parameters()[0], inputs(), ARCHITECTURE.widths, "tanh")[-1]
    np.testing.assert_allclose(samples, np.broadcast_to(mean, samples.shape), rtol=1e-12, atol=1e-13)


@E25
def test_prediction_has_masks_of_its_own_stream():
    z = np.empty((2, 40))
    for row, stream in zip(z, (noise.DROPOUT, noise.PREDICTION)):
        unit_kept(row, 0.5, np.array([40, 1]), 0, 0, Draw(DROPOUT, SEED, 0, 0, 1, stream))
    assert not np.array_equal(*z)


@E1
@E18
def test_a_draw_serves_all_rows_and_another_draw_has_other_weights():
    """Museum 16: copies of one input that share their weights have no epistemic variance."""
    samples = draws(np.tile(inputs()[:1], (ROWS, 1)))
    np.testing.assert_allclose(samples, np.broadcast_to(samples[:, :1], samples.shape), rtol=1e-12)
    assert moments(samples, np.ones_like(samples))[2].min() > 0.01


@E18
def test_law_of_total_variance_by_hand():
    f, variance = np.array([1.0, 3.0]).reshape(2, 1, 1), np.array([0.5, 1.5]).reshape(2, 1, 1)
    assert [part.item() for part in moments(f, variance)] == [2, 1, 1]
    assert [part.item() for part in moments(1e8 + f, variance)] == [1e8 + 2, 1, 1]  # not E[f^2] - E[f]^2


@E18
def test_parts_add_up_to_the_variance_of_the_mixture_which_no_single_draw_has():
    """Museum 17: an interval from the noise of one draw."""
    rng = np.random.default_rng(19)
    f, variance = rng.normal(0, 2, (5, 3, 2)), np.full((5, 3, 2), 0.5)
    mean, aleatoric, epistemic = moments(f, variance)
    np.testing.assert_allclose(aleatoric + epistemic, np.mean(f**2 + variance, axis=0) - mean**2, rtol=1e-12)
    lower, upper = (f + z * np.sqrt(variance) for z in norm.ppf([0.025, 0.975]))  # of each draw, tried on the mixture
    z = [(end[:, None] - f) / np.sqrt(variance) for end in (lower, upper)]
    assert np.all(np.mean(norm.cdf(z[1]) - norm.cdf(z[0]), axis=1) < 0.9)


@E18
@pytest.mark.parametrize("ours, twin, arrays", [
    (moments, reference.predictive_moments, np.random.default_rng(20).gamma(2, 1, (2, 5, 7, 3))),
    (entropy_split, reference.entropy_split, np.random.default_rng(21).dirichlet(np.ones(4), (1, 5, 7)))],
    ids=["moments", "entropy split"])
def test_parts_are_those_of_the_reference(ours, twin, arrays):
    for part, expected in zip(ours(*arrays), twin(*arrays), strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12)


@E18
@pytest.mark.parametrize("p, aleatoric, epistemic", [
    ([[1, 0], [0, 1]], 0, np.log(2)), ([[0.5, 0.5], [0.5, 0.5]], np.log(2), 0), ([[1, 0], [1, 0]], 0, 0),
    ([[0.3, 0.7], [0.3, 0.7], [0.3, 0.7]], -0.3 * np.log(0.3) - 0.7 * np.log(0.7), 0),
    ([[1, 0], [0.5, 0.5]], np.log(2) / 2, np.log(4) - 0.75 * np.log(3) - np.log(2) / 2)],
    ids=["sure but disagreeing", "agreed on chance", "sure and agreed", "identical", "one sure, one not"])
def test_entropy_split_by_hand(p, aleatoric, epistemic):
    mean, inner, between = entropy_split(np.array(p, float)[:, None])
    np.testing.assert_allclose(mean[0], np.mean(p, axis=0), rtol=1e-14)
    assert (inner[0], between[0]) == pytest.approx((aleatoric, epistemic), rel=1e-14, abs=1e-15)


@E18
@pytest.mark.parametrize("count", range(2, 9))
def test_identical_draws_never_have_a_negative_epistemic_part(count):
    """The mean of 5 to 7 draws of 0.35 or 0.4 is another number in the last digit, of less entropy than each."""
    epistemic = entropy_split(np.tile([[0.35, 0.65], [0.4, 0.6]], (count, 1, 1)))[2]
    assert np.all(epistemic >= 0) and np.all(epistemic < 1e-15)


@E18
@given(arrays(float, (4, 2, 3), elements=st.floats(-40, 40)))
@settings(derandomize=True, deadline=None)
def test_entropies_lie_between_nothing_and_log_classes_and_add_up(f):
    p = np.exp(f) / np.exp(f).sum(axis=2, keepdims=True)
    mean, aleatoric, epistemic = entropy_split(p)
    whole = [predictive.entropy(row) for row in mean]
    np.testing.assert_allclose(aleatoric + epistemic, whole, rtol=1e-12, atol=1e-14)
    assert np.all(aleatoric >= 0) and np.all(epistemic >= 0) and np.all(whole <= np.log(3) + 1e-14)
