"""The loop itself: what it counts, shuffles, keeps and returns. For a step see test_fused and test_study."""

from types import SimpleNamespace

import numpy as np
import pytest

from bbbnp import Architecture, GaussianPrior, Objective
from bbbnp.kernels import elbo, fused, hotloop, noise, optimizer

SEED, ARCHITECTURE = 5, Architecture((2, 3, 1))  # 13 weights
OBJECTIVE = Objective(GaussianPrior(), noise=0.5)


def loop(steps, *, batch, epoch=0, first=0, pieces=None, prior=OBJECTIVE.prior, rate=1e-3):
    """So many steps of gradient descent on twelve examples, from minibatch `first` of an epoch: all that they leave."""
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    theta = np.concatenate([ARCHITECTURE.initial_mu(1), np.full(13, -1.0), np.log([0.5])])
    start, none = theta.copy(), np.zeros(0)
    state = fused.State(theta, none, none, none, none, np.zeros(1), np.full(theta.size, np.nan))
    data = hotloop.Data(x, y, np.arange(12), x[:batch].copy(), y[:batch].copy())
    history, step = np.zeros((3, 2)), epoch * -(-12 // batch) + first
    result = hotloop.train_serial(
        steps, history, state, ARCHITECTURE.network, prior.components(np.float64), OBJECTIVE.for_kernels,
        optimizer.Optimizer(optimizer.SGD, rate, optimizer.CONSTANT, 1.0, 0.9, 0.999, 1e-8), data,
        hotloop.Plan(batch, elbo.UNIFORM, 1.0, False, 0, hotloop.UPDATE), hotloop.Cursor(SEED, step, epoch, first),
        ARCHITECTURE.workspace(batch, np.float64, **pieces or {}))
    return SimpleNamespace(result=result, start=start, state=state, data=data, history=history)


def test_no_steps_are_no_terms_and_change_nothing():
    left = loop(0, batch=6)
    assert left.result == (0, 0.0, 0.0, 0.0) and not left.history.any()
    np.testing.assert_array_equal(left.state.theta, left.start)


def test_terms_of_the_last_step_are_returned_and_those_of_each_added_to_its_epoch():
    terms = [loop(steps, batch=6).result[1:] for steps in (1, 2, 3)]
    history = loop(3, batch=6).history
    parts = np.array([[0.5 * (log_q - log_p), -log_lik] for log_q, log_p, log_lik in terms])  # two minibatches
    np.testing.assert_allclose(history, [parts[0] + parts[1], parts[2], [0, 0]], rtol=1e-14)
    assert np.all(parts[0] != parts[1])


def test_parameters_are_kept_as_they_were_before_the_first_step():
    for steps in (1, 3):
        left = loop(steps, batch=6)
        np.testing.assert_array_equal(left.state.good, left.start)
        assert np.all(left.state.theta[:26] != left.start[:26])


def test_a_prior_that_overflows_stops_the_loop_wherever_its_value_is_computed():
    """Beside the draw in the first step, beside the update in others; in both the likelihood is a number."""
    for sigma, rate, taken in ((1e-154, 1e-3, 0), (1e-150, 1e-294, 1)):
        with np.errstate(over="ignore", invalid="ignore"):  # it is the matter here, and plain Python warns of it
            left = loop(3, batch=6, prior=GaussianPrior(sigma), rate=rate)
        assert left.result[0] == taken and left.result[2] == -np.inf and np.isfinite(left.result[3])
        assert np.isfinite(left.history).all() and left.history.any() == (taken > 0)
        assert np.array_equal(left.state.good, left.start) == (taken > 0)


@pytest.mark.parametrize("epoch, first", [(0, 0), (0, 1), (2, 0), (2, 1)])
@pytest.mark.parametrize("batch", [6, 5])
def test_an_epoch_goes_once_through_the_shuffled_examples_wherever_training_begins(batch, epoch, first):
    order = np.empty(12, np.int64)
    noise.shuffle(order, SEED, epoch)
    assert (order != np.arange(12)).any()
    data = loop(1, batch=batch, epoch=epoch, first=first).data
    np.testing.assert_array_equal(data.order, order)
    rows = order[first * batch:(first + 1) * batch]
    np.testing.assert_array_equal(data.batch_x, data.x[rows])
    np.testing.assert_array_equal(data.batch_y, data.y[rows])


def test_one_minibatch_is_the_data_as_they_are():
    data = loop(2, batch=12).data
    np.testing.assert_array_equal(data.order, np.arange(12))


@pytest.mark.parametrize("pieces", [{"tile": 4}, {"tile": 13}, {"block": 11}, {"block": 1}], ids=str)
def test_a_last_piece_of_one_weight_or_one_example_is_not_forgotten(pieces):
    whole, cut = loop(2, batch=12), loop(2, batch=12, pieces=pieces)
    np.testing.assert_allclose(cut.result, whole.result, rtol=1e-13)
    np.testing.assert_allclose(cut.state.theta, whole.state.theta, rtol=1e-12)
