"""What is minimised: priors, likelihoods, minibatch weights, temperature; and by which estimator of it."""

from dataclasses import dataclass

import numpy as np

from bbbnp import _check
from bbbnp.kernels import divergence, draw, elbo, likelihood

# name: kernel code, and whether the noise is one deviation a target that is learnt
LIKELIHOODS = {
    "gaussian": likelihood.GAUSSIAN, "gaussian_learned": likelihood.GAUSSIAN,
    "gaussian_input": likelihood.GAUSSIAN_INPUT, "categorical": likelihood.CATEGORICAL,
    "bernoulli": likelihood.BERNOULLI}
FORMS = {"short": draw.SHORT, "paper": draw.PAPER}
PLACEMENTS = {"weights": draw.WEIGHTS, "local": draw.LOCAL, "flipout": draw.FLIPOUT}
KLS = {"sampled": divergence.SAMPLED, "closed": divergence.CLOSED}
GRADIENTS = ("total", "path")
MINIBATCH_WEIGHTS = {"uniform": elbo.UNIFORM, "geometric": elbo.GEOMETRIC}


def _components(pairs, dtype):
    """The flat tuple (log_weight, precision, ...) of (pi, sigma) pairs, for kernels; those with pi = 0 left out."""
    cast = np.dtype(dtype).type
    if any(sigma**-2.0 > float(np.finfo(dtype).max) for pi, sigma in pairs if pi > 0):
        raise ValueError(f"a prior deviation among {[sigma for _, sigma in pairs]} is too small for {np.dtype(dtype)}, "
                         "in which its precision overflows")
    return tuple(cast(value) for pi, sigma in pairs if pi > 0
                 for value in (np.log(pi) - np.log(sigma) - np.log(2 * np.pi) / 2, sigma**-2.0))


