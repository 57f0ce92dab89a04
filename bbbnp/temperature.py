"""Which posterior a loss targets: the one question that scales and averages of the two terms come down to (E26)."""

import numpy as np

from bbbnp import _check

REDUCTIONS = ("sum", "mean")


def effective_temperature(examples, *, batches=1, weights=None, draws=1, likelihood="sum", kl="sum",
                          likelihood_draws="mean", kl_draws="mean", likelihood_weight=1.0, kl_weight=1.0):
    """Temperature of the posterior that a loss of minibatches targets, ours or another library's (E26).

    T = sum_i b_i/a,  where a pass over the data adds up to  sum_n a (-log P(y_n | w)) + sum_i b_i (log q(w) - log P(w))

    The minimiser is as close as its family can be to P(D | w)^(1/T) P(w): the posterior at T = 1; at T < 1 a colder
    one, too sure, as if there were N/T examples; at T > 1 a hotter one, nearer to the prior. Only the ratio of the two
    terms counts, so a factor on the whole loss changes nothing. The squared error (y - f)^2 is 2 noise^2 times the
    -log P of Gaussian noise (less a constant): give that as `likelihood_weight`.

    Parameters
    ----------
    examples : int
        Number N of examples that a pass visits once each.
    batches : int
        Number M of minibatches, of (nearly) equal size, that a pass is cut into.
    weights : int, optional
        Number P of weights with a posterior; for kl="mean" only.
    draws : int
        Number S of draws of the weights in each loss.
    likelihood : {"sum", "mean"}
        How -log P(y_n | w) is reduced over the examples of a minibatch.
    kl : {"sum", "mean"}
        How the KL, or log q - log P(w), is reduced over the weights.
    likelihood_draws, kl_draws : {"sum", "mean"}
        How each term is reduced over the draws.
    likelihood_weight : float
        Factor on the reduced likelihood term.
    kl_weight : float or sequence of float, shape (M,)
        Factor on the reduced KL of every minibatch, or of each: `minibatch_weights` among them.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For numbers or reductions that cannot be; for kl="mean" without `weights`.

    Examples
    --------
    The mean negative log-likelihood plus the KL over the number of minibatches has the batch size for a temperature:

    >>> effective_temperature(60_000, batches=600, likelihood="mean", kl_weight=1 / 600)
    100.0
    """
    examples, batches = _check.integer("examples", examples, least=1), _check.integer("batches", batches, least=1)
    draws = _check.integer("draws", draws, least=1)
    if batches > examples:
        raise ValueError(f"batches={batches} exceeds examples={examples}: a minibatch has one example or more")
    for name, value in (("likelihood", likelihood), ("kl", kl), ("likelihood_draws", likelihood_draws),
                        ("kl_draws", kl_draws)):
        _check.one_of(name, value, REDUCTIONS)
    if weights is not None or kl == "mean":
        weights = _check.integer("weights", weights, least=1)
    if np.ndim(kl_weight) > 0 and np.shape(kl_weight) != (batches,):
        raise ValueError(f"kl_weight has shape {np.shape(kl_weight)}; it must be one number, or one for each of "
                         f"{batches} minibatches")
    b = [_check.real("kl_weight", value, least=0) for value in np.broadcast_to(kl_weight, batches)]
    a = _check.real("likelihood_weight", likelihood_weight, above=0)
    a *= (batches / examples if likelihood == "mean" else 1) * (draws if likelihood_draws == "sum" else 1)
    b = sum(b) * (1 / weights if kl == "mean" else 1) * (draws if kl_draws == "sum" else 1)
    return b / a  # E26
