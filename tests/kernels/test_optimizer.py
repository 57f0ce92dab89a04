"""SGD, momentum, Adam, schedules and averaged iterates: by hand, and beside reference.py over many steps."""

import numpy as np
import pytest

from bbbnp import reference
from bbbnp.kernels import optimizer

pytestmark = pytest.mark.E17
RULES = {"sgd": optimizer.SGD, "momentum": optimizer.MOMENTUM, "adam": optimizer.ADAM}
SCHEDULES = {"constant": optimizer.CONSTANT, "cosine": optimizer.COSINE, "inverse_time": optimizer.INVERSE_TIME}
HORIZON = 8


def settings(rule="sgd", schedule="constant", rate=0.3, beta1=0.5, beta2=0.75, epsilon=1.0):
    return optimizer.Optimizer(RULES[rule], rate, SCHEDULES[schedule], float(HORIZON), beta1, beta2, epsilon)


def iterates(x, gradients, chosen):
    """The start and x after every step, and the two moments after the last."""
    x, first, second, visited = x.copy(), np.zeros_like(x), np.zeros_like(x), [x]
    for step, dx in enumerate(gradients):
        optimizer.update(x, dx, first, second, optimizer.Optimizer(*optimizer.at_step(chosen, step)))
        visited.append(x.copy())
    return np.array(visited), first, second


@pytest.mark.parametrize("rule, visited, first, second", [
    ("sgd", [1, 1 - 0.3 * 2, 0.4 - 0.3 * 5], 0, 0),
    ("momentum", [1, 1 - 0.3 * 2, 0.4 - 0.3 * (1 + 5)], 6, 0),
    # m = 1, v = 1, corrected 2 and 4: 0.3 * 2/(2 + 1); then m = 3, v = 7, corrected by 1 - 1/4 and 1 - 9/16: 4 and 16
    ("adam", [1, 1 - 0.3 * 2 / 3, 0.8 - 0.3 * 4 / 5], 3, 7)])
def test_two_steps_by_hand_with_gradients_2_and_5(rule, visited, first, second):
    """Museum 18 among them: the step uses the gradient that it is given."""
    x, m, v = iterates(np.ones(1), np.array([[2.0], [5.0]]), settings(rule))
    np.testing.assert_allclose(x[:, 0], visited, rtol=1e-14)
    assert (m[0], v[0]) == (first, second)


def test_a_gradient_whose_square_is_no_number_any_more_moves_nothing():
    with np.errstate(over="ignore"):  # uncompiled, NumPy warns of it
        x, _, second = iterates(np.ones(9, np.float32), np.full((2, 9), 3e19, np.float32), settings("adam"))
    assert np.all(second == np.inf) and np.all(x == 1)


def test_the_first_step_of_adam_has_the_length_of_the_rate_however_large_the_gradient():
    dx = np.array([[1e-6, -1.0, 1e6]])
    x, _, _ = iterates(np.zeros(3), dx, settings("adam", beta1=0.9, beta2=0.999, epsilon=1e-14))
    np.testing.assert_allclose(x[1], [-0.3, 0.3, -0.3], rtol=1e-7)


@pytest.mark.parametrize("schedule, parts", [
    ("constant", [1, 1, 1, 1]), ("cosine", [1, 0.505, 0.01, 0.01]), ("inverse_time", [1, 2 / 3, 1 / 2, 1 / 3])])
def test_rate_at_0_half_the_horizon_the_horizon_and_twice_it(schedule, parts):
    for time, part in zip((0, HORIZON // 2, HORIZON, 2 * HORIZON), parts):
        assert optimizer.scheduled_rate(settings(schedule=schedule), time) == pytest.approx(0.3 * part, rel=1e-14)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("rule", RULES)
def test_ten_steps_are_those_of_the_reference(dtype, assert_twins, rule, schedule):
    gradients = np.random.default_rng(13).normal(size=(10, 7)).astype(dtype)  # two beyond the horizon
    x, first, second = iterates(np.zeros(7, dtype), gradients, settings(rule, schedule, 0.1, 0.9, 0.999, 1e-8))
    expected, m, v = [np.zeros(7)], np.zeros(7), np.zeros(7)
    for t, dx in enumerate(gradients.astype(float)):
        rate = reference.scheduled_rate(0.1, schedule, t, HORIZON)
        after, m, v = reference.update(expected[-1], dx, m, v, rule, rate, t)
        expected.append(after)
    assert_twins(x, expected, eps32=2, scale=1)
    assert_twins(first, m, eps32=8, scale=1)
    assert_twins(second, v, eps32=8)


def test_averaged_iterates_are_their_mean(dtype, assert_twins):
    x = np.random.default_rng(14).normal(3, 1, (50, 7)).astype(dtype)
    average = np.zeros(7, dtype)
    for count, iterate in enumerate(x):
        optimizer.average_iterates(average, iterate, count)
        assert_twins(average, np.mean(x[:count + 1].astype(float), axis=0), eps32=4)


def test_the_average_forgets_what_was_there_before_the_first_iterate():
    average, x = np.array([1e6, -3.0]), np.array([2.0, 5.0])
    optimizer.average_iterates(average, x, 0)
    np.testing.assert_array_equal(average, x)
