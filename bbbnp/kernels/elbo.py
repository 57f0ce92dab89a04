"""The variational free energy and its gradient in mu and rho, composed of the other kernels (E2, E12, E13, E15, E24).

For one minibatch, with S draws of the weights (paper, equations 2 and 8),

    F = lambda T [log q(w | mu, rho) - log P(w)] - log P(D | w),  averaged over the draws,

lambda the minibatch weight and T the temperature, which come here as one factor `kl_weight` = lambda T. With no draws
(`draws` = 0) the network is an ordinary one: w = mu, no noise, no KL. The noise may enter elsewhere than in w (see
`placement`), and the bracket may be the KL in closed form: the gradient is then the sum of two parts, that of the KL
and that of the likelihood.
"""

from typing import NamedTuple

import numpy as np

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.dense import block, network_backward_weights
from bbbnp.kernels.divergence import SAMPLED, gaussian_kl_backward, prior_deviation
from bbbnp.kernels.draw import PATH, SHORT, Draw, Piece, draw_of
from bbbnp.kernels.dropout import multiplied
from bbbnp.kernels.likelihood import log_likelihood, log_likelihood_backward
from bbbnp.kernels.placement import draw_weights, every, placed_backward, placed_forward
from bbbnp.kernels.posterior import (
    decay, log_posterior_backward, log_softplus_backward, logistic, reparameterize_backward, softplus)
from bbbnp.kernels.prior import log_prior, score_weights
from bbbnp.kernels.pruning import finite, leave_pruned, left_of
from bbbnp.kernels.second_product import spread_backward, spread_gradient

UNIFORM, GEOMETRIC = range(2)


class Objective(NamedTuple):
    """Likelihood code, weight draws a step, form of the gradient, where the noise enters, whether the KL is sampled or
    closed, whether draws are antithetic pairs, the chances of dropout, and whether weights were pruned. The prior goes
    beside it, as a tuple."""

    likelihood: int
    draws: int
    form: int
    placement: int
    kl: int
    antithetic: bool
    drop_inputs: float
    drop_hidden: float
    pruned: bool


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
    """Form of the gradient, part (one over the number of draws) and kl_weight of one draw's gradient; where the noise
    entered, which KL, and whether weights were pruned."""

    form: int
    part: float
    kl_weight: float
    placement: int
    kl: int
    pruned: bool


class Key(NamedTuple):
    """What the noise is a function of, beside draw and index."""

    seed: int
    step: int


class Workspace(NamedTuple):
    """Scratch, and where a step is cut (see `fused`).

    w, eps (P,), which may come to hold r(rho) (see `Piece`); outputs and doutputs, flat, B times the widths; log_lik
    (B,), of each example; where the noise is in the units, spread (P,), and flat second_inputs and slopes; for dropout
    second_inputs alone. Where they are not needed, spread is empty, and the other two are None (see `second_product`).
    The fused step has pieces of `tile` weights, `rows` examples, and units of dW: a row of
    `units`, (depth, k, k_end, start), is W[k:k_end] of the layer that begins at `start`, and its bias if k_end is the
    last. `parts` and `dlog_noise` have a row for every piece's sums.
    """

    w: np.ndarray
    eps: np.ndarray
    outputs: np.ndarray
    doutputs: np.ndarray
    log_lik: np.ndarray
    tile: int
    rows: int
    columns: int
    units: np.ndarray
    parts: np.ndarray
    dlog_noise: np.ndarray
    spread: np.ndarray
    second_inputs: np.ndarray | None
    slopes: np.ndarray | None


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
def short_gradient(g, slope, displacement, kl_weight):
    """Gradient of the free energy of one draw in mu and rho, after the mu- and w-terms of log q have cancelled (E13).

    dmu = g,  drho = r(rho) (sigma eps g - kl_weight),  with g = d(-log P(D | w))/dw - kl_weight dlog P(w)/dw

    r(rho) = d log sigma/d rho is the slope, so the bracket is the gradient in log sigma, and sigma eps = w - mu.
    """
    return g, slope * (displacement * g - kl_weight)  # E13


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


@kernel(inline=True)
def path_gradient(g, rho, eps, kl_weight, e):
    """The path derivative: the gradient through w alone, log q's own dependence on mu and rho left out (E24).

    dmu = g - kl_weight eps/sigma,  drho = r(rho) eps (sigma g - kl_weight eps)

    What is left out, kl_weight (eps/sigma, (eps^2 - 1) r(rho)), is zero on average. Where q is the posterior itself,
    what stays is zero in every draw ("sticking the landing", Roeder, Wu and Duvenaud 2017).
    """
    sigma = softplus(rho, e)
    return g - kl_weight * eps / sigma, log_softplus_backward(rho, e) * eps * (sigma * g - kl_weight * eps)  # E24


