"""The free energy as an ordinary function: the code that trains, called once, for study and for outside checkers.

With the key fixed, `free_energy` and `free_energy_gradient` are deterministic functions of mu and rho; `weight_noise`
and `unit_noise` return the noise in them, so that anyone can repeat the computation.
"""

from typing import NamedTuple

import numpy as np

from bbbnp import _check, threads, training
from bbbnp.kernels import elbo, fused, hotloop, noise, optimizer
from bbbnp.kernels.draw import Draw, unit_normals, unit_signs
from bbbnp.objective import PLACEMENTS, output_width

NO_OPTIMIZER = optimizer.Optimizer(optimizer.SGD, 0.0, optimizer.CONSTANT, 1.0, 0.0, 0.0, 0.0)


class Key(NamedTuple):
    """What the weights' noise is a function of: a seed below 2^63 and a step below 2^32."""

    seed: int = 0
    step: int = 0


class FreeEnergy(NamedTuple):
    """Value of the free energy and its parts, averaged over the draws.

    value = temperature minibatch_weight (log_q - log_prior) - log_likelihood

    With kl="closed" there is no draw to take the two densities at: log_q is the whole KL, and log_prior zero.
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


def _checked_arrays(architecture, mu, rho, X, y, objective):
    """[mu, rho], X, y and log_noise in the precision of `mu`, or a ValueError."""
    mu = np.asarray(mu)
    dtype = mu.dtype
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"mu has dtype {dtype}; it must be float32 or float64, which is then the precision of all")
    rho = np.asarray(rho, dtype)
    for name, value in (("mu", mu), ("rho", rho)):
        if value.shape != (architecture.size,):
            raise ValueError(f"{name} has shape {value.shape}; this architecture needs ({architecture.size},)")
        if not np.isfinite(value[~np.isneginf(value)] if name == "rho" else value).all():
            raise ValueError(f"{name} holds NaN or infinite values")
    _check.pruned(mu, rho)
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
    return np.concatenate([mu, rho]), X, y, objective.log_noise(y.shape[1], dtype)


def _run(mode, architecture, arrays, objective, key, pieces, number):
    """One pass of the hot loop on so many threads: FreeEnergy, dtheta, dlog_noise and log_noise."""
    theta, X, y, log_noise = _checked_arrays(architecture, *arrays, objective)
    dtype, rows = theta.dtype, len(X)
    ws = architecture.workspace(
        rows, dtype, targets=len(log_noise), weight_noise=objective.scratch, **pieces or {})
    theta = np.concatenate([theta, log_noise])
    none = np.zeros(0, dtype)
    dtheta, dlog_noise = training.gradient_scratch(
        theta, architecture.size, len(log_noise), whole=mode == hotloop.RECORD)
    plan = hotloop.Plan(rows, elbo.UNIFORM, float(objective.kl_weight), False, 0, mode)
    data = hotloop.Data(X, y, np.arange(rows), X[:0], y[:0])
    _, *parts = threads.train(
        1, np.zeros((1, 2)), fused.State(theta, none, none, none, dtheta, dlog_noise, none), architecture.network,
        objective.prior.components(dtype), objective.kernels_for(theta), NO_OPTIMIZER, data, plan,
        hotloop.Cursor(*_checked(key), 0, 0), ws, threads=number)
    value = elbo.complexity(*parts[:2], objective.kl_weight) - parts[2]
    return FreeEnergy(value, *parts), dtheta, dlog_noise, log_noise


def _checked(key):
    """The key as kernels take it."""
    return elbo.Key(_check.integer("seed", key.seed, least=0),
                    _check.integer("step", key.step, least=0, most=2**32 - 1))


def free_energy(architecture, mu, rho, X, y, *, objective, key=Key(), pieces=None, threads=None):
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
    pieces : dict, optional
        `tile`, `block`, `columns`, `unit` of `Architecture.workspace`: where a step is cut: it changes rounding only.
    threads : int, optional
        1 runs the serial build, more the parallel one; left out, as in training. The bits are the same.

    Returns
    -------
    FreeEnergy
        value and its parts log_q, log_prior, log_likelihood, in nats.

    Raises
    ------
    ValueError
        For shapes that do not fit, values that are not finite, or targets that the likelihood does not have.
    """
    return _run(hotloop.VALUE, architecture, (mu, rho, X, y), objective, key, pieces, threads)[0]


def free_energy_gradient(architecture, mu, rho, X, y, *, objective, key=Key(), pieces=None, threads=None):
    """`free_energy` with its gradient, by the code that trains (E12, E13; paper, equations 3 and 4).

    Parameters are those of `free_energy`, and so is what is raised.

    Returns
    -------
    FreeEnergyGradient
        The four numbers, dmu and drho, and for learned noise dnoise and dlog_noise.
    """
    parts, dtheta, dlog_noise, log_noise = _run(
        hotloop.RECORD, architecture, (mu, rho, X, y), objective, key, pieces, threads)
    dmu, drho = np.split(dtheta, 2)
    if objective.likelihood != "gaussian_learned":
        return FreeEnergyGradient(*parts, dmu, drho, None, None)
    return FreeEnergyGradient(*parts, dmu, drho, dlog_noise / np.exp(log_noise), dlog_noise)


def weight_noise(key, draw, size):
    """The standard normals eps that `free_energy` puts into w = mu + sigma*eps (E4).

    In antithetic pairs, draw 2k + 1 has minus the eps of draw 2k (E23).

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


def unit_noise(key, draw, architecture, rows, *, weight_noise):
    """The noise of every example's units in the two placements that have such (E16, E22).

    Parameters
    ----------
    key : Key
    draw : int
        Which of the objective's draws, from 0; of an antithetic pair the even one.
    architecture : Architecture
    rows : int
        Number B of examples.
    weight_noise : {"local", "flipout"}

    Returns
    -------
    list of (ndarray, ndarray), float32
        For each layer, "flipout": signs s, shape (B, K), of its inputs and t, shape (B, N), of its outputs; "local":
        None and the standard normals zeta, shape (B, N).
    """
    _check.one_of("weight_noise", weight_noise, ("local", "flipout"))
    rows, widths = _check.integer("rows", rows, least=1), architecture.network.widths
    drawn = Draw(PLACEMENTS[weight_noise], *_checked(key),
                 _check.integer("draw", draw, least=0, most=2**32 - 1), 1)

    def of(fill, boundary, *stream):
        z = np.empty((rows, widths[boundary]), np.float32)
        for example, row in enumerate(z):
            fill(row, *stream, widths, boundary, example, drawn)
        return z

    layers = range(len(widths) - 1)
    if weight_noise == "local":
        return [(None, of(unit_normals, depth + 1)) for depth in layers]
    return [(of(unit_signs, depth, noise.INPUT_SIGNS), of(unit_signs, depth + 1, noise.OUTPUT_SIGNS))
            for depth in layers]
