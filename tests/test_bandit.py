"""The mushrooms as a bandit, and the sampler that anyone can use."""

import doctest
from pathlib import Path

import numpy as np
import pytest

from bbbnp import BayesClassifier, BayesRegressor, DivergenceError, ScaleMixture, ThompsonSampler, bandit, data
from bbbnp.bandit import Bandit, mushroom_bandit, mushroom_rewards, one_hot

ROOT = Path(__file__).parents[1]
SETTINGS = {"hidden": (5,), "standardize": False, "schedule": "constant", "batch_size": 8, "noise": 0.5}


def sampler(*, actions=2, draws=2, minibatches=3, memory=50, epsilon=0.0, fresh=False, **params):
    return ThompsonSampler(BayesRegressor(**{**SETTINGS, **params}), actions, draws=draws, minibatches=minibatches,
                           memory=memory, epsilon=epsilon, fresh=fresh)


# ---- the environment ----

def test_rewards_and_regret_of_mushrooms_by_enumeration():
    world = Bandit(np.eye(4), mushroom_rewards(np.array(["e", "p", "p", "e"])))
    np.testing.assert_array_equal(world.expected, [[0, 5], [0, -15], [0, -15], [0, 5]])
    assert sorted(world.rewards[1, bandit.EAT]) == [-35, 5] and not world.rewards[:, bandit.PASS].any()
    assert world.mean_regret(bandit.PASS) == (5 + 0 + 0 + 5) / 4
    assert world.mean_regret(bandit.EAT) == (0 + 15 + 15 + 0) / 4
    assert world.mean_regret() == (2.5 + 7.5 + 7.5 + 2.5) / 4
    assert world.mean_regret([1, 0, 0, 1]) == 0


@pytest.mark.parametrize("rewards", [np.zeros((3, 2)), np.zeros((3, 1, 2)), np.zeros((3, 2, 3)), np.zeros((4, 2, 2)),
                                     np.full((3, 2, 2), np.nan)])
def test_a_bandit_that_cannot_be_is_refused(rewards):
    with pytest.raises(ValueError, match="rewards"):
        Bandit(np.eye(3), rewards)


def test_one_hot_has_a_column_for_each_value_and_names_what_it_does_not_know():
    letters = np.array([["a", "x"], ["b", "y"], ["a", "z"]])
    np.testing.assert_array_equal(one_hot(letters, ("one", "two"), ("ab", "zyx")),
                                  [[1, 0, 0, 0, 1], [0, 1, 0, 1, 0], [1, 0, 1, 0, 0]])
    with pytest.raises(ValueError, match="column two holds 'z', but only x, y are known"):
        one_hot(letters, ("one", "two"), ("ab", "xy"))
    with pytest.raises(ValueError, match="their numbers must agree"):
        one_hot(letters, ("one",), ("ab",))


def test_as_many_values_are_declared_as_the_readme_says():
    declared = sum(len(letters) for column, letters in data.MUSHROOM_LETTERS.items() if column != "class")
    assert f"117 of the {declared} declared" in " ".join((ROOT / "README.md").read_text().split())


def test_the_table_of_mushrooms_has_the_papers_regrets():
    try:
        world = mushroom_bandit()
    except data.DataError as error:
        pytest.skip(f"the mushrooms are not here: {error}")
    assert world.contexts.shape == (8124, 117) and (world.contexts.sum(axis=1) == 22).all()
    assert world.contexts.any(axis=0).all()
    found = [world.mean_regret(actions) for actions in (None, bandit.PASS, bandit.EAT)]
    np.testing.assert_allclose(found, [4.91, 2.59, 7.23], atol=0.005)


# ---- the sampler ----

def test_the_example_runs():
    found = doctest.DocTestFinder(recurse=False).find(ThompsonSampler, globs={})
    assert found[0].examples
    assert all(doctest.DocTestRunner().run(test).failed == 0 for test in found)


def test_it_finds_the_best_of_three_actions_where_the_best_policy_is_known():
    """Rewards x, 0.3 and -x: the best action is 0 above 0.3, 2 below -0.3, and 1 between."""
    rng, agent = np.random.default_rng(1), sampler(
        actions=3, hidden=(12,), prior=ScaleMixture(sigma2=0.5), noise=0.2, learning_rate=0.02, batch_size=16,
        minibatches=6, memory=200, rho_init=-3.0)
    for x in rng.uniform(-1, 1, 250):
        action = agent.choose([x])
        agent.update([x], action, (x, 0.3, -x)[action] + 0.05 * rng.normal())
    x = np.concatenate([np.linspace(-1, -0.45, 10), np.linspace(-0.15, 0.15, 10), np.linspace(0.45, 1, 10)])
    assert np.mean(agent.choose(x[:, None]) == np.repeat([2, 1, 0], 10)) > 0.8


def test_choices_are_a_function_of_the_seed_and_each_has_a_draw_of_its_own():
    contexts = np.zeros((200, 3))
    chosen = sampler(seed=1, rho_init=1.0).choose(contexts)
    np.testing.assert_array_equal(chosen, sampler(seed=1, rho_init=1.0).choose(contexts))
    assert 0.2 < chosen.mean() < 0.8 and isinstance(sampler().choose(contexts[0]), int)
    assert (sampler(seed=2, rho_init=1.0).choose(contexts) != chosen).any()
    assert len(set(sampler(posterior="point").choose(contexts))) == 1