def checked_dropout(chances):
    """The chances of dropout, of inputs and of hidden units, or a ValueError."""
    if not isinstance(chances, (tuple, list)) or len(chances) != 2:
        raise ValueError(f"dropout={chances!r} must be two chances, of inputs and of hidden units, such as (0.2, 0.5)")
    return tuple(_check.real("dropout", chance, least=0, below=1) for chance in chances)


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
        """For kernels: (log_weight, precision)."""
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
        """For kernels: (log_weight, precision) of each component, in one flat tuple."""
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
    weight_noise : {"weights", "local", "flipout"}
        Where the weights' noise enters: one draw of the weights for the whole minibatch (E4); every unit of every
        example drawn for itself, by local reparameterisation (E16), beside one draw of the weights for a sampled KL;
        or one draw of the weights whose perturbation flips its signs example by example (E22).
    antithetic : bool
        Draws in pairs, of which one has the other's noise with the other sign (E23); `draws` must be even.
    kl : {"sampled", "closed"}
        log q - log P(w) at the draw, or its mean in closed form (E14), for a GaussianPrior only.
    gradient : {"total", "path"}
        "path" leaves out the score of log q, whose mean is zero (E24): the gradient then has the same mean, but is not
        the derivative of the value at this noise.
    dropout : tuple of float, optional
        Chances that an input and a hidden unit are left out (E25), of an ordinary network or of each draw of the
        weights, where weight_noise="weights". Which are left out is not learnt: it adds nothing to the KL.
    """

    prior: object = ScaleMixture()
    likelihood: str = "gaussian"
    noise: object = 1.0
    draws: int = 1
    minibatch_weight: float = 1.0
    temperature: float = 1.0
    form: str = "short"
    weight_noise: str = "weights"
    antithetic: bool = False
    kl: str = "sampled"
    gradient: str = "total"
    dropout: tuple = None

    def __post_init__(self):
        if not isinstance(self.prior, (GaussianPrior, ScaleMixture)):
            raise ValueError(f"prior={self.prior!r} must be a ScaleMixture or a GaussianPrior")
        _check.one_of("likelihood", self.likelihood, LIKELIHOODS)
        for value in np.atleast_1d(self.noise):
            _check.real("noise", value, above=0)
        _check.integer("draws", self.draws, least=0, most=2**32 - 1)
        _check.real("minibatch_weight", self.minibatch_weight, least=0)
        _check.real("temperature", self.temperature, least=0)
        _check.one_of("form", self.form, FORMS)
        _check.one_of("weight_noise", self.weight_noise, PLACEMENTS)
        _check.boolean("antithetic", self.antithetic)
        _check.one_of("kl", self.kl, KLS)
        _check.one_of("gradient", self.gradient, GRADIENTS)
        if self.dropout is not None:
            checked_dropout(self.dropout)
        self._check_together()

    def _check_together(self):
        """ValueErrors for estimators that cannot be, with the reason."""
        chosen = [f"{name}={getattr(self, name)!r}" for name, default in ESTIMATOR.items()
                  if getattr(self, name) != default]
        if self.draws == 0 and chosen:
            raise ValueError(f"{chosen[0]} is of no use without noise, to a network of draws=0 or a point posterior: "
                             "leave it out")
        if self.dropout is not None and self.weight_noise != "weights":
            raise ValueError(f"dropout and weight_noise={self.weight_noise!r} cannot be combined: use "
                             "weight_noise='weights'")
        if self.antithetic and self.draws % 2 == 1:
            raise ValueError(f"antithetic=True pairs draws with their mirror images: draws={self.draws} must be even")
        if self.kl == "closed" and not isinstance(self.prior, GaussianPrior):
            raise ValueError("kl='closed' needs a GaussianPrior: the KL to a ScaleMixture has no closed form; use "
                             "kl='sampled'")
        if self.gradient == "path" and self.kl == "closed":
            raise ValueError("gradient='path' leaves out the score of log q at a draw, and kl='closed' has none: use "
                             "kl='sampled'")
        if self.gradient == "path" and self.weight_noise == "local":
            raise ValueError("gradient='path' needs the draw of the weights that the network sees, which "
                             "weight_noise='local' does not make: use 'weights' or 'flipout'")
        others = [setting for setting in chosen if setting != "antithetic=True"]
        if self.form == "paper" and others:
            raise ValueError("form='paper' is equations 3 and 4 of the paper, which are for a draw of the weights and "
                             f"all of its gradient: use form='short' with {others[0]}")

    @property
    def kl_weight(self):
        """The factor on log q - log P(w): minibatch weight times temperature."""
        return self.temperature * self.minibatch_weight

    @property
    def for_kernels(self):
        """All but the prior as kernels take it; the prior is `prior.components(dtype)`."""
        form = draw.PATH if self.gradient == "path" else FORMS[self.form]
        placement = PLACEMENTS[self.weight_noise] if self.dropout is None else draw.DROPOUT
        return elbo.Objective(LIKELIHOODS[self.likelihood], self.draws, form, placement, KLS[self.kl],
                              bool(self.antithetic), *map(float, self.dropout or (0, 0)), False)

    def kernels_for(self, rho):
        """The same for a posterior of which weights may be pruned, rho = -inf (E19)."""
        return self.for_kernels._replace(pruned=bool(np.isneginf(rho).any()))

    @property
    def scratch(self):
        """For which noise `Architecture.workspace` must have room."""
        return self.weight_noise if self.dropout is None else "dropout"

    def log_noise(self, targets, dtype):
        """Log deviation of the Gaussian noise, shape (T,); zero for the likelihoods that do not read it."""
        if self.likelihood not in ("gaussian", "gaussian_learned"):
            return np.zeros(targets, dtype)
        noise = np.atleast_1d(self.noise)
        if noise.shape not in ((1,), (targets,)):
            raise ValueError(f"noise={self.noise!r} must be one number, or one for each of {targets} targets")
        return np.log(np.broadcast_to(noise, targets)).astype(dtype)


# Settings of the estimator alone, and their defaults: what is minimised does not depend on them.
ESTIMATOR = {name: Objective.__dataclass_fields__[name].default for name in (
    "weight_noise", "antithetic", "kl", "gradient")}


def output_width(likelihood_name, targets):
    """Number of network outputs that `targets` target columns (or classes) need."""
    return 2 * targets if likelihood_name == "gaussian_input" else targets


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
    if not np.iterable(sizes) or len(sizes) == 0:
        raise ValueError(f"sizes={sizes!r} must hold the number of examples of each minibatch")
    sizes = [_check.integer("sizes", size, least=1) for size in sizes]
    total = sum(sizes)
    return np.array([elbo.minibatch_weight(code, i, len(sizes), size, total) for i, size in enumerate(sizes)])
