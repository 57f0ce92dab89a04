"""Bayes' rule on a grid, and prediction by averaging over draws of the weights (E1, E18)."""

import math

from numba import prange
import numpy as np

from bbbnp.kernels import noise
from bbbnp.kernels._jit import kernel
from bbbnp.kernels.draw import DROPOUT, Draw
from bbbnp.kernels.elbo import copy
from bbbnp.kernels.placement import placed_forward
from bbbnp.kernels.posterior import sample_weights
from bbbnp.kernels.vectormath import log_sum_exp


@kernel
def bayes_rule(log_post, log_joint):
    """Fill `log_post` with the log posterior on a grid, and return the log evidence, both per grid point (E1).

    P(w | D) = P(D | w) P(w)/P(D),  P(D) = sum_w P(D | w) P(w)

    Shapes: both (G,), `log_joint` = log P(D | w) + log P(w).
    """
    log_evidence = log_sum_exp(log_joint)
    log_post[:] = log_joint - log_evidence  # E1
    return log_evidence


@kernel
def log_predictive(log_mean, log_lik):
    """Fill `log_mean`, shape (N,), with the log predictive density of each example, averaged over draws (E1).

    log P(y | x, D) = log 1/S sum_s P(y | x, w_s)  --  probabilities are averaged, never their logarithms

    Shapes: log_lik (S, N), the log-likelihood of each example under each draw.
    """
    draws = log_lik.shape[0]
    for n in range(log_lik.shape[1]):
        log_mean[n] = log_sum_exp(log_lik[:, n]) - math.log(draws)  # E1


@kernel
def draw_prediction_tile(t, parameters, seed, draw, placement, ws):
    """Weights of tile `t` under one draw of the stream of predictions (E4), or their means, if no noise is in them."""
    start = t * ws.tile
    stop = min(start + ws.tile, ws.w.size)
    if placement == DROPOUT:
        copy(ws.w[start:stop], parameters.mu[start:stop])
        return
    eps = ws.eps[start:stop]
    noise.normals(eps, seed, noise.PREDICTION, np.int64(0), draw, start)  # a literal 0 would compile it once more
    sample_weights(ws.w[start:stop], parameters.mu[start:stop], parameters.rho[start:stop], eps, eps[:0])


def _predict_draws(samples, parameters, network, x, noisy, ws):
    """Fill `samples`, shape (S, N, O), with the network's outputs under S draws of the weights (E4, E10), or of units
    left out (E25), or of the mean network, which is DROPOUT in a workspace without h': `noisy` is a Draw, of which
    placement, seed and the chances are read.

    Each draw serves all N rows of `x`, taken as many at a time as `ws.log_lik` has entries, in blocks of `ws.rows`; so
    the scratch does not grow with S or N.
    """
    at_once, tiles = ws.log_lik.size, (ws.w.size + ws.tile - 1) // ws.tile
    for s in range(samples.shape[0]):
        for t in prange(tiles):
            draw_prediction_tile(np.int64(t), parameters, noisy.seed, s, noisy.placement, ws)
        for start in range(0, x.shape[0], at_once):
            rows = x[start:start + at_once]
            out = samples[s, start:start + at_once]
            draw = Draw(noisy.placement, noisy.seed, start // at_once, s, 1, noise.PREDICTION, noisy.drop_inputs,
                        noisy.drop_hidden)
            for r in prange((rows.shape[0] + ws.rows - 1) // ws.rows):
                first = np.int64(r) * ws.rows
                last = min(first + ws.rows, rows.shape[0])
                done = placed_forward(ws, network, parameters.mu, rows, first, last, draw)
                for i in range(first, last):
                    copy(out[i], done[i - first])


predict_draws_serial = kernel(_predict_draws)
predict_draws_parallel = kernel(_predict_draws, parallel=True)


@kernel
def predictive_moments(mean, aleatoric, epistemic, f, variance):
    """Predictive mean and the two parts of the variance, by the law of total variance (E18).

    mean = E_w[f],  aleatoric = E_w[noise^2],  epistemic = Var_w[f],  Var[y] = aleatoric + epistemic

    Shapes: mean, aleatoric, epistemic (N, T), filled; f and variance (S, N, T), mean and noise^2 of each draw.
    """
    draws = f.shape[0]
    for n in range(f.shape[1]):
        for t in range(f.shape[2]):
            first, second, spread = 0.0, 0.0, 0.0
            for s in range(draws):
                first += f[s, n, t] / draws
                second += variance[s, n, t] / draws
            for s in range(draws):
                spread += (f[s, n, t] - first) ** 2 / draws
            mean[n, t], aleatoric[n, t], epistemic[n, t] = first, second, spread  # E18


@kernel
def entropy(p):
    """Entropy in nats of a probability vector, shape (C,), with 0 log 0 = 0."""
    total = 0.0
    for c in range(p.size):
        if p[c] > 0:
            total -= p[c] * math.log(p[c])
    return total


@kernel
def entropy_split(mean, aleatoric, epistemic, p):
    """Predictive probabilities, and their entropy in two parts (E18).

    mean = E_w[p],  aleatoric = E_w[H[p]],  epistemic = H[E_w[p]] - E_w[H[p]], the mutual information of label and w

    Shapes: mean (N, C), aleatoric and epistemic (N,), filled; p (S, N, C).
    """
    draws = p.shape[0]
    for n in range(p.shape[1]):
        mean[n] = 0
        inner = 0.0
        for s in range(draws):
            mean[n] += p[s, n] / draws
            inner += entropy(p[s, n]) / draws
        aleatoric[n], epistemic[n] = inner, max(entropy(mean[n]) - inner, 0.0)  # E18
