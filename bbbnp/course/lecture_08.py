"""Exercises of lecture 08: the gradient of Gaussian noise, the law of total variance, coverage of a mixture."""

import numpy as np
from scipy.special import ndtr, ndtri

from bbbnp import reference
from bbbnp.course.exercise import Exercise, Wrong
from bbbnp.gradcheck import numerical_gradient

STEP = 0.02


def _targets(rng):
    """f and y of six examples, and the logarithm of one deviation for all, twice."""
    return [(rng.normal(size=6), 2 * rng.normal(size=6), log_noise) for log_noise in (0.4, -0.7)]


def _noise_backward(f, y, log_noise):
    df, dlog_noise = reference.log_likelihood_backward("gaussian", f[:, None], y[:, None], np.array([log_noise]))
    return df[:, 0], dlog_noise[0]


def _noise_numeric(f, y, log_noise):
    def loss(z):
        return -reference.log_likelihood("gaussian", z[:-1, None], y[:, None], z[-1:])
    gradient = numerical_gradient(loss, np.append(f, log_noise), STEP)
    return gradient[:-1], gradient[-1]


def _scaled(df=1.0, dlog_noise=1.0):
    """The right gradient, times factors that may depend on tau and on the number of examples."""
    def backward(f, y, log_noise):
        factors = (part(np.exp(log_noise), len(y)) if callable(part) else part for part in (df, dlog_noise))
        return tuple(factor * g for factor, g in zip(factors, _noise_backward(f, y, log_noise)))
    return backward


def _squares(f, y, log_noise):
    return ((y - f) / np.exp(log_noise))**2


E8 = Exercise(
    "E8", "noise_backward", ("E8",), ("df", "dlog_noise"), _targets, _noise_backward, (
        Wrong("you forgot to divide by tau^2: that is the squared error, whose noise is 1.",
              _scaled(df=lambda tau, _: tau**2)),
        Wrong("df has tau once below the line: the square of y - f brings two.", _scaled(df=lambda tau, _: tau)),
        Wrong("df points away from y: the loss must fall when f comes nearer to the target.", _scaled(df=-1.0)),
        Wrong("that is the derivative in tau. In log tau it takes one factor tau more.",
              _scaled(dlog_noise=lambda tau, _: 1 / tau)),
        Wrong("the 1 is missing, which is the slope of log tau: without it the noise grows for ever.",
              lambda f, y, a: (_noise_backward(f, y, a)[0], -_squares(f, y, a).sum())),
        Wrong("the 1 stands there once for each example, not once in all.",
              lambda f, y, a: (_noise_backward(f, y, a)[0], 1 - _squares(f, y, a).sum())),
        Wrong("dlog_noise is the mean over the examples: they share one tau, so their gradients add up.",
              _scaled(dlog_noise=lambda _, n: 1 / n)),
        Wrong("both are averaged over the examples. Against a KL that is not, this is noise sqrt(N) times too large.",
              _scaled(lambda _, n: 1 / n, lambda _, n: 1 / n), 19),
        Wrong("log_noise is the logarithm of the deviation, and you took it for that of the variance.",
              lambda f, y, a: (-(y - f) * np.exp(-a), np.sum(1 - (y - f)**2 * np.exp(-a)) / 2))),
    numeric=_noise_numeric)


def _moments(rng):
    """f and tau^2 of seven draws at five inputs, twice."""
    return [(rng.normal(size=(7, 5)) + 2, rng.uniform(0.1, 2, (7, 5))) for _ in range(2)]


def _instead(mean=None, aleatoric=None, epistemic=None):
    """The right moments with one or more of the three made otherwise."""
    def moments(f, variance):
        right = reference.predictive_moments(f, variance)
        return tuple(value if other is None else other(f, variance)
                     for value, other in zip(right, (mean, aleatoric, epistemic)))
    return moments


