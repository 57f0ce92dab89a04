"""Through the network wherever the noise is put in: in the weights, in the sums of units, in what weights multiply.

Shared weights, w = mu + sigma*eps, go through the network as those of any network (`dense`), dropout changes only what
they multiply, whether they are drawn or not (`dropout`); local reparameterisation and flipout have a second product in
every layer (`second_product`).
"""

import numpy as np

from bbbnp.kernels import noise
from bbbnp.kernels._jit import kernel
from bbbnp.kernels.activation import activation_backward, activation_forward
from bbbnp.kernels.dense import dense_backward_input, dense_columns, layer_input, layer_output, layer_weights
from bbbnp.kernels.divergence import CLOSED, kl_to_gaussian, prior_deviation
from bbbnp.kernels.draw import LOCAL, SHORT, normals
from bbbnp.kernels.dropout import drop_units_backward, multiplied
from bbbnp.kernels.posterior import sample_weights
from bbbnp.kernels.prior import log_prior
from bbbnp.kernels.pruning import left_of
from bbbnp.kernels.second_product import (
    noisy_output, noisy_output_backward, second_input, second_inputs, second_outputs, second_sums,
    second_sums_backward, spread)


@kernel
def draw_weights(piece, prior, objective, draw, start, valued):
    """Draw the weights of a piece that begins at `start`; return its log q and log P(w), or KL and 0 (E4, E5, E7, E14).

    Fills what the objective needs of eps, or r(rho) in its place, w = mu + sigma*eps and S' (`piece.spread`). Without
    `valued`, log P(w) is 0; and with no draws w = mu and both are 0.
    """
    if objective.draws == 0:
        for j in range(piece.w.size):
            piece.w[j] = piece.mu[j]
        return 0.0, 0.0
    closed, in_weights = objective.kl == CLOSED, piece.spread.size == 0
    if not closed or objective.placement != LOCAL:
        normals(piece.eps, noise.WEIGHTS, draw, start)
    if not in_weights:
        spread(piece.spread, piece.rho, piece.eps, objective.placement)
    left, slopes = piece, piece.eps if objective.form == SHORT and not closed else piece.eps[:0]
    if objective.pruned:
        left = left_of(piece)  # E19
    if objective.pruned or (closed and in_weights):
        sample_weights(piece.w, piece.mu, piece.rho, piece.eps, slopes)  # w = mu + sigma*eps, 0 where pruned
        slopes = slopes[:0]
    if closed:
        return kl_to_gaussian(left.mu, left.rho, prior_deviation(prior)), 0.0
    log_q = sample_weights(left.w, left.mu, left.rho, left.eps, slopes)  # w = mu + sigma*eps
    return log_q, log_prior(left.w, prior) if valued else 0.0


@kernel(inline=True)
def placed_input(ws, network, x, depth, first, last, draw):
    """What layer `depth` is given beside h, for the examples first .. last - 1: h' (E16, E22), or z h for it (E25).

    Fills `ws.second_inputs`; where the noise is in the weights there is nothing to do.
    """
    h = layer_input(network, x, ws.outputs, depth)[first:last]
    second_input(second_inputs(ws.second_inputs, network, depth, x.shape[0], first, last), h, network.widths, depth,
                 first, draw)


@kernel(inline=True)
def every(n):
    """From 0 to `n`, as `examples` and `units` say it; the zero has a type of its own otherwise, and with it its users
    would be compiled once more."""
    return np.int64(0), n


@kernel
def placed_sums(ws, network, mu, x, depth, examples, units):
    """Units a .. b - 1 of layer `depth` before their noise, for the examples first .. last - 1 (E10, E16, E22, E25).

    m = h Mu + mu_b,  v = h' S' + S'_b;  or  y = h W + b where the noise is in the weights or in h
    """
    (first, last), (a, b), rows = examples, units, x.shape[0]
    h = layer_input(network, *multiplied(x, ws), depth)[first:last]
    weight, bias = layer_weights(mu if ws.spread.size > 0 else ws.w, network, depth)
    y = layer_output(network, ws.outputs, depth, rows)[first:last]
    dense_columns(y, h, weight, bias, a, b)
    second_sums(second_outputs(ws.slopes, network, depth, rows, first, last), second_inputs(
        ws.second_inputs, network, depth, rows, first, last), ws.spread, network, depth, units)


