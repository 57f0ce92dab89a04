"""Exercises of lecture 02: completing the square, the posterior of a line, the predictive variance, the evidence."""

import numpy as np

from bbbnp.course.exercise import Exercise, Wrong
from bbbnp.exact import ConjugateRegression


def _quadratics(rng):
    """A symmetric positive definite A and a vector b, of two sizes."""
    return [(a.T @ a + np.eye(size), rng.normal(size=size)) for size in (2, 4) for a in [rng.normal(size=(5, size))]]


def complete_square(A, b):
    """m and c of w^T A w - 2 b^T w = (w - m)^T A (w - m) + c."""
    m = np.linalg.solve(A, b)
    return m, -b @ m


square = Exercise(
    "square", "complete_square", ("E1",), ("m", "c"), _quadratics, complete_square, (
        Wrong("c has the wrong sign: (w - m)^T A (w - m) has brought m^T A m in, and c takes it out.",
              lambda A, b: (np.linalg.solve(A, b), b @ np.linalg.solve(A, b))),
        Wrong("m is half of what it must be: the 2 of -2 b^T w is used up by the two equal cross terms.",
              lambda A, b: (np.linalg.solve(A, b) / 2, -b @ np.linalg.solve(A, b) / 4)),
        Wrong("m is twice what it must be: compare -2 w^T A m with -2 w^T b.",
              lambda A, b: (2 * np.linalg.solve(A, b), -4 * b @ np.linalg.solve(A, b))),
        Wrong("c is -m^T m: the matrix is missing between the two.",
              lambda A, b: (np.linalg.solve(A, b), -np.sum(np.linalg.solve(A, b)**2))),
        Wrong("you divided by the diagonal of A only: it is a system of equations.",
              lambda A, b: (b / np.diag(A), -b @ (b / np.diag(A)))),
        Wrong("m = A b: the equation is A m = b.", lambda A, b: (A @ b, -b @ A @ b)),
        Wrong("c is zero here only if b is: nothing was taken out again.",
              lambda A, b: (np.linalg.solve(A, b), 0.0))))


def _lines(rng):
    """Inputs with a column of ones, targets, noise and the prior's deviation, twice."""
    return [(np.column_stack([rng.normal(size=8) + 1, np.ones(8)]), rng.normal(size=8), noise, prior)
            for noise, prior in ((0.6, 1.5), (1.4, 0.7))]


def line_posterior(X, y, noise, prior_sigma):
    """Mean and covariance of the weights."""
    model = ConjugateRegression(X, y, noise, prior_sigma)
    return model.mean, np.linalg.inv(model.precision)


def _posterior(data=lambda X, noise: X.T @ X / noise**2, prior=lambda p: 1 / p**2, right=lambda noise: 1 / noise**2):
    """Mean and covariance with other terms of the precision, or of Lambda m."""
    def answer(X, y, noise, prior_sigma):
        precision = data(X, noise) + prior(prior_sigma) * np.eye(X.shape[1])
        return np.linalg.solve(precision, X.T @ y * right(noise)), np.linalg.inv(precision)
    return answer


def _ridge_upside_down(X, y, noise, prior_sigma):
    inner = X.T @ X + prior_sigma**2 / noise**2 * np.eye(X.shape[1])
    return np.linalg.solve(inner, X.T @ y), noise**2 * np.linalg.inv(inner)


posterior = Exercise(
    "posterior", "line_posterior", ("E1",), ("mean", "covariance"), _lines, line_posterior, (
        Wrong("that is least squares: the prior adds I/sigma_p^2 to the precision.", _posterior(prior=lambda p: 0)),
        Wrong("that is the precision: the covariance is its inverse.",
              lambda *case: (line_posterior(*case)[0], np.linalg.inv(line_posterior(*case)[1]))),
        Wrong("the noise must be squared: a likelihood is divided by its variance.",
              _posterior(data=lambda X, noise: X.T @ X / noise, right=lambda noise: 1 / noise)),
        Wrong("1/sigma_p is not the prior's precision: square its deviation.", _posterior(prior=lambda p: 1 / p)),
        Wrong("X^T y must be divided by the noise's variance too.", _posterior(right=lambda noise: 1)),
        Wrong("the penalty of ridge is upside down: it is large when the noise is.", _ridge_upside_down),
        Wrong("inv(X^T X + alpha I) is not a covariance yet: it lacks the factor noise^2.",
              lambda X, y, noise, p: (line_posterior(X, y, noise, p)[0],
                                      line_posterior(X, y, noise, p)[1] / noise**2)),
        Wrong("you took the mean over the examples: each example adds its own precision.",
              lambda X, y, noise, p: line_posterior(X / np.sqrt(len(X)), y / np.sqrt(len(X)), noise, p), 19)))


