"""Exercises of lecture 03: gradient of the KL, the mean-field deviation, the gap, the bell of the other KL."""

import numpy as np

from bbbnp import reference
from bbbnp.course.exercise import Exercise, Wrong
from bbbnp.exact import ConjugateRegression
from bbbnp.gradcheck import numerical_gradient
from bbbnp.reference import logistic, softplus


def _weights(rng):
    """mu and rho of seven weights and the prior's deviation, twice."""
    return [(rng.normal(size=7), rng.uniform(-2, 2, 7), prior_sigma) for prior_sigma in (0.7, 1.6)]


def _kl_numeric(mu, rho, prior_sigma):
    return (numerical_gradient(lambda z: reference.kl_to_gaussian(z, rho, prior_sigma), mu, 0.1),
            numerical_gradient(lambda z: reference.kl_to_gaussian(mu, z, prior_sigma), rho, 0.1))


def _reversed(mu, rho, prior_sigma):
    sigma = softplus(rho)
    return mu / sigma**2, (1 / sigma - (prior_sigma**2 + mu**2) / sigma**3) * logistic(rho)


E14 = Exercise(
    "E14", "kl_to_gaussian_backward", ("E14",), ("dmu", "drho"), _weights, reference.kl_to_gaussian_backward, (
        Wrong("s(rho) is missing in drho: that is the derivative in sigma.",
              lambda mu, rho, p: (mu / p**2, softplus(rho) / p**2 - 1 / softplus(rho))),
        Wrong("this is the gradient of KL(prior || q): the two arguments are swapped.", _reversed, 1),
        Wrong("sigma^2/(2 sigma_p^2) is missing: nothing keeps sigma from growing.",
              lambda mu, rho, p: (mu / p**2, -logistic(rho) / softplus(rho)), 21),
        Wrong("-log sigma is missing: nothing keeps sigma from zero.",
              lambda mu, rho, p: (mu / p**2, softplus(rho) / p**2 * logistic(rho))),
        Wrong("the sign of 1/sigma is wrong: log(sigma_p/sigma) falls when sigma grows.",
              lambda mu, rho, p: (mu / p**2, (softplus(rho) / p**2 + 1 / softplus(rho)) * logistic(rho))),
        Wrong("sigma_p must be squared: it is a deviation, and the formula has its variance.",
              lambda mu, rho, p: (mu / p, (softplus(rho) / p - 1 / softplus(rho)) * logistic(rho))),
        Wrong("sigma_p is forgotten: that is the gradient for a prior of deviation one.",
              lambda mu, rho, p: (mu, (softplus(rho) - 1 / softplus(rho)) * logistic(rho))),
        Wrong("2 is left in the denominator: the derivative of mu^2/2 is mu.",
              lambda mu, rho, p: (mu / (2 * p**2), (softplus(rho) / (2 * p**2) - 1 / softplus(rho)) * logistic(rho))),
        Wrong("sigma = exp(rho) here, and softplus in the KL.",
              lambda mu, rho, p: (mu / p**2, np.exp(2 * rho) / p**2 - 1), 8),
        Wrong("the KL of several weights is a sum. You took the mean over them.",
              lambda mu, rho, p: tuple(d / mu.size for d in reference.kl_to_gaussian_backward(mu, rho, p)), 3)),
    numeric=_kl_numeric)


def _inputs(rng):
    """Nine examples of three correlated inputs, the noise and the prior's deviation, twice."""
    mixing = np.array([[1, 0.8, 0], [0, 0.6, -0.7], [0, 0, 0.5]])
    return [(rng.normal(size=(9, 3)) @ mixing, noise, prior) for noise, prior in ((0.6, 1.4), (1.7, 0.8))]


def mean_field_sigma(X, noise, prior_sigma):
    """Deviations of the best diagonal Gaussian."""
    return ConjugateRegression(X, np.zeros(len(X)), noise, prior_sigma).mean_field[1]


def _root(squares, data=1.0, prior=1.0):
    """1/sqrt(data + prior), the two parts of a precision."""
    return 1 / np.sqrt(data * squares + prior)


