"""The dense layer, forward and backward, and the network as a stack of them over flat vectors (E10, E11).

A network is its widths; w, mu, rho and every gradient are flat vectors of the same layout: for each layer W of shape
(K, N), row-major, then b of shape (N,). Layer outputs lie one after another in one flat workspace too, so one
compiled function serves every depth and width.
"""

from typing import NamedTuple

import numpy as np

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.activation import activation_backward, activation_forward
from bbbnp.kernels.product import product


class Network(NamedTuple):
    """Layer widths D, hidden ..., O as an int64 array, and the code of the hidden activation."""

    widths: np.ndarray
    activation: int


@kernel
def layer(flat, start, k, n):
    """Views of the layer that begins at `start` of a flat vector: W, shape (K, N), and b, shape (N,)."""
    stop = start + k * n
    return flat[start:stop].reshape(k, n), flat[stop:stop + n]


@kernel(inline=True)
def layer_weights(flat, network, depth):
    """Views of W and b of layer `depth`, from 0, in a flat vector."""
    start = 0
    for i in range(depth):
        start += (network.widths[i] + 1) * network.widths[i + 1]
    return layer(flat, start, network.widths[depth], network.widths[depth + 1])


@kernel
def block(flat, start, rows, n):
    """View of the (rows, n) matrix that begins at `start` of a flat workspace."""
    return flat[start:start + rows * n].reshape(rows, n)


@kernel
def dense_forward(y, x, w, b):
    """Affine layer (E10).

    y = x W + b

    Shapes: y (B, N), x (B, K), w (K, N), b (N,).
    """
    dense_columns(y, x, w, b, 0, b.size)


@kernel(borrows=True)
def dense_columns(y, x, w, b, start, stop):
    """Columns start .. stop - 1 of y = x W + b (E10).

    With one input the product is that of two vectors, and every row is done in one loop, bias and all.
    """
    single, weight, bias = x.shape[1] == 1, w[0][start:stop], b[start:stop]
    if not single:
        product(y[:, start:stop], x, w[:, start:stop])  # E10
    for i in range(y.shape[0]):
        row, first = y[i][start:stop], x[i, 0]  # indices that might be negative do not become vectors
        if single:
            for j in range(row.size):
                row[j] = first * weight[j] + bias[j]
        else:
            for j in range(row.size):
                row[j] += bias[j]


@kernel
def dense_backward_input(dx, dy, w):
    """Gradient of y = x W + b in x (E10).

    dx = dy W^T
    """
    product(dx, dy, w.T)


@kernel
def dense_backward_weights(dw, dy, x):
    """Gradient of y = x W + b in W (E10).

    dW = x^T dy
    """
    product(dw, x.T, dy)


@kernel
def dense_backward_bias(db, dy):
    """Gradient of y = x W + b in b (E10).

    db = sum_n dy_n = 1^T dy
    """
    # a product, since a loop that adds row to row waits for each entry that it has just stored
    product(block(db, 0, 1, db.size), np.ones((1, dy.shape[0]), dy.dtype), dy)


@kernel
def network_forward(outputs, network, w, x, first, last):
    """Outputs of every layer for the examples first .. last - 1 (E10, E11); those of the last layer are returned.

    h_0 = x,  h_l = f(h_{l-1} W_l + b_l),  the last layer without f

    Shapes: outputs flat, at least B times the sum of the widths after the first, one (B, N) matrix a layer; w (P,);
    x (B, D).
    """
    rows, output_layer = x.shape[0], network.widths.size - 2
    start, done, h = 0, 0, x[first:last]
    for depth in range(output_layer + 1):
        k, n = network.widths[depth], network.widths[depth + 1]
        weight, bias = layer(w, start, k, n)
        y = block(outputs, done, rows, n)[first:last]
        dense_forward(y, h, weight, bias)
        if depth < output_layer:
            activation_forward(y, network.activation)
        start, done, h = start + (k + 1) * n, done + rows * n, y
    return h


@kernel
def network_backward(doutputs, network, w, outputs, rows, first, last):
    """Gradient before every activation, for the examples first .. last - 1 of `rows` (E10, E11).

    The gradient of the last outputs lies at its place in `doutputs`; each line undoes one of `network_forward`.
    """
    start, done = w.size, rows * network.widths[1:].sum()
    for depth in range(network.widths.size - 2, 0, -1):
        k, n = network.widths[depth], network.widths[depth + 1]
        start, done = start - (k + 1) * n, done - rows * n
        dy = block(doutputs, done, rows, n)[first:last]
        dh = block(doutputs, done - rows * k, rows, k)[first:last]
        dense_backward_input(dh, dy, layer(w, start, k, n)[0])  # y = h W + b
        activation_backward(dh, block(outputs, done - rows * k, rows, k)[first:last], network.activation)  # h = f(z)


@kernel(inline=True)
def layer_input(network, x, outputs, depth):
    """What layer `depth`, from 0, was given: x, or the outputs of the layer before, shape (B, K)."""
    if depth == 0:
        return x
    return layer_output(network, outputs, depth - 1, x.shape[0])


@kernel(inline=True)
def layer_output(network, outputs, depth, rows):
    """What layer `depth`, from 0, gave, or the gradient in it: the (B, N) matrix at its place in a flat workspace."""
    start = 0
    for i in range(depth):
        start += rows * network.widths[i + 1]
    return block(outputs, start, rows, network.widths[depth + 1])


@kernel
def network_backward_weights(dw, network, x, outputs, doutputs):
    """Fill `dw`, shape (P,), after `network_backward` (E10)."""
    start, done, rows = 0, 0, x.shape[0]
    for depth in range(network.widths.size - 1):
        k, n = network.widths[depth], network.widths[depth + 1]
        dweight, dbias = layer(dw, start, k, n)
        dy = block(doutputs, done, rows, n)
        dense_backward_weights(dweight, dy, layer_input(network, x, outputs, depth))
        dense_backward_bias(dbias, dy)
        start, done = start + (k + 1) * n, done + rows * n
