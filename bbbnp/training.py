"""The loop around the hot loop: slices of about half a second, and between them progress, validation, Ctrl-C.

A compiled call cannot be interrupted, so the hot loop is called in slices. How many steps a slice has depends on the
clock; what a step computes does not. A slice that ends in a free energy that is not finite is undone: for that, all
parameters are copied and looked at once a slice, which in a large network costs a part of a step.

BLAS is held to one thread while training, since the workers of OpenBLAS spin after each product beside Numba's own
threads. On an idle machine it makes no difference to a small network; where other work ran, fits without the limit
took many times as long.
"""

import contextlib
from dataclasses import dataclass, field
import signal
import threading
import time
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from bbbnp import threads
from bbbnp.architecture import aligned_zeros
from bbbnp.kernels import elbo, fused, hotloop, tiles
from bbbnp.kernels.dense import Network
from bbbnp.kernels.optimizer import ADAM, Optimizer

SLICE_SECONDS = 0.5
VALIDATIONS = 100  # at most this many looks at the validation data in one call
MOST_LOG_NOISE = 30  # a deviation beyond e^30, or below e^-30, of standardised targets was not learnt but blown up


class DivergenceError(ArithmeticError):
    """The free energy is not finite any more; the last good state was kept."""


class Problem(NamedTuple):
    """Everything of a training call that does not change during it, as kernels take it."""

    network: Network
    prior: tuple
    objective: elbo.Objective
    optimizer: Optimizer
    data: hotloop.Data
    plan: hotloop.Plan
    ws: elbo.Workspace
    seed: int
    threads: int = None

    @property
    def minibatches(self):
        """Number M of minibatches in an epoch."""
        return -(-len(self.data.x) // self.plan.batch_size)


@dataclass
class State:
    """All that training changes: the vector [mu, rho, log_noise] and its moments, the counters, the record of epochs.

    `history` has a row of complexity and misfit for every epoch, each the sum over its minibatches.
    """

    theta: np.ndarray
    first: np.ndarray
    second: np.ndarray
    average: np.ndarray
    step: int = 0
    epoch: int = 0
    batch: int = 0
    history: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))

    @classmethod
    def initial(cls, mu, rho, log_noise, averaging):
        """State before the first step; all vectors in the precision of `mu`."""
        size, dtype = 2 * mu.size + log_noise.size, mu.dtype
        theta, first, second = (aligned_zeros(size, dtype) for _ in range(3))
        np.concatenate([mu, rho, log_noise], out=theta, casting="same_kind")
        return cls(theta, first, second, aligned_zeros(size if averaging else 0, dtype))

    @property
    def arrays(self):
        """The arrays, in the order of the fields."""
        return self.theta, self.first, self.second, self.average, self.history

    def advance(self, steps, minibatches):
        """Count steps that were taken."""
        self.step += steps
        self.epoch, self.batch = divmod(self.epoch * minibatches + self.batch + steps, minibatches)


@dataclass
class LastGood:
    """Parameters and counters at the latest slice whose first free energy was finite: what divergence goes back to.

    The optimiser's moments are not kept, which would take twice the memory: they begin again at zero.
    """

    theta: np.ndarray
    step: int
    epoch: int
    batch: int
    epoch_history: np.ndarray

    @classmethod
    def of(cls, state, theta):
        """The present counters of a state, for parameters in an array of one's own."""
        return cls(theta, state.step, state.epoch, state.batch, state.history[state.epoch].copy())

    def restore(self, state):
        """Put `state` back, in place."""
        state.theta[:], state.first[:], state.second[:] = self.theta, 0, 0
        if state.average.size > 0:
            state.average[:] = self.theta
        state.step, state.epoch, state.batch = self.step, self.epoch, self.batch
        state.history[self.epoch], state.history[self.epoch + 1:] = self.epoch_history, 0


