"""Gradient and update in one loop are those of the separate loops, which the finite differences prove."""

from types import SimpleNamespace

import numpy as np
import pytest

from bbbnp import Architecture, BayesRegressor, GaussianPrior, Objective, ScaleMixture, training
from bbbnp.kernels import elbo, fused, hotloop, optimizer, tiles
from bbbnp.kernels.divergence import CLOSED, SAMPLED
from bbbnp.kernels.draw import PAPER, SHORT, WEIGHTS, Draw, Piece
from bbbnp.kernels.placement import draw_weights

SIZE, PART, KL_WEIGHT = 67, 0.5, 0.3
ADAM = optimizer.Optimizer(optimizer.ADAM, 0.1, optimizer.CONSTANT, 1.0, 0.9, 0.99, 1e-3)


def weighting(**changed):
    return elbo.Weighting(SHORT, PART, KL_WEIGHT, WEIGHTS, SAMPLED, False)._replace(**changed)


def tile(dtype):
    """Piece, dW, score and the moments of mu and rho; the second moments are squares."""
    mu, rho, w, slope, dw, score, *moments = np.random.default_rng(1).normal(size=(10, SIZE)).astype(dtype)
    return SimpleNamespace(piece=Piece(mu, rho, w, slope, mu[:0]), dw=dw, score=score, first=tuple(moments[:2]),
                           second=tuple(m * m for m in moments[2:]))


def left(t):
    """All that an update changes."""
    return np.concatenate([t.piece.mu, t.piece.rho, *t.first, *t.second])


def one_loop(dtype, record=False, **changed):
    t = tile(dtype)
    tiles.short_update(t.piece, t.dw, t.score, t.first, t.second, weighting(**changed),
                       optimizer.recording(t.dw) if record else optimizer.adam_factors(t.dw, ADAM))
    return left(t)


def separate_loops(dtype):
    t = tile(dtype)
    gradient = np.empty((2, SIZE), dtype)
    elbo.draw_gradient(*gradient, t.dw, t.score, t.piece, weighting())
    for x, dx, first, second in zip(t.piece, gradient, t.first, t.second):
        optimizer.update(x, dx, first, second, ADAM)
    return left(t)


@pytest.mark.E13
@pytest.mark.E17
def test_one_loop_does_what_gradient_and_adam_do_and_a_wrong_one_does_not(dtype):
    truth, tolerance = separate_loops(dtype), 8 * np.finfo(dtype).eps

    def differs(ours):
        return np.any(np.abs(ours - truth) > tolerance * (1 + np.abs(truth)))

    assert not differs(one_loop(dtype)) and np.any(np.abs(truth - left(tile(dtype))) > 0.01)
    assert differs(one_loop(dtype, kl_weight=KL_WEIGHT * (1 + 1e-4)))
    assert differs(one_loop(dtype, part=PART * (1 + 1e-4)))


@pytest.mark.E13
def test_one_loop_can_record_the_gradient_and_leave_the_parameters(dtype):
    t, gradient = tile(dtype), np.empty((2, SIZE), dtype)
    elbo.draw_gradient(*gradient, t.dw, t.score, t.piece, weighting())
    mu, rho, *first, _, _ = one_loop(dtype, record=True).reshape(6, SIZE)
    np.testing.assert_array_equal([mu, rho], t.piece[:2])
    np.testing.assert_allclose(first, gradient, rtol=4 * np.finfo(dtype).eps)


def test_one_loop_is_taken_by_one_short_draw_of_the_weights():
    none, some = np.zeros(0), np.zeros(2)
    assert tiles.in_one_loop(none, weighting(part=1.0)) and not tiles.in_one_loop(some, weighting(part=1.0))
    for changed in ({"part": 0.5}, {"part": 0.0}, {"pruned": True}, {"kl": CLOSED}, {"form": PAPER}):
        assert not tiles.in_one_loop(none, weighting(**{"part": 1.0, **changed})), changed


@pytest.mark.parametrize("settings, whole", [
    ({}, None), ({"optimizer": "sgd"}, 0), ({"draws": 2}, 26), ({"gradient": "path"}, 0),
    ({"weight_noise": "local"}, 0), ({"prior": GaussianPrior(), "kl": "closed"}, 0)], ids=str)
