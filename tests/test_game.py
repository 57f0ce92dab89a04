"""Games in compiled code: the same as one interaction after another, resumable, and worth playing."""

import numpy as np
import pytest

from bbbnp import BayesRegressor, DivergenceError, ModelFileError, ScaleMixture, ThompsonSampler
from bbbnp.bandit import Bandit, mushroom_rewards
from bbbnp.game import Game, LinearThompson, by_chance
from bbbnp.kernels import noise

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


@pytest.mark.parametrize("make", [lambda: agent(seed=1), lambda: LinearThompson(2, seed=1), lambda: by_chance(2)],
                         ids=["network", "line", "chance"])
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
    assert large.played == 0 and (large.sampler.model_.state_.theta == before).all()


def test_agents_of_a_seed_meet_the_same_contexts_and_chance_has_the_mean_of_enumeration():
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
    used.choose(np.zeros(5))
    with pytest.raises(ValueError, match="has played already"):
        Game(table(), used, 5)
    with pytest.raises(ValueError, match="steps=0"):
        Game(table(), agent(), 0)
    for name, value in (("actions", 1), ("noise", 0), ("prior_sigma", -1), ("seed", -1)):
        with pytest.raises(ValueError, match=f"{name}="):
            LinearThompson(**{"actions": 2, name: value})


def test_a_game_that_diverges_says_so_and_keeps_what_was_played():
    game = Game(table(), agent(learning_rate=1e25, optimizer="sgd"), 30)
    with pytest.raises(DivergenceError, match="not finite after interaction"), np.errstate(all="ignore"):
        game.play(progress=False)
    assert 0 < game.played < 30
