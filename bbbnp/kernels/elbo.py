"""The variational free energy and its gradient in mu and rho, composed of the other kernels (E2, E12, E13, E15).

For one minibatch, with S draws of the weights (paper, equations 2 and 8),

    F = lambda T [log q(w | mu, rho) - log P(w)] - log P(D | w),  averaged over the draws,

lambda the minibatch weight and T the temperature, which come here as one factor `kl_weight` = lambda T. With no draws
(`draws` = 0) the network is an ordinary one: w = mu, no noise, no KL.
"""

from typing import NamedTuple

import numpy as np

from bbbnp.kernels import noise
from bbbnp.kernels._jit import kernel
from bbbnp.kernels.dense import block, network_backward, network_forward
from bbbnp.kernels.likelihood import log_likelihood, log_likelihood_backward
from bbbnp.kernels.posterior import (
    log_posterior, log_posterior_backward, log_softplus_backward, logistic, reparameterize_backward, sample_weights)
from bbbnp.kernels.prior import log_prior, mixture_score

UNIFORM, GEOMETRIC = range(2)
SHORT, PAPER = range(2)


class Objective(NamedTuple):
    """Prior components (see `prior`), likelihood code, weight draws a step, and which form of the gradient."""

    prior: tuple
    likelihood: int
    draws: int
    form: int


class Parameters(NamedTuple):
    """mu and rho, shape (P,), and log_noise, shape (T,): the parameters, or the gradient in each."""

    mu: np.ndarray
    rho: np.ndarray
    log_noise: np.ndarray


class Batch(NamedTuple):
    """Inputs, shape (B, D), and targets, shape (B, T)."""

    x: np.ndarray
    y: np.ndarray


class Key(NamedTuple):
    """What the noise is a function of, beside draw and index."""

    seed: int
    step: int


class Workspace(NamedTuple):
    """Scratch: w, eps, dw (P,); outputs and doutputs, flat, B times the widths; rows (B,)."""

    w: np.ndarray
    eps: np.ndarray
    dw: np.ndarray
    outputs: np.ndarray
    doutputs: np.ndarray
    rows: np.ndarray


@kernel
def minibatch_weight(kind, i, minibatches, size, examples):
    """The part lambda_i of the KL that minibatch i of 0 .. M-1 carries; the parts sum to one (E15).

    uniform: |D_i|/N,  geometric (paper, section 3.4, i from 1): 2^(M-i)/(2^M - 1) = 2^-i/(1 - 2^-M)
    """
    if kind == GEOMETRIC:
        return 0.5 ** (i + 1) / (1 - 0.5**minibatches)  # E15
    return size / examples


@kernel(inline=True)
def complexity(log_q, log_p, kl_weight):
    """What the free energy charges for information in the weights (E2).

    F = kl_weight [log q(w | mu, rho) - log P(w)] - log P(D | w), of which this is the first term
    """
    return kl_weight * (log_q - log_p)  # E2


@kernel(inline=True)
def short_gradient(g, rho, eps, kl_weight):
    """Gradient of the free energy of one draw in mu and rho, after the mu- and w-terms of log q have cancelled (E13).

    dmu = g,  drho = eps g s(rho) - kl_weight r(rho),  with g = d(-log P(D | w))/dw - kl_weight dlog P(w)/dw
    """
    dmu, drho = reparameterize_backward(g, rho, eps)
    return dmu, drho - kl_weight * log_softplus_backward(rho)  # E13


@kernel(inline=True)
def paper_gradient(g, rho, eps, kl_weight):
    """The same in the paper's own steps, with f = kl_weight (log q - log P(w)) - log P(D | w) (E12; equations 3, 4).

    dmu = df/dw + df/dmu,  drho = df/dw eps/(1 + exp(-rho)) + df/drho
    """
    q_w, q_mu, q_rho = log_posterior_backward(rho, eps)
    df_dw = g + kl_weight * q_w
    dmu = df_dw + kl_weight * q_mu  # E12, equation 3
    drho = df_dw * eps * logistic(rho) + kl_weight * q_rho  # E12, equation 4
    return dmu, drho


