"""Exercises of lecture 06: log q, the paper's gradients, the short form, Adam."""

import numpy as np

from bbbnp import reference
from bbbnp.course.exercise import Exercise, Wrong
from bbbnp.gradcheck import numerical_gradient
from bbbnp.reference import logistic, softplus

STEP = 0.02


def _draws(rng):
    """rho and eps of seven weights, twice."""
    return [(rng.uniform(-3, 2, 7), rng.normal(size=7)) for _ in range(2)]


def _gradients(rng):
    """g, rho, eps and kl_weight, twice."""
    return [(3 * rng.normal(size=7), rho, eps, kl) for (rho, eps), kl in zip(_draws(rng), (1.0, 0.3))]


def _log_q(w, mu, rho):
    sigma = softplus(rho)
    return -np.sum(np.log(sigma) + (w - mu)**2 / (2 * sigma**2))


def _log_q_numeric(rho, eps):
    """log q is a function of w, mu and rho, each moved alone."""
    mu = np.zeros_like(rho)
    w = mu + softplus(rho) * eps
    return (numerical_gradient(lambda z: _log_q(z, mu, rho), w, STEP),
            numerical_gradient(lambda z: _log_q(w, z, rho), mu, STEP),
            numerical_gradient(lambda z: _log_q(w, mu, z), rho, STEP))


def _free_energy_numeric(g, rho, eps, kl_weight):
    """Of a free energy whose part without log q is g w, a straight line."""
    def value(z):
        mu, r = np.split(z, 2)
        w = mu + softplus(r) * eps
        return g @ w + kl_weight * _log_q(w, mu, r)
    return np.split(numerical_gradient(value, np.concatenate([np.zeros_like(rho), rho]), STEP), 2)


E5 = Exercise(
    "E5", "log_posterior_backward", ("E5",), ("d log q/dw", "d log q/dmu", "d log q/drho"), _draws,
    reference.log_posterior_backward, (
        Wrong("you forgot the factor s(rho): the last is the derivative in sigma, not yet in rho.",
              lambda rho, eps: (-eps / softplus(rho), eps / softplus(rho), (eps**2 - 1) / softplus(rho))),
        Wrong("you forgot the -1 of -log sigma: sigma stands in front of the exponential too.",
              lambda rho, eps: (-eps / softplus(rho), eps / softplus(rho), eps**2 * logistic(rho) / softplus(rho))),
        Wrong("you divided by sigma^2: (w - mu)/sigma^2 is eps/sigma, since w - mu = sigma eps.",
              lambda rho, eps: (-eps / softplus(rho)**2, eps / softplus(rho)**2,
                                (eps**2 - 1) * logistic(rho) / softplus(rho))),
        Wrong("d/dw and d/dmu are swapped: log q grows when w comes nearer to mu, and when mu comes nearer to w.",
              lambda rho, eps: (eps / softplus(rho), -eps / softplus(rho),
                                (eps**2 - 1) * logistic(rho) / softplus(rho))),
        Wrong("you took sigma = exp(rho) here and softplus elsewhere.",
              lambda rho, eps: (-eps / np.exp(rho), eps / np.exp(rho), eps**2 - 1), 8),
        Wrong("with eps held, log q moves only through log sigma. Here w is held, so eps moves too.",
              lambda rho, eps: (-eps / softplus(rho), eps / softplus(rho), -logistic(rho) / softplus(rho)))),
    numeric=_log_q_numeric)


def _paper(q_w=1, q_mu=1, q_rho=1, slope=logistic):
    """The paper's gradient with factors on the three derivatives of log q."""
    def gradient(g, rho, eps, kl_weight):
        a, b, c = reference.log_posterior_backward(rho, eps)
        df_dw = g + q_w * kl_weight * a
        return df_dw + q_mu * kl_weight * b, df_dw * eps * slope(rho) + q_rho * kl_weight * c
    return gradient


