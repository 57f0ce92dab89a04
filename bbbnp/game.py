"""A bandit played by an agent inside compiled code, from any interaction on to the same bits (E20)."""

from dataclasses import dataclass
import time

import numpy as np
from tqdm import tqdm

from bbbnp import _check, bandit, checkpoint, training
from bbbnp.kernels import thompson
from bbbnp.model import BayesRegressor
from bbbnp.threads import one_blas_thread

NOBODY = {"hidden": (), "standardize": False, "schedule": "constant"}


def by_chance(actions, *, seed=0):
    """The agent that takes every action as often, and learns nothing."""
    return bandit.ThompsonSampler(BayesRegressor(seed=seed, **NOBODY), actions, epsilon=1.0, draws=0, minibatches=0,
                                  memory=1)


@dataclass(frozen=True)
class LinearThompson:
    """The exact control: Thompson sampling from the posterior of a linear model, known in closed form (E20).

    Each action has weights of its own on the context, so that an action's worth may depend on it:
    reward = w_a^T x + noise, w_a ~ N(0, prior_sigma^2 I), which all interactions update (`exact.ConjugateRegression`).

    Parameters
    ----------
    actions : int
    noise : float
        Standard deviation that the model gives to rewards.
    prior_sigma : float
    seed : int
    """

    actions: int
    noise: float = 1.0
    prior_sigma: float = 1.0
    seed: int = 0

    def __post_init__(self):
        _check.integer("actions", self.actions, least=2)
        _check.real("noise", self.noise, above=0)
        _check.real("prior_sigma", self.prior_sigma, above=0)
        _check.integer("seed", self.seed, least=0)


class Game:
    """`steps` interactions of an agent with a bandit, in slices between which Ctrl-C and `save` are possible.

    Parameters
    ----------
    world : bandit.Bandit
    agent : bandit.ThompsonSampler or LinearThompson
    steps : int

    Attributes
    ----------
    played : int
        Interactions so far.
    regret : ndarray, shape (2, steps)
        Of each interaction: what the best action is expected to bring, less the reward that came (row 0, realised) or
        less the reward expected of the action that was taken (row 1, expected).
    """

    def __init__(self, world, agent, steps):
        if agent.actions != world.rewards.shape[1]:
            raise ValueError(f"the agent knows {agent.actions} actions, the bandit has {world.rewards.shape[1]}")
        if hasattr(agent, "memory_"):
            raise ValueError("the agent plays already, here or in another game: give a new one")
        linear, width = isinstance(agent, LinearThompson), world.contexts.shape[1]
        self.sampler = by_chance(agent.actions, seed=agent.seed) if linear else agent
        self.sampler._start(width)
        self.line = thompson.Line(np.zeros((agent.actions, width, width)), np.zeros((agent.actions, width)),
                                  float(agent.noise if linear else 1))
        if linear:
            self.line.factor[:] = np.eye(width) / agent.prior_sigma
        self.policy = thompson.Policy(linear, 0.0 if linear else self.sampler.epsilon, self.sampler.draws,
                                      self.sampler.minibatches)
        self.world = thompson.World(world.contexts.astype(self.sampler.memory_.x.dtype), world.rewards)
        self.regret = np.zeros((2, _check.integer("steps", steps, least=1)))
        self.played = 0

    @property
    def _arrays(self):
        """All that playing changes, by name."""
        state = self.sampler.model_.state_
        return {"theta": state.theta, "first": state.first, "second": state.second, "regret": self.regret,
                **{f"memory_{name}": array for name, array in self.sampler.memory_._asdict().items()},
                "factor": self.line.factor, "moment": self.line.moment}

    def _count(self, played):
        self.played += played
        self.sampler.count(played)
        self.sampler.chosen_ = self.played

    def play(self, *, until=None, progress=None):
        """Play on, until so many interactions are played, or to the end.

        Parameters
        ----------
        until : int, optional
            Interactions in all, at most the `steps` of the game.
        progress : bool, optional
            Show a bar; left out, on a terminal only.

        Returns
        -------
        bool
            Whether Ctrl-C stopped it.

        Raises
        ------
        DivergenceError
            When the free energy is not finite any more.
        """
        most = self.regret.shape[1]
        until = most if until is None else _check.integer("until", until, least=0, most=most)
        steps = 1
        bar = tqdm(total=until, initial=self.played, unit="interaction", leave=False,
                   disable=None if progress is None else not progress)
        with training.interruptible() as stop, one_blas_thread(), bar:
            while self.played < until and not stop.is_set():
                steps, begun = min(steps, until - self.played), time.perf_counter()
                played, sound = thompson.play(self.played, steps, self.world, self.policy, self.sampler.learner_,
                                              self.line, self.sampler.memory_, self.regret)
                self._count(played)
                if not sound:
                    raise self.sampler.divergence()
                bar.update(played)
                bar.set_postfix_str(f"regret {self.regret[0, :self.played].sum():.0f}", refresh=False)
                steps = training.next_steps(steps, time.perf_counter() - begun)
            return stop.is_set()

    def save(self, path, settings):
        """Write everything that playing changed to one .npz file, whole or not at all.

        Parameters
        ----------
        path : path-like
        settings : dict
            Of JSON types, kept beside it.
        """
        seed = self.sampler.model_.seed
        checkpoint.write(path, {**settings, "played": self.played, "seed": seed}, self._arrays)

    def restore(self, path):
        """Take over what `save` wrote of a game of the same bandit and agent.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        dict
            The settings that were saved beside it.

        Raises
        ------
        FileNotFoundError, ModelFileError
            See `checkpoint.read`; also if the file is of a game of other sizes, or of another seed.
        """
        settings, arrays = checkpoint.read(path)
        own, played, most = self._arrays, settings.get("played"), self.regret.shape[1]
        if settings.get("seed") != self.sampler.model_.seed or not isinstance(played, int) or not 0 <= played <= most:
            raise checkpoint.ModelFileError(f"{path} is not of this game: it has seed {settings.get('seed')} and "
                                            f"{played} interactions, not seed {self.sampler.model_.seed} and at most "
                                            f"{most}")
        for name, array in own.items():
            if name not in arrays or arrays[name].shape != array.shape or arrays[name].dtype != array.dtype:
                raise checkpoint.ModelFileError(f"{path} is not of this game: its {name} is missing or of another size")
        for name, array in own.items():
            array[:] = arrays[name]
        self._count(played - self.played)
        return settings
