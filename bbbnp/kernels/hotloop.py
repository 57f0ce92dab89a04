"""Many training steps inside one compiled call, built twice from one source: for one thread and for several.

The loop is a function of its arguments: minibatch order is a function of seed and epoch, noise of seed and step. It
stops early at a step whose free energy is not finite, before that step's update; but where log P(w) alone overflows,
after the first step of a call, that is seen only in the update, and the workspace has the next step's weights by then.
"""

import math
from typing import NamedTuple

from numba import prange
import numpy as np

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.draw import Draw, draw_of
from bbbnp.kernels.elbo import Weighting, complexity, copy, minibatch_weight
from bbbnp.kernels.fused import (
    column_pieces, column_sum, columns_of, finish_noise, forward_rows, output_rows,
    rows_of, step_weights)
from bbbnp.kernels.noise import shuffle
from bbbnp.kernels.optimizer import Optimizer, at_step
from bbbnp.kernels.placement import every, placed_input_backward, placed_sums, placed_sums_backward
from bbbnp.kernels.tiles import Stage

UPDATE, RECORD, VALUE = range(3)


class Data(NamedTuple):
    """All inputs (N, D) and targets (N, T); order (N,) and one gathered minibatch are scratch."""

    x: np.ndarray
    y: np.ndarray
    order: np.ndarray
    batch_x: np.ndarray
    batch_y: np.ndarray


class Plan(NamedTuple):
    """How an epoch is cut and weighted, what is learnt, from which step on iterates are averaged; and whether a step
    updates, only records its gradient in `state.dtheta`, or stops at the free energy's value."""

    batch_size: int
    minibatch_weights: int
    temperature: float
    learn_noise: bool
    average_from: int
    mode: int


class Cursor(NamedTuple):
    """Where training stands: steps taken, epochs completed, minibatches of the present epoch done."""

    seed: int
    step: int
    epoch: int
    batch: int


@kernel
def gather(i, data, start, stop, rows):
    """Block `i` of `rows` examples of the minibatch order[start:stop]."""
    for j in range(i * rows, min((i + 1) * rows, stop - start)):
        copy(data.batch_x[j], data.x[data.order[start + j]])
        copy(data.batch_y[j], data.y[data.order[start + j]])


def _train(steps, history, state, network, prior, objective, optimizer, data, plan, cursor, ws):
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
    float, float, float
        log q, log P(w) and log P(D | w) of the last step.
    """
    examples, rows, draws = data.order.size, plan.batch_size, max(objective.draws, 1)
    minibatches = (examples + rows - 1) // rows
    units, part, layers = ws.units.shape[0], min(objective.draws, 1) / draws, network.widths.size - 1
    mu = state.theta[:ws.w.size]
    step, epoch, i = cursor.step, cursor.epoch, cursor.batch
    log_q, log_p, log_lik = 0.0, 0.0, 0.0
    for taken in range(steps):
        if (i == 0 or taken == 0) and minibatches > 1:
            shuffle(data.order, cursor.seed, epoch)
        start, stop = i * rows, min((i + 1) * rows, examples)
        size = stop - start
        row_blocks = (size + ws.rows - 1) // ws.rows
        x, y = data.x, data.y
        if minibatches > 1:
            for r in prange(row_blocks):
                gather(np.int64(r), data, start, stop, ws.rows)
            x, y = data.batch_x[:size], data.batch_y[:size]
        kl_weight = plan.temperature * minibatch_weight(
            plan.minibatch_weights, i, minibatches, size, examples)
        log_q, log_p, known_log_p, log_lik = 0.0, 0.0, 0.0, 0.0
        now = Optimizer(*at_step(optimizer, step))
        weighting = Weighting(objective.form, part, kl_weight, objective.placement, objective.kl, objective.pruned)
        valued = taken == 0 or plan.mode != UPDATE  # in training, log P(w) comes with its derivative, for less
        for number in range(draws):
            draw = Draw(*draw_of(objective, cursor.seed, step, number))
            to_draw = 0 if number == 0 and taken > 0 and plan.mode == UPDATE else units  # or drawn beside the update
            alone = Stage(False, False, False, 0, False, True, valued)
            for u in prange(to_draw):
                step_weights(np.int64(u), (network, x, objective, draw), state, prior, now, ws, weighting, alone)
            for depth in range(layers):
                blocks = row_blocks if depth > 0 or ws.second_inputs is not None else 0  # x as it is needs no preparing
                for r in prange(blocks):
                    forward_rows(np.int64(r), depth, network, x, ws, draw)
                of_layer = column_pieces(network, depth + 1, ws.columns) if depth < layers - 1 else 0
                for c in prange(of_layer):
                    placed_sums(ws, network, mu, x, depth, every(size), columns_of(
                        np.int64(c), network, depth + 1, ws.columns))
            for r in prange(row_blocks):
                output_rows(np.int64(r), state.theta, network, objective.likelihood, x, y, ws, draw)
            log_q += column_sum(ws.parts, 0, units) / draws
            known_log_p += column_sum(ws.parts, 1, units) / draws if valued else 0.0
            log_lik += column_sum(ws.parts, 2, row_blocks) / draws
            if plan.mode == VALUE:
                continue
            last = number == draws - 1
            update = last and plan.mode == UPDATE
            if update and not math.isfinite(complexity(log_q, known_log_p, kl_weight) - log_lik):
                return taken, log_q, known_log_p, log_lik
            keep = update and taken == 0 and state.good.size > 0
            if keep:
                copy(state.good[2 * mu.size:], state.theta[2 * mu.size:])
            for depth in range(layers - 1, 0, -1):
                for c in prange(column_pieces(network, depth, ws.columns)):
                    placed_sums_backward(ws, network, mu, size, depth, every(size), columns_of(
                        np.int64(c), network, depth, ws.columns), draw)
                for r in prange(row_blocks):
                    placed_input_backward(ws, network, size, depth, rows_of(np.int64(r), ws.rows, size), draw)
            following = Draw(*draw_of(objective, cursor.seed, step + 1, 0))
            ahead = update and taken + 1 < steps
            stage = Stage(True, number == 0, update, step - plan.average_from, keep, ahead, False)
            for u in prange(units):
                step_weights(np.int64(u), (network, x, objective, following), state, prior, now, ws, weighting, stage)
            log_p += column_sum(ws.parts, 1, units) / draws
            finish_noise(state, now, row_blocks, draws, plan.learn_noise, ws, stage)
        if plan.mode != UPDATE:
            log_p = known_log_p
        elif not math.isfinite(log_p):
            return taken, log_q, log_p, log_lik
        history[epoch, 0] += complexity(log_q, log_p, kl_weight)
        history[epoch, 1] -= log_lik
        step, i = step + 1, i + 1
        if i == minibatches:
            epoch, i = epoch + 1, 0
    return steps, log_q, log_p, log_lik


train_serial = kernel(_train, borrows=True)
train_parallel = kernel(_train, parallel=True)  # whose threads only borrow anyway
