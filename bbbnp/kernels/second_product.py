"""Noise of units in place of weights, by a second product in every layer: local reparameterisation and flipout.

Both leave the mean in the weights' place and give each example noise of its own, and they have one shape:

    m = h Mu + mu_b,    v = h' S' + S'_b,    y = m + the noise that v makes

    local reparameterisation (E16)    h' = h^2     S' = sigma^2              y = m + sqrt(v) zeta
    flipout (E22)                     h' = s h     S' = Delta = sigma eps    y = m + t v

with standard normals zeta and signs s and t for every example and unit, and eps drawn once. Backward, with
c = dlog S'/dlog sigma, 2 or 1,

    dv = dy dy/dv,    dMu = h^T dy,    dS' = h'^T dv,    dh = dy Mu^T + (dv S'^T) dh'/dh,    drho = r(rho) c S' dS'

Where there is no h' or no v, a workspace has None in its place. Numba leaves out what follows `if name is None: return`
where `name` is an argument of the function and nothing else is asked: so the arrays are passed, not the workspace, and
each question has a line of its own. A network with noise in its weights compiles without any of this.
"""

import numpy as np

from bbbnp.kernels import noise
from bbbnp.kernels._jit import kernel
from bbbnp.kernels.dense import (
    block, dense_backward_input, dense_columns, layer_output, layer_weights, network_backward_weights)
from bbbnp.kernels.draw import DROPOUT, LOCAL, unit_normals, unit_signs
from bbbnp.kernels.dropout import drop_units
from bbbnp.kernels.posterior import log_softplus_backward, softplus
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


@kernel(inline=True)
def second_inputs(flat, network, depth, rows, first, last):
    """Rows first .. last - 1 of the (B, K) matrix h' of layer `depth`, or None."""
    if flat is None:
        return None
    return block(flat, rows * network.widths[:depth].sum(), rows, network.widths[depth])[first:last]


@kernel(inline=True)
def second_outputs(flat, network, depth, rows, first, last):
    """Rows first .. last - 1 of the (B, N) matrix v of layer `depth`, or of dy/dv or dv in its place; or None."""
    if flat is None:
        return None
    return layer_output(network, flat, depth, rows)[first:last]


@kernel
def second_input(h2, h, widths, depth, first, draw):
    """Fill `h2`, if any, with h' = h^2 (E16), s h (E22) or z h (E25), all (rows, K), from row `first` on."""
    if h2 is None:
        return
    if draw.placement == DROPOUT:
        drop_units(h2, h, widths, depth, first, draw)
    elif draw.placement == LOCAL:
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


@kernel(inline=True)
def second_sums(v, h2, s, network, depth, units):
    """Units a .. b - 1 of v = h' S' + S'_b, if any (E16, E22)."""
    if v is None:
        return
    weight, bias = layer_weights(s, network, depth)
    dense_columns(v, h2, weight, bias, units[0], units[1])


@kernel
def second_sums_backward(dv, ws, network, rows, depth, examples, units, draw):
    """Add (dv S'^T) dh'/dh, if any, to the gradient in the inputs a .. b - 1 (E16, E22)."""
    if dv is None:
        return
    (first, last), (a, b) = examples, units
    dh2, (weight, _) = np.empty((last - first, b - a), dv.dtype), layer_weights(ws.spread, network, depth)
    dense_backward_input(dh2, dv, weight[a:b])  # v = h' S' + S'_b
    h = layer_output(network, ws.outputs, depth - 1, rows)[first:last]
    dh = layer_output(network, ws.doutputs, depth - 1, rows)[first:last]
    second_input_backward(dh, dh2, h, network.widths, depth, first, a, draw)  # h' = h^2 or s h


@kernel
def noisy_output(y, v, widths, depth, first, draw):
    """Turn m in `y` into m plus its noise, and v, if any, into dy/dv, (rows, N), from row `first` on (E16, E22)."""
    if v is None:
        return
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


@kernel
def noisy_output_backward(dv, dy):
    """Turn dy/dv, if any, into dv = dy dy/dv, both (rows, N) (E16, E22)."""
    if dv is None:
        return
    for i in range(dv.shape[0]):
        for j in range(dv.shape[1]):
            dv[i, j] *= dy[i, j]  # y = m + noise of v


@kernel
def spread_gradient(ds, network, flat, slopes, rows):
    """Fill `ds`, shape (P,), with dS' = h'^T dv and dS'_b = sum_n dv_n, if any, after `placed_backward` (E16, E22).

    Of flat h' and dv; without dv there is no second product, and `ds` is left alone.
    """
    if slopes is None:
        return
    given = rows * network.widths[0]
    network_backward_weights(ds, network, second_inputs(flat, network, 0, rows, 0, rows), flat[given:], slopes)