@kernel
def draw_gradient(dmu, drho, dw, score, piece, weighting):
    """Fill `dmu` and `drho` with one draw's part of the gradient in mu and rho (E12, E13, E24).

    Arrays of one shape; dw that of -log P(D | w) in w, score that of log P(w). In the short form `piece.eps` is r(rho).
    """
    eps, part, kl_weight = piece.eps, dmu.dtype.type(weighting.part), dmu.dtype.type(weighting.kl_weight)
    if weighting.form == SHORT:
        for j in range(dmu.size):
            dmu[j] = part * (dw[j] - kl_weight * score[j])
        for j in range(dmu.size):
            dmu[j], drho[j] = short_gradient(dmu[j], eps[j], piece.w[j] - piece.mu[j], part * kl_weight)
        return
    rho = finite(piece.rho) if weighting.pruned else piece.rho
    if weighting.form == PATH:
        for j in range(rho.size):
            drho[j] = decay(rho[j])  # lies there until its place is needed
        for j in range(rho.size):
            a, b = path_gradient(dw[j] - kl_weight * score[j], rho[j], eps[j], kl_weight, drho[j])
            dmu[j], drho[j] = part * a, part * b
    else:
        for j in range(rho.size):
            a, b = paper_gradient(dw[j] - kl_weight * score[j], rho[j], eps[j], kl_weight)
            dmu[j], drho[j] = part * a, part * b


@kernel
def kl_gradient(dmu, drho, mu, rho, prior, factor):
    """Fill `dmu` and `drho` with `factor` times the gradient of the closed-form KL (E14)."""
    sigma = prior_deviation(prior)
    for j in range(dmu.size):
        a, b = gaussian_kl_backward(mu[j], rho[j], sigma)
        dmu[j], drho[j] = factor * a, factor * b


@kernel
def weights_gradient(dmu, drho, score, dw, ds, piece, prior, weighting):
    """Fill `dmu` and `drho` with one draw's part of the gradient in mu and rho, wherever its noise entered.

    Shapes: all (n,); dw is dW, or dMu beside ds = dS' (E16, E22), which is not read where the noise is in the weights;
    `score` is scratch. Returns log P(w), which comes with its derivative, or 0 where the KL is closed.
    """
    in_weights, part, log_p = piece.spread.size == 0, dmu.dtype.type(weighting.part), 0.0
    if weighting.kl == SAMPLED:
        log_p = score_weights(score, piece.w, prior)
        if weighting.pruned:
            log_p = log_prior(left_of(piece).w, prior)  # E19
    if weighting.kl == SAMPLED and in_weights:
        draw_gradient(dmu, drho, dw, score, piece, weighting)
        leave_pruned(dmu, drho, piece.rho, weighting.pruned)
        return log_p
    if weighting.kl == SAMPLED:  # the KL's part alone, as if the likelihood were flat; in one call it rounds otherwise
        draw_gradient(dmu, drho, np.zeros_like(dw), score, piece, weighting)
    else:
        kl_gradient(dmu, drho, piece.mu, piece.rho, prior, part * dmu.dtype.type(weighting.kl_weight))
    if in_weights:
        for j in range(dmu.size):
            a, b = reparameterize_backward(dw[j], piece.rho[j], piece.eps[j])
            dmu[j], drho[j] = dmu[j] + part * a, drho[j] + part * b
    else:
        for j in range(dmu.size):
            dmu[j] += part * dw[j]
        spread_backward(drho, ds, piece.spread, piece.rho, weighting.placement, weighting.part)
    leave_pruned(dmu, drho, piece.rho, weighting.pruned)
    return log_p


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
def forward_draw(ws, parameters, network, prior, objective, batch, draw):
    """One draw forward: fill the workspace; return log q, log P(w), log P(D | w) in float64, and the outputs (E2)."""
    rows, piece = batch.x.shape[0], Piece(parameters.mu, parameters.rho, ws.w, ws.eps, ws.spread)
    log_q, log_p = draw_weights(piece, prior, objective, draw, np.int64(0), True)
    out = placed_forward(ws, network, parameters.mu, batch.x, *every(rows), draw)
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
    placed = ws.spread.size > 0
    dmu, drho, score = np.empty_like(ws.w), np.empty_like(ws.w), np.empty_like(ws.w)
    products = np.empty((2 if placed else 1, ws.w.size), ws.w.dtype)
    weighting = Weighting(objective.form, 1 / draws, batch.kl_weight, objective.placement, objective.kl,
                          objective.pruned)
    before_last = rows * network.widths[1:-1].sum()
    for array in gradient:
        array[:] = 0
    for number in range(draws):
        draw = Draw(*draw_of(objective, key.seed, key.step, number))
        a, b, c, out = forward_draw(ws, parameters, network, prior, objective, batch, draw)
        log_q, log_p, log_lik = log_q + a / draws, log_p + b / draws, log_lik + c / draws
        dout = block(ws.doutputs, before_last, rows, out.shape[1])
        log_likelihood_backward(dout, gradient.log_noise, objective.likelihood, out, batch.y, parameters.log_noise)
        placed_backward(ws, network, parameters.mu, rows, *every(rows), draw)
        network_backward_weights(products[0], network, *multiplied(batch.x, ws), ws.doutputs)
        spread_gradient(products[-1], network, ws.second_inputs, ws.slopes, rows)
        if objective.draws > 0:
            piece = Piece(parameters.mu, parameters.rho, ws.w, ws.eps, ws.spread)
            weights_gradient(dmu, drho, score, products[0], products[-1], piece, prior, weighting)
            add(gradient.mu, dmu)
            add(gradient.rho, drho)
        else:
            copy(gradient.mu, products[0])  # w = mu
            leave_pruned(gradient.mu, gradient.rho, parameters.rho, objective.pruned)
    gradient.log_noise[:] *= ws.w.dtype.type(1 / draws)
    return log_q, log_p, log_lik
