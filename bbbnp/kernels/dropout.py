"""Dropout: inputs and hidden units left out at random, example by example (E25).

The baseline of the paper's tables (Hinton et al. 2012; Srivastava et al. 2014), on the same layers and kernels:

    y = h' W + b,    h' = z h,    z = 0 with chance p, and 1/(1 - p) otherwise,  so that h' is h on average

Backward, dW = h'^T dy and dh = z (dy W^T). The network without noise is the mean network, and drawing z in prediction
too is Monte Carlo dropout (Gal and Ghahramani 2016).

W is a network's, or one draw from q(W). Then z is drawn beside it, from a distribution that is not learnt and has no
part in the KL: q(W) learns from E_z log P(D | W, z). Predictions draw W alone, with z at its mean 1.
"""

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.dense import block
from bbbnp.kernels.draw import DROPOUT, unit_kept


@kernel
def drop_units(h2, h, widths, depth, first, draw):
    """Fill `h2` with z h, both (rows, K), at layer boundary `depth`, from row `first` on; `h2` may be `h` (E25).

    The product is symmetric: dh = z dh' is the same function, of dh' (see `drop_units_backward`).
    """
    drop = draw.drop_inputs if depth == 0 else draw.drop_hidden
    z = h2[0].copy()
    for i in range(h.shape[0]):
        unit_kept(z, drop, widths, depth, first + i, draw)
        for j in range(h.shape[1]):
            h2[i, j] = z[j] * h[i, j]  # E25


@kernel
def drop_units_backward(dh, flat, widths, depth, first, draw):
    """Turn dh', shape (rows, K), into dh = z dh', in place, where units were dropped; `flat` is h', or None (E25)."""
    if flat is None:
        return
    if draw.placement == DROPOUT:
        drop_units(dh, dh, widths, depth, first, draw)  # h' = z h


@kernel(inline=True)
def multiplied(x, ws):
    """What the weights were multiplied by, x and the flat outputs, or what dropout left of both (E25)."""
    return multiplied_arrays(x, ws.outputs, ws.second_inputs, ws.slopes)


@kernel
def multiplied_arrays(x, outputs, flat, slopes):
    """x and the flat outputs, or the flat h' in two, where there is h' but no v (E25)."""
    if flat is None:
        return x, outputs
    if slopes is not None:  # not in one line with the other: see `second_product`
        return x, outputs
    return block(flat, 0, x.shape[0], x.shape[1]), flat[x.size:]
