"""The fused step equals the plain one, whatever its pieces, its build and its threads."""

from dataclasses import replace
import itertools

import numba
import numpy as np
import pytest

from bbbnp import Key, free_energy_gradient, reference, threads
from bbbnp.architecture import Architecture
from bbbnp.gradcheck_cases import BUILDS, PRIORS, estimator_settings, network_settings, path_case
from bbbnp.kernels import elbo, fused, hotloop, optimizer, posterior
from bbbnp.kernels.divergence import SAMPLED
from bbbnp.kernels.draw import Piece, SHORT, WEIGHTS
from bbbnp.objective import LIKELIHOODS, Objective

PIECES = [{}, {"tile": 4, "block": 1, "columns": 1, "unit": 1}, {"tile": 7, "block": 3, "columns": 2, "unit": 6},
          {"tile": 12, "block": 5, "columns": 3}]
TWO_THREADS = pytest.mark.skipif(
    numba.config.NUMBA_NUM_THREADS < 2 or numba.config.DISABLE_JIT, reason="needs two threads and the compiler")


def plain(architecture, mu, rho, x, y, objective, key):
    """dmu, drho and dlog_noise of the plain version, and its three parts."""
    log_noise = objective.log_noise(y.shape[1], mu.dtype)
    gradient = elbo.Parameters(np.empty_like(mu), np.empty_like(rho), np.empty_like(log_noise))
    parts = elbo.free_energy_gradient(
        gradient, elbo.Parameters(mu, rho, log_noise), architecture.network, objective.prior.components(mu.dtype),
        objective.kernels_for(rho), elbo.Batch(x, y, objective.kl_weight), elbo.Key(*key),
        architecture.workspace(len(x), mu.dtype, weight_noise=objective.scratch))
    return gradient, parts


@pytest.mark.E2
@pytest.mark.E12
@pytest.mark.E13
@pytest.mark.parametrize("pieces", PIECES, ids=str)
@pytest.mark.parametrize("names", [*itertools.product(PRIORS, LIKELIHOODS, ("relu", "tanh"))], ids=", ".join)
def test_fused_equals_plain(names, pieces):
    form = "paper" if pieces.get("block") == 3 else "short"
    case = path_case(*names, "geometric", form=form)
    (dmu, drho, dlog_noise), parts = plain(*case)
    *arguments, objective, key = case
    result = free_energy_gradient(*arguments, objective=objective, key=key, pieces=pieces)
    np.testing.assert_allclose(result[1:4], parts, rtol=1e-13)
    for ours, truth in ((result.dmu, dmu), (result.drho, drho)):
        np.testing.assert_allclose(ours, truth, rtol=1e-12, atol=1e-12 * np.abs(truth).max())
    if names[1] == "gaussian_learned":
        np.testing.assert_allclose(result.dlog_noise, dlog_noise, rtol=1e-12)


@pytest.mark.E13
def test_the_short_form_loses_no_more_than_the_rounding_of_w(dtype):
    """sigma eps is w - mu there: in float32 nothing at all where sigma is below the last digit of mu."""
    rng, rho = np.random.default_rng(0), np.linspace(-30, 4, 300).astype(dtype)
    mu, eps, dw, score = rng.normal(size=(4, rho.size)).astype(dtype)
    piece = Piece(mu, rho, np.empty_like(mu), eps.copy(), mu[:0])
    posterior.sample_weights(piece.w, mu, rho, piece.eps, piece.eps)
    dmu, drho = np.empty_like(mu), np.empty_like(mu)
    elbo.draw_gradient(dmu, drho, dw, score, piece, elbo.Weighting(SHORT, 0.5, 0.25, WEIGHTS, SAMPLED, False))
    rho, eps, g = (a.astype(float) for a in (rho, eps, dw - dtype(0.25) * score))
    scale = np.finfo(dtype).eps * (np.abs(piece.w * g) + 0.25)

    def lost(gradient):
        return np.max(np.abs(gradient - drho) / scale)

    assert np.max(np.abs(dmu - g / 2) / scale) <= 4
    assert lost(reference.short_gradient(g, rho, eps, 0.25)[1] / 2) <= 4
    assert lost(reference.short_gradient(g, rho, np.roll(eps, 1), 0.25)[1] / 2) > 100


