"""Through the network wherever the noise is put in: in the weights, in the sums of units, in what weights multiply.

Shared weights, w = mu + sigma*eps, go through the network as those of any network (`dense`), and dropout changes only
what they multiply (`dropout`). The other two placements have a second product in every layer (E16, E22): they leave the
mean in the weights' place and give each example noise of its own, and they have one shape:

    m = h Mu + mu_b,    v = h' S' + S'_b,    y = m + the noise that v makes

    local reparameterisation (E16)    h' = h^2     S' = sigma^2              y = m + sqrt(v) zeta
    flipout (E22)                     h' = s h     S' = Delta = sigma eps    y = m + t v

with standard normals zeta and signs s and t for every example and unit, and eps drawn once. Backward, with
c = dlog S'/dlog sigma, 2 or 1,

    dv = dy dy/dv,    dMu = h^T dy,    dS' = h'^T dv,    dh = dy Mu^T + (dv S'^T) dh'/dh,    drho = r(rho) c S' dS'
"""

import numpy as np

from bbbnp.kernels import noise
from bbbnp.kernels._jit import kernel
from bbbnp.kernels.activation import activation_backward, activation_forward
from bbbnp.kernels.dense import (
    block, dense_backward_input, dense_columns, layer_input, layer_output, layer_weights, network_backward_weights)
from bbbnp.kernels.divergence import CLOSED, kl_to_gaussian, prior_deviation
from bbbnp.kernels.draw import DROPOUT, LOCAL, WEIGHTS, normals, unit_normals, unit_signs
from bbbnp.kernels.dropout import drop_units, multiplied
from bbbnp.kernels.posterior import log_softplus_backward, sample_weights, softplus
from bbbnp.kernels.prior import log_prior
from bbbnp.kernels.pruning import left_of
from bbbnp.kernels.vectormath import TWO, ZERO


@kernel(inline=True)
def local_output(m, v, zeta):
    """What a unit is given, drawn itself in place of the weights in the sum that it is (E16).

    y = m + sqrt(v) zeta,  m and v its mean and variance under q
    """
    return m + np.sqrt(v) * zeta  # E16


@kernel(inline=True)
def local_output_backward(v, zeta):
    """Derivative of y = m + sqrt(v) zeta in v (E16).

    dy/dv = zeta/(2 sqrt(v)), and 0 at v = 0: inputs that are zero give no gradient
    """
    return zeta / (TWO * np.sqrt(v)) if v > ZERO else ZERO * zeta


@kernel(inline=True)
def flipout_output(m, v, t):
    """What a unit is given when each example flips the signs of one shared perturbation of the weights (E22).

    y = m + t v,  v = (s h) Delta + Delta_b,  Delta = sigma eps;  dy/dv = t
    """
    return m + t * v  # E22


@kernel
def spread(s, rho, eps, placement):
    """Fill `s`, shape (P,), with the matrices of the second product: sigma^2 (E16), or Delta = sigma eps (E22)."""
    if placement == LOCAL:
        for j in range(s.size):
            sigma = softplus(rho[j])
            s[j] = sigma * sigma
    else:
        for j in range(s.size):
            s[j] = softplus(rho[j]) * eps[j]


@kernel
def spread_backward(drho, ds, s, rho, placement, part):
    """Chain rule through S' = sigma^2 (E16) or S' = sigma eps (E22), added to `drho`, all of shape (P,).

    drho += part c S' dS' r(rho),  c = 2 or 1
    """
    factor = s.dtype.type(2 * part if placement == LOCAL else part)
    for j in range(drho.size):
        drho[j] += factor * s[j] * ds[j] * log_softplus_backward(rho[j])


@kernel
def draw_weights(piece, prior, objective, draw, start, valued):
    """Draw the weights of a piece that begins at `start`; return its log q and log P(w), or KL and 0 (E4, E5, E7, E14).

    Fills what the objective needs of eps, w = mu + sigma*eps and S' (`piece.spread`). Without `valued`, log P(w) is 0.
    """
    closed, in_weights = objective.kl == CLOSED, objective.placement == WEIGHTS
    if not closed or objective.placement != LOCAL:
        normals(piece.eps, noise.WEIGHTS, draw, start)
    if not in_weights:
        spread(piece.spread, piece.rho, piece.eps, objective.placement)
    if objective.pruned:
        sample_weights(piece.w, piece.mu, piece.rho, piece.eps)  # w = mu + sigma*eps, 0 where pruned
        piece = left_of(piece)  # E19
    if closed:
        if in_weights:
            sample_weights(piece.w, piece.mu, piece.rho, piece.eps)  # w = mu + sigma*eps
        return kl_to_gaussian(piece.mu, piece.rho, prior_deviation(prior)), 0.0
    log_q = sample_weights(piece.w, piece.mu, piece.rho, piece.eps)  # w = mu + sigma*eps
    return log_q, log_prior(piece.w, prior) if valued else 0.0


@kernel
def second_input(h2, h, widths, depth, first, draw):
    """Fill `h2` with what the second product is of: h' = h^2 (E16) or s h (E22), all (rows, K), from row `first` on."""
    if draw.placement == LOCAL:
        for i in range(h.shape[0]):
            for j in range(h.shape[1]):
                h2[i, j] = h[i, j] * h[i, j]
    else:
        for i in range(h.shape[0]):
            unit_signs(h2[i], noise.INPUT_SIGNS, widths, depth, first + i, draw)
            for j in range(h.shape[1]):
                h2[i, j] *= h[i, j]


