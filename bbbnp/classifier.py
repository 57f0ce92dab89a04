"""BayesClassifier: labels, class probabilities, accuracy."""

from dataclasses import dataclass

import numpy as np

from bbbnp import _check, metrics
from bbbnp.estimator import BayesModel
from bbbnp.prediction import ClassDistribution


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
    mu_, rho_, sigma_, free_energy_, effective_temperature_, validation_, interrupted_
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
