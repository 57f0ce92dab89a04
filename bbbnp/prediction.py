"""The predictive distribution: draws of the weights averaged, its aleatoric and epistemic parts (E1, E18)."""

import numpy as np

from bbbnp import _check
from bbbnp.kernels import likelihood, noise, predictive
from bbbnp.kernels.draw import DROPOUT, WEIGHTS, Draw
from bbbnp.kernels.elbo import Parameters
from bbbnp.objective import LIKELIHOODS
from bbbnp.threads import predict_draws

ROWS_AT_ONCE, ROWS_OF_A_BLOCK = 2048, 512


def sample_outputs(architecture, mu, rho, X, *, draws, seed=0, dropout=None, threads=None):
    """Network outputs under draws of the weights (E4, E10), or of units left out (E25).

    Parameters
    ----------
    architecture : Architecture
    mu, rho : ndarray, shape (P,)
    X : ndarray, shape (N, D), C-contiguous, of the dtype of `mu`
    draws : int
        Number S of draws; 0 gives the one output of the mean network, w = mu.
    seed : int
    dropout : tuple of float, optional
        Chances that an input and a hidden unit are left out: then draws are of these, and the weights are `mu`.
    threads : int, optional
        Left out, all for a large network and many rows, and one otherwise; the outputs are the same bits.

    Returns
    -------
    ndarray, shape (S, N, O), or (1, N, O) for the mean network
    """
    dropout = dropout if draws > 0 else None  # without noise, no unit is left out
    ws = architecture.workspace(min(len(X), ROWS_AT_ONCE), mu.dtype, block=ROWS_OF_A_BLOCK,
                                weight_noise="weights" if dropout is None else "dropout")
    samples = np.empty((max(draws, 1), len(X), architecture.widths[-1]), mu.dtype)
    # DROPOUT leaves the weights at mu: without room for what it would leave of the units, it is the mean network
    noisy = Draw(WEIGHTS if draws > 0 and dropout is None else DROPOUT, seed, 0, 0, 1, noise.PREDICTION,
                 *map(float, dropout or (0, 0)))
    predict_draws(samples, Parameters(mu, rho, mu[:0]), architecture.network, X, noisy, ws, threads=threads)
    return samples


class RegressionDistribution:
    """Predictive distribution of a regression: a mixture of one Gaussian for each draw of the weights, in user's units.

    Attributes
    ----------
    mean : ndarray, shape (N,) or (N, T)
    aleatoric, epistemic : ndarray, like `mean`
        The two parts of the predictive variance: noise that no amount of data removes, and doubt about the weights
        that data would remove (E18).
    samples : ndarray, shape (S, N) or (S, N, T)
        One target drawn for each draw of the weights, observation noise included.
    """

    def __init__(self, outputs, log_noise, likelihood_name, *, shift, scale, flat, seed):
        targets = len(shift)
        self._outputs, self._log_noise, self._code = outputs, log_noise, LIKELIHOODS[likelihood_name]
        self._shift, self._scale, self._flat = shift, scale, flat
        f = outputs[..., :targets].astype(float)
        log_deviation = outputs[..., targets:] if self._code == likelihood.GAUSSIAN_INPUT else log_noise
        deviation = np.exp(np.broadcast_to(log_deviation.astype(float), f.shape))
        eps = np.empty(f.size, np.float32)
        noise.normals(eps, seed, noise.OBSERVATION, 0, 0, 0)
        mean, aleatoric, epistemic = (np.empty(f.shape[1:]) for _ in range(3))
        predictive.predictive_moments(mean, aleatoric, epistemic, f, deviation**2)
        self.mean = self._shaped(shift + scale * mean)
        self.aleatoric, self.epistemic = self._shaped(scale**2 * aleatoric), self._shaped(scale**2 * epistemic)
        self.samples = self._shaped(shift + scale * (f + deviation * eps.reshape(f.shape)))
        self._means, self._deviations = shift + scale * f, scale * deviation

    def _shaped(self, array):
        return array[..., 0] if self._flat else array

    @property
    def std(self):
        """Predictive standard deviation, sqrt(aleatoric + epistemic)."""
        return np.sqrt(self.aleatoric + self.epistemic)

    def quantile(self, q):
        """Quantile of the predictive mixture itself: where its distribution function is `q`.

        Parameters
        ----------
        q : float
            Level in (0, 1).

        Returns
        -------
        ndarray, shape (N,) or (N, T)
        """
        from scipy.optimize.elementwise import find_root  # here, since it takes long to import
        from scipy.special import ndtr, ndtri
        q = _check.real("q", q, above=0, below=1)
        side, tail = (1, q) if q <= 0.5 else (-1, 1 - q)  # the nearer tail: ndtr has no digits left near 1
        means, deviations = (a.reshape(len(a), -1).T.copy() for a in (self._means, self._deviations))
        ends = means + side * ndtri(tail) * deviations  # each draw's own: they enclose the mixture's
        room = 1e-9 * (abs(ends) + deviations).max(axis=1)
        found = find_root(lambda y, i: ndtr(side * (y[:, None] - means[i]) / deviations[i]).mean(axis=1) - tail,
                          (ends.min(axis=1) - room, ends.max(axis=1) + room), args=(np.arange(len(ends)),))
        return self._shaped(found.x.reshape(self._means.shape[1:]))

    def interval(self, level):
        """Lower and upper end of the central interval that should hold the part `level`, in (0, 1), of targets."""
        level = _check.real("level", level, above=0, below=1)
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    def log_density(self, y):
        """Log predictive density of targets, averaged over the draws (E1).

        Parameters
        ----------
        y : array_like, shape (N,) or (N, T)

        Returns
        -------
        ndarray, shape (N,), nats; the density is in the user's units
        """
        y = np.asarray(y)
        y = _check.matrix("y", y[:, None] if y.ndim == 1 else y, np.float64, columns=len(self._scale))
        _check.same_length(self.mean, y, "the distribution")
        z = np.ascontiguousarray((y - self._shift) / self._scale)
        log_lik, result = np.empty(self._outputs.shape[:2]), np.empty(len(y))
        log_noise = self._log_noise.astype(float)
        for rows, out in zip(log_lik, self._outputs):
            likelihood.log_likelihood(rows, self._code, out.astype(float), z, log_noise)
        predictive.log_predictive(result, log_lik)
        return result - np.log(self._scale).sum()


class ClassDistribution:
    """Predictive distribution of a classification: class probabilities averaged over draws of the weights.

    Attributes
    ----------
    mean : ndarray, shape (N, C)
        Predictive probabilities.
    aleatoric, epistemic : ndarray, shape (N,)
        The two parts of the predictive entropy, in nats: the mean entropy of the draws, and the mutual information
        of label and weights (E18).
    samples : ndarray, shape (S, N, C)
        Class probabilities under each draw.
    """

    def __init__(self, outputs, likelihood_name):
        shape = outputs.shape
        if likelihood_name == "bernoulli":  # the log-odds f are the softmax of (0, f)
            outputs, shape = np.concatenate([np.zeros_like(outputs), outputs], axis=2), (*shape[:2], 2)
        self.samples = np.empty(shape)
        likelihood.softmax_rows(self.samples.reshape(-1, shape[2]), outputs.astype(float).reshape(-1, shape[2]))
        self.mean, self.aleatoric, self.epistemic = np.empty(shape[1:]), np.empty(shape[1]), np.empty(shape[1])
        predictive.entropy_split(self.mean, self.aleatoric, self.epistemic, self.samples)
