"""A training step taken apart, for ``bbbnp bench``: what sampling and the products cost alone.

Each loop is one of `hotloop._train`, and must stay like it.
"""

import numpy as np
from numba import prange
from threadpoolctl import threadpool_limits

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.draw import Draw, draw_of
from bbbnp.kernels.elbo import Weighting
from bbbnp.kernels.fused import (
    State, column_pieces, columns_of, forward_rows, output_rows, rows_of, step_weights, unit_weights)
from bbbnp.kernels.optimizer import CONSTANT, SGD, Optimizer
from bbbnp.kernels.placement import every, placed_input_backward, placed_sums, placed_sums_backward
from bbbnp.kernels.tiles import Stage


def _draw(times, pieces, state, prior, network, objective, x, ws):
    stage, now = Stage(False, False, False, 0, False, True, False), Optimizer(SGD, 0.0, CONSTANT, 1.0, 0.0, 0.0, 0.0)
    weighting = Weighting(objective.form, 1.0, 1.0, objective.placement, objective.kl, objective.pruned)
    for step in range(times):
        draw = Draw(*draw_of(objective, 0, step, 0))
        for u in prange(pieces):
            step_weights(np.int64(u), (network, x, objective, draw), state, prior, now, ws, weighting, stage)


def _rows(times, pieces, state, network, objective, x, y, ws):
    layers, size, mu = network.widths.size - 1, x.shape[0], state.theta[:ws.w.size]
    for step in range(times):
        draw = Draw(*draw_of(objective, 0, step, 0))
        for depth in range(layers):
            blocks = pieces if depth > 0 or ws.second_inputs is not None else 0  # x as it is needs no preparing
            for r in prange(blocks):
                forward_rows(np.int64(r), depth, network, x, ws, draw)
            of_layer = column_pieces(network, depth + 1, ws.columns) if depth < layers - 1 else 0
            for c in prange(of_layer):
                placed_sums(ws, network, mu, x, depth, every(size), columns_of(
                    np.int64(c), network, depth + 1, ws.columns))
        for r in prange(pieces):
            output_rows(np.int64(r), state.theta, network, objective.likelihood, x, y, ws, draw)
        for depth in range(layers - 1, 0, -1):
            for c in prange(column_pieces(network, depth, ws.columns)):
                placed_sums_backward(ws, network, mu, size, depth, every(size), columns_of(
                    np.int64(c), network, depth, ws.columns), draw)
            for r in prange(pieces):
                placed_input_backward(ws, network, size, depth, rows_of(np.int64(r), ws.rows, size), draw)


def _units(times, pieces, network, x, ws):
    for _ in range(times):
        for u in prange(pieces):
            unit_weights(np.int64(u), network, x, ws)


BUILDS = {function: (kernel(function), kernel(function, parallel=True)) for function in (_draw, _rows, _units)}


def of(problem, state, threads):
    """Functions of a number of times: sampling, the products of forward and delta, those of dW, as a step does them."""
    ws, data, none = problem.ws, problem.data, np.zeros(0, state.theta.dtype)
    arrays = State(state.theta, none, none, none, None, np.zeros(1, state.theta.dtype), none)
    blocks = -(-len(data.batch_x) // ws.rows)
    arguments = {
        _draw: (len(ws.units), arrays, problem.prior, problem.network, problem.objective, data.batch_x, ws),
        _rows: (blocks, arrays, problem.network, problem.objective, data.batch_x, data.batch_y, ws),
        _units: (len(ws.units), problem.network, data.batch_x, ws)}

    def timed(function):
        def run(times):
            with threadpool_limits(1, user_api="blas"):
                BUILDS[function][threads > 1](times, *arguments[function])
        return run

    return {function.__name__: timed(function) for function in arguments}
