"""Minibatch weights against exact fractions, priors as kernels take them, and errors that name the argument."""

from fractions import Fraction
import math

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest
from scipy.stats import norm

from bbbnp import GaussianPrior, Objective, ScaleMixture, minibatch_weights
from bbbnp.kernels import divergence, draw
from bbbnp.kernels.prior import log_prior
from bbbnp.objective import ESTIMATOR, MINIBATCH_WEIGHTS

W = np.array([-50.0, -0.3, 0.0, 1e-3, 2.0])


@pytest.mark.E15
@pytest.mark.parametrize("minibatches", [*range(1, 51), 5000])
def test_minibatch_weights_sum_to_one(minibatches):  # museum 4
    sizes = [7] * (minibatches - 1) + [3]
    weights = {kind: minibatch_weights(kind, sizes) for kind in MINIBATCH_WEIGHTS}
    for kind in MINIBATCH_WEIGHTS:
        assert math.fsum(weights[kind]) == pytest.approx(1, rel=1e-12)
    paper = [float(Fraction(2**(minibatches - i), 2**minibatches - 1)) for i in range(1, minibatches + 1)]
    np.testing.assert_allclose(weights["geometric"], paper, rtol=1e-14, atol=1e-300)
    np.testing.assert_allclose(weights["uniform"], np.array(sizes) / sum(sizes), rtol=1e-15)


@pytest.mark.E15
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=300))
@settings(derandomize=True, deadline=None, max_examples=50)
def test_minibatch_weights_of_any_sizes_are_parts_of_one(sizes):
    for kind in MINIBATCH_WEIGHTS:
        weights = minibatch_weights(kind, sizes)
        assert math.fsum(weights) == pytest.approx(1, rel=1e-12) and np.all((weights > 0) & (weights <= 1))
    assert np.all(np.diff(weights) < 0)  # geometric: twice the next one
    np.testing.assert_allclose(weights[:-1], 2 * weights[1:], rtol=1e-15)


@pytest.mark.E6
@pytest.mark.parametrize("prior", [GaussianPrior(0.7), ScaleMixture(1, 0.7, 3), ScaleMixture(0, 3, 0.7)])
def test_gaussian_prior_and_a_mixture_of_one_have_the_density_of_scipy(prior):
    components = prior.components(np.float64)
    assert len(components) == 2
    assert log_prior(W, components) == pytest.approx(norm(0, 0.7).logpdf(W).sum(), rel=1e-12)


