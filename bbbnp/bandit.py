"""Contextual bandits: Thompson sampling with a Bayesian network, and the mushrooms of the paper (E20).

A bandit shows a context; one of A actions is taken; its reward comes, and nothing is learnt of what the others would
have brought. Thompson sampling takes the action that is best under a draw from the posterior: it tries what may be
good, and stops when the data say that it is not (paper, section 5.3).
"""

from dataclasses import dataclass

import numpy as np

from bbbnp import _check, data, training
from bbbnp.estimator import LARGEST_VALUE
from bbbnp.kernels import thompson
from bbbnp.model import BayesRegressor
from bbbnp.threads import one_blas_thread

PASS, EAT = range(2)
POISON, FOOD = -35.0, 5.0


@dataclass(frozen=True)
class Bandit:
    """Contexts, each as likely as the others, and what every action brings in them.

    Parameters
    ----------
    contexts : array_like, shape (N, D)
    rewards : array_like, shape (N, A, 2)
        Two rewards of every action, each as likely; the same twice where the reward is certain.

    Raises
    ------
    ValueError
        If the shapes do not fit, or an entry is not finite.
    """

    contexts: np.ndarray
    rewards: np.ndarray

    def __post_init__(self):
        contexts = _check.matrix("contexts", self.contexts, np.float64)
        rewards = np.require(self.rewards, float, ["C", "W"])
        if rewards.ndim != 3 or rewards.shape[1] < 2 or rewards.shape[2] != 2 or not np.isfinite(rewards).all():
            raise ValueError(f"rewards has shape {rewards.shape}; it must hold two finite rewards of each of two "
                             "or more actions in every context: shape (N, A, 2)")
        _check.same_length(contexts, rewards, "contexts", "rewards")
        object.__setattr__(self, "contexts", contexts)
        object.__setattr__(self, "rewards", rewards)

    @property
    def expected(self):
        """Expected reward of every action in every context, shape (N, A)."""
        return self.rewards.mean(axis=2)

    def mean_regret(self, actions=None):
        """Expected regret of one interaction, by enumeration: of an action for each context, or of random ones.

        Parameters
        ----------
        actions : array_like of int, shape (N,) or (), optional
        """
        expected = self.expected
        chosen = expected.mean(axis=1) if actions is None else np.take_along_axis(
            expected, np.broadcast_to(actions, len(expected))[:, None], axis=1)[:, 0]
        return float(np.mean(expected.max(axis=1) - chosen))


def one_hot(letters, columns, values):
    """One column of zeros and ones for each value of each column (all one-hot, side by side).

    Parameters
    ----------
    letters : array_like of str, shape (N, K)
    columns : sequence of str, length K
        Names, for errors.
    values : sequence of str, length K
        The values of each column, a letter each, in the order of the result.

    Returns
    -------
    ndarray, shape (N, sum of the numbers of values), float32

    Raises
    ------
    ValueError
        For a value that is not among its column's; the error names both.
    """
    letters = np.asarray(letters)
    if letters.ndim != 2 or not letters.shape[1] == len(columns) == len(values):
        raise ValueError(f"letters has shape {letters.shape}; {len(columns)} columns and {len(values)} sets of values "
                         "were given: their numbers must agree")
    parts = []
    for name, known, column in zip(columns, values, letters.T):
        unknown = sorted(set(column.tolist()) - set(known))
        if unknown:
            raise ValueError(f"column {name} holds {', '.join(map(repr, unknown))}, but only {', '.join(known)} are "
                             "known")
        parts.append(column[:, None] == np.array(list(known)))
    return np.concatenate(parts, axis=1).astype(np.float32)


