"""The free energy as an ordinary function: the code that trains, called once, for study and for outside checkers.

With the key fixed, `free_energy` and `free_energy_gradient` are deterministic functions of mu and rho; `weight_noise`
returns the noise in them, so that anyone can repeat the computation.
"""

from typing import NamedTuple

import numpy as np

from bbbnp import _check
from bbbnp.kernels import elbo, noise
from bbbnp.objective import output_width


class Key(NamedTuple):
    """What the weights' noise is a function of: a seed below 2^63 and a step below 2^32."""

    seed: int = 0
    step: int = 0


class FreeEnergy(NamedTuple):
    """Value of the free energy and its parts, averaged over the draws.

    value = temperature minibatch_weight (log_q - log_prior) - log_likelihood
    """

    value: float
    log_q: float
    log_prior: float
    log_likelihood: float


class FreeEnergyGradient(NamedTuple):
    """`FreeEnergy`, and the gradient of `value` in mu and rho, shape (P,); for learned noise also, shape (T,), in the
    deviation (`dnoise`) and in its logarithm (`dlog_noise`), which are None otherwise."""

    value: float
    log_q: float
    log_prior: float
    log_likelihood: float
    dmu: np.ndarray
    drho: np.ndarray
    dnoise: np.ndarray
    dlog_noise: np.ndarray


def _prepare(architecture, mu, rho, X, y, objective, key):
    """Checked arguments as kernels take them, without the gradient."""
    mu = np.asarray(mu)
    dtype = mu.dtype
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"mu has dtype {dtype}; it must be float32 or float64, which is then the precision of all")
    rho = np.asarray(rho, dtype)
    for name, value in (("mu", mu), ("rho", rho)):
        if value.shape != (architecture.size,):
            raise ValueError(f"{name} has shape {value.shape}; this architecture needs ({architecture.size},)")
        if not np.isfinite(value).all():
            raise ValueError(f"{name} holds NaN or infinite values")
    X = _check.matrix("X", X, dtype, columns=architecture.widths[0])
    y = np.asarray(y)
    y = _check.matrix("y", y[:, None] if y.ndim == 1 else y, dtype)
    _check.same_length(X, y)
    outputs = architecture.widths[-1]
    if objective.likelihood == "categorical":
        if y.shape[1] != 1 or (y != np.floor(y)).any() or y.min() < 0 or y.max() >= outputs:
            raise ValueError(f"y must hold class indices from 0 to {outputs - 1} for the categorical likelihood")
    elif output_width(objective.likelihood, y.shape[1]) != outputs:
        raise ValueError(f"y has {y.shape[1]} columns, for which the {objective.likelihood} likelihood needs "
                         f"{output_width(objective.likelihood, y.shape[1])} outputs; the architecture has {outputs}")
    elif objective.likelihood == "bernoulli" and not np.isin(y, (0, 1)).all():
        raise ValueError("y must hold 0 and 1 only for the bernoulli likelihood")
    parameters = elbo.Parameters(np.ascontiguousarray(mu), np.ascontiguousarray(rho),
                                 objective.log_noise(y.shape[1], dtype))
    return (parameters, architecture.network, objective.for_kernels(dtype), elbo.Batch(X, y), _checked(key),
            architecture.workspace(len(X), dtype))


def _checked(key):
    """The key as kernels take it."""
    return elbo.Key(_check.integer("seed", key.seed, least=0),
                    _check.integer("step", key.step, least=0, most=2**32 - 1))


def _value(parts, objective):
    log_q, log_prior, log_lik = parts
    return FreeEnergy(elbo.complexity(log_q, log_prior, objective.kl_weight) - log_lik, *parts)


def free_energy(architecture, mu, rho, X, y, *, objective, key=Key()):
    """Variational free energy of one minibatch, at noise fixed by the key (E2; paper, equations 2 and 8).

    Parameters
    ----------
    architecture : Architecture
    mu, rho : ndarray, shape (P,)
        Posterior means, and deviations before softplus; the dtype of `mu`, float32 or float64, is the precision.
    X : array_like, shape (B, D)
    y : array_like, shape (B,) or (B, T)
        Targets; class indices for the categorical likelihood.
    objective : Objective
    key : Key

    Returns
    -------
    FreeEnergy
        value and its parts log_q, log_prior, log_likelihood, in nats.

    Raises
    ------
    ValueError
        For shapes that do not fit, values that are not finite, or targets that the likelihood does not have.
    """
    parameters, network, objective_, batch, key_, ws = _prepare(architecture, mu, rho, X, y, objective, key)
    return _value(elbo.free_energy(parameters, network, objective_, batch, key_, ws), objective)


def free_energy_gradient(architecture, mu, rho, X, y, *, objective, key=Key()):
    """`free_energy` with its gradient, by the code that trains (E12, E13; paper, equations 3 and 4).

    Parameters are those of `free_energy`, and so is what is raised.

    Returns
    -------
    FreeEnergyGradient
        The four numbers, dmu and drho, and for learned noise dnoise and dlog_noise.
    """
    parameters, network, objective_, batch, key_, ws = _prepare(architecture, mu, rho, X, y, objective, key)
    gradient = elbo.Parameters(*(np.zeros_like(array) for array in parameters))
    parts = elbo.free_energy_gradient(
        gradient, parameters, network, objective_, batch, key_, objective.kl_weight, ws)
    dnoise = dlog_noise = None
    if objective.likelihood == "gaussian_learned":
        dlog_noise = gradient.log_noise
        dnoise = dlog_noise / np.exp(parameters.log_noise)
    return FreeEnergyGradient(*_value(parts, objective), gradient.mu, gradient.rho, dnoise, dlog_noise)


def weight_noise(key, draw, size):
    """The standard normals eps that `free_energy` puts into w = mu + sigma*eps (E4).

    Parameters
    ----------
    key : Key
    draw : int
        Which of the objective's draws, from 0.
    size : int
        Number P of weights.

    Returns
    -------
    ndarray of float32, shape (size,)
    """
    eps = np.empty(_check.integer("size", size, least=1), np.float32)
    seed, step = _checked(key)
    noise.normals(eps, seed, noise.WEIGHTS, step, _check.integer("draw", draw, least=0, most=2**32 - 1))
    return eps
