"""Choosing, remembering, and the exact control, each against its formula written again (E20)."""

import numpy as np
import pytest

from bbbnp import reference
from bbbnp.bandit import ThompsonSampler
from bbbnp.exact import ConjugateRegression
from bbbnp.kernels import noise, thompson
from bbbnp.model import BayesRegressor

pytestmark = pytest.mark.E20
RNG = np.random.default_rng(3)


def sampler(**params):
    """An untrained sampler of three contexts' entries and two actions, in float64."""
    model = {"hidden": (4, 6), "standardize": False, "schedule": "constant", "batch_size": 8, "dtype": "float64",
             "rho_init": -1.0}
    made = ThompsonSampler(BayesRegressor(**{**model, **params}), 2)
    made._start(3)
    return made


@pytest.mark.parametrize("draws", [1, 3])
def test_values_are_those_of_the_reference_averaged_over_draws(draws):
    learner, x = sampler(seed=5).learner_, np.zeros((2, 5))
    context = RNG.normal(size=3)
    thompson.fill_inputs(x, context)
    np.testing.assert_array_equal(x, [[*context, 1, 0], [*context, 0, 1]])
    values, eps = np.full(2, np.nan), np.zeros(learner.ws.w.size)
    thompson.action_values(values, x, learner, draws, 7)
    mu, rho = np.split(learner.state.theta[:2 * eps.size], 2)
    outputs = []
    for s in range(draws):
        noise.normals(eps, 5, noise.THOMPSON, 7, s)
        outputs.append(reference.network(reference.reparameterize(mu, rho, eps), x, (5, 4, 6, 1), "relu")[-1][:, 0])
    np.testing.assert_allclose(values, np.mean(outputs, axis=0), rtol=1e-12)
    assert thompson.choose(values, 0.0, 5, 7) == reference.thompson_action(np.array(outputs))
    assert not np.allclose(values, outputs[0]) or draws == 1


def test_no_draws_are_the_mean_network():
    learner, x, values = sampler().learner_, RNG.normal(size=(2, 5)), np.zeros(2)
    thompson.action_values(values, x, learner, 0, 1)
    mu = learner.state.theta[:learner.ws.w.size]
    np.testing.assert_allclose(values, reference.network(mu, x, (5, 4, 6, 1), "relu")[-1][:, 0], rtol=1e-12)


def test_the_first_of_equal_actions_is_taken_and_others_by_their_chance():
    assert thompson.choose(np.array([1.0, 3.0, 3.0, 2.0]), 0.0, 0, 0) == 1
    best, steps = np.array([0.0, 0.0, 1.0]), 3000
    counts = np.bincount([thompson.choose(best, 0.3, 4, t) for t in range(steps)], minlength=3)
    expected = np.array([0.1, 0.1, 0.8]) * steps
    assert np.sum((counts - expected)**2 / expected) < 13.8  # chi-squared, two degrees of freedom, one in 1000


def test_a_minibatch_is_drawn_evenly_from_what_is_remembered():
    learner, memory = sampler(batch_size=7).learner_, thompson.Memory(np.zeros((30, 5)), np.zeros((30, 1)))
    memory.x[:] = np.arange(30)[:, None]
    memory.y[:, 0] = -np.arange(30)
    seen = []
    for step in range(300):
        thompson.replay(learner.data, memory, 20, 1, step)
        np.testing.assert_array_equal(learner.data.y[:, 0], -learner.data.x[:, 4])
        seen.extend(learner.data.x[:, 0].astype(int))
    counts = np.bincount(seen, minlength=20)
    assert len(counts) == 20
    assert np.sum((counts - 105)**2 / 105) < 43.8  # chi-squared, 19 degrees of freedom, one in 1000


def test_memory_forgets_the_oldest():
    memory = thompson.Memory(np.zeros((3, 2)), np.zeros((3, 1)))
    for t in range(5):
        thompson.remember(memory, t, np.array([t, 10.0 * t]), -t)
    np.testing.assert_array_equal(memory.y[:, 0], [-3, -4, -2])
    np.testing.assert_array_equal(memory.x, [[3, 30], [4, 40], [2, 20]])


@pytest.fixture
def conjugate():
    """The exact posterior of 40 observations, and the same by one update after another."""
    X, noise_, prior_sigma = RNG.normal(size=(40, 4)) * (RNG.random((40, 4)) < 0.7), 0.5, 2.0
    exact = ConjugateRegression(X, X @ [1.0, -2.0, 0.5, 0.0] + noise_ * RNG.normal(size=40), noise_, prior_sigma)
    factor, moment = np.eye(4) / prior_sigma, np.zeros(4)
    for x, y in zip(X, exact.y):
        thompson.line_update(factor, moment, x / noise_, y / noise_)
    return exact, factor, moment


def test_the_control_has_the_closed_form_posterior(conjugate):
    exact, factor, moment = conjugate
    np.testing.assert_array_equal(np.tril(factor, -1), 0)
    np.testing.assert_allclose(factor.T @ factor, exact.precision, rtol=1e-12, atol=1e-12)
    w = np.empty(4)
    thompson.line_draw(w, factor, moment, np.zeros(4))
    np.testing.assert_allclose(w, exact.mean, rtol=1e-12)


def test_the_control_draws_with_the_covariance_of_its_posterior(conjugate):
    exact, factor, moment = conjugate
    columns = np.empty((4, 4))
    for j in range(4):
        thompson.line_draw(columns[j], factor, moment, np.eye(4)[j])
    spread = columns - exact.mean
    np.testing.assert_allclose(spread.T @ spread, np.linalg.inv(exact.precision), rtol=1e-10, atol=1e-14)
    assert not np.allclose(spread @ spread.T, np.linalg.inv(exact.precision))  # R^-1 for R^-T would be this


def test_values_of_the_control_are_those_of_a_draw_for_each_action(conjugate):
    _, factor, moment = conjugate
    line = thompson.Line(np.array([factor, 2 * factor]), np.array([moment, -moment]), 0.5)
    context, values, z, w = RNG.normal(size=4), np.zeros(2), np.empty(4), np.empty(4)
    thompson.line_values(values, context, line, 9, 6)
    for a in range(2):
        noise.normals(z, 9, noise.THOMPSON, 6, a)
        thompson.line_draw(w, line.factor[a], line.moment[a], z)
        assert values[a] == pytest.approx(w @ context, rel=1e-12)


def test_best_reward_is_the_largest_mean():
    assert thompson.best_reward(np.array([[0.0, 0.0], [5.0, -35.0]])) == 0
    assert thompson.best_reward(np.array([[0.0, 0.0], [5.0, 5.0], [9.0, -2.0]])) == 5
