"""How good predictions are: likelihood, calibration, accuracy and separation, each one number (E21).

Log predictive densities, whose negative mean is the score of a regression, are `kernels.predictive.log_predictive`'s.
"""

from typing import NamedTuple

import numpy as np

from bbbnp import _check


class Reliability(NamedTuple):
    """Per bin, shape (bins,): mean confidence, accuracy (both NaN where the bin is empty) and number of examples."""

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def _classified(p, labels):
    """Checked probabilities, float64 (N, C), and labels (N,)."""
    p, labels = _check.matrix("p", p, np.float64), np.asarray(labels)
    bad = (p < 0).any(1) | (np.abs(p.sum(1) - 1) > 1e-6)
    if bad.any():
        row = bad.argmax()
        raise ValueError(f"p has minimum {p[row].min()} and sum {p[row].sum()} in row {row}; probabilities are at "
                         "least 0 and sum to 1: apply softmax to logits, and give both columns for two classes")
    if labels.shape != p.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(f"labels has shape {labels.shape} and dtype {labels.dtype}; it must hold one integer class "
                         f"index for each of the {len(p)} rows of p")
    if labels.min() < 0 or labels.max() >= p.shape[1]:
        raise ValueError(f"labels holds {labels.min()} to {labels.max()}; p has classes 0 to {p.shape[1] - 1} only")
    return p, labels


def _columns(name, value, columns=None):
    """Checked float64 matrix (N, columns); a vector is one column, so that (N,) and (N, 1) never broadcast."""
    value = np.asarray(value)
    return _check.matrix(name, value[:, None] if value.ndim == 1 else value, np.float64, columns=columns)


def _like(y, **arrays):
    """`y` and the arrays as checked matrices of one shape."""
    y = _columns("y", y)
    for name, value in arrays.items():
        arrays[name] = _columns(name, value, y.shape[1])
        _check.same_length(arrays[name], y, name)
    return y, *arrays.values()


def nll(p, labels):
    """Mean negative log-likelihood of class probabilities, in nats (E21).

    nll = -1/N sum_n log p[n, labels[n]]  --  infinite if a label was given probability 0

    Parameters
    ----------
    p : array_like, shape (N, C)
        Predictive probabilities; to score an average over draws of the weights, average the draws' p first.
    labels : array_like of int, shape (N,)
        True classes, from 0 to C - 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there are no examples, shapes do not fit, a row of `p` has a negative entry or does not sum to 1 within
        1e-6, or labels are not integers from 0 to C - 1.
    """
    p, labels = _classified(p, labels)
    with np.errstate(divide="ignore"):  # log 0 = -inf is the answer, not an accident
        return float(-np.log(p[np.arange(len(p)), labels]).mean())  # E21


def brier(p, labels):
    """Brier score, from 0, the best, to 2 (E21).

    brier = 1/N sum_n sum_c (p[n, c] - [c = labels[n]])^2  --  Brier (1950)

    Parameters, and what is returned and raised, are those of `nll`.
    """
    p, labels = _classified(p, labels)
    return float(((p - np.eye(p.shape[1])[labels]) ** 2).sum(1).mean())  # E21


def error_rate(p, labels):
    """Percentage of examples whose most probable class is not the label (E21).

    error_rate = 100/N sum_n [argmax_c p[n, c] != labels[n]]  --  the first class wins a tie

    Parameters, and what is returned and raised, are those of `nll`.
    """
    p, labels = _classified(p, labels)
    return float(100 * (p.argmax(1) != labels).mean())  # E21