@kernel
def add_gradient(gradient, rho, ws, objective, kl_weight):
    """Add one draw's gradient in mu and rho, divided by the number of draws, given `ws.dw` (E12, E13)."""
    cast = rho.dtype.type
    part, weight, prior = cast(1 / objective.draws), cast(kl_weight), objective.prior
    dmu, drho, dw, w, eps = gradient.mu, gradient.rho, ws.dw, ws.w, ws.eps
    if objective.form == SHORT:
        for j in range(rho.size):
            a, b = short_gradient(dw[j] - weight * mixture_score(w[j], prior), rho[j], eps[j], weight)
            dmu[j] += part * a
            drho[j] += part * b
    else:
        for j in range(rho.size):
            a, b = paper_gradient(dw[j] - weight * mixture_score(w[j], prior), rho[j], eps[j], weight)
            dmu[j] += part * a
            drho[j] += part * b


@kernel
def copy(to, source):
    """to[:] = source, in the loop that compiles two seconds faster than the slice assignment and its error text."""
    for j in range(to.size):
        to[j] = source[j]


@kernel
def forward_draw(ws, parameters, network, objective, batch, key, draw):
    """One draw forward: fill the workspace; return log q, log P(w), log P(D | w) in float64, and the outputs (E2)."""
    log_q, log_p = 0.0, 0.0
    if objective.draws > 0:
        noise.normals(ws.eps, key.seed, noise.WEIGHTS, key.step, draw)
        sample_weights(ws.w, parameters.mu, parameters.rho, ws.eps)  # w = mu + sigma*eps
        log_q = log_posterior(parameters.rho, ws.eps)
        log_p = log_prior(ws.w, objective.prior)
    else:
        copy(ws.w, parameters.mu)
    out = network_forward(ws.outputs, network, ws.w, batch.x)
    rows = ws.rows[:batch.x.shape[0]]
    return log_q, log_p, log_likelihood(rows, objective.likelihood, out, batch.y, parameters.log_noise), out


@kernel
def free_energy(parameters, network, objective, batch, key, ws):
    """The three parts of the free energy, averaged over the draws: log q, log P(w), log P(D | w) (E2).

    F = kl_weight (log q - log P(w)) - log P(D | w)
    """
    log_q, log_p, log_lik = 0.0, 0.0, 0.0
    draws = max(objective.draws, 1)
    for draw in range(draws):
        a, b, c, _ = forward_draw(ws, parameters, network, objective, batch, key, draw)
        log_q, log_p, log_lik = log_q + a / draws, log_p + b / draws, log_lik + c / draws
    return log_q, log_p, log_lik


@kernel
def free_energy_gradient(gradient, parameters, network, objective, batch, key, kl_weight, ws):
    """Fill `gradient` with that of F, and return the three parts of `free_energy` (E2, E12, E13).

    Each draw goes forward as in `free_energy` and then backward: outputs, layers, weights, mu and rho.
    """
    log_q, log_p, log_lik = 0.0, 0.0, 0.0
    draws, rows = max(objective.draws, 1), batch.x.shape[0]
    part = ws.w.dtype.type(1 / draws)
    before_last = rows * network.widths[1:-1].sum()
    for array in gradient:
        array[:] = 0
    for draw in range(draws):
        a, b, c, out = forward_draw(ws, parameters, network, objective, batch, key, draw)
        log_q, log_p, log_lik = log_q + a / draws, log_p + b / draws, log_lik + c / draws
        dout = block(ws.doutputs, before_last, rows, out.shape[1])
        log_likelihood_backward(dout, gradient.log_noise, objective.likelihood, out, batch.y, parameters.log_noise)
        network_backward(ws.dw, ws.doutputs, network, ws.w, batch.x, ws.outputs)
        if objective.draws > 0:
            add_gradient(gradient, parameters.rho, ws, objective, kl_weight)
        else:
            copy(gradient.mu, ws.dw)  # w = mu
    gradient.log_noise[:] *= part
    return log_q, log_p, log_lik
