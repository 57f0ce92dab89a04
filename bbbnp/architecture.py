"""The layout of a network in a flat vector: layer widths, offsets, views and initial values."""

from dataclasses import dataclass

import numpy as np

from bbbnp._check import integer, one_of
from bbbnp.kernels import noise
from bbbnp.kernels.activation import RELU, SIGMOID, TANH
from bbbnp.kernels.dense import Network, layer
from bbbnp.kernels.elbo import Workspace
from bbbnp.kernels.stack import ALIGNMENT

ACTIVATIONS = {"relu": RELU, "tanh": TANH, "sigmoid": SIGMOID}
# Pieces of a training step: weights in a tile, examples in a block, columns of a layer, entries of dW in a unit. What
# else was tried differs by less than one machine does from itself. A unit's rows are whole blocks of a product.
TILE, BLOCK, COLUMNS, UNIT, ROWS = 2048, 64, 256, 131072, 8
# Multiplications a pass (weights times examples) from which a step is cut and threads used: a guess, not measured.
LARGE = 4_000_000


def aligned_zeros(n, dtype):
    """A vector of n zeros that begins where a line of the cache does: registers are filled faster from there."""
    spare = np.zeros(n + ALIGNMENT // np.dtype(dtype).itemsize, dtype)
    first = -spare.ctypes.data % ALIGNMENT // spare.itemsize
    return spare[first:first + n]


@dataclass(frozen=True)
class Architecture:
    """Layer widths and hidden activation of a network whose weights are one flat vector.

    Parameters
    ----------
    widths : sequence of int
        D, hidden widths ..., O; at least two entries.
    activation : {"relu", "tanh", "sigmoid"}
        After every layer but the last.

    Raises
    ------
    ValueError
        If a width is not a positive integer, or the activation is unknown.

    Examples
    --------
    >>> Architecture((3, 5, 2)).size
    32
    """

    widths: tuple
    activation: str = "relu"

    def __post_init__(self):
        if not np.iterable(self.widths) or len(self.widths) < 2:
            raise ValueError(f"widths={self.widths!r} must be a tuple: number of inputs, hidden ..., outputs")
        widths = tuple(integer("widths", width, least=1) for width in self.widths)
        object.__setattr__(self, "widths", widths)
        one_of("activation", self.activation, ACTIVATIONS)

    @property
    def size(self):
        """Number P of weights and biases."""
        return sum((k + 1) * n for k, n in zip(self.widths, self.widths[1:]))

    @property
    def network(self):
        """The same for kernels."""
        return Network(np.array(self.widths, dtype=np.int64), ACTIVATIONS[self.activation])

    def views(self, flat):
        """Layers of a flat vector, as views.

        Parameters
        ----------
        flat : ndarray, shape (P,)

        Returns
        -------
        list of (ndarray, ndarray)
            W, shape (K, N), and b, shape (N,), of each layer.
        """
        starts = np.cumsum([0] + [(k + 1) * n for k, n in zip(self.widths, self.widths[1:])])
        return [layer(flat, int(start), k, n) for start, k, n in zip(starts, self.widths, self.widths[1:])]

    def workspace(self, rows, dtype, *, targets=1, weight_noise="weights", tile=TILE, block=None, columns=None,
                  unit=UNIT):
        """Scratch arrays of the kernels for `rows` examples, and where a training step is cut: by shapes only.

        Parameters
        ----------
        rows : int
            Examples at once.
        dtype : dtype
        targets : int
            Number T of noise deviations.
        weight_noise : {"weights", "local", "flipout", "dropout"}
            With room for what noise that is not in the weights needs; None in its place otherwise, but for `spread`,
            which is cut in pieces wherever weights are drawn, and empty.
        tile, block, columns, unit : int
            Weights, examples, and about how many columns of a layer's outputs, and entries of dW, in one piece; a
            layer of more than an eighth of those, of a large network a 64th, has at least two pieces, for two threads.

        Raises
        ------
        ValueError
            If a piece is not a positive integer.
        """
        for name, piece in {"tile": tile, "block": block, "columns": columns, "unit": unit}.items():
            integer(name, 1 if piece is None else piece, least=1)
        large = self.size * rows >= LARGE
        block = block or (BLOCK if large else rows)
        columns = columns or (min(COLUMNS, -(-max(self.widths[1:]) // 2)) if large else max(self.widths))
        units, start = [], 0
        for depth, (k, n) in enumerate(zip(self.widths, self.widths[1:])):
            count = min(k, 2 * max(1, round(k * n / unit / 2))) if k * n > unit / (64 if large else 8) else 1
            edges = np.linspace(0, k, count + 1).astype(int)
            edges[1:-1] -= edges[1:-1] % (ROWS if k >= ROWS * count else 1)
            units += [(i / count, depth, a, b, start) for i, (a, b) in enumerate(zip(edges, edges[1:]))]
            start += (k + 1) * n
        units = [unit[1:] for unit in sorted(units)]  # threads take runs of them: the same part of every layer
        blocks = -(-rows // block)
        flat, pieces = rows * sum(self.widths[1:]), max(blocks, len(units))
        given = rows * sum(self.widths[:-1])
        of_second = {"weights": [0, None, None], "dropout": [0, given, None]}.get(
            weight_noise, [self.size, given, flat])
        return Workspace(
            *(aligned_zeros(n, dtype) for n in [self.size] * 2 + [flat] * 2 + [rows]), tile, block, columns,
            np.array(units, np.int64), np.zeros((pieces, 3)), np.zeros((blocks, targets), dtype),
            *(None if n is None else aligned_zeros(n, dtype) for n in of_second))

    def initial_mu(self, seed, dtype=np.float64):
        """Means before training: W normal with variance 2/K (He et al. 2015; 1/K for tanh and sigmoid), b zero.

        Returns
        -------
        ndarray, shape (P,)
        """
        mu = np.empty(self.size, dtype)
        noise.normals(mu, seed, noise.INITIAL, 0, 0, 0)
        for weight, bias in self.views(mu):
            weight *= np.sqrt((2 if self.activation == "relu" else 1) / weight.shape[0])
            bias[:] = 0
        return mu