def reliability(p, labels, bins=15):
    """Confidence and accuracy of the most probable class, by bins of confidence (E21).

    confidence[m] = mean of max_c p,  accuracy[m] = mean of [argmax_c p = label],  over (m - 1)/bins < max_c p <= m/bins

    Parameters
    ----------
    p, labels : as for `nll`
    bins : int
        Number of bins of equal width in (0, 1].

    Returns
    -------
    Reliability

    What is raised is as for `nll`, and if `bins` is not a positive integer.
    """
    p, labels = _classified(p, labels)
    bins = _check.integer("bins", bins, least=1)
    confidence, correct = p.max(1), p.argmax(1) == labels
    # Inner edges only: a row that sums to a little more than 1 stays in the last bin.
    index = np.searchsorted(np.arange(1, bins) / bins, confidence)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0/0 = NaN marks the empty bins
        return Reliability(*(np.bincount(index, v, bins) / count for v in (confidence, correct)), count)  # E21


def ece(p, labels, bins=15):
    """Expected calibration error, from 0, the best, to 1 (E21).

    ece = sum_m count[m]/N |accuracy[m] - confidence[m]|  --  Guo et al. (2017), section 2

    Parameters, and what is raised, are those of `reliability`, whose bins these are. Returns a float.
    """
    confidence, accuracy, count = reliability(p, labels, bins)
    used = count > 0
    return float(np.average(np.abs(accuracy - confidence)[used], weights=count[used]))  # E21


def rmse(mean, y):
    """Root of the mean squared error, over examples and targets, in the unit of `y` (E21).

    rmse = sqrt(1/(N T) sum_n sum_t (mean[n, t] - y[n, t])^2)

    Parameters
    ----------
    mean, y : array_like, shape (N,) or (N, T)

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If there are no examples, shapes differ, or values are not finite.
    """
    y, mean = _like(y, mean=mean)
    return float(np.sqrt(((mean - y) ** 2).mean()))  # E21


def coverage(lower, upper, y):
    """Fraction of targets that lie in their intervals, ends included (E21).

    coverage = 1/(N T) sum_n sum_t [lower[n, t] <= y[n, t] <= upper[n, t]]

    Parameters, and what is returned and raised, are as for `rmse`; a `lower` above its `upper` is an error too.
    """
    y, lower, upper = _like(y, lower=lower, upper=upper)
    if (lower > upper).any():
        raise ValueError(f"lower exceeds upper by up to {(lower - upper).max()}: swap them where it does")
    return float(((lower <= y) & (y <= upper)).mean())  # E21


def crps(samples, y):
    """Mean continuous ranked probability score of S draws, in the unit of `y` (E21).

    crps = E|X - y| - E|X - X'|/2,  E|X - X'| = 1/S^2 sum_s sum_t |x_s - x_t| = 2/S^2 sum_i (2 i - S - 1) x_(i)

    This scores the draws' own distribution (Gneiting and Raftery, 2007): X and X' may be one draw, hence 1/S^2, and
    it exceeds the score of what they are drawn from by E|X - X'|/(2 S) on average. Sorted: x_(1) <= ... <= x_(S).

    Parameters
    ----------
    samples : array_like, shape (S, N)
        Draws from the predictive distribution of each target, noise included.
    y : array_like, shape (N,)

    The rest is as for `rmse`.
    """
    y = _columns("y", y, 1)[:, 0]
    samples = _check.matrix("samples", samples, np.float64, columns=len(y))
    x = np.sort(samples - y, axis=0)  # the sum over i does not change when all draws move together
    weight = (2 * np.arange(1, len(x) + 1) - len(x) - 1) / len(x)
    return float((np.abs(x) - weight[:, None] * x).mean())  # E21


def auroc(score_negative, score_positive):
    """Probability that a positive's score exceeds a negative's, a tie counting half (E21).

    auroc = (R - M (M + 1)/2)/(N M),  R the sum of the M positives' ranks among all N + M scores, ties sharing a rank

    After Mann and Whitney (1947). Parameters are array_like, shapes (N,) and (M,); the rest is as for `rmse`.
    """
    from scipy.stats import rankdata  # not above: it takes a second to import
    negative, positive = _columns("score_negative", score_negative, 1), _columns("score_positive", score_positive, 1)
    n, m = len(negative), len(positive)
    rank_sum = rankdata(np.concatenate([negative, positive]))[n:].sum()
    return float((rank_sum - m * (m + 1) / 2) / (n * m))  # E21