@kernel
def second_input_backward(dh, dh2, h, widths, depth, first, a, draw):
    """dh += dh' dh'/dh for h' = h^2 (E16) or s h (E22), all (rows, K), from row `first` on; dh' from column `a` on."""
    s = np.empty(h.shape[1], h.dtype)
    for i in range(dh2.shape[0]):
        row, part = dh[i][a:], dh2[i]
        if draw.placement == LOCAL:
            of = h[i][a:]
            for j in range(part.size):
                row[j] += TWO * of[j] * part[j]
        else:
            unit_signs(s, noise.INPUT_SIGNS, widths, depth, first + i, draw)
            of = s[a:]
            for j in range(part.size):
                row[j] += of[j] * part[j]


@kernel
def noisy_output(y, v, widths, depth, first, draw):
    """Turn m in `y` into m plus its noise, and v into dy/dv, both (rows, N), from row `first` on (E16, E22)."""
    z = np.empty(y.shape[1], y.dtype)
    for i in range(y.shape[0]):
        if draw.placement == LOCAL:
            unit_normals(z, widths, depth + 1, first + i, draw)
            for j in range(y.shape[1]):
                y[i, j], v[i, j] = local_output(y[i, j], v[i, j], z[j]), local_output_backward(v[i, j], z[j])
        else:
            unit_signs(z, noise.OUTPUT_SIGNS, widths, depth + 1, first + i, draw)
            for j in range(y.shape[1]):
                y[i, j], v[i, j] = flipout_output(y[i, j], v[i, j], z[j]), z[j]


@kernel(inline=True)
def placed_input(ws, network, x, depth, first, last, draw):
    """What layer `depth` is given beside h, for the examples first .. last - 1: h' (E16, E22), or z h for it (E25).

    Fills `ws.second_inputs`; where the noise is in the weights there is nothing to do.
    """
    if ws.second_inputs.size == 0:
        return
    h = layer_input(network, x, ws.outputs, depth)[first:last]
    h2 = second_inputs(ws, network, depth, x.shape[0])[first:last]
    if draw.placement == DROPOUT:
        drop_units(h2, h, network.widths, depth, first, draw)
    else:
        second_input(h2, h, network.widths, depth, first, draw)


@kernel(inline=True)
def second_inputs(ws, network, depth, rows):
    """The (B, K) matrix h' of layer `depth`."""
    return block(ws.second_inputs, rows * network.widths[:depth].sum(), rows, network.widths[depth])


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
    if ws.spread.size > 0:
        weight, bias = layer_weights(ws.spread, network, depth)
        v = layer_output(network, ws.slopes, depth, rows)[first:last]
        dense_columns(v, second_inputs(ws, network, depth, rows)[first:last], weight, bias, a, b)


@kernel
def placed_output(ws, network, rows, depth, first, last, draw):
    """The output of layer `depth` for the examples first .. last - 1, in place of its sums: f(m + noise of v) (E11).

    Leaves dy/dv in `ws.slopes`; the last layer is without f.
    """
    y = layer_output(network, ws.outputs, depth, rows)[first:last]
    if ws.spread.size > 0:
        noisy_output(y, layer_output(network, ws.slopes, depth, rows)[first:last], network.widths, depth, first, draw)
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
        placed_sums(ws, network, mu, x, depth, (first, last), (0, network.widths[depth + 1]))
        placed_output(ws, network, rows, depth, first, last, draw)
    return layer_output(network, ws.outputs, layers - 1, rows)[first:last]


@kernel(inline=True)
def placed_slopes(ws, network, rows, depth, first, last):
    """dv = dy dy/dv of layer `depth`, in `ws.slopes`, for the examples first .. last - 1 (E16, E22)."""
    if ws.spread.size > 0:
        dy = layer_output(network, ws.doutputs, depth, rows)[first:last]
        dv = layer_output(network, ws.slopes, depth, rows)[first:last]
        for i in range(last - first):
            for j in range(dy.shape[1]):
                dv[i, j] *= dy[i, j]  # y = m + noise of v


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
    if ws.spread.size > 0:
        dh2, (weight, _) = np.empty((last - first, b - a), mu.dtype), layer_weights(ws.spread, network, depth)
        dense_backward_input(dh2, layer_output(network, ws.slopes, depth, rows)[first:last], weight[a:b])
        h = layer_output(network, ws.outputs, depth - 1, rows)[first:last]
        second_input_backward(dh, dh2, h, network.widths, depth, first, a, draw)  # v = h' S' + S'_b, h' = h^2 or s h


@kernel
def placed_input_backward(ws, network, rows, depth, examples, draw):
    """From the gradient in what layer `depth` was given to that before the activation below it (E11, E25), and in v."""
    first, last = examples
    dh = layer_output(network, ws.doutputs, depth - 1, rows)[first:last]
    if draw.placement == DROPOUT:
        drop_units(dh, dh, network.widths, depth, first, draw)  # h' = z h
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
        placed_sums_backward(ws, network, mu, rows, depth, (first, last), (0, network.widths[depth]), draw)
        placed_input_backward(ws, network, rows, depth, (first, last), draw)


@kernel
def spread_gradient(ds, network, ws, rows):
    """Fill `ds`, shape (P,), with dS' = h'^T dv and dS'_b = sum_n dv_n, after `placed_backward` (E16, E22)."""
    given = rows * network.widths[0]
    network_backward_weights(
        ds, network, second_inputs(ws, network, 0, rows), ws.second_inputs[given:], ws.slopes)
