"""Games in compiled code: the same as one interaction after another, resumable, and worth playing."""

import signal

import numpy as np
import pytest

from bbbnp import (
    BayesRegressor, DivergenceError, ModelFileError, ScaleMixture, ThompsonSampler, checkpoint, training)
from bbbnp.bandit import Bandit, mushroom_rewards
from bbbnp.exact import ConjugateRegression
from bbbnp.game import Game, LinearThompson, by_chance
from bbbnp.kernels import noise, thompson

SMALL = {"hidden": (4,), "standardize": False, "schedule": "constant", "batch_size": 8, "learning_rate": 0.01}
pytestmark = pytest.mark.E20


def table():
    """A table of mushrooms in small: three kinds, of which two are poisonous, and a colour that says nothing."""
    kind, colour = np.divmod(np.arange(6), 2)
    return Bandit(np.concatenate([np.eye(3)[kind], np.eye(2)[colour]], axis=1),
                  mushroom_rewards(np.array(["e", "p", "p"])[kind]))


def agent(*, epsilon=0.0, memory=64, fresh=False, minibatches=2, draws=2, **params):
    return ThompsonSampler(BayesRegressor(**{**SMALL, **params}), 2, epsilon=epsilon, memory=memory, fresh=fresh,
                           minibatches=minibatches, draws=draws)


@pytest.mark.parametrize("params", [{}, {"posterior": "point", "epsilon": 0.2}, {"memory": 10}, {"fresh": True},
                                    {"noise": "learned", "draws": 1}])
def test_a_game_is_one_interaction_after_another_to_the_bit(params):
    world, steps = table(), 25
    game = Game(world, agent(seed=3, **params), steps)
    game.play(progress=False)
    one = agent(seed=3, **params)
    for t in range(steps):
        i = noise.below(noise.words(0, 3, noise.CONTEXTS, t, 0)[0], 6)
        action = one.choose(world.contexts[i])
        reward = world.rewards[i, action, noise.below(noise.words(0, 3, noise.REWARDS, t, 0)[0], 2)]
        one.update(world.contexts[i], action, reward)
        assert game.regret[0, t] == max(world.expected[i]) - reward
        assert game.regret[1, t] == max(world.expected[i]) - world.expected[i, action]
    np.testing.assert_array_equal(game.sampler.model_.state_.theta, one.model_.state_.theta)
    assert (game.sampler.updates_, game.sampler.chosen_) == (one.updates_, one.chosen_) == (steps, steps)


@pytest.mark.parametrize("make", [lambda: agent(seed=1), lambda: agent(memory=5, noise="learned"),
                                  lambda: agent(fresh=True), lambda: LinearThompson(2, seed=1), lambda: by_chance(2)],
                         ids=["network", "short memory", "fresh", "line", "chance"])
def test_a_game_goes_on_from_its_file_to_the_same_bits(tmp_path, make):
    whole = Game(table(), make(), 40)
    assert whole.play(progress=False) is False
    half = Game(table(), make(), 40)
    half.play(until=17, progress=False)
    half.save(tmp_path / "game.npz", {"seconds": 2.5})
    other = Game(table(), make(), 40)
    assert other.restore(tmp_path / "game.npz")["seconds"] == 2.5 and other.played == 17
    other.play(progress=False)
    assert whole.played == other.played == 40
    for name, array in whole._arrays.items():
        np.testing.assert_array_equal(array, other._arrays[name], err_msg=name)


def test_a_file_of_another_game_is_refused_and_changes_nothing(tmp_path):
    small, large = (Game(table(), agent(hidden=(width,)), 5) for width in (4, 6))
    small.play(progress=False)
    small.save(tmp_path / "game.npz", {})
    before = large.sampler.model_.state_.theta.copy()
    with pytest.raises(ModelFileError, match="not of this game: its theta"):
        large.restore(tmp_path / "game.npz")
    for make, settings in ((lambda: agent(seed=9), {}), (agent, {"played": 6}), (agent, {"played": -1})):
        small.save(tmp_path / "game.npz", {})
        if settings:
            checkpoint.write(tmp_path / "game.npz", {"seed": 0, **settings}, small._arrays)
        with pytest.raises(ModelFileError, match="not of this game: it has seed 0"):
            Game(table(), make(), 5).restore(tmp_path / "game.npz")
    assert large.played == 0 and (large.sampler.model_.state_.theta == before).all()


