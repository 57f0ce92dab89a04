"""The dense layer, forward and backward, and the network as a stack of them over flat vectors (E10, E11).

A network is its widths; w, mu, rho and every gradient are flat vectors of the same layout: for each layer W of shape
(K, N), row-major, then b of shape (N,). Layer outputs lie one after another in one flat workspace too, so one
compiled function serves every depth and width.
"""

from typing import NamedTuple

import numpy as np

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.activation import activation_backward, activation_forward


class Network(NamedTuple):
    """Layer widths D, hidden ..., O as an int64 array, and the code of the hidden activation."""

    widths: np.ndarray
    activation: int


@kernel
def layer(flat, start, k, n):
    """Views of the layer that begins at `start` of a flat vector: W, shape (K, N), and b, shape (N,)."""
    stop = start + k * n
    return flat[start:stop].reshape(k, n), flat[stop:stop + n]


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
    np.dot(x, w, y)  # E10
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] += b[j]


@kernel
def dense_backward_input(dx, dy, w):
    """Gradient of y = x W + b in x (E10).

    dx = dy W^T
    """
    np.dot(dy, w.T, dx)


@kernel
def dense_backward_weights(dw, db, dy, x):
    """Gradient of y = x W + b in W and b (E10).

    dW = x^T dy,  db = sum_n dy_n
    """
    np.dot(x.T, dy, dw)
    db[:] = 0
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            db[j] += dy[i, j]


@kernel
def network_forward(outputs, network, w, x):
    """Outputs of every layer (E10, E11); those of the last are returned, shape (B, O).

    h_0 = x,  h_l = f(h_{l-1} W_l + b_l),  the last layer without f

    Shapes: outputs flat, at least B times the sum of the widths after the first; w (P,); x (B, D).
    """
    rows, last = x.shape[0], network.widths.size - 2
    start, done, h = 0, 0, x
    for depth in range(last + 1):
        k, n = network.widths[depth], network.widths[depth + 1]
        weight, bias = layer(w, start, k, n)
        y = block(outputs, done, rows, n)
        dense_forward(y, h, weight, bias)
        if depth < last:
            activation_forward(y, network.activation)
        start, done, h = start + (k + 1) * n, done + rows * n, y
    return h


@kernel
def network_backward(dw, doutputs, network, w, x, outputs):
    """Fill `dw`, shape (P,), given the gradient of the last outputs at its place in `doutputs` (E10, E11).

    Each line undoes one of `network_forward`, from the last layer to the first.
    """
    rows, last = x.shape[0], network.widths.size - 2
    start, done = w.size, rows * network.widths[1:].sum()
    for depth in range(last, -1, -1):
        k, n = network.widths[depth], network.widths[depth + 1]
        start, done = start - (k + 1) * n, done - rows * n
        dy = block(doutputs, done, rows, n)
        if depth < last:
            activation_backward(dy, block(outputs, done, rows, n), network.activation)  # h = f(y)
        dweight, dbias = layer(dw, start, k, n)
        if depth == 0:
            dense_backward_weights(dweight, dbias, dy, x)  # y = x W + b
        else:
            before = done - rows * k
            dense_backward_weights(dweight, dbias, dy, block(outputs, before, rows, k))  # y = h W + b
            dense_backward_input(block(doutputs, before, rows, k), dy, layer(w, start, k, n)[0])
