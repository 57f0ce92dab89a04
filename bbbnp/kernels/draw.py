"""What one draw is: where its noise enters, and the noise of the units of every example (E23).

Noise is a function of the example's place in the minibatch, the layer and the unit: where a step is cut does not
change it.
"""

from typing import NamedTuple

import numpy as np

from bbbnp.kernels import noise
from bbbnp.kernels._jit import kernel

WEIGHTS, LOCAL, FLIPOUT, DROPOUT = range(4)
SHORT, PAPER, PATH = range(3)  # forms of the gradient (E13, E12, E24); see `elbo`


class Draw(NamedTuple):
    """Where the noise of one draw enters, what it is a function of, its sign in an antithetic pair; and the stream and
    the chances of dropout, of inputs and of hidden units."""

    placement: int
    seed: int
    step: int
    number: int
    sign: int
    stream: int = noise.DROPOUT
    drop_inputs: float = 0.0
    drop_hidden: float = 0.0


class Piece(NamedTuple):
    """The same stretch of mu, rho and of a draw's w, eps and S' (`spread`, or empty).

    Where the KL is sampled, all that the short form of the gradient needs of a draw, once w is there, is r(rho): then
    that lies in `eps`.
    """

    mu: np.ndarray
    rho: np.ndarray
    w: np.ndarray
    eps: np.ndarray
    spread: np.ndarray


@kernel
def paired(draw, antithetic):
    """Number and sign of the noise of draw 0, 1, ... of a step (E23).

    eps_{2k+1} = -eps_{2k} and zeta_{2k+1} = -zeta_{2k} in antithetic pairs; the signs s and t are those of draw 2k
    """
    odd = draw % 2 if antithetic else 0
    return draw - odd, 1 - 2 * odd  # E23


@kernel
def draw_of(objective, seed, step, number):
    """The fields of draw `number` of a step: its noise may be that of another, with the other sign (E23).

    Where a loop is given to threads, the `Draw` must be made by its name beside it.
    """
    of_pair, sign = paired(number, objective.antithetic)
    return (objective.placement, seed, step, of_pair, sign, noise.DROPOUT, objective.drop_inputs,
            objective.drop_hidden)


@kernel
def normals(z, stream, draw, start):
    """`noise.normals` of one draw, with its sign in an antithetic pair (E23)."""
    noise.normals(z, draw.seed, stream, draw.step, draw.number, start)
    if draw.sign < 0:
        for j in range(z.size):
            z[j] = -z[j]


@kernel
def unit_index(widths, boundary, example, whole):
    """Index of the first noise of one example's units at layer boundary 0 (the inputs) .. L (the outputs).

    An example's indices are its own, and each boundary's begin at a multiple of `whole`, what one counter gives, so
    that any block of rows of a minibatch finds its noise alone.
    """
    before, all_units = 0, 0
    for b in range(widths.size):
        units = (widths[b] + whole - 1) // whole * whole
        before += units if b < boundary else 0
        all_units += units
    return example * all_units + before


@kernel
def unit_normals(zeta, widths, boundary, example, draw):
    """Fill `zeta` with the standard normals of one example's units (E16)."""
    normals(zeta, noise.LOCAL, draw, unit_index(widths, boundary, example, noise.BLOCK_OF_NORMALS))


@kernel
def unit_signs(s, stream, widths, boundary, example, draw):
    """Fill `s` with the signs of one example's units (E22)."""
    start = unit_index(widths, boundary, example, noise.BLOCK_OF_SIGNS)
    noise.signs(s, draw.seed, stream, draw.step, draw.number, start)


@kernel
def unit_kept(z, drop, widths, boundary, example, draw):
    """Fill `z` with 0, where one example's unit is dropped, by the chance `drop`, and 1/(1 - drop) elsewhere (E25)."""
    start = unit_index(widths, boundary, example, noise.BLOCK_OF_NORMALS)
    noise.kept(z, drop, draw.seed, draw.stream, draw.step, draw.number, start)