mean_field = Exercise(
    "mean_field", "mean_field_sigma", ("E2", "E14"), ("sigma",), _inputs, mean_field_sigma, (
        Wrong("these are the deviations of the exact posterior, from the inverse of Lambda. q is narrower.",
              lambda X, noise, p: np.sqrt(np.diag(np.linalg.inv(X.T @ X / noise**2 + np.eye(X.shape[1]) / p**2)))),
        Wrong("1/Lambda_jj is the variance: its root is asked for.",
              lambda X, noise, p: mean_field_sigma(X, noise, p)**2),
        Wrong("that is the root of the precision: a large precision means a small sigma.",
              lambda X, noise, p: 1 / mean_field_sigma(X, noise, p)),
        Wrong("the prior's 1/sigma_p^2 is missing in Lambda_jj.",
              lambda X, noise, p: _root((X**2).sum(axis=0), 1 / noise**2, 0)),
        Wrong("the noise must be squared: Lambda has X^T X over a variance.",
              lambda X, noise, p: _root((X**2).sum(axis=0), 1 / noise, 1 / p**2)),
        Wrong("the prior's deviation must be squared.",
              lambda X, noise, p: _root((X**2).sum(axis=0), 1 / noise**2, 1 / p)),
        Wrong("the noise is forgotten: X^T X is divided by its variance.",
              lambda X, noise, p: _root((X**2).sum(axis=0), 1, 1 / p**2)),
        Wrong("you took the mean over the examples. Each example adds its own squares.",
              lambda X, noise, p: _root((X**2).mean(axis=0), 1 / noise**2, 1 / p**2), 19)))


def _precisions(rng):
    """A symmetric positive definite matrix of three, and of four rows."""
    return [(a.T @ a + np.eye(size),) for size in (3, 4) for a in [2 * rng.normal(size=(size + 2, size))]]


def mean_field_gap(precision):
    """KL(q* || posterior) of the best diagonal Gaussian q*."""
    return 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])


gap = Exercise(
    "gap", "mean_field_gap", ("E2",), ("gap",), _precisions, mean_field_gap, (
        Wrong("a factor 1/2 is missing: it stands before log det in the normal density.",
              lambda precision: 2 * mean_field_gap(precision)),
        Wrong("this is negative, and no divergence is. Say which of the two terms is larger.",
              lambda precision: -mean_field_gap(precision)),
        Wrong("the expectation is taken under the posterior: that is the gap of the other KL.",
              lambda precision: mean_field_gap(np.linalg.inv(precision)), 1),
        Wrong("E_q log q is missing: it has -sum of log sigma_j, with sigma_j^2 = 1/Lambda_jj.",
              lambda precision: -0.5 * np.linalg.slogdet(precision)[1]),
        Wrong("log det Lambda is missing: the posterior's density needs its constant too.",
              lambda precision: 0.5 * np.log(np.diag(precision)).sum()),
        Wrong("the logarithms are missing before the product and the determinant.",
              lambda precision: 0.5 * (np.prod(np.diag(precision)) - np.linalg.det(precision))),
        Wrong("you took the logarithm to base 2: F is in nats.",
              lambda precision: mean_field_gap(precision) / np.log(2))))


def _humps(rng):
    """A grid, and a density of two unequal humps on it, twice."""
    w = np.linspace(-8, 8, 1601)
    pairs = []
    for share in (0.3, 0.75):
        parts = [np.exp(-(w - m)**2 / (2 * s**2)) / s for m, s in zip(rng.uniform(0.5, 2, 2) * [-1, 1], (0.4, 0.6))]
        pairs.append((w, (share * parts[0] + (1 - share) * parts[1]) / np.sqrt(2 * np.pi)))
    return pairs


def covering_bell(w, density):
    """Mean and deviation of the normal density that minimises KL(p || q)."""
    share = density * (w[1] - w[0])
    mean = share @ w
    return mean, np.sqrt(share @ (w - mean)**2)


covering = Exercise(
    "covering", "covering_bell", ("E14",), ("mu", "sigma"), _humps, covering_bell, (
        Wrong("the highest point of p is where KL(q || p) would go. This KL takes the mean.",
              lambda w, p: (w[p.argmax()], covering_bell(w, p)[1])),
        Wrong("that is the variance: sigma is its root.",
              lambda w, p: (covering_bell(w, p)[0], covering_bell(w, p)[1]**2)),
        Wrong("the variance is taken about the mean. You took it about zero.",
              lambda w, p: (covering_bell(w, p)[0], np.sqrt(np.sum(p * w**2) * (w[1] - w[0])))),
        Wrong("a density is per unit of w: the sums need the distance of the grid points.",
              lambda w, p: (np.sum(p * w), np.sqrt(np.sum(p * (w - np.sum(p * w))**2)))),
        Wrong("the grid points are averaged without the density: that is the bell of the grid.",
              lambda w, p: (w.mean(), w.std())),
        Wrong("p is squared: p is the weight of each w already.",
              lambda w, p: covering_bell(w, p**2 / np.sum(p**2) / (w[1] - w[0])))))
EXERCISES = (E14, mean_field, gap, covering)
