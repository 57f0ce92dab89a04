"""Weights by the tile: drawn, and given their gradient and their update, a few thousand after another.

All that a tile needs then stays in the caches, and its memory is fetched by the processor while it computes: an update
waits for memory and the draw of the next weights does not, so that the one follows the other tile by tile.
"""

from typing import NamedTuple

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.divergence import SAMPLED
from bbbnp.kernels.draw import SHORT, Piece
from bbbnp.kernels.elbo import Parameters, add, copy, short_gradient, weights_gradient
from bbbnp.kernels.optimizer import adam, adam_factors, adam_update, average_iterates, recording, update
from bbbnp.kernels.prior import score_weights
from bbbnp.kernels.pruning import leave_pruned


class Stage(NamedTuple):
    """Where in a step weights are taken up: whether for a gradient, of the step's first draw, and for an update, which
    has `averaged` iterates before it and must `keep` mu and rho in `good`; whether for a draw, its log P(w) too."""

    gradient: bool
    first_draw: bool
    update: bool
    averaged: int
    keep: bool
    draw: bool
    valued: bool


@kernel(inline=True)
def unpack(theta, size):
    """Views of mu, rho (P = `size` entries each) and log_noise in one vector."""
    return Parameters(theta[:size], theta[size:2 * size], theta[2 * size:])


@kernel(inline=True)
def piece_of(theta, ws, start, stop):
    """The stretch start .. stop - 1 of mu, rho and a draw's vectors."""
    parameters = unpack(theta, ws.w.size)
    return Piece(parameters.mu[start:stop], parameters.rho[start:stop], ws.w[start:stop], ws.eps[start:stop],
                 ws.spread[start:stop])


@kernel
def update_part(a, b, dtheta, state, optimizer, stage):
    """The optimiser, as it is at the step, and the average of iterates where it has begun, on theta[a:b] (E17)."""
    update(state.theta[a:b], dtheta, state.first[a:b], state.second[a:b], optimizer)
    average_part(a, b, state, stage)


@kernel(inline=True, borrows=True)
def average_part(a, b, state, stage):
    """The average of iterates, where it has begun, of theta[a:b] (E17)."""
    if state.average.size > 0 and stage.averaged >= 0:
        average_iterates(state.average[a:b], state.theta[a:b], stage.averaged)


@kernel(inline=True)
def in_one_loop(spread, weighting):
    """Whether `short_update` knows the gradient: one draw of the weights, the KL sampled, the short form."""
    one_draw = weighting.part == 1 and spread.size == 0 and not weighting.pruned
    return one_draw and weighting.form == SHORT and weighting.kl == SAMPLED


@kernel(borrows=True)
def short_update(piece, dw, score, first, second, weighting, factors):
    """What `draw_gradient` in the short form and `adam_update` of mu and of rho do, in one loop (E13, E17).

    Its ten vectors come from memory while it computes; three loops would wait for theirs, each anew.

    Shapes: all (n,); `first` and `second` are moments of (mu, rho). With the factors of `recording` the first become
    the gradient, and mu and rho stay.
    """
    mu, rho, w, slope, _ = piece
    part, kl_weight = mu.dtype.type(weighting.part), mu.dtype.type(weighting.kl_weight)
    (first_mu, first_rho), (second_mu, second_rho) = first, second
    for j in range(mu.size):
        dmu, drho = short_gradient(
            part * (dw[j] - kl_weight * score[j]), slope[j], w[j] - mu[j], part * kl_weight)  # E13
        mu[j], first_mu[j], second_mu[j] = adam(mu[j], dmu, first_mu[j], second_mu[j], factors)
        rho[j], first_rho[j], second_rho[j] = adam(rho[j], drho, first_rho[j], second_rho[j], factors)


@kernel(inline=True, borrows=True)
def finish_tile(dtheta, place, state, prior, optimizer, ws, weighting, stage):
    """Gradient in mu and rho of the weights a .. b - 1, and update (E12, E13); returns their log P(w).

    `place` is a, b and where the unit begins, its products and scratch. Without `dtheta`, that of the state, Adam
    and one draw, or none, are one loop, and nothing else is compiled. The gradient of one draw is recorded in that
    loop, too; otherwise it lives in scratch, or with several draws in `dtheta`.
    """
    (a, b, begin, products, scratch), size, log_p = place, ws.w.size, 0.0
    theta, dw, p, q, n = state.theta, products[0, a - begin:b - begin], size + a, size + b, b - a
    # not `piece_of`, which returns arrays: this one borrows its own
    piece = Piece(theta[a:b], theta[p:q], ws.w[a:b], ws.eps[a:b], ws.spread[a:b])
    dmu, drho, score = scratch[0, :n], scratch[1, :n], scratch[2, :n]
    if stage.keep:
        copy(state.good[a:b], piece.mu)
        copy(state.good[p:q], piece.rho)
    if dtheta is None and weighting.part == 0:  # w = mu
        adam_update(piece.mu, dw, state.first[a:b], state.second[a:b], adam_factors(dmu, optimizer))
        average_part(a, b, state, stage)
        return log_p
    if dtheta is None or in_one_loop(piece.spread, weighting) and not stage.update:
        log_p = score_weights(score, piece.w, prior)
        if dtheta is None:
            short_update(piece, dw, score, (state.first[a:b], state.first[p:q]), (
                state.second[a:b], state.second[p:q]), weighting, adam_factors(dmu, optimizer))
            average_part(a, b, state, stage)
            average_part(p, q, state, stage)
        else:
            short_update(piece, dw, score, (dtheta[a:b], dtheta[p:q]), (dmu, drho), weighting, recording(dmu))
        return log_p
    if weighting.part > 0:
        log_p = weights_gradient(
            dmu, drho, score, dw, products[-1, a - begin:b - begin], piece, prior, weighting)
    else:
        copy(dmu, dw)  # w = mu
        leave_pruned(dmu, drho, piece.rho, weighting.pruned)
    if dtheta.size > 0:
        add_draw(dtheta[a:b], dmu, stage.first_draw)
        add_draw(dtheta[p:q], drho, stage.first_draw)
        dmu, drho = dtheta[a:b], dtheta[p:q]
    if stage.update:
        update_part(a, b, dmu, state, optimizer, stage)
        if weighting.part > 0:
            update_part(p, q, drho, state, optimizer, stage)
    return log_p


@kernel
def add_draw(total, part, first_draw):
    """Add a draw's part of the gradient to the total, or begin it."""
    if first_draw:
        copy(total, part)
    else:
        add(total, part)
