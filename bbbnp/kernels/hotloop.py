"""Many training steps inside one compiled call.

The loop is a function of its arguments: minibatch order is a function of seed and epoch, noise of seed and step. It
stops early at a step whose free energy is not finite, before that step's update.
"""

import math
from typing import NamedTuple

import numpy as np

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.elbo import Batch, Key, Parameters, complexity, free_energy_gradient, minibatch_weight
from bbbnp.kernels.noise import shuffle
from bbbnp.kernels.optimizer import average_iterates, update


class State(NamedTuple):
    """theta = [mu, rho, log_noise], its gradient and the optimiser's moments, shape (2P + T,); average, or empty."""

    theta: np.ndarray
    dtheta: np.ndarray
    first: np.ndarray
    second: np.ndarray
    average: np.ndarray


class Data(NamedTuple):
    """All inputs (N, D) and targets (N, T); order (N,) and one gathered minibatch are scratch."""

    x: np.ndarray
    y: np.ndarray
    order: np.ndarray
    batch_x: np.ndarray
    batch_y: np.ndarray


class Plan(NamedTuple):
    """How an epoch is cut and weighted, what is learnt, and from which step on iterates are averaged."""

    batch_size: int
    minibatch_weights: int
    temperature: float
    learn_noise: bool
    average_from: int


class Cursor(NamedTuple):
    """Where training stands: steps taken, epochs completed, minibatches of the present epoch done."""

    seed: int
    step: int
    epoch: int
    batch: int


@kernel
def unpack(theta, size):
    """Views of mu, rho (P = `size` entries each) and log_noise in one vector."""
    return Parameters(theta[:size], theta[size:2 * size], theta[2 * size:])


@kernel
def gather(data, start, stop):
    """Minibatch of the examples order[start:stop]; all data in one batch are taken as they are."""
    if stop - start == data.order.size:
        return Batch(data.x, data.y)
    for i in range(stop - start):
        data.batch_x[i] = data.x[data.order[start + i]]
        data.batch_y[i] = data.y[data.order[start + i]]
    return Batch(data.batch_x[:stop - start], data.batch_y[:stop - start])


@kernel
def train(steps, history, state, network, objective, optimizer, data, plan, cursor, ws):
    """Training steps: gradient of the minibatch free energy, then the optimiser (E2, E15, E17).

    Parameters
    ----------
    steps : int
        How many to take.
    history : ndarray, shape (epochs, 2), float64
        Each step adds its two terms to its epoch's row: complexity kl_weight (log q - log P(w)), misfit -log P(D | w).

    Returns
    -------
    int
        Steps taken: fewer than `steps` when a free energy was not finite.
    """
    parameters, gradient = unpack(state.theta, ws.w.size), unpack(state.dtheta, ws.w.size)
    examples, size = data.order.size, plan.batch_size
    minibatches = (examples + size - 1) // size
    step, epoch, i = cursor.step, cursor.epoch, cursor.batch
    for taken in range(steps):
        if (i == 0 or taken == 0) and minibatches > 1:
            shuffle(data.order, cursor.seed, epoch)
        start, stop = i * size, min((i + 1) * size, examples)
        batch = gather(data, start, stop)
        kl_weight = plan.temperature * minibatch_weight(
            plan.minibatch_weights, i, minibatches, stop - start, examples)
        log_q, log_p, log_lik = free_energy_gradient(
            gradient, parameters, network, objective, batch, Key(cursor.seed, step), kl_weight, ws)
        cost = complexity(log_q, log_p, kl_weight)
        if not math.isfinite(cost - log_lik):
            return taken
        history[epoch, 0] += cost
        history[epoch, 1] -= log_lik
        if not plan.learn_noise:
            gradient.log_noise[:] = 0
        update(state.theta, state.dtheta, state.first, state.second, optimizer, step)
        if state.average.size > 0 and step >= plan.average_from:
            average_iterates(state.average, state.theta, step - plan.average_from)
        step, i = step + 1, i + 1
        if i == minibatches:
            epoch, i = epoch + 1, 0
    return steps
