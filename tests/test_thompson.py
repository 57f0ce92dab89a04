"""Choosing, remembering, and the exact control, each against its formula written again (E20)."""

import numpy as np
import pytest

from bbbnp import reference
from bbbnp.bandit import ThompsonSampler
from bbbnp.exact import ConjugateRegression
from bbbnp.kernels import hotloop, noise, thompson
from bbbnp.model import BayesRegressor

pytestmark = pytest.mark.E20
RNG = np.random.default_rng(3)


def sampler(*, actions=2, fresh=False, **params):
    """An untrained sampler of three contexts' entries, in float64."""
    model = {"hidden": (4, 6), "standardize": False, "schedule": "constant", "batch_size": 8, "dtype": "float64",
             "rho_init": -1.0}
    made = ThompsonSampler(BayesRegressor(**{**model, **params}), actions, fresh=fresh)
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


def test_an_action_by_chance_is_a_function_of_seed_and_interaction():
    """The first word of the counter says whether, below epsilon 2^32, and the second which."""
    best, seed = np.array([0.0, 1.0, 0.0]), 4
    for t in range(40):
        word, other = noise.words(0, seed, noise.EXPLORING, t, 0)[:2]
        for epsilon, by_chance in ((int(word) / 2**32, False), ((int(word) + 1) / 2**32, True)):
            assert thompson.choose(best, epsilon, seed, t) == (noise.below(other, 3) if by_chance else 1)


def test_a_minibatch_is_a_function_of_seed_and_step():
    """Four rows of every counter, a word each."""
    learner, memory = sampler(batch_size=15).learner_, thompson.Memory(*RNG.normal(size=(2, 30, 5)))
    memory = memory._replace(y=memory.y[:, :1])
    thompson.replay(learner.data, memory, 23, 6, 9)
    rows = [noise.below(noise.words(j // 4, 6, noise.REPLAYED, 9, 0)[j % 4], 23) for j in range(15)]
    np.testing.assert_array_equal(learner.data.x, memory.x[rows])
    np.testing.assert_array_equal(learner.data.y, memory.y[rows])


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


def test_an_observation_of_units_reaches_the_posterior():
    """Entries of exactly 1, 0 and -1 are observations too."""
    for x in np.array([[1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]):
        factor, moment = np.eye(3), np.zeros(3)
        for y in (2.0, 3.0):
            thompson.line_update(factor, moment, x, y)
        np.testing.assert_allclose(factor.T @ factor, np.eye(3) + 2 * np.outer(x, x), rtol=1e-14, atol=1e-14)
        np.testing.assert_array_equal(moment, 5 * x)


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
    assert thompson.best_reward(np.array([[0.0, 0.0], [1.0, 2.0], [9.0, -2.0]])) == 3.5


@pytest.mark.parametrize("fresh", [False, True])
def test_training_is_that_of_the_hot_loop_on_the_minibatches_of_each_step(fresh):
    """Carried on at step t K + k of the seed; a fresh network at step k of a seed of its own, seed + (t + 1) 2^32."""
    t, minibatches, ours = 5, 3, sampler(seed=2, fresh=fresh)
    memory = thompson.Memory(RNG.normal(size=(30, 5)), RNG.normal(size=(30, 1)))
    learner, start = ours.learner_, ours.model_.state_.theta.copy()
    learner.state.theta[:] += 0.25 if fresh else 0
    for moments in (learner.state.first, learner.state.second):
        moments[:] = 0.5 if fresh else 0  # of an earlier interaction
    assert thompson.learn(t, learner, memory, minibatches)
    twin = sampler(seed=2).learner_
    np.testing.assert_array_equal(twin.state.theta, start)
    plan = twin.plan._replace(batch_size=8, temperature=8 / (t + 1), mode=hotloop.UPDATE)
    for k in range(minibatches):
        step = t * minibatches + k
        thompson.replay(twin.data, memory, t + 1, 2, step)
        cursor = (2 + (t + 1) * 2**32, k, 0, 0) if fresh else (2, step, 0, 0)
        hotloop.train_serial(1, np.zeros((1, 2)), twin.state, twin.network, twin.prior, twin.objective, twin.optimizer,
                             twin.data, plan, hotloop.Cursor(*cursor), twin.ws)
    np.testing.assert_array_equal(learner.state.theta, twin.state.theta)
    assert not np.array_equal(twin.state.theta, start)


def test_a_parameter_that_overflows_after_the_last_step_is_seen():
    learner, memory = sampler().learner_, thompson.Memory(np.zeros((30, 5)), np.zeros((30, 1)))
    for last in (learner.state.theta[:1], learner.state.theta[-1:]):
        assert thompson.learn(0, learner, memory, 0)
        last[:] = np.inf
        assert not thompson.learn(0, learner, memory, 0)
        last[:] = 0


def play(start, steps, *, broken=False):
    """Interactions of chance with four kinds of context and three actions, of which the third is the best.

    Returns rewards, regret of ten interactions, and what `thompson.play` returned.
    """
    world = thompson.World(RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3, 2)) + [[0], [1], [8]])
    player, regret = sampler(seed=7, actions=3), np.zeros((2, 10))
    player.learner_.state.theta[0] = np.nan if broken else 0
    line, policy = thompson.Line(np.zeros((3, 3, 3)), np.zeros((3, 3)), 1.0), thompson.Policy(False, 1.0, 0, 0)
    return world.rewards, regret, thompson.play(
        start, steps, world, policy, player.learner_, line, player.memory_, regret)


def test_a_game_is_a_function_of_seed_and_interaction():
    """Which context, which action by chance and which of two rewards: a stream each, counter 0 of interaction t."""
    rewards, regret, result = play(3, 6)
    assert result == (6, True) and not regret[:, :3].any() and not regret[:, 9:].any()
    for t in range(3, 9):
        i, action, luck = (int(noise.below(noise.words(0, 7, stream, t, 0)[word], n)) for stream, word, n in (
            (noise.CONTEXTS, 0, 4), (noise.EXPLORING, 1, 3), (noise.REWARDS, 0, 2)))
        best = rewards[i].mean(axis=1).max()
        np.testing.assert_allclose(regret[:, t], [best - rewards[i, action, luck], best - rewards[i, action].mean()],
                                   rtol=0, atol=1e-14)


def test_a_game_stops_after_the_interaction_that_was_not_sound():
    assert play(3, 6, broken=True)[2] == (1, False)