def test_chance_has_the_mean_of_enumeration():
    world, steps = table(), 4000
    games = [Game(world, by_chance(2, seed=seed), steps) for seed in (0, 1)]
    for game in games:
        game.play(progress=False)
        values = game.regret
        error = values.std(axis=1) / np.sqrt(steps)
        assert np.all(np.abs(values.mean(axis=1) - world.mean_regret()) < 4 * error)
    assert (games[0].regret != games[1].regret).any()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_thompson_sampling_beats_chance_and_passing_in_a_short_game(seed):
    world, steps, regret = table(), 300, []
    for player in (agent(hidden=(8,), seed=seed, minibatches=8, batch_size=16, rho_init=-3.0, noise=1.0,
                         prior=ScaleMixture(sigma2=0.5)),
                   LinearThompson(2, noise=5.0, prior_sigma=10.0, seed=seed)):
        game = Game(world, player, steps)
        game.play(progress=False)
        regret.append(game.regret[1].sum())
    assert max(regret) < steps * min(world.mean_regret(), world.mean_regret(0)), regret


def test_what_cannot_be_played_is_refused():
    with pytest.raises(ValueError, match="the agent knows 3 actions, the bandit has 2"):
        Game(table(), by_chance(3), 5)
    used = agent()
    game = Game(table(), used, 5)
    with pytest.raises(ValueError, match="plays already, here or in another game"):
        Game(table(), used, 5)
    for until in (6, -1, 2.0):
        with pytest.raises(ValueError, match=f"until={until}"):
            game.play(until=until)
    with pytest.raises(ValueError, match="steps=0"):
        Game(table(), agent(), 0)
    for name, value in (("actions", 1), ("noise", 0), ("prior_sigma", -1), ("seed", -1)):
        with pytest.raises(ValueError, match=f"{name}="):
            LinearThompson(**{"actions": 2, name: value})


@pytest.mark.parametrize("at_once", [1, 30])
@pytest.mark.parametrize("minibatches", [1, 2], ids=["a parameter", "a free energy"])
def test_divergence_is_seen_wherever_a_slice_ends(at_once, minibatches, monkeypatch):
    monkeypatch.setattr(training, "SLICE_SECONDS", 0 if at_once == 1 else 1e9)
    game = Game(table(), agent(learning_rate=1e38, optimizer="sgd", seed=1, minibatches=minibatches), 30)
    with np.errstate(all="ignore"), pytest.raises(DivergenceError, match="not finite after interaction 1;"):
        game.play(until=1, progress=False)
    assert game.played == 1


def test_ctrl_c_ends_a_slice_whole_and_the_game_goes_on_to_the_same_bits(monkeypatch):
    whole = Game(table(), agent(seed=2), 100)
    whole.play(progress=False)
    game, play, calls = Game(table(), agent(seed=2), 100), thompson.play, []

    def interrupted(*arguments):
        calls.append(arguments[1])
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return play(*arguments)

    monkeypatch.setattr(thompson, "play", interrupted)
    assert game.play(progress=False) is True
    assert len(calls) == 2 and game.played == game.sampler.updates_ == sum(calls) < 100
    assert game.play(progress=False) is False
    for name, array in whole._arrays.items():
        np.testing.assert_array_equal(array, game._arrays[name], err_msg=name)


def test_the_control_has_the_posterior_of_what_it_met():
    world, steps = table(), 60
    game = Game(world, LinearThompson(2, noise=0.7, prior_sigma=2.0, seed=4), steps)
    game.play(progress=False)
    met = [noise.below(noise.words(0, 4, noise.CONTEXTS, t, 0)[0], 6) for t in range(steps)]
    luck = [noise.below(noise.words(0, 4, noise.REWARDS, t, 0)[0], 2) for t in range(steps)]
    best = world.expected[met].max(axis=1)
    taken = np.array([np.flatnonzero(np.isclose(best[t] - world.expected[met[t]], game.regret[1, t]))[0]
                      for t in range(steps)])
    for action in (0, 1):
        of = taken == action
        assert of.sum() > 5
        exact = ConjugateRegression(world.contexts[met][of], world.rewards[met, taken, luck][of], 0.7, 2.0)
        factor = game.line.factor[action]
        np.testing.assert_allclose(factor.T @ factor, exact.precision, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(game.line.moment[action], exact.precision @ exact.mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(game.regret[0], best - world.rewards[met, taken, luck], atol=1e-12)