@contextlib.contextmanager
def interruptible():
    """Yield an Event that Ctrl-C sets in place of raising, so that a slice ends whole, with its counters."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def run(problem, state, until, *, validate=None, progress=None):
    """Train until `until` epochs are completed, Ctrl-C, or divergence; `state` is changed in place.

    Parameters
    ----------
    problem : Problem
    state : State
    until : int
        Number of epochs that are to be complete, counted from the very first.
    validate : callable, optional
        Called with the number of completed epochs, at most `VALIDATIONS` times; returns a short text to show.
    progress : bool, optional
        Show a bar; left out, on a terminal only.

    Returns
    -------
    bool
        Whether training was interrupted.

    Raises
    ------
    DivergenceError
        At a free energy that is not finite; `state` is then that of the last good slice, its moments zero.
    """
    begin, every = state.epoch, max(1, -(-(until - state.epoch) // VALIDATIONS))
    steps, shown = 1, ""
    if state.batch >= problem.minibatches:  # other data, or another batch size: the epoch begins again
        state.batch = 0
        state.history[state.epoch:] = 0
    state.history = np.vstack([state.history[:until], np.zeros((max(until - len(state.history), 0), 2))])
    good = LastGood.of(state, state.theta.copy()) if begin < until else None
    bar = tqdm(total=until, initial=state.epoch, unit="epoch", leave=False,
               disable=None if progress is None else not progress)
    with interruptible() as stop, threads.one_blas_thread(), bar:
        while state.epoch < until and not stop.is_set():
            goal = until if validate is None else min(until, begin + ((state.epoch - begin) // every + 1) * every)
            steps = min(steps, (goal - state.epoch) * problem.minibatches - state.batch)
            before, begun = state.epoch, time.perf_counter()
            good = _slice(problem, state, steps, good)
            seconds = time.perf_counter() - begun
            steps = next_steps(steps, seconds)
            bar.update(state.epoch - before)
            if state.epoch > before:
                if validate is not None and state.epoch == goal:
                    shown = ", validation " + validate(state.epoch)
                bar.set_postfix_str(f"free energy {state.history[state.epoch - 1].sum():.4g}{shown}", refresh=False)
        return stop.is_set()


def next_steps(steps, seconds):
    """How many steps the next slice has, after one of so many took so long: at most 64 times as many."""
    return max(1, min(64 * steps, int(steps * SLICE_SECONDS / max(seconds, 1e-9))))


def gradient_scratch(theta, size, targets, *, whole):
    """Arrays of the gradient in mu and rho, which one draw that is not recorded does without, and in the noise."""
    return np.zeros(2 * size if whole else 0, theta.dtype), np.zeros(targets, theta.dtype)


def kernel_state(problem, state, good):
    """The state as kernels take it, with scratch for the gradient; `good` and no `dtheta` as in `fused.State`."""
    size, objective, draws = problem.ws.w.size, problem.objective, problem.objective.draws
    dtheta, dlog_noise = gradient_scratch(state.theta, size, len(state.theta) - 2 * size, whole=draws > 1)
    weighting = elbo.Weighting(objective.form, min(draws, 1) / max(draws, 1), 1.0, objective.placement, objective.kl,
                               objective.pruned)
    one_loop = draws == 0 and not objective.pruned or tiles.in_one_loop(problem.ws.spread, weighting)
    if problem.optimizer.rule == ADAM and one_loop:
        dtheta = None
    return fused.State(state.theta, state.first, state.second, state.average, dtheta, dlog_noise, good)


def _slice(problem, state, steps, good):
    """`steps` steps of the hot loop; returns the LastGood, whose parameters the loop itself keeps.

    Where a free energy was not finite, it is put back, and a DivergenceError is raised.
    """
    start, size = LastGood.of(state, good.theta), problem.ws.w.size
    taken = threads.train(
        steps, state.history, kernel_state(problem, state, good.theta), problem.network, problem.prior,
        problem.objective, problem.optimizer, problem.data, problem.plan,
        hotloop.Cursor(problem.seed, state.step, state.epoch, state.batch), problem.ws, threads=problem.threads)[0]
    good = start if taken > 0 else good
    state.advance(taken, problem.minibatches)
    log_noise = np.abs(state.theta[2 * size:]).max(initial=0) if problem.plan.learn_noise else 0
    with np.errstate(over="ignore"):
        sound = np.isfinite(np.dot(state.theta, state.theta))  # sooner done than to ask each
    if not sound:
        same = problem.objective.pruned & (state.theta == good.theta)  # -inf was a number like others there
        sound = (np.isfinite(state.theta) | same).all()
    if taken < steps or not sound or log_noise > MOST_LOG_NOISE:
        error = _divergence(problem, state)
        good.restore(state)
        raise error
    return good


def _divergence(problem, state):
    """The error that says where it happened, what is likely wrong and what to try."""
    start, where, ws = 0, "in the likelihood of the outputs or its noise", problem.ws
    drawn = ws.w if ws.spread.size == 0 else state.theta[:ws.w.size] + ws.spread
    for depth, (k, n) in enumerate(zip(problem.network.widths, problem.network.widths[1:]), start=1):
        w = drawn[start:start + (k + 1) * n]
        if not np.isfinite(w).all():
            where = f"first in the weights of layer {depth}"
            break
        if np.abs(w).max() > 1e6:
            where = f"first in layer {depth}, whose largest weight is {np.abs(w).max():.1e}"
            break
        start += (k + 1) * n
    optimizer = problem.optimizer
    return DivergenceError(
        f"the free energy is not finite at step {state.step} (epoch {state.epoch + 1}), {where}. The likely cause is "
        f"too large a step: try learning_rate={optimizer.learning_rate / 10:g} in place of "
        f"{optimizer.learning_rate:g}, a lower rho_init or inputs of unit scale. The model keeps its last good state.")