E12 = Exercise(
    "E12", "paper_gradient", ("E12",), ("dmu", "drho"), _gradients, reference.paper_gradient, (
        Wrong("you forgot that log q depends on w: df/dw needs its term -eps/sigma too.", _paper(q_w=0)),
        Wrong("you forgot the direct derivative in mu: mu stands in log q as well as in w.", _paper(q_mu=0)),
        Wrong("you forgot the direct derivative in rho: rho stands in log q as well as in w.", _paper(q_rho=0)),
        Wrong("both direct derivatives are missing: that is the path derivative, right on average only.",
              _paper(q_mu=0, q_rho=0)),
        Wrong("log q has no weight: its three derivatives take the factor kl_weight.",
              lambda g, rho, eps, kl_weight: _paper()(g, rho, eps, 1.0)),
        Wrong("you forgot dw/drho = eps s(rho): the factor 1/(1 + exp(-rho)) is missing.",
              _paper(slope=np.ones_like)),
        Wrong("1/(1 + exp(rho)) is s(-rho): the sign of rho is wrong.", _paper(slope=lambda rho: logistic(-rho))),
        Wrong("without log q nothing keeps sigma from zero: this is the gradient of an ordinary loss with noise.",
              _paper(0, 0, 0), 13)),
    numeric=_free_energy_numeric)

E13 = Exercise(
    "E13", "short_gradient", ("E13",), ("dmu", "drho"), _gradients, reference.short_gradient, (
        Wrong("you forgot the factor s(rho): that is the gradient in sigma.",
              lambda g, rho, eps, kl: (g, eps * g - kl / softplus(rho))),
        Wrong("you forgot -kl_weight/sigma, what is left of log q. Without it sigma only shrinks.",
              lambda g, rho, eps, kl: (g, eps * g * logistic(rho)), 13),
        Wrong("the sign of kl_weight/sigma is wrong: log q falls when sigma grows, and F with it.",
              lambda g, rho, eps, kl: (g, (eps * g + kl / softplus(rho)) * logistic(rho))),
        Wrong("kl_weight is missing before 1/sigma.",
              lambda g, rho, eps, kl: (g, (eps * g - 1 / softplus(rho)) * logistic(rho))),
        Wrong("you forgot eps: w moves by eps when sigma moves by one.",
              lambda g, rho, eps, kl: (g, (g - kl / softplus(rho)) * logistic(rho))),
        Wrong("kl_weight multiplies the data too: only log q and log P(w) carry it.",
              lambda g, rho, eps, kl: (kl * g, kl * (eps * g - 1 / softplus(rho)) * logistic(rho)), 3),
        Wrong("dmu still has -eps/sigma: log q's derivatives in w and in mu cancel.",
              lambda g, rho, eps, kl: (g - kl * eps / softplus(rho), (eps * g - kl / softplus(rho)) * logistic(rho))),
        Wrong("this eps is not the one that made w: forward and backward must use the same noise.",
              lambda g, rho, eps, kl: (g, (eps[::-1] * g - kl / softplus(rho)) * logistic(rho)), 6),
        Wrong("you took sigma = exp(rho), whose derivative is sigma itself.",
              lambda g, rho, eps, kl: (g, np.exp(rho) * eps * g - kl), 8)),
    numeric=_free_energy_numeric)


def _adam_inputs(rng):
    """x, dx, m, v, rate and the step t, of the first step and of a later one."""
    return [(rng.normal(size=5), rng.normal(size=5), m * rng.normal(size=5), m * rng.uniform(0.1, 1, 5), 0.01, t)
            for m, t in ((0, 0), (1, 6))]


def _adam(x, dx, m, v, rate, t):
    return reference.update(x, dx, m, v, "adam", rate, t)


def _adam_wrong(power=1, correct=True, squared=True, epsilon=1e-8, inside=False):
    def step(x, dx, m, v, rate, t):
        m, v = 0.9 * m + 0.1 * dx, 0.999 * v + 0.001 * (dx**2 if squared else dx)
        c1, c2 = (1 - 0.9**(t + power), 1 - 0.999**(t + power)) if correct else (1, 1)
        root = np.sqrt(v / c2)
        return x - rate * m / c1 / ((root + epsilon) if not inside else 1), m, v
    return step


E17 = Exercise(
    "E17", "adam", ("E17",), ("x", "m", "v"), _adam_inputs, _adam, (
        Wrong("the bias corrections 1 - beta^(t + 1) are missing: the first steps have the wrong length.",
              _adam_wrong(correct=False)),
        Wrong("v is the mean of dx^2, not of dx.", _adam_wrong(squared=False)),
        Wrong("m is not divided by sqrt(v): that is momentum.", _adam_wrong(inside=True)),
        Wrong("the step goes uphill: x - rate ..., not x + rate ....",
              lambda x, dx, m, v, rate, t: (2 * x - _adam(x, dx, m, v, rate, t)[0], *_adam(x, dx, m, v, rate, t)[1:]))))
EXERCISES = (E5, E12, E13, E17)
