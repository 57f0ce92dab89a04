"""Dropout: inputs and hidden units left out at random, example by example (E25).

The baseline of the paper's tables (Hinton et al. 2012; Srivastava et al. 2014), on the same layers and kernels:

    y = h' W + b,    h' = z h,    z = 0 with chance p, and 1/(1 - p) otherwise,  so that h' is h on average

Backward, dW = h'^T dy and dh = z (dy W^T). The network without noise is the mean network, and drawing z in prediction
too is Monte Carlo dropout (Gal and Ghahramani 2016).
"""

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.activation import activation_backward, activation_forward
from bbbnp.kernels.dense import block, dense_backward_input, dense_forward, layer
from bbbnp.kernels.draw import unit_kept


@kernel
def drop_units(h2, h, widths, depth, first, draw):
    """Fill `h2` with z h, both (rows, K), at layer boundary `depth`, from row `first` on; `h2` may be `h` (E25).

    The product is symmetric: dh = z dh' is the same function, of dh'.
    """
    drop = draw.drop_inputs if depth == 0 else draw.drop_hidden
    z = h2[0].copy()
    for i in range(h.shape[0]):
        unit_kept(z, drop, widths, depth, first + i, draw)
        for j in range(h.shape[1]):
            h2[i, j] = z[j] * h[i, j]  # E25


@kernel
def dropout_forward(ws, network, x, first, last, draw):
    """Outputs of every layer for the examples first .. last - 1; those of the last layer are returned (E25).

    h_l = f((z h_{l-1}) W_l + b_l),  the last layer without f

    Fills `ws.outputs`, and z h of every layer in `ws.second_inputs`; the weights are `ws.w`.
    """
    rows, widths = x.shape[0], network.widths
    start, done, given, h = 0, 0, 0, x[first:last]
    for depth in range(widths.size - 1):
        k, n = widths[depth], widths[depth + 1]
        h2, y = block(ws.second_inputs, given, rows, k)[first:last], block(ws.outputs, done, rows, n)[first:last]
        weight, bias = layer(ws.w, start, k, n)
        drop_units(h2, h, widths, depth, first, draw)
        dense_forward(y, h2, weight, bias)
        if depth < widths.size - 2:
            activation_forward(y, network.activation)
        start, done, given, h = start + (k + 1) * n, done + rows * n, given + rows * k, y
    return h


@kernel
def dropout_backward(ws, network, rows, first, last, draw):
    """Gradient before every activation, in `ws.doutputs`, for the examples first .. last - 1 of `rows` (E25).

    The gradient of the last outputs lies at its place in `ws.doutputs`; each line undoes one of `dropout_forward`.
    """
    widths = network.widths
    start, done = ws.w.size, rows * widths[1:].sum()
    for depth in range(widths.size - 2, 0, -1):
        k, n = widths[depth], widths[depth + 1]
        start, done = start - (k + 1) * n, done - rows * n
        dy = block(ws.doutputs, done, rows, n)[first:last]
        dh = block(ws.doutputs, done - rows * k, rows, k)[first:last]
        dense_backward_input(dh, dy, layer(ws.w, start, k, n)[0])  # y = h' W + b
        drop_units(dh, dh, widths, depth, first, draw)  # h' = z h
        activation_backward(dh, block(ws.outputs, done - rows * k, rows, k)[first:last], network.activation)  # h = f(y)


@kernel
def multiplied(x, ws):
    """What the weights were multiplied by, x and the flat outputs, or what dropout left of both (E25)."""
    if ws.second_inputs.size > 0 and ws.spread.size == 0:
        return block(ws.second_inputs, 0, x.shape[0], x.shape[1]), ws.second_inputs[x.size:]
    return x, ws.outputs