def test_what_is_learnt_is_the_weighted_free_energy(monkeypatch):
    """The KL's part is B/n of n remembered, whatever n is: below, and beyond, what is remembered."""
    from bbbnp.kernels import thompson
    agent, seen = sampler(memory=12, minibatches=2, temperature=0.5), []
    monkeypatch.setattr(thompson, "train_serial", lambda *arguments: seen.append(arguments[8].temperature) or (1,))
    monkeypatch.setattr(thompson, "learn", getattr(thompson.learn, "py_func", thompson.learn))
    for _ in range(15):
        agent.update([0.0, 1.0], 1, 2.0)
    np.testing.assert_allclose(seen, np.repeat(0.5 * 8 / np.minimum(np.arange(1, 16), 12), 2))


def test_fresh_training_begins_again_after_every_interaction():
    agents = [sampler(fresh=fresh, minibatches=4, posterior="point", optimizer="sgd") for fresh in (True, False)]
    for agent in agents:
        for _ in range(6):  # the same interaction: a fresh network ends each time where it ended the first time
            agent.update([1.0, 0.5], 0, 3.0)
    fresh, carried = (agent.model_.state_.theta for agent in agents)
    once = sampler(minibatches=4, posterior="point", optimizer="sgd")
    once.update([1.0, 0.5], 0, 3.0)
    np.testing.assert_allclose(fresh, once.model_.state_.theta, rtol=1e-5)
    assert np.abs(fresh - carried).max() > 1e-3


def test_fresh_training_resets_the_optimiser_and_draws_new_noise():
    """A step of Adam from zero moments is at most the rate, so minibatches of them stay near the start."""
    fresh = sampler(fresh=True, minibatches=4, learning_rate=0.01, memory=1)
    fresh._start(2)
    start, ends = fresh.model_.state_.theta.copy(), []
    for _ in range(12):
        fresh.update([1.0, 0.5], 0, 3.0)
        ends.append(fresh.model_.state_.theta.copy())
    assert max(np.abs(end - start).max() for end in ends) < 4 * 0.0101
    assert np.abs(ends[-1] - ends[-2]).max() > 1e-4  # memory 1: the data are the same, the noise is not


def test_divergence_is_an_error_that_says_what_to_try():
    agent = sampler(learning_rate=1e20, minibatches=8, optimizer="sgd")
    with pytest.raises(DivergenceError, match="after interaction [0-9]+.*try learning_rate=1e.19"), np.errstate(
            all="ignore"):
        for _ in range(8):
            agent.update([1.0], 1, 1e4)


@pytest.mark.parametrize("params, message", [
    ({"standardize": True}, "standardize=False"), ({"schedule": "cosine"}, "schedule='constant'"),
    *[({"posterior": name}, "posterior='diagonal'") for name in ("dropout", "diagonal_dropout")],
    ({"noise": "input"}, "a noise that"),
    ({"average_last": 0.5}, "average_last=0"), ({"minibatch_weights": "geometric"}, "minibatch_weights='uniform'"),
    ({"actions": 1}, "actions=1"), ({"actions": 9}, "actions=9 need a batch_size"), ({"draws": -1}, "draws=-1"),
    ({"epsilon": -0.1}, "epsilon=-0.1"), ({"epsilon": 1.1}, "epsilon=1.1"),
    ({"memory": 0}, "memory=0"), ({"minibatches": -1}, "minibatches=-1"), ({"fresh": 1}, "fresh=1"),
    ({"learning_rate": 0}, "learning_rate=0")])
def test_settings_that_cannot_be_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        sampler(**params)


def test_what_is_left_out_is_as_in_the_paper():
    agent = ThompsonSampler(BayesRegressor(standardize=False, schedule="constant"), 2)
    assert (agent.draws, agent.memory, agent.minibatches, agent.epsilon) == (2, 4096, 64, 0)


def test_other_models_and_wrong_interactions_are_refused_and_nothing_is_remembered():
    with pytest.raises(ValueError, match="must be a BayesRegressor, not a BayesClassifier"):
        ThompsonSampler(BayesClassifier(), 2)
    agent = sampler()
    for arguments, message in ((([1.0, 2.0], 2, 1.0), "action=2"), (([1.0, 2.0], -1, 1.0), "action=-1"),
                               (([1.0, 2.0], 0, np.nan), "reward=nan"),
                               (([1.0, np.inf], 0, 1.0), "holds inf"), (([1.0, 1e39], 0, 1.0), "beyond 1e.18"),
                               (([1.0, 2.0], 0, 1e39), "reward=1e.39"), (([[1.0, 2.0]], 0, 1.0), "update takes one")):
        with pytest.raises(ValueError, match=message):
            agent.update(*arguments)
    assert agent.updates_ == 0
    agent.update([1.0, 2.0], 0, 1.0)
    with pytest.raises(ValueError, match="has 3 columns, but 2 are expected"):
        agent.choose([1.0, 2.0, 3.0])
