"""Dropout: inputs and hidden units left out at random, example by example (E25).

The baseline of the paper's tables (Hinton et al. 2012; Srivastava et al. 2014), on the same layers and kernels:

    y = h' W + b,    h' = z h,    z = 0 with chance p, and 1/(1 - p) otherwise,  so that h' is h on average

Backward, dW = h'^T dy and dh = z (dy W^T). The network without noise is the mean network, and drawing z in prediction
too is Monte Carlo dropout (Gal and Ghahramani 2016).
"""

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.dense import block
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
def multiplied(x, ws):
    """What the weights were multiplied by, x and the flat outputs, or what dropout left of both (E25)."""
    if ws.second_inputs.size > 0 and ws.spread.size == 0:
        return block(ws.second_inputs, 0, x.shape[0], x.shape[1]), ws.second_inputs[x.size:]
    return x, ws.outputs