@pytest.mark.E14
@pytest.mark.E16
@pytest.mark.E22
@pytest.mark.E23
@pytest.mark.E24
@pytest.mark.parametrize("pieces", PIECES, ids=str)
@pytest.mark.parametrize("prior, settings", list(estimator_settings()), ids=str)
def test_fused_equals_plain_wherever_the_noise_is(prior, settings, pieces):
    *arguments, objective, key = case = path_case(prior, "gaussian_learned", "tanh", "geometric", **settings)
    (dmu, drho, dlog_noise), parts = plain(*case)
    result = free_energy_gradient(*arguments, objective=objective, key=key, pieces=pieces)
    np.testing.assert_allclose(result[1:4], parts, rtol=1e-13)
    for ours, truth in ((result.dmu, dmu), (result.drho, drho), (result.dlog_noise, dlog_noise)):
        np.testing.assert_allclose(ours, truth, rtol=1e-12, atol=1e-12 * np.abs(truth).max())


@pytest.mark.E19
@pytest.mark.E25
@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("pieces", PIECES, ids=str)
@pytest.mark.parametrize("equation, names, settings", list(network_settings()), ids=str)
def test_fused_equals_plain_for_dropout_and_pruned_networks(equation, names, settings, pieces, build):
    *arguments, objective, key = case = path_case(names[0], "gaussian_learned", names[2], "geometric", **settings)
    (dmu, drho, dlog_noise), parts = plain(*case)
    result = free_energy_gradient(*arguments, objective=objective, key=key, pieces=pieces, threads=BUILDS[build])
    np.testing.assert_allclose(result[1:4], parts, rtol=1e-13)
    for ours, truth in ((result.dmu, dmu), (result.drho, drho), (result.dlog_noise, dlog_noise)):
        np.testing.assert_allclose(ours, truth, rtol=1e-12, atol=1e-12 * np.abs(truth).max())
    assert result.dmu.any() and result.drho.any() == (objective.draws > 0)


@pytest.mark.parametrize("draws", [0, 1], ids=["none", "one"])
def test_fused_equals_plain_with_one_draw_and_without_noise(draws):
    *arguments, objective, key = path_case("mixture", "gaussian_learned", "tanh", "uniform")
    objective = replace(objective, draws=draws)
    (dmu, drho, dlog_noise), parts = plain(*arguments, objective, key)
    result = free_energy_gradient(*arguments, objective=objective, key=key, pieces=PIECES[2])
    np.testing.assert_allclose(result[1:4], parts, rtol=1e-13)
    for ours, truth in ((result.dmu, dmu), (result.drho, drho)):
        np.testing.assert_allclose(ours, truth, rtol=1e-12, atol=1e-12 * np.abs(truth).max())
    np.testing.assert_allclose(result.dlog_noise, dlog_noise, rtol=1e-12)
    assert drho.any() == result.drho.any() == (draws > 0)


@pytest.mark.parametrize("pieces", PIECES[:3], ids=str)
@pytest.mark.parametrize("hidden", [(), (5,)], ids=str)
@pytest.mark.parametrize("settings", [
    {}, {"weight_noise": "local"}, {"weight_noise": "flipout"}, {"draws": 0, "dropout": (0.2, 0.5)}], ids=str)
