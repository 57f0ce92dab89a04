"""Exercises of lecture 04: softplus and its log-slope for every rho, the chain rule through a draw, the score."""

import numpy as np

from bbbnp import reference
from bbbnp.course.exercise import Exercise, Wrong
from bbbnp.gradcheck import numerical_gradient
from bbbnp.kernels import posterior
from bbbnp.reference import logistic


def _everywhere(rng):
    """rho of ordinary size, and far out on both sides, each by itself."""
    return [(rng.uniform(-3, 3, 5),), *((np.array([rho]),) for rho in (-800.0, -40.0, 40.0, 800.0))]


def _each(kernel):
    return lambda rho: np.array([kernel(value) for value in rho])


E3 = Exercise(
    "E3", "softplus", ("E3",), ("sigma",), _everywhere, _each(posterior.softplus), (
        Wrong("log(1 + exp(rho)) overflows at rho = 800 and is zero at -40: both ends need another form.",
              lambda rho: np.log(1 + np.exp(rho)), 24),
        Wrong("log1p saves small rho, but exp(800) is still infinite: take max(rho, 0) out first.",
              lambda rho: np.log1p(np.exp(rho))),
        Wrong("1 + exp(-40) is 1 in floating point: log(1 + x) loses a small x, and log1p(x) keeps it.",
              lambda rho: np.maximum(rho, 0) + np.log(1 + np.exp(-np.abs(rho)))),
        Wrong("exp(rho) is another map to positive numbers, close to this one for very negative rho only.",
              np.exp, 8),
        Wrong("log(1 + exp(-|rho|)) is half of it: for positive rho, rho itself is missing.",
              lambda rho: np.log1p(np.exp(-np.abs(rho)))),
        Wrong("max(rho, 0) is the limit far out; in between the corner is rounded off.",
              lambda rho: np.maximum(rho, 0))))

slope = Exercise(
    "slope", "log_softplus_backward", ("E3",), ("r",), _everywhere, _each(posterior.log_softplus_backward), (
        Wrong("the quotient s(rho)/sigma is 0/0 at rho = -800: cancel exp(rho) from it first.",
              lambda rho: logistic(rho) / reference.softplus(rho), 24),
        Wrong("the quotient is 0/0 at rho = -800, even with a stable softplus below it.",
              lambda rho: logistic(rho) / np.logaddexp(0, rho)),
        Wrong("this is d sigma/d rho. The logarithm has the slope 1/sigma on top.", logistic),
        Wrong("1/sigma is the slope of log sigma in sigma; rho needs the factor s(rho).",
              lambda rho: 1 / np.logaddexp(0, rho)),
        Wrong("that is the slope of log sigma for sigma = exp(rho).", np.ones_like, 8)))


def _draws(rng):
    return [tuple(rng.normal(size=(3, 6))) for _ in range(2)]


def _chain_numeric(dw, rho, eps):
    return (numerical_gradient(lambda mu: dw @ reference.reparameterize(mu, rho, eps), np.zeros_like(rho), 0.1),
            numerical_gradient(lambda r: dw @ reference.reparameterize(0, r, eps), rho, 0.1))


E4 = Exercise(
    "E4", "reparameterize_backward", ("E4",), ("dmu", "drho"), _draws, reference.reparameterize_backward, (
        Wrong("s(rho) is missing: dw eps is the gradient in sigma, and rho is one step further.",
              lambda dw, rho, eps: (dw, dw * eps)),
        Wrong("eps is missing: a larger sigma moves w by eps, not by one.",
              lambda dw, rho, eps: (dw, dw * logistic(rho))),
        Wrong("exp(rho) is not the slope of softplus.", lambda dw, rho, eps: (dw, dw * eps * np.exp(rho)), 8),
        Wrong("s(-rho) is what is left of one: the slope rises with rho.",
              lambda dw, rho, eps: (dw, dw * eps * logistic(-rho))),
        Wrong("that is the slope of log sigma: w holds sigma itself.",
              lambda dw, rho, eps: (dw, dw * eps * logistic(rho) / reference.softplus(rho))),
        Wrong("sigma eps is how far w is from mu, not how w moves with rho.",
              lambda dw, rho, eps: (dw, dw * eps * reference.softplus(rho))),
        Wrong("the noise in backward is not that of forward.",
              lambda dw, rho, eps: (dw, dw * eps[::-1] * logistic(rho)), 6),
        Wrong("dmu has no eps: mu moves w one to one.",
              lambda dw, rho, eps: (dw * eps, dw * eps * logistic(rho)))),
    numeric=_chain_numeric)


def _scores(rng):
    """Values of f at 50 draws, sigma, and the draws' noise."""
    return [(rng.normal(size=50) + 2, sigma, rng.normal(size=50)) for sigma in (0.5, 1.7)]


def score_gradient(f, sigma, eps):
    """Averages of f d log q/dmu and f d log q/dsigma."""
    return np.mean(f * eps / sigma), np.mean(f * (eps**2 - 1) / sigma)


score = Exercise(
    "score", "score_gradient", ("E4", "E5"), ("dmu", "dsigma"), _scores, score_gradient, (
        Wrong("1/sigma is missing: (w - mu)/sigma^2 is eps/sigma.",
              lambda f, sigma, eps: (np.mean(f * eps), np.mean(f * (eps**2 - 1)))),
        Wrong("eps/sigma^2 has one sigma too many: w - mu is sigma eps already.",
              lambda f, sigma, eps: (np.mean(f * eps) / sigma**2, np.mean(f * (eps**2 - 1)) / sigma**2)),
        Wrong("the -1 is missing: -log sigma stands in log q too.",
              lambda f, sigma, eps: (np.mean(f * eps / sigma), np.mean(f * eps**2 / sigma))),
        Wrong("an estimate is the mean over the draws, not their sum.",
              lambda f, sigma, eps: (np.sum(f * eps / sigma), np.sum(f * (eps**2 - 1) / sigma))),
        Wrong("average the products: the product of the averages forgets how f and eps go together.",
              lambda f, sigma, eps: (f.mean() * np.mean(eps) / sigma, f.mean() * np.mean(eps**2 - 1) / sigma))))
EXERCISES = (E3, slope, E4, score)
