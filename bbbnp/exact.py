"""Exact answers to train against: Bayes' rule on a grid, conjugate linear regression, the mean-field optimum.

For y = X w + noise and w ~ N(0, prior_sigma^2 I) everything is known: the posterior N(m, Lambda^-1), the evidence, the
best diagonal Gaussian q* = N(m, diag(1/Lambda_jj)), and the free energy it cannot go below.
"""

from dataclasses import dataclass

import numpy as np

from bbbnp import _check
from bbbnp.kernels.predictive import bayes_rule


def grid_posterior(log_joint, spacing):
    """Posterior density of one parameter on an even grid (E1).

    p(w | D) = p(D | w) p(w)/p(D),  p(D) = integral of p(D | w) p(w)

    Parameters
    ----------
    log_joint : array_like, shape (G,)
        log p(D | w) + log p(w) at the grid points.
    spacing : float
        Distance of neighbouring points.

    Returns
    -------
    density : ndarray, shape (G,)
    log_evidence : float
    """
    log_joint = np.array(log_joint, float)
    _check.real("spacing", spacing, above=0)
    if log_joint.ndim != 1 or not np.isfinite(log_joint.max(initial=-np.inf)):
        raise ValueError(f"log_joint of shape {log_joint.shape} must be a vector with a finite largest entry")
    log_post = np.empty_like(log_joint)
    log_evidence = bayes_rule(log_post, log_joint)
    return np.exp(log_post) / spacing, log_evidence + np.log(spacing)


@dataclass(frozen=True)
class ConjugateRegression:
    """Bayesian linear regression with known noise: the posterior, and the best it can be approximated by.

    Lambda = X^T X/noise^2 + I/prior_sigma^2,  Lambda m = X^T y/noise^2

    With a temperature T on the KL the target is tempered: its precision is (X^T X/noise^2 + T I/prior_sigma^2)/T.

    Parameters
    ----------
    X : ndarray, shape (N, D)
        A column of ones included where the model has a bias.
    y : ndarray, shape (N,)
    noise, prior_sigma : float
    temperature : float
    """

    X: np.ndarray
    y: np.ndarray
    noise: float
    prior_sigma: float
    temperature: float = 1.0

    def __post_init__(self):
        _check.matrix("X", self.X, np.float64)
        if np.ndim(self.y) != 1:
            raise ValueError(f"y has shape {np.shape(self.y)}; it must be a vector")
        _check.same_length(self.X, self.y)
        for name in ("noise", "prior_sigma", "temperature"):
            _check.real(name, getattr(self, name), above=0)

    @property
    def precision(self):
        """Lambda, shape (D, D)."""
        data = self.X.T @ self.X / self.noise**2
        return data / self.temperature + np.eye(self.X.shape[1]) / self.prior_sigma**2

    @property
    def mean(self):
        """m, shape (D,)."""
        return np.linalg.solve(self.precision, self.X.T @ self.y) / (self.noise**2 * self.temperature)

    @property
    def log_evidence(self):
        """log p(D) = log N(y; 0, noise^2 I + prior_sigma^2 X X^T); for temperature 1."""
        covariance = self.noise**2 * np.eye(len(self.y)) + self.prior_sigma**2 * self.X @ self.X.T
        _, log_det = np.linalg.slogdet(covariance)
        return -0.5 * (self.y @ np.linalg.solve(covariance, self.y) + log_det + len(self.y) * np.log(2 * np.pi))

    @property
    def mean_field(self):
        """The optimum among diagonal Gaussians: mu = m and sigma_j = 1/sqrt(Lambda_jj)."""
        return self.mean, 1 / np.sqrt(np.diag(self.precision))

    @property
    def gap(self):
        """KL(q* || posterior) = (sum_j log Lambda_jj - log det Lambda)/2."""
        return 0.5 * (np.log(np.diag(self.precision)).sum() - np.linalg.slogdet(self.precision)[1])

    def free_energy(self, mu, sigma):
        """Expected free energy of N(mu, diag(sigma^2)), in closed form (E2, with E14 for the KL).

        F = T KL(q || prior) + (||y - X mu||^2 + sum_j sigma_j^2 (X^T X)_jj)/(2 noise^2) + N log(2 pi noise^2)/2
        """
        kl = np.sum(np.log(self.prior_sigma / sigma) + (sigma**2 + mu**2) / (2 * self.prior_sigma**2) - 0.5)
        squares = np.sum((self.y - self.X @ mu)**2) + sigma**2 @ np.sum(self.X**2, axis=0)
        constant = len(self.y) / 2 * np.log(2 * np.pi * self.noise**2)
        return self.temperature * kl + squares / (2 * self.noise**2) + constant
