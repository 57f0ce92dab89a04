"""BayesRegressor and BayesClassifier, and loading them from a file."""

from dataclasses import dataclass

import numpy as np

from bbbnp import _check, checkpoint, metrics
from bbbnp.estimator import BayesModel
from bbbnp.objective import output_width
from bbbnp.prediction import ClassDistribution, RegressionDistribution


@dataclass(kw_only=True, eq=False)
class BayesRegressor(BayesModel):
    """Regression with a Bayesian neural network, learnt by Bayes by Backprop.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the hidden layers; () is linear regression.
    activation : {"relu", "tanh", "sigmoid"}
    prior : ScaleMixture or GaussianPrior
    posterior : {"diagonal", "point"}
        "point" is an ordinary network by the same kernels: sigma = 0, no KL, one prediction.
    noise : float, "learned" or "input"
        Standard deviation of the targets about the network: given in the user's units, learned, or an output of the
        network that depends on the input.
    draws : int
        Weight draws averaged in each step.
    weight_noise : {"weights", "local", "flipout"}
        Where noise enters in training: the weights, each unit (local reparameterisation), or weights with signs that
        differ between examples. This and the next three are those of `Objective`, which says more.
    antithetic : bool
    kl : {"sampled", "closed"}
    gradient : {"total", "path"}
    minibatch_weights : {"uniform", "geometric"}
        The part of the KL that each minibatch of an epoch carries (paper, section 3.4).
    temperature : float
        Factor on the KL; only 1 targets the posterior.
    epochs, batch_size : int
        A batch larger than the data is all the data.
    optimizer : {"adam", "sgd", "momentum"}
    learning_rate : float
        The gradient is that of the sum over the minibatch; Adam does not mind its scale, SGD does.
    schedule : {"cosine", "constant", "inverse_time"}
    horizon : int, optional
        Steps in which cosine falls to a hundredth, or 1/t to a half; left out, all steps of `epochs`.
    average_last : float
        Part of the steps, at the end, whose iterates are averaged; 0 keeps the last.
    rho_init : float
        Where rho starts: sigma = log(1 + exp(rho)), 0.0067 at -5, small beside the initial means, so that the network
        learns as an ordinary one at first and then loosens the weights it does not need. Much lower and sigma is slow
        to rise; much higher and the noise drowns the first gradients.
    standardize : bool
        Scale inputs and targets to mean 0 and deviation 1 inside; all that is reported is in the user's units.
    dtype : {"float32", "float64"}
    prediction_draws : int
        Draws of the weights that predictions average.
    seed : int
        All noise is a function of it: the same seed gives the same bits.
    threads : int, optional
        Left out, all of Numba's (NUMBA_NUM_THREADS) for a large network and one for a small; the bits are the same.
    progress : bool, optional
        Show a bar while training; left out, on a terminal only.

    Attributes
    ----------
    mu_, rho_, sigma_ : ndarray, shape (P,)
        The posterior; `architecture_.views(net.mu_)` gives W and b of each layer.
    noise_ : ndarray, shape (T,)
        Standard deviation of the noise in the user's units, unless it depends on the input.
    free_energy_ : structured ndarray, shape (epochs,)
        `complexity` and `misfit` of every epoch, in nats.
    validation_ : list of dict
    interrupted_ : bool
        Whether Ctrl-C ended the last call; `partial_fit` goes on.
    """

    noise: object = "learned"

    _estimator_type = "regressor"
    _own_arrays = ("x_shift_", "x_scale_", "y_shift_", "y_scale_", "single_target_")
    _likelihood_setting = "noise"

    @staticmethod
    def _noises(arrays):
        """Number of noise deviations in a file."""
        return len(arrays["y_scale_"])

    @property
    def _likelihood(self):
        names = {"learned": "gaussian_learned", "input": "gaussian_input"}
        return names[self.noise] if isinstance(self.noise, str) else "gaussian"

    def _checked(self):
        super()._checked()
        if isinstance(self.noise, str):
            _check.one_of("noise", self.noise, ("learned", "input"))
        else:
            _check.real("noise", self.noise, above=0)

    def _outputs(self):
        return output_width(self._likelihood, len(self.y_scale_))

    def _columns(self, y):
        y = np.asarray(y)
        return _check.matrix("y", y[:, None] if y.ndim == 1 else y, np.float64)

    def _learn_targets(self, y):
        self.y_shift_, self.y_scale_ = self._standardization("y", self._columns(y))
        self.single_target_ = np.array(np.ndim(y) == 1)

    def _targets(self, y):
        y = self._columns(y)
        if y.shape[1] != len(self.y_scale_):
            raise ValueError(f"y has {y.shape[1]} targets, but the model was started with {len(self.y_scale_)}")
        return np.ascontiguousarray((y - self.y_shift_) / self.y_scale_, self.dtype)

    def _initial_log_noise(self):
        """Standardised targets have deviation 1: learned noise starts there, as if nothing were explained yet."""
        noise = 1.0 if isinstance(self.noise, str) else self.noise / self.y_scale_
        return np.log(np.broadcast_to(noise, self.y_scale_.shape))

    def _log_scale(self):
        return np.log(self.y_scale_).sum()

    @property
    def noise_(self):
        """Standard deviation of the noise in the user's units, shape (T,); not there when it depends on the input."""
        if self.noise == "input":
            raise AttributeError("the noise depends on the input: see predict_distribution(X).aleatoric")
        return np.exp(self._theta()[2 * self.architecture_.size:].astype(float)) * self.y_scale_

    def predict_distribution(self, X, *, draws=None):
        """Predictive distribution of the targets.

        Parameters
        ----------
        X : array_like, shape (N, D)
        draws : int, optional
            Draws of the weights; left out, `prediction_draws`; 0 is the mean network.

        Returns
        -------
        RegressionDistribution
        """
        outputs = self._sample(X, draws)
        return RegressionDistribution(
            outputs, self._theta()[2 * self.architecture_.size:], self._likelihood, shift=self.y_shift_,
            scale=self.y_scale_, flat=bool(self.single_target_), seed=self.seed)

    def predict(self, X, return_std=False):
        """Predictive mean and, if asked for, standard deviation (noise included), each shape (N,) or (N, T)."""
        distribution = self.predict_distribution(X)
        return (distribution.mean, distribution.std) if return_std else distribution.mean

    def score(self, X, y):
        """Coefficient of determination R^2 of the predictive mean, averaged over targets."""
        mean, y = self.predict(X).reshape(len(X), -1), self._columns(y)
        self._targets(y)
        _check.same_length(X, y)
        total = np.sum((y - y.mean(axis=0))**2, axis=0)  # of a constant target nothing can be explained
        return float(np.mean(np.where(total > 0, 1 - np.sum((y - mean)**2, axis=0) / np.where(total > 0, total, 1), 0)))

    def _scores(self, X, y):
        distribution = self.predict_distribution(X, draws=10)
        y = self._columns(y).reshape(distribution.mean.shape)
        return {"rmse": metrics.rmse(distribution.mean, y),
                "log_likelihood": float(distribution.log_density(y).mean())}