@kernel
def placed_output(ws, network, rows, depth, first, last, draw):
    """The output of layer `depth` for the examples first .. last - 1, in place of its sums: f(m + noise of v) (E11).

    Leaves dy/dv in `ws.slopes`; the last layer is without f.
    """
    y = layer_output(network, ws.outputs, depth, rows)[first:last]
    noisy_output(
        y, second_outputs(ws.slopes, network, depth, rows, first, last), network.widths, depth, first, draw)
    if depth < network.widths.size - 2:
        activation_forward(y, network.activation)


@kernel
def placed_forward(ws, network, mu, x, first, last, draw):
    """Outputs of every layer for the examples first .. last - 1; those of the last layer are returned (E16, E22).

    h_l = f(m + noise of v),  m = h Mu + mu_b,  v = h' S' + S'_b,  the last layer without f; or, where the noise is in
    the weights, h_l = f(h W + b) (E10), or in what they multiply, f((z h) W + b) (E25)

    Fills `ws.outputs`, and for the backward pass h' in `ws.second_inputs` and dy/dv in `ws.slopes`.
    """
    layers, rows = network.widths.size - 1, x.shape[0]
    for depth in range(layers):
        placed_input(ws, network, x, depth, first, last, draw)
        placed_sums(ws, network, mu, x, depth, (first, last), every(network.widths[depth + 1]))
        placed_output(ws, network, rows, depth, first, last, draw)
    return layer_output(network, ws.outputs, layers - 1, rows)[first:last]


@kernel(inline=True)
def placed_slopes(ws, network, rows, depth, first, last):
    """dv = dy dy/dv of layer `depth`, in `ws.slopes`, for the examples first .. last - 1 (E16, E22)."""
    noisy_output_backward(second_outputs(ws.slopes, network, depth, rows, first, last), layer_output(
        network, ws.doutputs, depth, rows)[first:last])


@kernel
def placed_sums_backward(ws, network, mu, rows, depth, examples, units, draw):
    """Gradient in the inputs a .. b - 1 of layer `depth`, for the examples first .. last - 1 (E10, E16, E22).

    dh = dy Mu^T + (dv S'^T) dh'/dh;  or dy W^T, in h or, under dropout, in h'
    """
    (first, last), (a, b) = examples, units
    dy = layer_output(network, ws.doutputs, depth, rows)[first:last]
    dh = layer_output(network, ws.doutputs, depth - 1, rows)[first:last]
    weight, _ = layer_weights(mu if ws.spread.size > 0 else ws.w, network, depth)
    dense_backward_input(dh[:, a:b], dy, weight[a:b])  # m = h Mu + mu_b, or y = h W + b
    second_sums_backward(
        second_outputs(ws.slopes, network, depth, rows, first, last), ws, network, rows, depth, examples, units, draw)


@kernel
def placed_input_backward(ws, network, rows, depth, examples, draw):
    """From the gradient in what layer `depth` was given to that before the activation below it (E11, E25), and in v."""
    first, last = examples
    dh = layer_output(network, ws.doutputs, depth - 1, rows)[first:last]
    drop_units_backward(dh, ws.second_inputs, network.widths, depth, first, draw)  # h' = z h
    h = layer_output(network, ws.outputs, depth - 1, rows)[first:last]
    activation_backward(dh, h, network.activation)  # h = f(y)
    placed_slopes(ws, network, rows, depth - 1, first, last)


@kernel
def placed_backward(ws, network, mu, rows, first, last, draw):
    """Gradient before every activation, in `ws.doutputs`, and in every v, in `ws.slopes` (E16, E22; E10 for weights).

    The gradient of the last outputs lies at its place in `ws.doutputs`; each line undoes one of `placed_forward`.
    """
    layers = network.widths.size - 1
    placed_slopes(ws, network, rows, layers - 1, first, last)
    for depth in range(layers - 1, 0, -1):
        placed_sums_backward(ws, network, mu, rows, depth, (first, last), every(network.widths[depth]), draw)
        placed_input_backward(ws, network, rows, depth, (first, last), draw)
