"""What BayesRegressor and BayesClassifier share: scikit-learn's conventions around the kernels, fitting, and files."""

from dataclasses import dataclass
import warnings

import numpy as np

from bbbnp import _check, checkpoint, training
from bbbnp.architecture import Architecture
from bbbnp.kernels import hotloop, optimizer
from bbbnp.objective import MINIBATCH_WEIGHTS, minibatch_weights
from bbbnp.parameters import OPTIMIZERS, SCHEDULES, Parametrized
from bbbnp.prediction import sample_outputs
from bbbnp.temperature import effective_temperature

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
LARGEST_VALUE = 1e18  # of the data, in the user's units


class NotFittedError(ValueError, AttributeError):
    """The model was asked for something that only a fitted one has (scikit-learn's error has the same parents)."""


@dataclass(kw_only=True, eq=False)
class BayesModel(Parametrized, checkpoint.Saved):
    """What both models share; `BayesRegressor` documents the parameters.

    A model adds its likelihood: `_likelihood`, `_learn_targets`, `_targets`, `_outputs`, `_initial_log_noise`,
    `_log_scale`, `_scores`, and the names of the arrays it keeps beside the state.
    """

    def __sklearn_tags__(self):
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags
        classifier = self._estimator_type == "classifier"
        return Tags(
            estimator_type=self._estimator_type, target_tags=TargetTags(required=True, multi_output=not classifier),
            classifier_tags=ClassifierTags() if classifier else None,
            regressor_tags=None if classifier else RegressorTags(), input_tags=InputTags())

    # ---- fitting ----

    def fit(self, X, y, *, validation=None):
        """Learn the posterior from scratch.

        Parameters
        ----------
        X : array_like, shape (N, D)
        y : array_like, shape (N,) or (N, T)
        validation : tuple (X, y), optional
            Watched while training; its scores are kept in `validation_`. It does not change the result.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For hyper-parameters or data that cannot be, before training.
        DivergenceError
            When the free energy is not finite any more; the model keeps its last good state.
        """
        self._start_checked(X, y, validation)
        return self._train(X, y, self.epochs, validation)

    def partial_fit(self, X, y, *, epochs=1, validation=None):
        """Go on training, from where `fit`, Ctrl-C or `load` left it, for a number of epochs more.

        The first call of a new model starts it. The standardisation of the first call stays, so do the classes;
        the schedule goes on (`epochs` of the model is its horizon), and the bits are those of one long `fit`.

        Give all the data: what is given is charged the whole KL in every pass. A UserWarning says which temperature is
        targeted where there are fewer examples than in a call before.
        """
        epochs = _check.integer("epochs", epochs, least=1)
        if not hasattr(self, "state_"):
            self._start_checked(X, y, validation)
        self._check_resumable()
        self._check_validation(validation)
        return self._train(X, y, self.state_.epoch + epochs, validation)

    def _start_checked(self, X, y, validation):
        """`_start` on a copy first, so that what is refused changes nothing."""
        fresh = type(self)(**self.get_params())
        fresh._start(X, y)
        fresh._check_validation(validation)
        vars(self).update(vars(fresh))

    def _check_resumable(self):
        """ValueErrors for settings that were changed since the start and cannot be."""
        self._checked()
        changed = {
            "hidden": tuple(self.hidden) != self.architecture_.widths[1:-1],
            "activation": self.activation != self.architecture_.activation,
            "dtype": self.dtype != self.state_.theta.dtype,
            "standardize": bool(self.standardize) != self.started_["standardize"],
            self._likelihood_setting: getattr(self, self._likelihood_setting) != self.started_["likelihood"],
            "average_last": (self.average_last > 0) != (self.state_.average.size > 0)}
        for name in [name for name, is_changed in changed.items() if is_changed]:
            raise ValueError(f"{name}={getattr(self, name)!r} is not what this model was started with: put it back, "
                             "or start again with fit")

    def _check_validation(self, validation):
        if validation is None:
            return
        if not isinstance(validation, (tuple, list)) or len(validation) != 2:
            raise ValueError("validation must be a pair (X, y)")
        X, y = validation
        _check.same_length(self._inputs(X), self._targets(y), "validation X", "validation y")

    def _start(self, X, y):
        """Everything a fresh model has before its first step."""
        self._checked()
        X = self._matrix(X)
        self._learn_targets(y)
        _check.same_length(X, y)
        self.n_features_in_ = X.shape[1]
        self.x_shift_, self.x_scale_ = self._standardization("X", X)
        self.architecture_ = Architecture((X.shape[1], *self.hidden, self._outputs()), self.activation)
        mu = self.architecture_.initial_mu(self.seed, self.dtype)
        rho = np.full(mu.size, self.rho_init, self.dtype)
        self.state_ = training.State.initial(mu, rho, self._initial_log_noise(), self.average_last > 0)
        self.validation_, self.interrupted_ = [], False
        self.started_ = {"standardize": bool(self.standardize),
                         "likelihood": getattr(self, self._likelihood_setting)}

    def _standardization(self, name, columns):
        """Shift and scale of each column, as they are applied; a constant column keeps its scale."""
        if np.abs(columns).max() > LARGEST_VALUE:
            raise ValueError(f"{name} holds values beyond {LARGEST_VALUE:g}, whose squares overflow: change the unit")
        if not self.standardize:
            return np.zeros(columns.shape[1]), np.ones(columns.shape[1])
        shift, scale = columns.mean(axis=0), columns.std(axis=0)
        varies = (np.ptp(columns, axis=0) > 0) & (scale > 0)  # of equal entries 0.1 the deviation is rounding, not 0
        return shift, np.where(varies, scale, 1.0)

    def _matrix(self, X, **expected):
        """Checked inputs: in float64 where they are still to be scaled, as they are where not."""
        return _check.matrix("X", X, np.float64 if self.standardize else self.dtype, **expected)

    def _inputs(self, X):
        X = self._matrix(X, columns=self.n_features_in_)
        return np.ascontiguousarray((X - self.x_shift_) / self.x_scale_, self.dtype) if self.standardize else X

    def _problem(self, X, y):
        """Data and settings as kernels take them."""
        x, targets = self._inputs(X), self._targets(y)
        _check.same_length(x, targets)
        size = min(self.batch_size, len(x))
        steps = self.epochs * -(-len(x) // size)
        objective = self._objective(self._likelihood)
        settings = optimizer.Optimizer(
            OPTIMIZERS[self.optimizer], float(self.learning_rate), SCHEDULES[self.schedule],
            float(self.horizon or steps), BETA1, BETA2, EPSILON)
        data = hotloop.Data(x, targets, np.arange(len(x)), x[:size].copy(), targets[:size].copy())
        plan = hotloop.Plan(size, MINIBATCH_WEIGHTS[self.minibatch_weights], float(self.temperature),
                            objective.likelihood == "gaussian_learned", steps - round(steps * self.average_last),
                            hotloop.UPDATE)
        noises = self.state_.theta.size - 2 * self.architecture_.size
        ws = self.architecture_.workspace(
            size, self.dtype, targets=noises, weight_noise=objective.scratch)
        objective = objective.kernels_for(self.state_.theta)
        return training.Problem(self.architecture_.network, self.prior.components(self.dtype), objective,
                                settings, data, plan, ws, self.seed, self.threads)

    def _keep_target(self, examples):
        """Keep which posterior training on so many examples targets, and warn where that is not what was asked for."""
        most, size = max(examples, self.started_.get("examples", 0)), min(self.batch_size, examples)
        sizes = [min(size, examples - start) for start in range(0, examples, size)]
        asked = self.temperature if self.has_sigma else 0.0
        target = effective_temperature(
            examples, batches=len(sizes), likelihood_weight=examples / most,
            kl_weight=asked * minibatch_weights(self.minibatch_weights, sizes))
        self.started_ |= {"examples": most, "effective_temperature": target}
        if abs(target - asked) > 1e-9 * asked:
            warnings.warn(
                f"partial_fit was given {examples} examples after {most}, and each pass charges them the whole KL: as "
                f"a part of the data they target the posterior of temperature {target:.3g}, where temperature="
                f"{asked:g} was asked for. Give all the data at once: minibatches are cut inside", stacklevel=4)

    def _train(self, X, y, until, validation):
        problem, before = self._problem(X, y), self.state_.epoch
        self._keep_target(len(X))

        def validate(epoch):
            scores = self._scores(*validation)
            self.validation_.append({"epoch": epoch, **scores})
            return ", ".join(f"{name} {value:.4g}" for name, value in scores.items())

        try:
            self.interrupted_ = training.run(problem, self.state_, until, progress=self.progress,
                                             validate=None if validation is None else validate)
        finally:  # densities in the user's units, for the epochs completed here
            self.state_.history[before:self.state_.epoch, 1] += len(X) * self._log_scale()
        return self

    # ---- what a fitted model knows ----

    def _fitted(self):
        if not hasattr(self, "state_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit(X, y) first")
        return self.state_

    def _theta(self):
        """[mu, rho, log_noise] to predict with: the averaged iterates if there are any."""
        state = self._fitted()
        return state.average if state.average.any() else state.theta

    @property
    def mu_(self):
        """Posterior means, shape (P,); `architecture_.views` cuts them into layers."""
        return self._theta()[:self.architecture_.size]

    @property
    def rho_(self):
        """Posterior deviations before softplus, shape (P,)."""
        return self._theta()[self.architecture_.size:2 * self.architecture_.size]

    @property
    def sigma_(self):
        """Posterior standard deviations, shape (P,); zero for a point estimate."""
        rho = self.rho_.astype(float)
        return np.logaddexp(0, rho) if self.has_sigma else np.zeros_like(rho)

    @property
    def effective_temperature_(self):
        """Temperature of the posterior that training targeted, by `effective_temperature` (E26); 0 without a KL."""
        self._fitted()
        asked = self.temperature if self.has_sigma else 0.0  # files of before did not have it
        return self.started_.get("effective_temperature", asked)

    @property
    def free_energy_(self):
        """The two terms of every completed epoch in nats, `complexity` and `misfit`; their sum is the free energy.

        complexity = temperature (log q - log P(w)), misfit = -log P(D | w) with densities in the user's units
        """
        state = self._fitted()
        terms = np.zeros(state.epoch, [("complexity", float), ("misfit", float)])
        terms["complexity"], terms["misfit"] = state.history[:state.epoch].T
        return terms

    def _sample(self, X, draws):
        """Network outputs, shape (S, N, O), of averaged draws or (draws = 0) of the mean network."""
        self._fitted()
        self._check_resumable()
        x = self._inputs(X)
        draws = self.prediction_draws if draws is None else _check.integer("draws", draws, least=0, most=2**32 - 1)
        draws = 0 if self.posterior == "point" else draws
        return sample_outputs(self.architecture_, self.mu_, self.rho_, x, draws=draws, seed=self.seed,
                              dropout=None if self.has_sigma else self._dropout, threads=self.threads)
