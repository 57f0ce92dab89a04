"""Pruning: the weights that say least are taken out of a fitted model (E19; Blundell et al. 2015, Table 2).

A pruned weight has mu = 0 and rho = -inf, hence sigma = 0: it is 0 in every draw, has no part in the KL, and neither
gradient nor update. The mask is in the parameters themselves, so it is saved, loaded and trained on with them.
"""

import copy

import numpy as np

from bbbnp import _check
from bbbnp.estimator import BayesModel
from bbbnp.kernels import noise, pruning
from bbbnp.training import State

CRITERIA = ("snr", "magnitude", "random")


def log10_signal_to_noise(mu, rho):
    """log10(|mu|/sigma) of every weight (E19), the axis of the paper's Figure 4, which calls it dB.

    Parameters
    ----------
    mu, rho : array_like, shape (P,)
        Posterior means, and deviations before softplus.

    Returns
    -------
    ndarray of float64, shape (P,)
        -inf where mu is 0, as it is where a weight was pruned.
    """
    mu, rho = (np.array(values, float) for values in (mu, rho))
    if mu.ndim != 1 or mu.shape != rho.shape:
        raise ValueError(f"mu and rho have shapes {mu.shape} and {rho.shape}; both must be the same vector (P,)")
    log_ratio = np.empty_like(mu)
    pruning.signal_to_noise(log_ratio, mu, rho)
    return log_ratio / np.log(10)


def prune(model, removed, *, criterion="snr", seed=0):
    """A copy of a fitted model without the weights that say least (E19).

    Parameters
    ----------
    model : BayesRegressor or BayesClassifier
        Fitted. It stays as it is.
    removed : float
        Part of all weights, biases among them, to remove, in [0, 1): round(removed P) of the P. Weights that were
        pruned before are the first of them, and stay pruned where they are more.
    criterion : {"snr", "magnitude", "random"}
        What the smallest of go first: the signal-to-noise ratio |mu|/sigma, |mu|, or random numbers. Among equals, the
        first in the flat vector go first.
    seed : int
        Of the random numbers; with the same seed, what a smaller part removes a larger removes too.

    Returns
    -------
    BayesRegressor or BayesClassifier
        With mu = 0 and rho = -inf where weights were removed. `partial_fit` trains the others only. It has the
        parameters that predictions use: the averaged iterates of a model with `average_last`, which is 0 in the copy.

    Raises
    ------
    ValueError
        For a part or criterion that cannot be; for "snr" and a model without posterior deviations.
    NotFittedError
        If the model is not fitted.
    """
    if not isinstance(model, BayesModel):
        raise ValueError(f"model={model!r} must be a fitted BayesRegressor or BayesClassifier")
    removed = _check.real("removed", removed, least=0, below=1)
    _check.one_of("criterion", criterion, CRITERIA)
    seed = _check.integer("seed", seed, least=0)
    theta, size = model._theta().copy(), model.architecture_.size
    if criterion == "snr" and not model.has_sigma:
        raise ValueError(f"criterion='snr' is |mu|/sigma, and posterior={model.posterior!r} has no sigma: use "
                         "'magnitude' or 'random'")
    gone = _smallest(theta[:size], theta[size:2 * size], round(removed * size), criterion, seed)
    theta[:size][gone], theta[size:2 * size][gone] = 0, -np.inf  # E19
    state = model.state_
    first, second = state.first.copy(), state.second.copy()
    for moments in (first, second):
        moments[:size][gone], moments[size:2 * size][gone] = 0, 0
    twin = copy.deepcopy(model).set_params(average_last=0.0)
    twin.state_ = State(theta, first, second, theta[:0].copy(), state.step, state.epoch, state.batch,
                        state.history.copy())
    return twin


def _smallest(mu, rho, count, criterion, seed):
    """Indices of the weights to remove: those pruned before, and the smallest of the others until there are `count`."""
    pruned = np.isneginf(rho)
    score = np.empty(mu.size)
    if criterion == "random":
        noise.normals(score, seed, noise.PRUNING, 0, 0)
    else:
        score = log10_signal_to_noise(mu, rho) if criterion == "snr" else np.abs(mu)
    order = np.lexsort((score, ~pruned))  # stable: equals stay in their order
    return order[:max(count, pruned.sum())]