E18 = Exercise(
    "E18", "total_variance", ("E18",), ("mean", "aleatoric", "epistemic"), _moments, reference.predictive_moments, (
        Wrong("you averaged deviations and squared after: the aleatoric part is the mean of tau^2.",
              _instead(aleatoric=lambda f, v: np.sqrt(v).mean(axis=0)**2)),
        Wrong("aleatoric is how much tau^2 varies over the draws; it must be how large it is on average.",
              _instead(aleatoric=lambda f, v: v.var(axis=0))),
        Wrong("epistemic is the mean of f^2: subtract the square of the mean.",
              _instead(epistemic=lambda f, v: (f**2).mean(axis=0))),
        Wrong("you divided by S - 1. The prediction is the mixture of these S draws itself, so divide by S.",
              _instead(epistemic=lambda f, v: f.var(axis=0, ddof=1))),
        Wrong("epistemic is a deviation. Variances add up, deviations do not.",
              _instead(epistemic=lambda f, v: f.std(axis=0))),
        Wrong("aleatoric and epistemic are swapped.",
              _instead(None, lambda f, v: f.var(axis=0), lambda f, v: v.mean(axis=0))),
        Wrong("epistemic is the whole variance: the noise is in the other part already.",
              _instead(epistemic=lambda f, v: f.var(axis=0) + v.mean(axis=0))),
        Wrong("all draws are the first: nothing is left that could disagree, and the doubt about the weights is zero.",
              _instead(lambda f, v: f[0], lambda f, v: v[0], lambda f, v: 0 * f[0]), 16)))


def _mixtures(rng):
    """Means and deviations of nine draws at 400 inputs, targets that are wider, and three levels.

    The draws are skewed, so that their mixture is no bell curve.
    """
    return [(rng.exponential(1.5, (9, 400)), rng.uniform(0.3, 1.2, (9, 400)), 1 + 2 * rng.normal(size=400), level)
            for level in (0.5, 0.8, 0.95)]


def _between(below, level):
    return np.mean((below >= (1 - level) / 2) & (below <= (1 + level) / 2))


def _coverage(f, deviation, y, level):
    return _between(ndtr((y - f) / deviation).mean(axis=0), level)


def _of_means(f, deviation, y, level):
    low, high = np.quantile(f, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.mean((low <= y) & (y <= high))


def _one_bell(f, deviation, y, level):
    total = f.var(axis=0) + (deviation**2).mean(axis=0)
    return np.mean(np.abs(y - f.mean(axis=0)) <= ndtri((1 + level) / 2) * np.sqrt(total))


E21 = Exercise(
    "E21_mixture", "mixture_coverage", ("E18", "E21"), ("coverage",), _mixtures, _coverage, (
        Wrong("the interval is that of the first draw: what the draws disagree about is not in it.",
              lambda f, s, y, level: _between(ndtr((y - f[0]) / s[0]), level), 17),
        Wrong("the interval holds the draws' means, and the noise of the target is left out.", _of_means),
        Wrong("you averaged the draws first: one bell of the mean noise, without the doubt about the weights.",
              lambda f, s, y, level: _between(ndtr((y - f.mean(axis=0)) / s.mean(axis=0)), level)),
        Wrong("you counted each draw's own interval and averaged the counts: the mixture has one interval.",
              lambda f, s, y, level: np.mean(np.abs(y - f) <= ndtri((1 + level) / 2) * s)),
        Wrong("mean plus and minus some deviations is the interval of one bell, and a mixture need not be one.",
              _one_bell),
        Wrong("the interval must leave out (1 - level)/2 at each end; yours has only an upper end.",
              lambda f, s, y, level: np.mean(ndtr((y - f) / s).mean(axis=0) <= level)),
        Wrong("you cut 1 - level off at both ends: half of it belongs to each.",
              lambda f, s, y, level: np.mean(np.abs(ndtr((y - f) / s).mean(axis=0) - 0.5) <= level - 0.5)),
        Wrong("that is the part outside: count the targets that are in the interval.",
              lambda *case: 1 - _coverage(*case))))
EXERCISES = (E8, E18, E21)
