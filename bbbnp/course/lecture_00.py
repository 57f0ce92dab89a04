"""Exercises of lecture 00: a quiz on what the course takes for granted, a first draw of weights, three slopes."""

import numpy as np

from bbbnp import reference
from bbbnp.course.exercise import Exercise, Wrong
from bbbnp.reference import logistic, softplus


def _quiz_inputs(rng):
    """X (5, 3), u (4,), a deviation, a factor and a prior probability, twice."""
    return [(rng.normal(size=(5, 3)), rng.normal(size=4), s, b, p) for s, b, p in ((0.7, -3.1, 0.37), (1.6, 0.23, 0.1))]


def _quiz(X, u, s, b, p):
    return X.mean(axis=0), 2 * logistic(2 * u), (b * s)**2, p / (p + (1 - p) / 2)


def _but(number, other):
    """The right answers, with one of the four made otherwise."""
    def answers(*case):
        right = list(_quiz(*case))
        right[number] = other(*case)
        return tuple(right)
    return answers


QUIZ = Exercise(
    "quiz", "quiz", ("E1",), ("means", "slope", "variance", "chance"), _quiz_inputs, _quiz, (
        Wrong("means is one mean, repeated: the mean of each column runs along the first axis, axis=0.",
              _but(0, lambda X, u, s, b, p: np.full(X.shape[1], X.mean()))),
        Wrong("means is the sum of each column: divide by the number of rows.",
              _but(0, lambda X, u, s, b, p: X.sum(axis=0))),
        Wrong("slope lacks the derivative of what stands in the exponent, by the chain rule.",
              _but(1, lambda X, u, s, b, p: logistic(2 * u))),
        Wrong("slope is right but for the exponent: it must be taken at 2 u, as the function is.",
              _but(1, lambda X, u, s, b, p: 2 * logistic(u))),
        Wrong("slope has exp(-2 u) where exp(2 u) belongs, or the other way round.",
              _but(1, lambda X, u, s, b, p: 2 * logistic(-2 * u))),
        Wrong("slope is the function itself, log(1 + exp(2 u)).", _but(1, lambda X, u, s, b, p: softplus(2 * u))),
        Wrong("variance: a factor leaves the variance squared.", _but(2, lambda X, u, s, b, p: b * s**2)),
        Wrong("variance is a deviation: square it.", _but(2, lambda X, u, s, b, p: abs(b) * s)),
        Wrong("variance: the deviation of e was given, and its variance is the square.",
              _but(2, lambda X, u, s, b, p: b**2 * s)),
        Wrong("variance: a constant that is added moves the mean and leaves the variance.",
              _but(2, lambda X, u, s, b, p: (b * s)**2 + 5)),
        Wrong("chance is not divided by the probability of heads, however it came about.",
              _but(3, lambda X, u, s, b, p: p)),
        Wrong("chance is that of an honest coin: you want the other one.",
              _but(3, lambda X, u, s, b, p: (1 - p) / 2 / (p + (1 - p) / 2))),
        Wrong("chance leaves out what was believed before: the two coins are not equally likely.",
              _but(3, lambda X, u, s, b, p: 2 / 3))))


def _draws(rng):
    """mu, rho and eps of six weights, twice."""
    return [(rng.normal(size=6), rng.uniform(-3, 2, 6), rng.normal(size=6)) for _ in range(2)]


FIRST_DRAW = Exercise(
    "first_draw", "first_draw", ("E4",), ("w",), _draws, reference.reparameterize, (
        Wrong("rho is not the deviation yet: sigma = log(1 + exp(rho)).", lambda mu, rho, eps: mu + rho * eps),
        Wrong("your sigma is exp(rho). In this course it is log(1 + exp(rho)), everywhere.",
              lambda mu, rho, eps: mu + np.exp(rho) * eps, 8),
        Wrong("the noise is multiplied by the variance: eps has deviation 1, so sigma eps has sigma.",
              lambda mu, rho, eps: mu + softplus(rho)**2 * eps),
        Wrong("mu is missing: this is a draw about zero.", lambda mu, rho, eps: softplus(rho) * eps),
        Wrong("there is no noise: this is the mean, not a draw.", lambda mu, rho, eps: mu + 0 * eps),
        Wrong("you added sigma and eps; sigma stretches eps.", lambda mu, rho, eps: mu + softplus(rho) + eps),
        Wrong("you subtract the noise. On average that is as good, but this eps makes another w.",
              lambda mu, rho, eps: mu - softplus(rho) * eps),
        Wrong("your sigma is s(rho) = 1/(1 + exp(-rho)), which is the slope of sigma.",
              lambda mu, rho, eps: mu + logistic(rho) * eps)))


def _slopes(rng):
    """Slopes (5,), prior (5,), data x and y (4,), noise and an input to predict at, twice."""
    slopes = np.linspace(-1, 2, 5)
    return [(slopes, prior / prior.sum(), x, 0.8 * x + noise * rng.normal(size=4), noise, new)
            for noise, new in ((0.6, 3.0), (1.4, -2.0))
            for prior, x in [(rng.uniform(0.2, 1, 5), rng.uniform(0.3, 1, 4))]]


def _posterior(power=-0.5, use_prior=True, likelihood=np.sum, normal=True, noise_power=2, spread=np.sqrt):
    """Posterior over slopes and the deviation of slope x_new, right or with a mistake put in."""
    def answer(slopes, prior, x, y, noise, x_new):
        squares = (y - slopes[:, None] * x)**2 / noise**noise_power
        weight = np.exp(power * likelihood(squares, axis=1)) * (prior if use_prior else 1)
        weight = weight / weight.sum() if normal else weight
        mean = weight @ slopes * x_new
        return weight, spread(weight @ (slopes * x_new - mean)**2)
    return answer


SLOPES = Exercise(
    "slopes", "posterior_of_slopes", ("E1",), ("posterior", "spread"), _slopes, _posterior(), (
        Wrong("the posterior does not sum to one: divide by its sum, which is the evidence.", _posterior(normal=False)),
        Wrong("the prior is missing: likelihood alone says which slope fits, not which to believe.",
              _posterior(use_prior=False)),
        Wrong("1/2 is missing in the exponent of the Gaussian.", _posterior(power=-1)),
        Wrong("the exponent has the wrong sign: the worse a slope fits, the more you believe it.",
              _posterior(power=0.5)),
        Wrong("the likelihood of the data is the product over the points, so the exponents add up; you averaged them.",
              _posterior(likelihood=np.mean), 19),
        Wrong("you divided squares by the noise once: (y - w x)/noise is squared as a whole.",
              _posterior(noise_power=1)),
        Wrong("spread is a variance: take the root.", _posterior(spread=lambda v: v)),
        Wrong("spread is that of the slopes: at x_new a prediction is slope times x_new.",
              lambda *case: (_posterior()(*case)[0], _posterior()(*case[:-1], 1.0)[1])),
        Wrong("spread weights all slopes alike: weight them by the posterior.",
              lambda *case: (_posterior()(*case)[0], np.std(case[0] * case[-1])))))
EXERCISES = (QUIZ, FIRST_DRAW, SLOPES)
