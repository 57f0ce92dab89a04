"""The training step in pieces that fit the caches and can be given to threads; it equals `elbo.free_energy_gradient`.

Passes over whole vectors wait for memory. So weights are drawn and updated in tiles that stay in the caches (`tiles`),
all examples go through a layer in a few pieces of its columns, so that no two threads pack the same weights (through
the last, in blocks of examples), and a block of rows of dW is used for the update as soon as it is there. Every
boundary depends on shapes only and every piece writes its own place, its partial sums too: whoever computes which
piece, the bits are the same.
"""

from typing import NamedTuple

import numpy as np

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.dense import block, dense_backward_bias, dense_backward_weights, layer_input, layer_output
from bbbnp.kernels.dropout import multiplied
from bbbnp.kernels.likelihood import log_likelihood, log_likelihood_backward
from bbbnp.kernels.placement import draw_weights, every, placed_input, placed_output, placed_slopes, placed_sums
from bbbnp.kernels.second_product import second_inputs, second_outputs
from bbbnp.kernels.stack import ALIGNMENT
from bbbnp.kernels.tiles import finish_tile, piece_of, unpack, update_part

LINE = ALIGNMENT // 4  # numbers, in float32


class State(NamedTuple):
    """theta = [mu, rho, log_noise] and the optimiser's moments, shape (2P + T,); average of iterates, or empty.

    `dtheta`, (2P,), is the gradient in mu and rho, recorded or added over draws; empty where a tile's scratch is
    enough, and None where gradient and update are one loop (`tiles.finish_tile`). `dlog_noise`, (T,), is that in
    log_noise. No two share memory. `good`, like theta or empty, takes over theta once a call's first free
    energy has been found finite.
    """

    theta: np.ndarray
    first: np.ndarray
    second: np.ndarray
    average: np.ndarray
    dtheta: np.ndarray | None
    dlog_noise: np.ndarray
    good: np.ndarray


@kernel(inline=True)
def range_of(u, network, ws):
    """Where in a flat vector the weights of unit `u` begin and end: rows k .. k_end - 1 of W, after the last b."""
    depth, k, k_end, start = ws.units[u]
    n = network.widths[depth + 1]
    return start + k * n, start + k_end * n + (n if k_end == network.widths[depth] else 0)


@kernel
def forward_rows(i, depth, network, x, ws, draw):
    """Block `i` of the examples between two layers: what layer `depth` - 1 gives, and what layer `depth` is given."""
    rows, (first, last) = x.shape[0], rows_of(i, ws.rows, x.shape[0])
    if depth > 0:
        placed_output(ws, network, rows, depth - 1, first, last, draw)
    placed_input(ws, network, x, depth, first, last, draw)


@kernel
def output_rows(i, theta, network, likelihood, x, y, ws, draw):
    """Block `i` of the examples through the last layer, and the gradient in its outputs (E8, E9, E10).

    They are few as a rule: their columns would not be work for two threads.
    """
    rows, (first, last), depth = x.shape[0], rows_of(i, ws.rows, x.shape[0]), network.widths.size - 2
    mu, _, log_noise = unpack(theta, ws.w.size)
    placed_sums(ws, network, mu, x, depth, (first, last), every(network.widths[depth + 1]))
    placed_output(ws, network, rows, depth, first, last, draw)
    out = layer_output(network, ws.outputs, depth, rows)[first:last]
    dout = layer_output(network, ws.doutputs, depth, rows)[first:last]
    ws.parts[i, 2] = log_likelihood(ws.log_lik[first:last], likelihood, out, y[first:last], log_noise)
    ws.dlog_noise[i] = 0
    log_likelihood_backward(dout, ws.dlog_noise[i], likelihood, out, y[first:last], log_noise)
    placed_slopes(ws, network, rows, depth, first, last)


@kernel(inline=True)
def rows_of(i, size, rows):
    """Where block `i`, of `size` examples, begins and ends."""
    return i * size, min((i + 1) * size, rows)