@pytest.mark.E7
def test_mixture_is_mixed_weight_by_weight():  # museum 5 and 20
    prior = ScaleMixture(0.25, 1.0, np.exp(-6.0))
    parts = np.log([[0.25], [0.75]]) + norm(0, [[1.0], [np.exp(-6.0)]]).logpdf(W)
    assert log_prior(W, prior.components(np.float64)) == pytest.approx(np.logaddexp(*parts).sum(), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prior_components_have_the_precision_that_is_asked_for(dtype):
    assert {type(value) for value in ScaleMixture().components(dtype)} == {dtype}


def test_kl_weight_is_temperature_times_minibatch_weight():
    assert Objective(temperature=0.5, minibatch_weight=0.25).kl_weight == 0.125


def test_the_defaults_are_those_of_before_and_pairs_may_have_either_form():
    assert Objective().for_kernels[2:] == (draw.SHORT, draw.WEIGHTS, divergence.SAMPLED, False, 0, 0, False)
    assert {"weight_noise": "weights", "antithetic": False, "kl": "sampled", "gradient": "total"} == ESTIMATOR
    assert Objective(draws=2, antithetic=True, form="paper").for_kernels.form == draw.PAPER
    assert Objective(gradient="path").for_kernels.form == draw.PATH


@pytest.mark.E25
def test_dropout_is_a_placement_with_two_chances():
    kernels = Objective(draws=0, dropout=[0.2, 0.5]).for_kernels
    assert (kernels.placement, kernels.drop_inputs, kernels.drop_hidden) == (draw.DROPOUT, 0.2, 0.5)
    assert Objective(draws=0, dropout=(0.2, 0.5)).scratch == "dropout" and Objective(draws=0).scratch == "weights"
    assert Objective(draws=2, dropout=(0.2, 0.5)).for_kernels == kernels._replace(draws=2)


@pytest.mark.E19
def test_a_posterior_is_pruned_where_rho_is_minus_infinity():
    objective = Objective()
    assert not objective.for_kernels.pruned and not objective.kernels_for(np.array([-800.0, 3])).pruned
    assert objective.kernels_for(np.array([3, -np.inf])).pruned


@pytest.mark.parametrize("function, arguments, message", [
    (Objective, {"prior": 3}, "prior=3 must be a ScaleMixture or a GaussianPrior"),
    (Objective, {"likelihood": "poisson"}, "likelihood='poisson' is unknown; choose one of 'gaussian', "),
    (Objective, {"noise": (1, 0)}, "noise=.* must be a finite number, greater than 0"),
    (Objective, {"form": "long"}, "form='long' is unknown"), (Objective, {"draws": -1}, "draws=-1 must be an integer"),
    (Objective, {"minibatch_weight": -1}, "minibatch_weight=-1 must be"),
    (Objective, {"temperature": np.nan}, "temperature=nan must be"),
    (Objective, {"weight_noise": "units"}, "weight_noise='units' is unknown; choose one of 'weights', "),
    (Objective, {"antithetic": 1}, "antithetic=1 must be True or False"),
    (Objective, {"kl": "exact"}, "kl='exact' is unknown; choose one of 'sampled', 'closed'"),
    (Objective, {"gradient": "score"}, "gradient='score' is unknown; choose one of 'total', 'path'"),
    (Objective, {"antithetic": True}, "antithetic=True pairs draws .*: draws=1 must be even"),
    (Objective, {"antithetic": True, "draws": 3}, "antithetic=True pairs draws .*: draws=3 must be even"),
    (Objective, {"kl": "closed"}, "kl='closed' needs a GaussianPrior: the KL to a ScaleMixture has no closed form"),
    (Objective, {"prior": GaussianPrior(), "kl": "closed", "gradient": "path"}, "gradient='path' .* kl='closed' has"),
    (Objective, {"weight_noise": "local", "gradient": "path"}, "gradient='path' needs the draw .*weight_noise='local'"),
    (Objective, {"form": "paper", "gradient": "path"}, "form='paper' is equations 3 and 4 .* with gradient='path'"),
    (Objective, {"form": "paper", "weight_noise": "local"}, "form='paper' .* with weight_noise='local'"),
    (Objective, {"form": "paper", "prior": GaussianPrior(), "kl": "closed"}, "form='paper' .* with kl='closed'"),
    *((Objective, {"draws": 0, **chosen}, "is of no use without noise, to a network of draws=0") for chosen in (
        {"weight_noise": "flipout"}, {"antithetic": True}, {"kl": "closed"}, {"gradient": "path"})),
    (Objective, {"dropout": (0.2, 0.5), "weight_noise": "local"}, "dropout and weight_noise='local'"),
    (Objective, {"draws": 0, "dropout": 0.5}, "dropout=0.5 must be two chances"),
    (Objective, {"draws": 0, "dropout": (0.5, 1.0)}, "dropout=1.0 must be a finite number, less than 1"),
    (minibatch_weights, {"kind": "harmonic", "sizes": [1]}, "kind='harmonic' is unknown; choose one of 'uniform', "),
    (minibatch_weights, {"kind": "uniform", "sizes": [3, 0]}, "sizes=0 must be an integer of at least 1"),
    (ScaleMixture, {"pi": 1.1}, "pi=1.1 must be a finite number, at least 0, at most 1"),
    (ScaleMixture, {"pi": -0.1}, "pi=-0.1 must be a finite number, at least 0, at most 1"),
    (ScaleMixture, {"sigma2": 0}, "sigma2=0 must be a finite number, greater than 0"),
    (GaussianPrior, {"sigma": np.nan}, "sigma=nan must be a finite number, greater than 0"),
])
def test_bad_settings_are_named(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(**arguments)