def mushroom_bandit(*, data_dir=None):
    """The paper's bandit: eat a mushroom, or pass (section 5.3).

    Action 0 passes and brings 0. Action 1 eats: 5 for an edible one, 5 or -35 with even chances for a poisonous one.
    Contexts are the values that occur in the table, one-hot: 117 of the 126 that are declared, since a column that is
    always zero can teach nothing.

    Parameters
    ----------
    data_dir : path, optional
        See `bbbnp.data.load_mushroom`, which also says what is raised.

    Returns
    -------
    Bandit
        With N = 8,124, D = 117, A = 2.
    """
    table = data.load_mushroom(data_dir=data_dir)
    occurring = ["".join(sorted(set(column))) for column in table.letters.T]
    return Bandit(one_hot(table.letters, table.columns, occurring), mushroom_rewards(table.labels))


def mushroom_rewards(labels):
    """Rewards of passing and of eating, shape (N, 2, 2), of labels e (edible) and p (poisonous), shape (N,)."""
    rewards = np.zeros((len(labels), 2, 2))
    rewards[:, EAT, 0] = FOOD
    rewards[:, EAT, 1] = np.where(np.asarray(labels) == "p", POISON, FOOD)
    return rewards


class ThompsonSampler:
    """Choose actions by draws from the posterior of a network that learns rewards (E20; paper, section 5.3).

    The network sees a context beside the action, one-hot, and gives the expected reward. After every reward it is
    trained on minibatches of the last interactions, drawn with replacement; the KL's part of a minibatch of B is B/n
    while n interactions are remembered.

    Parameters
    ----------
    model : BayesRegressor
        Its settings; an untrained copy is trained, `model_`. `batch_size` is that of the minibatches. It must not
        standardise, and its learning rate must be constant or have a horizon, since nothing is known of the data yet.
        A point posterior makes a greedy agent. `epochs`, `threads` and `progress` are not used.
    actions : int
        Number A of actions, at most `batch_size`.
    draws : int
        Weight draws whose mean decides; 0 is the mean network, hence greedy.
    epsilon : float
        Chance of an action by chance.
    memory : int
        Interactions that are remembered.
    minibatches : int
        Training steps after every interaction.
    fresh : bool
        Start training again from the initial network after every interaction, not from where it stands.

    Raises
    ------
    ValueError
        For settings that cannot be.

    Examples
    --------
    Two actions, of which the second is better where x > 0 only:

    >>> from bbbnp import BayesRegressor, ScaleMixture, ThompsonSampler
    >>> import numpy as np
    >>> model = BayesRegressor(hidden=(8,), prior=ScaleMixture(sigma2=0.5), noise=0.3, standardize=False, rho_init=-3.0,
    ...                        schedule="constant", learning_rate=0.01, batch_size=16)
    >>> sampler, rng = ThompsonSampler(model, actions=2, minibatches=8), np.random.default_rng(0)
    >>> for x in rng.uniform(-1, 1, 200):
    ...     action = sampler.choose([x])
    ...     sampler.update([x], action, reward=x * action)
    >>> sampler.choose([[-0.8], [0.8]])
    array([0, 1])
    """

    def __init__(self, model, actions, *, draws=2, epsilon=0.0, memory=4096, minibatches=64, fresh=False):
        if not isinstance(model, BayesRegressor):
            raise ValueError(f"model must be a BayesRegressor, not a {type(model).__name__}: it learns rewards")
        model._checked()
        for wrong, fix in (
                (model.standardize, "standardize=False: the scale cannot be learnt from the first reward"),
                (model.schedule != "constant" and model.horizon is None, "schedule='constant', or give a horizon"),
                (model._dropout is not None, "posterior='diagonal' or 'point'"),
                (model.noise == "input", "a noise that does not depend on the input"),
                (model.average_last > 0, "average_last=0"),
                (model.minibatch_weights != "uniform", "minibatch_weights='uniform': each carries B/n of the KL")):
            if wrong:
                raise ValueError(f"this model cannot go on learning for ever: use {fix}")
        self.actions = _check.integer("actions", actions, least=2)
        if self.actions > model.batch_size:
            raise ValueError(f"actions={actions} need a batch_size of at least that; the model has {model.batch_size}")
        self.draws = _check.integer("draws", draws, least=0) if model.has_sigma else 0
        self.epsilon = _check.real("epsilon", epsilon, least=0, most=1)
        self.memory = _check.integer("memory", memory, least=1, most=2**32 - 1)
        self.minibatches = _check.integer("minibatches", minibatches, least=0)
        self.fresh = _check.boolean("fresh", fresh)
        self.model_ = type(model)(**model.get_params())
        self.chosen_ = self.updates_ = 0

    def _start(self, width):
        """The untrained network and an empty memory, for contexts of `width` numbers, once that is known."""
        if hasattr(self, "memory_"):
            return
        inputs, rows = width + self.actions, self.model_.batch_size
        x, y = np.zeros((rows, inputs)), np.zeros(rows)
        self.model_._start(x, y)
        problem, state = self.model_._problem(x, y), self.model_.state_
        empty = np.zeros(0, state.theta.dtype)
        self.learner_ = thompson.Learner(
            training.kernel_state(problem, state, empty), *problem[:4], problem.data, problem.plan, problem.ws,
            problem.seed, state.theta.copy() if self.fresh else empty)
        self.memory_ = thompson.Memory(np.zeros((self.memory, inputs), empty.dtype),
                                       np.zeros((self.memory, 1), empty.dtype))

    def _contexts(self, contexts):
        width = None if not hasattr(self, "memory_") else self.memory_.x.shape[1] - self.actions
        contexts = _check.matrix("contexts", contexts, np.float64, columns=width)
        if np.abs(contexts).max() > LARGEST_VALUE:
            raise ValueError(f"contexts holds values beyond {LARGEST_VALUE:g}: change the unit")
        self._start(contexts.shape[1])
        return contexts.astype(self.model_.dtype)

    def choose(self, contexts):
        """The action for a context, shape (D,), or for each of several, (N, D), with draws of their own.

        Parameters
        ----------
        contexts : array_like, shape (D,) or (N, D)

        Returns
        -------
        int, or ndarray of int, shape (N,)

        Raises
        ------
        ValueError
            For contexts that cannot be.
        """
        one = np.ndim(contexts) == 1
        contexts = self._contexts(np.atleast_2d(contexts))
        x, values = np.zeros((self.actions, self.memory_.x.shape[1]), contexts.dtype), np.zeros(self.actions)
        chosen = []
        with one_blas_thread():
            for context in contexts:
                thompson.fill_inputs(x, context)
                thompson.action_values(values, x, self.learner_, self.draws, self.chosen_)
                chosen.append(int(thompson.choose(values, self.epsilon, self.model_.seed, self.chosen_)))
                self.chosen_ += 1
        return chosen[0] if one else np.array(chosen)

    def update(self, context, action, reward):
        """Remember what an action brought, and train.

        Parameters
        ----------
        context : array_like, shape (D,)
        action : int
        reward : float

        Raises
        ------
        ValueError
            For arguments that cannot be; nothing is remembered then.
        DivergenceError
            When the free energy or a parameter is not finite any more; the network is lost then, what is remembered is
            not.
        """
        action = _check.integer("action", action, least=0, most=self.actions - 1)
        reward = _check.real("reward", reward, least=-LARGEST_VALUE, most=LARGEST_VALUE)
        if np.ndim(context) != 1:
            raise ValueError(f"context has shape {np.shape(context)}; update takes one, of shape (D,)")
        (context,) = self._contexts([context])
        x = np.zeros((self.actions, self.memory_.x.shape[1]), context.dtype)
        thompson.fill_inputs(x, context)
        thompson.remember(self.memory_, self.updates_, x[action], reward)
        with one_blas_thread():
            sound = thompson.learn(self.updates_, self.learner_, self.memory_, self.minibatches)
        self.count(1)
        if not sound:
            raise self.divergence()

    def count(self, interactions):
        """Interactions that were played."""
        self.updates_ += interactions
        self.model_.state_.step = self.updates_ * self.minibatches

    def divergence(self):
        """The error that says where it happened and what to try."""
        return training.DivergenceError(
            f"the free energy is not finite after interaction {self.updates_}; the likely cause is too large a step: "
            f"try learning_rate={self.model_.learning_rate / 10:g} in place of {self.model_.learning_rate:g}")
