"""The hyper-parameters that both models share: their defaults, their names, and what they cannot be."""

from dataclasses import dataclass, fields

import numpy as np

from bbbnp import _check
from bbbnp.architecture import ACTIVATIONS
from bbbnp.kernels import optimizer
from bbbnp.objective import ESTIMATOR, MINIBATCH_WEIGHTS, Objective, ScaleMixture, checked_dropout

POSTERIORS = ("diagonal", "point", "dropout", "diagonal_dropout")
OPTIMIZERS = {"sgd": optimizer.SGD, "momentum": optimizer.MOMENTUM, "adam": optimizer.ADAM}
SCHEDULES = {"constant": optimizer.CONSTANT, "cosine": optimizer.COSINE, "inverse_time": optimizer.INVERSE_TIME}


@dataclass(kw_only=True, eq=False)
class Parametrized:
    """Hyper-parameters by name, as scikit-learn asks for them; `BayesRegressor` documents each."""

    hidden: tuple = (100,)
    activation: str = "relu"
    prior: object = ScaleMixture()
    posterior: str = "diagonal"
    dropout: tuple = (0.2, 0.5)
    draws: int = 1
    weight_noise: str = "weights"
    antithetic: bool = False
    kl: str = "sampled"
    gradient: str = "total"
    minibatch_weights: str = "uniform"
    temperature: float = 1.0
    epochs: int = 200
    batch_size: int = 128
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    horizon: int = None
    average_last: float = 0.0
    rho_init: float = -5.0
    standardize: bool = True
    dtype: str = "float32"
    prediction_draws: int = 100
    seed: int = 0
    threads: int = None
    progress: bool = None

    def get_params(self, deep=True):
        """Hyper-parameters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self, **params):
        """Set hyper-parameters by name; returns self."""
        for name, value in params.items():
            _check.one_of("parameter", name, self.get_params())
            setattr(self, name, value)
        return self

    def _checked(self):
        """ValueErrors for hyper-parameters that cannot be, before anything runs."""
        if not np.iterable(self.hidden):
            raise ValueError(f"hidden={self.hidden!r} must be a tuple of widths, such as (100, 100)")
        for width in self.hidden:
            _check.integer("hidden", width, least=1)
        _check.one_of("activation", self.activation, ACTIVATIONS)
        _check.one_of("posterior", self.posterior, POSTERIORS)
        checked_dropout(self.dropout)
        _check.integer("draws", self.draws, least=1, most=2**32 - 1)
        _check.one_of("minibatch_weights", self.minibatch_weights, MINIBATCH_WEIGHTS)
        _check.integer("epochs", self.epochs, least=1)
        _check.integer("batch_size", self.batch_size, least=1)
        _check.one_of("optimizer", self.optimizer, OPTIMIZERS)
        _check.real("learning_rate", self.learning_rate, above=0)
        _check.one_of("schedule", self.schedule, SCHEDULES)
        if self.threads is not None:
            _check.integer("threads", self.threads, least=1)
        if self.horizon is not None:
            _check.integer("horizon", self.horizon, least=1)
        _check.real("average_last", self.average_last, least=0, most=1)
        _check.real("rho_init", self.rho_init)
        _check.boolean("standardize", self.standardize)
        if self.progress is not None:
            _check.boolean("progress", self.progress)
        _check.one_of("dtype", self.dtype, ("float32", "float64"))
        _check.integer("prediction_draws", self.prediction_draws, least=1, most=2**32 - 1)
        _check.integer("seed", self.seed, least=0)
        self._objective("gaussian").prior.components(self.dtype)

    def _objective(self, likelihood):
        """What is minimised, with checks of what cannot be."""
        return Objective(self.prior, likelihood, draws=self.draws if self.has_sigma else 0,
                         temperature=self.temperature, dropout=self._dropout,
                         **{name: getattr(self, name) for name in ESTIMATOR})

    @property
    def has_sigma(self):
        """Whether the posterior has deviations: every weight is drawn."""
        return self.posterior in ("diagonal", "diagonal_dropout")

    @property
    def _dropout(self):
        return self.dropout if self.posterior in ("dropout", "diagonal_dropout") else None
