"""BayesRegressor, and loading a model of either kind from a file."""

from dataclasses import dataclass

import numpy as np

from bbbnp import _check, checkpoint, metrics
from bbbnp.classifier import BayesClassifier
from bbbnp.estimator import BayesModel
from bbbnp.objective import output_width
from bbbnp.prediction import RegressionDistribution


@dataclass(kw_only=True, eq=False)
class BayesRegressor(BayesModel):
    """Regression with a Bayesian neural network, learnt by Bayes by Backprop.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the hidden layers; () is linear regression.
    activation : {"relu", "tanh", "sigmoid"}
    prior : ScaleMixture or GaussianPrior
    posterior : {"diagonal", "point", "dropout", "diagonal_dropout"}
        "point" is an ordinary network by the same kernels: sigma = 0, no KL, one prediction. "dropout" is one that
        leaves units out in training, and in prediction too (Monte Carlo dropout): each draw drops other units.
        "diagonal_dropout" draws the weights, and leaves units out in training alone.
    dropout : tuple of float
        Chances, in [0, 1), that an input and a hidden unit are left out, for the two with dropout (E25).
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
    effective_temperature_ : float
        Of the posterior that the last call of `fit` or `partial_fit` targeted: `temperature`, 0 without a KL, and more
        where `partial_fit` was given a part of the data.
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