def test_fused_equals_plain_with_one_layer_or_two(settings, hidden, pieces):
    *arguments, objective, key = case = path_case(
        "mixture", "gaussian_learned", "tanh", "geometric", hidden=hidden, **settings)
    (dmu, drho, dlog_noise), parts = plain(*case)
    by_build = [free_energy_gradient(*arguments, objective=objective, key=key, pieces=pieces, threads=number)
                for number in BUILDS.values()]
    for result in by_build:
        np.testing.assert_allclose(result[1:4], parts, rtol=1e-13)
        for ours, truth, first in zip((result.dmu, result.drho, result.dlog_noise), (dmu, drho, dlog_noise),
                                      (by_build[0].dmu, by_build[0].drho, by_build[0].dlog_noise)):
            np.testing.assert_allclose(ours, truth, rtol=1e-12, atol=1e-12 * np.abs(truth).max())
            np.testing.assert_array_equal(ours, first)  # whichever build


@pytest.mark.parametrize("width, columns, pieces", [(5, 9, 1), (9, 9, 1), (1, 1, 1), (2, 1, 2), (5, 1, 5), (10, 3, 4),
                                                    (400, 256, 2), (800, 256, 4), (1200, 256, 4), (333, 40, 8)])
def test_every_column_is_in_one_piece_and_wide_ones_begin_at_a_line_of_the_cache(width, columns, pieces):
    network = Architecture((3, width)).network
    assert fused.column_pieces(network, 1, columns) == pieces
    ends = [fused.columns_of(c, network, 1, columns) for c in range(pieces)]
    assert [start for start, _ in ends] == [0, *(stop for _, stop in ends[:-1])] and ends[-1][1] == width
    assert all(start < stop for start, stop in ends)
    assert width < 16 * pieces or all(start % 16 == 0 for start, _ in ends)


def test_the_check_sees_a_gradient_of_other_noise():
    *arguments, objective, key = path_case("mixture", "bernoulli", "tanh", "uniform")
    other = free_energy_gradient(*arguments, objective=objective, key=Key(key.seed, key.step + 1), pieces=PIECES[1])
    (dmu, *_), _ = plain(*arguments, objective, key)
    assert np.abs(other.dmu - dmu).max() > 1e-3 * np.abs(dmu).max()


def trained(pieces, number, *, steps=7, draws=1, hidden=(5, 3), batch=11):
    """theta and history after a few Adam steps on two classes, with minibatches of which the last is shorter."""
    rng, architecture = np.random.default_rng(3), Architecture((4, *hidden, 2))
    x = rng.normal(size=(2 * batch + 3, 4)).astype(np.float32)
    y = (x[:, :1] > 0).astype(np.float32)
    mu, size = architecture.initial_mu(1, np.float32), architecture.size
    theta = np.concatenate([mu, np.full(size, -3, np.float32), np.zeros(1, np.float32)])
    state = fused.State(theta, *np.zeros((2, theta.size), np.float32), theta.copy(),
                        np.zeros(2 * size, np.float32) if draws > 1 else None, np.zeros(1, np.float32),
                        np.zeros(0, np.float32))
    objective, history = Objective(PRIORS["mixture"], "categorical", draws=draws), np.zeros((steps, 2))
    threads.train(
        steps, history, state, architecture.network, objective.prior.components(np.float32), objective.for_kernels,
        optimizer.Optimizer(optimizer.ADAM, 1e-2, optimizer.COSINE, 9.0, 0.9, 0.999, 1e-8),
        hotloop.Data(x, y, np.arange(len(x)), x[:batch].copy(), y[:batch].copy()),
        hotloop.Plan(batch, elbo.UNIFORM, 1.0, False, 3, hotloop.UPDATE), hotloop.Cursor(5, 0, 0, 0),
        architecture.workspace(batch, np.float32, **pieces), threads=number)
    return np.concatenate([theta, state.average, history.ravel()])


@TWO_THREADS
@pytest.mark.parametrize("draws", [1, 2])
@pytest.mark.parametrize("pieces", PIECES, ids=str)
@pytest.mark.parametrize("hidden", [(5, 3), (1,), (), (40, 70)], ids=str)
def test_one_and_two_threads_give_the_same_bits(hidden, pieces, draws):
    one, two = (trained(pieces, number, draws=draws, hidden=hidden) for number in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_other_pieces_change_rounding_only():
    one, other = trained(PIECES[1], 1), trained(PIECES[0], 1)
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
