"""The layout of a network in a flat vector: layer widths, offsets, views and initial values."""

from dataclasses import dataclass

import numpy as np

from bbbnp._check import integer, one_of
from bbbnp.kernels import noise
from bbbnp.kernels.activation import RELU, SIGMOID, TANH
from bbbnp.kernels.dense import Network, layer
from bbbnp.kernels.elbo import Workspace

ACTIVATIONS = {"relu": RELU, "tanh": TANH, "sigmoid": SIGMOID}


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

    def workspace(self, rows, dtype):
        """Scratch arrays of the kernels for `rows` examples at once."""
        flat = rows * sum(self.widths[1:])
        return Workspace(*(np.zeros(n, dtype) for n in [self.size] * 3 + [flat] * 2 + [rows]))

    def initial_mu(self, seed, dtype=np.float64):
        """Means before training: W normal with variance 2/K (He et al. 2015; 1/K for tanh and sigmoid), b zero.

        Returns
        -------
        ndarray, shape (P,)
        """
        mu = np.empty(self.size, dtype)
        noise.normals(mu, seed, noise.INITIAL, 0, 0)
        for weight, bias in self.views(mu):
            weight *= np.sqrt((2 if self.activation == "relu" else 1) / weight.shape[0])
            bias[:] = 0
        return mu
