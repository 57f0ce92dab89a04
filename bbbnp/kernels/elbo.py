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
from bbbnp.kernels.dense import block, network_backward, network_backward_weights, network_forward
from bbbnp.kernels.likelihood import log_likelihood, log_likelihood_backward
from bbbnp.kernels.posterior import (
    log_posterior_backward, log_softplus_backward, logistic, sample_weights, softplus)
from bbbnp.kernels.prior import log_prior, mixture_score

UNIFORM, GEOMETRIC = range(2)
SHORT, PAPER = range(2)


class Objective(NamedTuple):
    """Likelihood code, weight draws a step, and which form of the gradient. The prior goes beside it, as a tuple."""

    likelihood: int
    draws: int
    form: int


class Parameters(NamedTuple):
    """mu and rho, shape (P,), and log_noise, shape (T,): the parameters, or the gradient in each."""

    mu: np.ndarray
    rho: np.ndarray
    log_noise: np.ndarray


class Batch(NamedTuple):
    """Inputs, shape (B, D), targets, shape (B, T), and the factor on the minibatch's KL, lambda T."""

    x: np.ndarray
    y: np.ndarray
    kl_weight: float


class Weighting(NamedTuple):
    """Form of the gradient, part (one over the number of draws) and kl_weight of one draw's gradient."""

    form: int
    part: float
    kl_weight: float


class Key(NamedTuple):
    """What the noise is a function of, beside draw and index."""

    seed: int
    step: int


class Workspace(NamedTuple):
    """Scratch, and where a step is cut (see `fused`).

    w, eps (P,); outputs and doutputs, flat, B times the widths; log_lik (B,), of each example. The fused step has
    pieces of `tile` weights (a multiple of four), `rows` examples, and units of dW: a row of `units`, (depth, k, k_end,
    start), is W[k:k_end] of the layer that begins at `start`, and its bias if k_end is the last. `parts` and
    `dlog_noise` have a row for
    every piece's sums.
    """

    w: np.ndarray
    eps: np.ndarray
    outputs: np.ndarray
    doutputs: np.ndarray
    log_lik: np.ndarray
    tile: int
    rows: int
    units: np.ndarray
    parts: np.ndarray
    dlog_noise: np.ndarray


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

    dmu = g,  drho = r(rho) (sigma eps g - kl_weight),  with g = d(-log P(D | w))/dw - kl_weight dlog P(w)/dw

    r(rho) = d log sigma/d rho, so the bracket is the gradient in log sigma; E12 has eps g s(rho), and s = r sigma.
    """
    return g, log_softplus_backward(rho) * (softplus(rho) * eps * g - kl_weight)  # E13


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
def draw_gradient(dmu, drho, dw, w, rho, eps, prior, weighting):
    """Fill `dmu` and `drho` with one draw's part of the gradient in mu and rho (E12, E13). All arrays of one shape."""
    cast = rho.dtype.type
    part, kl_weight = cast(weighting.part), cast(weighting.kl_weight)
    if weighting.form == SHORT:
        for j in range(rho.size):
            a, b = short_gradient(dw[j] - kl_weight * mixture_score(w[j], prior), rho[j], eps[j], kl_weight)
            dmu[j], drho[j] = part * a, part * b
    else:
        for j in range(rho.size):
            a, b = paper_gradient(dw[j] - kl_weight * mixture_score(w[j], prior), rho[j], eps[j], kl_weight)
            dmu[j], drho[j] = part * a, part * b


@kernel
def add(total, part):
    """total += part, both of one shape."""
    for j in range(total.size):
        total[j] += part[j]


@kernel
def copy(to, source):
    """to[:] = source, in the loop that compiles two seconds faster than the slice assignment and its error text."""
    for j in range(to.size):
        to[j] = source[j]


@kernel
def forward_draw(ws, parameters, network, prior, objective, batch, key, draw):
    """One draw forward: fill the workspace; return log q, log P(w), log P(D | w) in float64, and the outputs (E2)."""
    log_q, log_p, rows = 0.0, 0.0, batch.x.shape[0]
    if objective.draws > 0:
        noise.normals(ws.eps, key.seed, noise.WEIGHTS, key.step, draw)
        log_q = sample_weights(ws.w, parameters.mu, parameters.rho, ws.eps)  # w = mu + sigma*eps
        log_p = log_prior(ws.w, prior)
    else:
        copy(ws.w, parameters.mu)
    out = network_forward(ws.outputs, network, ws.w, batch.x, 0, rows)
    log_lik = log_likelihood(ws.log_lik[:rows], objective.likelihood, out, batch.y, parameters.log_noise)
    return log_q, log_p, log_lik, out


@kernel
def free_energy_gradient(gradient, parameters, network, prior, objective, batch, key, ws):
    """Fill `gradient` with that of F; return log q, log P(w), log P(D | w), averaged over draws (E2, E13).

    F = kl_weight (log q - log P(w)) - log P(D | w)

    Each draw goes forward, and then backward: outputs, layers, weights, mu and rho. This is the plain version, whole
    vectors one after another; training runs the same equations in pieces (see `fused` and `hotloop`).
    """
    log_q, log_p, log_lik = 0.0, 0.0, 0.0
    draws, rows = max(objective.draws, 1), batch.x.shape[0]
    dw, dmu, drho = np.empty_like(ws.w), np.empty_like(ws.w), np.empty_like(ws.w)
    before_last = rows * network.widths[1:-1].sum()
    for array in gradient:
        array[:] = 0
    for draw in range(draws):
        a, b, c, out = forward_draw(ws, parameters, network, prior, objective, batch, key, draw)
        log_q, log_p, log_lik = log_q + a / draws, log_p + b / draws, log_lik + c / draws
        dout = block(ws.doutputs, before_last, rows, out.shape[1])
        log_likelihood_backward(dout, gradient.log_noise, objective.likelihood, out, batch.y, parameters.log_noise)
        network_backward(ws.doutputs, network, ws.w, ws.outputs, rows, 0, rows)
        network_backward_weights(dw, network, batch.x, ws.outputs, ws.doutputs)
        if objective.draws > 0:
            draw_gradient(dmu, drho, dw, ws.w, parameters.rho, ws.eps, prior,
                          Weighting(objective.form, 1 / draws, batch.kl_weight))
            add(gradient.mu, dmu)
            add(gradient.rho, drho)
        else:
            copy(gradient.mu, dw)  # w = mu
    gradient.log_noise[:] *= ws.w.dtype.type(1 / draws)
    return log_q, log_p, log_lik