@kernel(inline=True)
def column_pieces(network, depth, columns):
    """Into how many pieces the units at boundary `depth`, 0 for inputs, are cut.

    About `columns` in each, and an even number of pieces, for two threads, if more than one.
    """
    n = network.widths[depth]
    return 1 if n <= columns else min(n, 2 * max(1, (n + columns) // (2 * columns)))


@kernel(inline=True)
def columns_of(c, network, depth, columns):
    """Where piece `c` of the units at boundary `depth` begins and ends: with a line of the cache, if there are many."""
    n, pieces = network.widths[depth], column_pieces(network, depth, columns)
    size = LINE if n >= LINE * pieces else 1
    first, last = c * (n // size) // pieces * size, (c + 1) * (n // size) // pieces * size
    return first, last if c + 1 < pieces else n


@kernel
def column_sum(parts, column, pieces):
    """Sum of what the pieces left in a column, in their order; `parts.sum()` would be split over threads."""
    total = 0.0
    for i in range(pieces):
        total += parts[i, column]
    return total


@kernel
def unit_weights(u, network, x, ws):
    """The rows of dW that unit `u` has, flat (E10).

    Shape (1, n); or (2, n) where there is a second product: those of dMu, and of dS' = h'^T dv (E16, E22).
    """
    rows, (depth, k, k_end, _), (begin, end) = x.shape[0], ws.units[u], range_of(u, network, ws)
    products = np.empty((2 if ws.spread.size > 0 else 1, end - begin), x.dtype)
    h = layer_input(network, *multiplied(x, ws), depth)
    unit_product(products[0], layer_output(network, ws.doutputs, depth, rows), h, k, k_end)
    unit_product(products[-1], second_outputs(ws.slopes, network, depth, rows, 0, rows), second_inputs(
        ws.second_inputs, network, depth, rows, 0, rows), k, k_end)
    return products


@kernel
def unit_product(dw, dy, h, k, k_end):
    """Fill `dw` with the rows k .. k_end - 1 of h^T dy, flat, and with the bias's gradient where it has room (E10).

    Without dy it is left alone.
    """
    if dy is None:
        return
    n = dy.shape[1]
    dweight = block(dw, 0, k_end - k, n)
    dense_backward_weights(dweight, dy, h[:, k:k_end])
    if dw.size > dweight.size:
        dense_backward_bias(dw[dw.size - n:], dy)


@kernel
def step_weights(u, given, state, prior, optimizer, ws, weighting, stage):
    """Gradient and update of the weights of unit `u` while their dW is in the cache, and the next draw (E4, E13).

    `given` is (network, x, objective, draw). The weights' log P(w), and the log q of those drawn, are left in the
    unit's row of `ws.parts`. A step's first draw may have no gradient before it: of one function for both there is
    less to compile.
    """
    network, x, objective, draw = given
    begin, end = range_of(u, network, ws)
    products = unit_weights(u, network, x, ws) if stage.gradient else np.empty((1, 0), x.dtype)
    scratch = np.zeros((3, min(ws.tile, end - begin)), x.dtype)
    ws.parts[u, 0], ws.parts[u, 1] = 0, 0
    for a in range(begin, end, ws.tile):
        b = min(a + ws.tile, end)
        if stage.gradient:
            ws.parts[u, 1] += finish_tile(
                state.dtheta, (a, b, begin, products, scratch), state, prior, optimizer, ws, weighting, stage)
        if stage.draw:
            log_q, log_p = draw_weights(piece_of(state.theta, ws, a, b), prior, objective, draw, a, stage.valued)
            ws.parts[u, 0] += log_q
            ws.parts[u, 1] += log_p


@kernel
def finish_noise(state, optimizer, row_blocks, draws, learn, ws, stage):
    """Gradient in the noise's log deviations, added over blocks of rows and draws in their order, and its update."""
    if stage.first_draw:
        state.dlog_noise[:] = 0
    for i in range(row_blocks):
        for t in range(state.dlog_noise.size):
            state.dlog_noise[t] += ws.dlog_noise[i, t] / draws
    if stage.update:
        if not learn:
            state.dlog_noise[:] = 0
        end = state.theta.size
        update_part(end - state.dlog_noise.size, end, state.dlog_noise, state, optimizer, stage)