def _predictions(rng):
    """Rows x of three inputs, a precision matrix, and the noise, twice."""
    return [(rng.normal(size=(5, 3)), a.T @ a + np.eye(3), noise) for noise in (0.5, 1.6)
            for a in [rng.normal(size=(6, 3))]]


def predictive_variance(x, precision, noise):
    """Variance of the target at each row of x."""
    return np.sum(x * np.linalg.solve(precision, x.T).T, axis=1) + noise**2


predictive = Exercise(
    "predictive", "predictive_variance", ("E18",), ("variance",), _predictions, predictive_variance, (
        Wrong("the noise is missing: that is the variance of the line, and a target scatters about it.",
              lambda x, precision, noise: predictive_variance(x, precision, 0.0)),
        Wrong("that is the noise alone: the doubt about the weights is missing.",
              lambda x, precision, noise: np.full(len(x), noise**2), 17),
        Wrong("that is the deviation: the variance is its square.",
              lambda x, precision, noise: np.sqrt(predictive_variance(x, precision, noise))),
        Wrong("deviations were added. Variances of independent terms add.",
              lambda x, precision, noise: (np.sqrt(predictive_variance(x, precision, 0.0)) + noise)**2),
        Wrong("x^T Lambda x grows with more data: the covariance is the inverse.",
              lambda x, precision, noise: np.sum(x * (x @ precision), axis=1) + noise**2),
        Wrong("the weights are correlated: you took the diagonal of the covariance only.",
              lambda x, precision, noise: x**2 @ np.diag(np.linalg.inv(precision)) + noise**2),
        Wrong("1/Lambda_jj are the variances of the mean field (lecture 03), not those of the posterior.",
              lambda x, precision, noise: x**2 @ (1 / np.diag(precision)) + noise**2),
        Wrong("the noise is a deviation: its square is added.",
              lambda x, precision, noise: predictive_variance(x, precision, np.sqrt(noise)))))


def log_evidence(X, y, noise, prior_sigma):
    """log P(D) of a linear regression."""
    return ConjugateRegression(X, y, noise, prior_sigma).log_evidence


def _evidence(determinant=1.0, constant=1.0, noise_power=2, prior_power=2):
    """Factors on two terms, and powers of the deviations in the covariance of y."""
    def answer(X, y, noise, prior_sigma):
        C = noise**noise_power * np.eye(len(y)) + prior_sigma**prior_power * X @ X.T
        return -0.5 * (y @ np.linalg.solve(C, y) + determinant * np.linalg.slogdet(C)[1]
                       + constant * len(y) * np.log(2 * np.pi))
    return answer


def _at_the_mean(X, y, noise, prior_sigma):
    residual = y - X @ line_posterior(X, y, noise, prior_sigma)[0]
    return -np.sum(residual**2) / (2 * noise**2) - len(y) / 2 * np.log(2 * np.pi * noise**2)


evidence = Exercise(
    "evidence", "log_evidence", ("E1",), ("log P(D)",), _lines, log_evidence, (
        Wrong("log det C is missing: without it the widest prior always wins.", _evidence(determinant=0)),
        Wrong("log det C needs the factor 1/2, as the square does.", _evidence(determinant=2)),
        Wrong("N log(2 pi)/2 is missing: a density needs its constant.", _evidence(constant=0)),
        Wrong("the constant is there once for each of the N targets.",
              lambda X, y, noise, p: _evidence(constant=1 / len(y))(X, y, noise, p)),
        Wrong("the noise must be squared in the covariance.", _evidence(noise_power=1)),
        Wrong("the prior's deviation must be squared in the covariance.", _evidence(prior_power=1)),
        Wrong("that is the likelihood at the mean weights. The evidence averages over the prior.", _at_the_mean),
        Wrong("the sign is wrong: that is -log P(D).", lambda *case: -log_evidence(*case))))
EXERCISES = (square, posterior, predictive, evidence)