def test_training_has_no_place_for_the_gradient_where_the_one_loop_does_it_all(settings, whole):
    net = BayesRegressor(hidden=(3,), epochs=1, **settings)
    X, y = np.ones((4, 2)), np.ones(4)
    net._start(X, y)
    problem = net._problem(X, y)
    dtheta = training.kernel_state(problem, net.state_, np.zeros(0)).dtheta
    assert (None if dtheta is None else len(dtheta)) == whole
    still = problem._replace(objective=problem.objective._replace(draws=0))
    assert (training.kernel_state(still, net.state_, np.zeros(0)).dtheta is None) == ("optimizer" not in settings)


def trained(dtheta, average_from=0, calls=(4,), **settings):
    """The state after so many steps of Adam, in the one loop where there is no place for the gradient."""
    rng, architecture = np.random.default_rng(8), Architecture((2, 3, 1))
    objective = Objective(**{"prior": ScaleMixture(), "noise": 0.5, **settings})
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    theta = np.concatenate([architecture.initial_mu(1), np.full(13, -1.0), np.log([0.5])])
    state = fused.State(theta, np.zeros(27), np.zeros(27), theta.copy(), dtheta, np.zeros(1), np.zeros(0))
    step, history = 0, np.zeros((2, 2))
    for steps in calls:
        hotloop.train_serial(
            steps, history, state, architecture.network, objective.prior.components(np.float64),
            objective.for_kernels, ADAM, hotloop.Data(x, y, np.arange(12), x[:6].copy(), y[:6].copy()),
            hotloop.Plan(6, elbo.UNIFORM, 1.0, False, average_from, hotloop.UPDATE),
            hotloop.Cursor(5, step, *divmod(step, 2)),
            architecture.workspace(6, np.float64, weight_noise=objective.scratch, tile=5, unit=1))
        step += steps
    return state, history


@pytest.mark.parametrize("draws", [0, 1])
def test_training_takes_the_one_loop_and_leaves_what_the_separate_ones_leave(draws):
    (ours, _), (truth, _) = trained(None, draws=draws), trained(np.zeros(26), draws=draws)
    assert truth.dtheta[:13].all() and np.all((truth.dtheta[13:] != 0) == (draws > 0))
    for name in ("theta", "first", "second", "average"):
        np.testing.assert_allclose(getattr(ours, name), getattr(truth, name), rtol=1e-12, atol=1e-13, err_msg=name)
    assert np.any(ours.average != ours.theta)
    never, _ = trained(None, average_from=1000, draws=draws)
    np.testing.assert_array_equal(never.theta, ours.theta)
    assert np.all(never.average == trained(np.zeros(26), average_from=1000, draws=draws)[0].average)


@pytest.mark.parametrize("settings", [
    {}, {"draws": 2}, {"draws": 0}, {"draws": 2, "antithetic": True}, {"gradient": "path"}, {"weight_noise": "local"},
    {"weight_noise": "flipout"}, {"prior": GaussianPrior(), "kl": "closed"}], ids=str)
def test_weights_drawn_beside_the_update_are_those_that_a_step_draws_itself(settings):
    """The first step of a call draws its own, and its prior's value with them, which is added in another order."""
    dtheta = np.zeros(26 if settings.get("draws") == 2 else 0) if settings and settings != {"draws": 0} else None
    (ours, history), (truth, true_history) = (
        trained(dtheta, calls=calls, **settings) for calls in ((4,), (1, 1, 1, 1)))
    np.testing.assert_array_equal(ours.theta, truth.theta)
    np.testing.assert_allclose(history, true_history, rtol=1e-13)
    assert history.all() == (settings.get("draws") != 0)


def test_weights_are_the_same_wherever_tiles_are_cut():
    theta, ws = np.linspace(-1, 1, 26), Architecture((2, 3, 1)).workspace(1, np.float64)
    prior, objective = ScaleMixture().components(np.float64), Objective(ScaleMixture(), noise=0.5).for_kernels

    def drawn(a, b):
        return draw_weights(tiles.piece_of(theta, ws, a, b), prior, objective, Draw(WEIGHTS, 5, 0, 0, 1), a, True)

    log_q, log_p = drawn(0, 13)
    whole = ws.w.copy()
    parts = np.array([drawn(a, b) for a, b in ((0, 3), (3, 4), (4, 13))])
    np.testing.assert_allclose(ws.w, whole, rtol=1e-15)
    np.testing.assert_allclose(parts.sum(axis=0), [log_q, log_p], rtol=1e-13)
