"""What is minimised: priors, likelihoods and the free energy, as a study interface.

`free_energy` and `free_energy_gradient` are the very code that trains, called once. With the key fixed they are
ordinary functions of mu and rho; `weight_noise` returns the noise in them, so that anyone can repeat the computation.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bbbnp import _check
from bbbnp.kernels import elbo, likelihood, noise

# name: kernel code, and whether the noise is one deviation a target that is learnt
LIKELIHOODS = {
    "gaussian": likelihood.GAUSSIAN, "gaussian_learned": likelihood.GAUSSIAN,
    "gaussian_input": likelihood.GAUSSIAN_INPUT, "categorical": likelihood.CATEGORICAL,
    "bernoulli": likelihood.BERNOULLI}
FORMS = {"short": elbo.SHORT, "paper": elbo.PAPER}
MINIBATCH_WEIGHTS = {"uniform": elbo.UNIFORM, "geometric": elbo.GEOMETRIC}


def _components(pairs, dtype):
    """Prior components (log_weight, precision) of (pi, sigma) pairs, for kernels; those with pi = 0 left out."""
    cast = np.dtype(dtype).type
    return tuple((cast(np.log(pi) - np.log(sigma) - np.log(2 * np.pi) / 2), cast(sigma**-2.0))
                 for pi, sigma in pairs if pi > 0)


@dataclass(frozen=True)
class GaussianPrior:
    """Independent Gaussian prior on every weight (paper, section 3.3, before equation 7).

    Parameters
    ----------
    sigma : float
        Standard deviation, positive.
    """

    sigma: float = 1.0

    def __post_init__(self):
        _check.real("sigma", self.sigma, above=0)

    def components(self, dtype):
        """For kernels: a tuple of one (log_weight, precision)."""
        return _components([(1.0, self.sigma)], dtype)


@dataclass(frozen=True)
class ScaleMixture:
    """The paper's prior on every weight: a mixture of two zero-mean Gaussians (paper, equation 7).

    P(w) = pi N(w; 0, sigma1^2) + (1 - pi) N(w; 0, sigma2^2), weight by weight.

    Parameters
    ----------
    pi : float
        Weight of the first component, in [0, 1].
    sigma1, sigma2 : float
        Standard deviations, positive; the paper has sigma1 > sigma2, a slab and a spike.
    """

    pi: float = 0.5
    sigma1: float = 1.0
    sigma2: float = float(np.exp(-6))

    def __post_init__(self):
        _check.real("pi", self.pi, least=0, most=1)
        _check.real("sigma1", self.sigma1, above=0)
        _check.real("sigma2", self.sigma2, above=0)

    def components(self, dtype):
        """For kernels: a tuple of (log_weight, precision)."""
        return _components([(self.pi, self.sigma1), (1 - self.pi, self.sigma2)], dtype)


@dataclass(frozen=True)
class Objective:
    """All that the free energy of a minibatch depends on beside parameters, data and noise.

    Parameters
    ----------
    prior : ScaleMixture or GaussianPrior
    likelihood : {"gaussian", "gaussian_learned", "gaussian_input", "categorical", "bernoulli"}
        Gaussian noise is `noise` (fixed or learned) or, with "gaussian_input", the exponential of further outputs: the
        network then has two outputs a target, means first, log deviations after.
    noise : float or sequence of float
        Standard deviation of the Gaussian noise, one for all targets or one each.
    draws : int
        Weight draws the expectation is averaged over; 0 makes an ordinary network: w = mu, no noise, no KL.
    minibatch_weight : float
        The part lambda of the KL that this minibatch carries; 1 when it is all the data.
    temperature : float
        Factor T on the KL; 1 targets the posterior.
    form : {"short", "paper"}
        Which of two equal forms of the gradient is computed (E13 or E12).
    """

    prior: object = ScaleMixture()
    likelihood: str = "gaussian"
    noise: object = 1.0
    draws: int = 1
    minibatch_weight: float = 1.0
    temperature: float = 1.0
    form: str = "short"

    def __post_init__(self):
        if not hasattr(self.prior, "components"):
            raise ValueError(f"prior={self.prior!r} must be a ScaleMixture or a GaussianPrior")
        _check.one_of("likelihood", self.likelihood, LIKELIHOODS)
        for value in np.atleast_1d(self.noise):
            _check.real("noise", value, above=0)
        _check.integer("draws", self.draws, least=0, most=2**32 - 1)
        _check.real("minibatch_weight", self.minibatch_weight, least=0)
        _check.real("temperature", self.temperature, least=0)
        _check.one_of("form", self.form, FORMS)

    def for_kernels(self, dtype):
        """The same as the kernels take it."""
        return elbo.Objective(self.prior.components(dtype), LIKELIHOODS[self.likelihood], self.draws, FORMS[self.form])

    def log_noise(self, targets, dtype):
        """Log deviation of the Gaussian noise, shape (T,); zero for the likelihoods that do not read it."""
        if self.likelihood not in ("gaussian", "gaussian_learned"):
            return np.zeros(targets, dtype)
        noise = np.atleast_1d(self.noise)
        if noise.shape not in ((1,), (targets,)):
            raise ValueError(f"noise={self.noise!r} must be one number, or one for each of {targets} targets")
        return np.log(np.broadcast_to(noise, targets)).astype(dtype)


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


def output_width(likelihood_name, targets):
    """Number of network outputs that `targets` target columns (or classes) need."""
    return 2 * targets if likelihood_name == "gaussian_input" else targets


def workspace(architecture, rows, dtype):
    """Scratch arrays for `rows` examples at once."""
    flat = rows * sum(architecture.widths[1:])
    return elbo.Workspace(*(np.zeros(n, dtype) for n in [architecture.size] * 3 + [flat] * 2 + [rows]))


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
    seed = _check.integer("seed", key.seed, least=0)
    step = _check.integer("step", key.step, least=0, most=2**32 - 1)
    return (parameters, architecture.network, objective.for_kernels(dtype), elbo.Batch(X, y), elbo.Key(seed, step),
            workspace(architecture, len(X), dtype))


def _value(parts, objective):
    log_q, log_prior, log_lik = parts
    return FreeEnergy(objective.temperature * objective.minibatch_weight * (log_q - log_prior) - log_lik, *parts)


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
    kl_weight = objective.temperature * objective.minibatch_weight
    parts = elbo.free_energy_gradient(gradient, parameters, network, objective_, batch, key_, kl_weight, ws)
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
    noise.normals(eps, key.seed, noise.WEIGHTS, key.step, _check.integer("draw", draw, least=0, most=2**32 - 1))
    return eps


def minibatch_weights(kind, sizes):
    """The part of the KL that each minibatch carries; they sum to one (E15; paper, section 3.4).

    Parameters
    ----------
    kind : {"uniform", "geometric"}
    sizes : sequence of int
        Number of examples in each minibatch, in the order of training.

    Returns
    -------
    ndarray, shape (M,)
    """
    code = MINIBATCH_WEIGHTS[_check.one_of("kind", kind, MINIBATCH_WEIGHTS)]
    sizes = [_check.integer("sizes", size, least=1) for size in sizes]
    return np.array([elbo.minibatch_weight(code, i, len(sizes), size, sum(sizes)) for i, size in enumerate(sizes)])