@dataclass(kw_only=True, eq=False)
class BayesClassifier(BayesModel):
    """Classification with a Bayesian neural network, learnt by Bayes by Backprop.

    Parameters are those of `BayesRegressor`, except for the noise:

    Parameters
    ----------
    likelihood : {"categorical", "bernoulli"}
        Softmax over the classes or, for two classes, one output that is the log-odds of the second.

    Attributes
    ----------
    classes_ : ndarray, shape (C,)
        Labels seen in training, sorted: the columns of `predict_proba`.
    mu_, rho_, sigma_, free_energy_, validation_, interrupted_
        As in `BayesRegressor`.
    """

    likelihood: str = "categorical"

    _estimator_type = "classifier"
    _own_arrays = ("x_shift_", "x_scale_", "classes_")
    _likelihood_setting = "likelihood"

    @property
    def _likelihood(self):
        return self.likelihood

    @staticmethod
    def _noises(arrays):
        return 1  # one, which is not read

    def _checked(self):
        super()._checked()
        _check.one_of("likelihood", self.likelihood, ("categorical", "bernoulli"))

    def _outputs(self):
        return 1 if self.likelihood == "bernoulli" else len(self.classes_)

    def _labels(self, y):
        y = np.asarray(y)
        if y.ndim != 1 or y.size == 0:
            raise ValueError(f"y has shape {y.shape}; it must be one class label an example, shape (N,)")
        if y.dtype.kind not in "iubfU":
            raise ValueError(f"y has dtype {y.dtype}; labels must be numbers, booleans or text of one kind: "
                             "y.astype(str) makes text of objects")
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            raise ValueError("y holds NaN or infinite labels: remove those examples")
        if y.dtype.kind == "f" and (y != np.floor(y)).any():
            raise ValueError("y holds fractions, which are no labels: BayesRegressor learns numbers")
        return y

    def _learn_targets(self, y):
        self.classes_ = np.unique(self._labels(y))
        if len(self.classes_) == 1:
            raise ValueError(f"y has one class only, {self.classes_[0]!r}: there is nothing to tell apart")
        if self.likelihood == "bernoulli" and len(self.classes_) != 2:
            raise ValueError(f"likelihood='bernoulli' needs two classes, y has {len(self.classes_)}: "
                             "use 'categorical'")

    def _targets(self, y):
        y = self._labels(y)
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise ValueError(f"y holds {unknown[0]!r}, which is not among the classes seen in training: "
                             f"{', '.join(map(str, self.classes_))}")
        return np.searchsorted(self.classes_, y)[:, None].astype(self.dtype)

    def _initial_log_noise(self):
        return np.zeros(1)  # not read

    def _log_scale(self):
        return 0.0

    def predict_distribution(self, X, *, draws=None):
        """Predictive distribution of the class; parameters as in `BayesRegressor`.

        Returns
        -------
        ClassDistribution
        """
        return ClassDistribution(self._sample(X, draws), self.likelihood)

    def predict_proba(self, X):
        """Class probabilities averaged over draws of the weights, shape (N, C)."""
        return self.predict_distribution(X).mean

    def predict(self, X):
        """Most probable class of each example, shape (N,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def score(self, X, y):
        """Accuracy."""
        proba, targets = self.predict_proba(X), self._targets(y)[:, 0]
        _check.same_length(X, targets)
        return float(np.mean(proba.argmax(axis=1) == targets))

    def _scores(self, X, y):
        p, labels = self.predict_distribution(X, draws=10).mean, self._targets(y)[:, 0].astype(int)
        return {"error": metrics.error_rate(p, labels), "nll": metrics.nll(p, labels)}


MODELS = {model.__name__: model for model in (BayesRegressor, BayesClassifier)}


def load(path):
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    BayesRegressor or BayesClassifier

    Raises
    ------
    FileNotFoundError, ModelFileError
        See `checkpoint.read`.
    """
    settings, arrays = checkpoint.read(path)
    try:
        return MODELS[settings["model"]].restore(settings, arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise checkpoint.ModelFileError(f"{path} misses or holds what no model of this version has: {error}") from error
