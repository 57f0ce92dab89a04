"""Pruning: how much a weight says, and how one that was taken out is left alone (E19).

A pruned weight has mu = 0 and rho = -inf, hence sigma = 0 and w = 0 in every draw. It has no part in log q, log P(w) or
the KL, and neither gradient nor update: the free energy is that of a network without it.
"""

import numpy as np

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.draw import Piece
from bbbnp.kernels.posterior import log_softplus
from bbbnp.kernels.vectormath import INFINITY, ZERO, log


@kernel(inline=True)
def log_signal_to_noise(mu, rho):
    """Log of a weight's signal-to-noise ratio, by which weights are kept or pruned (E19).

    log(|mu|/sigma) = log |mu| - log sigma,  and -inf at mu = 0, which is where a pruned weight is, rho = -inf
    """
    return -INFINITY if mu == ZERO else log(abs(mu)) - log_softplus(rho)  # E19


@kernel
def signal_to_noise(log_ratio, mu, rho):
    """Fill `log_ratio` with log(|mu|/sigma), all of shape (P,) (E19)."""
    for j in range(mu.size):
        log_ratio[j] = log_signal_to_noise(mu[j], rho[j])


@kernel
def left_of(piece):
    """A copy of mu, rho, w and eps of a piece without its pruned weights, rho = -inf: a network without them (E19)."""
    count = 0
    for j in range(piece.rho.size):
        count += piece.rho[j] > -np.inf
    mu, rho, w, eps = (np.empty(count, piece.mu.dtype), np.empty(count, piece.mu.dtype),
                       np.empty(count, piece.mu.dtype), np.empty(count, piece.mu.dtype))
    i = 0
    for j in range(piece.rho.size):
        if piece.rho[j] > -np.inf:
            mu[i], rho[i], w[i], eps[i] = piece.mu[j], piece.rho[j], piece.w[j], piece.eps[j]
            i += 1
    return Piece(mu, rho, w, eps, piece.spread)


@kernel
def finite(rho):
    """A copy with 0 where a weight was pruned: no eps/0 there; what comes of it is left out (see `leave_pruned`)."""
    copied = rho.copy()
    for j in range(rho.size):
        if rho[j] == -np.inf:
            copied[j] = 0
    return copied


@kernel
def leave_pruned(dmu, drho, rho, pruned):
    """No gradient where a weight was pruned, rho = -inf (E19)."""
    if pruned:
        for j in range(rho.size):
            if rho[j] == -np.inf:
                dmu[j], drho[j] = 0, 0  # E19
