"""Activations: by value, in place, beside reference.py, NaN kept, and wrong derivatives rejected."""

import numpy as np
import pytest
from scipy.special import expit

from bbbnp import reference
from bbbnp.architecture import ACTIVATIONS
from bbbnp.kernels import activation

pytestmark = pytest.mark.E11
each_activation = pytest.mark.parametrize("name", ACTIVATIONS)
X = np.array([-2.0, -0.7, -0.1, 0.3, 1.1, 2.5])  # away from the kink


def forward(x, name):
    h = x.copy()
    activation.activation_forward(h, ACTIVATIONS[name])
    return h


def backward(dh, h, name):
    dx = dh.copy()
    activation.activation_backward(dx, h, ACTIVATIONS[name])
    return dx


@pytest.mark.parametrize("name, h", [
    ("relu", [0, 0, 0, np.log(2), 800]), ("tanh", [-1, -0.6, 0, 0.6, 1]), ("sigmoid", [0, 1 / 3, 1 / 2, 2 / 3, 1])])
def test_activation_by_hand(name, h):
    np.testing.assert_allclose(forward(np.array([-800, -np.log(2), 0, np.log(2), 800]), name), h, rtol=1e-15)


@pytest.mark.parametrize("name, h, derivative", [
    ("relu", [0, 0.3, 4], [0, 1, 1]), ("tanh", [-0.6, 0, 1], [0.64, 1, 0]),
    ("sigmoid", [0.25, 0.5, 1], [0.1875, 0.25, 0])])
def test_derivative_is_by_hand_a_function_of_the_output(name, h, derivative):
    dh = np.array([2.0, -3.0, 5.0])
    np.testing.assert_allclose(backward(dh, np.array(h, float), name), dh * derivative, rtol=1e-15)


@each_activation
def test_forward_and_backward_are_those_of_the_reference(dtype, assert_twins, name):
    x, dh = np.random.default_rng(10).normal(0, 2, (2, 5, 8)).astype(dtype)
    h = forward(x, name)
    assert_twins(h, reference.activation(x.astype(float), name), eps32=3)
    expected = reference.activation_backward(dh.astype(float), h.astype(float), name)
    assert_twins(backward(dh, h, name), expected, eps32=1, scale=2)  # 1 - h^2 and 1 - h cancel near one


@each_activation
def test_nan_stays_nan_so_that_divergence_is_seen(dtype, name):
    h = forward(np.array([[np.nan, 1.0]], dtype), name)
    assert np.isnan(h[0, 0]) and np.isfinite(h[0, 1])


def test_relu_of_infinity_is_infinity_and_of_minus_infinity_nan(dtype):
    with np.errstate(invalid="ignore"):  # as plain Python, inf - inf is warned of
        np.testing.assert_array_equal(forward(np.array([np.inf, -np.inf], dtype), "relu"), [np.inf, np.nan])


WRONG = {
    "x1.001": (ACTIVATIONS, lambda dx, dh, x, h: 1.001 * dx),
    "flipped sign": (ACTIVATIONS, lambda dx, dh, x, h: -dx),
    "no derivative": (ACTIVATIONS, lambda dx, dh, x, h: dh),
    "of the input": (("tanh",), lambda dx, dh, x, h: dh * (1 - x**2)),
    "no square": (("tanh",), lambda dx, dh, x, h: dh * (1 - h)),
    "no 1 - h": (("sigmoid",), lambda dx, dh, x, h: dh * h),
    "sigmoid twice": (("sigmoid",), lambda dx, dh, x, h: dh * expit(h) * expit(-h)),
}


@pytest.mark.parametrize("name, wrong", [
    pytest.param(name, wrong, id=f"{name}, {what}") for what, (names, wrong) in WRONG.items() for name in names])
def test_a_wrong_derivative_is_rejected(gradient_check, name, wrong):
    dh, h = np.array([0.5, -1.5, 2.0, 1.0, -0.7, 0.4]), forward(X, name)
    passes, dx = gradient_check(lambda x: dh @ forward(x, name), X), backward(dh, h, name)
    assert passes(dx)
    assert not passes(wrong(dx, dh, X, h))
