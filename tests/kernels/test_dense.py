"""The dense layer and the network: by hand, beside reference.py at every depth, and wrong gradients rejected."""

import numpy as np
import pytest

from bbbnp import reference
from bbbnp.architecture import ACTIVATIONS, Architecture
from bbbnp.kernels import dense
from bbbnp.kernels.activation import SIGMOID

pytestmark = pytest.mark.E10
ROWS, WIDTHS = 6, (3, 5, 4, 2)  # all different: equal widths hide bugs


def layer_gradient(dy, x, w):
    """dx, dW, db, written over what was there."""
    dx, dw, db = np.full_like(x, 7), np.full_like(w, 7), np.full(w.shape[1], 7, w.dtype)
    dense.dense_backward_input(dx, dy, w)
    dense.dense_backward_weights(dw, dy, x)
    dense.dense_backward_bias(db, dy)
    return dx, dw, db


def network_case(widths, name, dtype=np.float64, rows=ROWS):
    """Network, w, x and the gradient dy of its outputs."""
    rng, architecture = np.random.default_rng(11), Architecture(widths, name)
    w, x, dy = (rng.normal(size=shape).astype(dtype) for shape in (
        architecture.size, (rows, widths[0]), (rows, widths[-1])))
    return architecture.network, w, x, dy


def forward(network, w, x, spare=0):
    """Outputs of the last layer, and of all layers as they lie in the workspace."""
    outputs = np.full(len(x) * network.widths[1:].sum() + spare, np.nan, w.dtype)
    return dense.network_forward(outputs, network, w, x, 0, len(x)), outputs


def backward(network, w, x, dy):
    outputs = forward(network, w, x)[1]
    doutputs, dw = np.full_like(outputs, np.nan), np.full_like(w, np.nan)
    doutputs[outputs.size - dy.size:] = dy.ravel()
    dense.network_backward(doutputs, network, w, outputs, len(x), 0, len(x))
    dense.network_backward_weights(dw, network, x, outputs, doutputs)
    return dw


def test_layer_and_its_gradients_by_hand():
    x, w, b, y = np.array([[1.0, 2]]), np.array([[3.0, 5], [7, 11]]), np.array([13.0, 17]), np.empty((1, 2))
    dense.dense_forward(y, x, w, b)
    np.testing.assert_array_equal(y, [[30, 44]])
    dx, dw, db = layer_gradient(np.array([[1.0, -2]]), x, w)
    np.testing.assert_array_equal(dx, [[-7, -15]])
    np.testing.assert_array_equal(dw, [[1, -2], [2, -4]])
    np.testing.assert_array_equal(db, [1, -2])


def test_columns_of_a_layer_of_one_input_by_hand():
    x, w, b, y = np.array([[2.0], [3]]), np.array([[1.0, 10, 100]]), np.array([5.0, 6, 7]), np.full((2, 3), 9.0)
    dense.dense_columns(y, x, w, b, 1, 3)
    np.testing.assert_array_equal(y, [[9, 26, 207], [9, 36, 307]])


def test_gradients_in_weights_and_biases_are_sums_over_the_batch():
    x, w, dy = np.array([[1.0, 2, 3], [4, 5, 6]]), np.eye(3)[:, :2].copy(), np.array([[1.0, 10], [100, 1000]])
    _, dw, db = layer_gradient(dy, x, w)
    np.testing.assert_array_equal(dw, [[401, 4010], [502, 5020], [603, 6030]])
    np.testing.assert_array_equal(db, [101, 1010])


def test_weights_lie_row_by_row_then_biases_layer_after_layer():
    flat = np.arange(float(3 * 5 + 5 + 5 * 4 + 4))
    w, b = dense.layer(flat, 20, 5, 4)
    np.testing.assert_array_equal(w, 20 + np.arange(20).reshape(5, 4))
    np.testing.assert_array_equal(b, 40 + np.arange(4))
    w[1, 2], b[3], dense.block(flat, 2, 2, 3)[1, 0] = -1, -2, -3  # views
    assert (flat[26], flat[43], flat[5]) == (-1, -2, -3)


@pytest.mark.E11
@pytest.mark.parametrize("widths, name", [(WIDTHS, name) for name in ACTIVATIONS] + [((3, 2), "relu")])
def test_network_and_its_gradient_are_those_of_the_reference(dtype, assert_twins, widths, name):
    network, w, x, dy = network_case(widths, name, dtype)
    truth = w.astype(float), x.astype(float)
    h = reference.network(*truth, widths, name)
    last, outputs = forward(network, w, x)
    assert_twins(last, h[-1], eps32=2, scale=4)
    assert_twins(outputs, np.concatenate([layer.ravel() for layer in h[1:]]), eps32=2, scale=4)
    dw = reference.network_backward(dy.astype(float), truth[0], h, widths, name)
    assert_twins(backward(network, w, x, dy), dw, eps32=3, scale=4)


def test_outputs_are_the_same_in_a_workspace_with_room_for_more_rows():
    network, w, x, _ = network_case(WIDTHS, "tanh")
    last, outputs = forward(network, w, x, spare=50)
    np.testing.assert_array_equal(last, forward(network, w, x)[0])
    assert np.isnan(outputs[-50:]).all() and not np.isnan(outputs[:-50]).any()


def test_every_parameter_has_a_gradient():
    """Museum 11 and 23: a layer that the loop never reaches, a forgotten bias."""
    network, w, x, dy = network_case(WIDTHS, "tanh")
    assert np.abs(backward(network, w, x, dy)).min() > 1e-6


@pytest.mark.parametrize("wrong", [
    lambda dx, dw, db, dy, w: (1.001 * dx, dw, db), lambda dx, dw, db, dy, w: (dx, 1.001 * dw, db),
    lambda dx, dw, db, dy, w: (dx, dw, 1.001 * db), lambda dx, dw, db, dy, w: (-dx, dw, db),
    lambda dx, dw, db, dy, w: (dx, -dw, db), lambda dx, dw, db, dy, w: (dx, dw, -db),
    lambda dx, dw, db, dy, w: (dy @ w.reshape(5, 3), dw, db), lambda dx, dw, db, dy, w: (dx, dw / 4, db),
    lambda dx, dw, db, dy, w: (dx, dw, db / 4), lambda dx, dw, db, dy, w: (dx, dw, dy[0])],
    ids=["dx x1.001", "dW x1.001", "db x1.001", "sign of dx", "sign of dW", "sign of db", "W reshaped, not transposed",
         "dW averaged", "db averaged", "db of one example"])
def test_a_wrong_gradient_of_a_layer_is_rejected(gradient_check, wrong):
    rng = np.random.default_rng(12)
    x, w, b, dy = (rng.normal(size=shape) for shape in ((4, 3), (3, 5), 5, (4, 5)))

    def weighted(z):
        y = np.empty((4, 5))
        dense.dense_forward(y, z[:12].reshape(4, 3), z[12:27].reshape(3, 5), z[27:])
        return np.sum(dy * y)

    def vector(*arrays):
        return np.concatenate([a.ravel() for a in arrays])

    passes, g = gradient_check(weighted, vector(x, w, b)), layer_gradient(dy, x, w)
    assert passes(vector(*g))
    assert not passes(vector(*wrong(*g, dy, w)))


@pytest.mark.E11
@pytest.mark.parametrize("wrong", [
    lambda g, case: 1.001 * g, lambda g, case: -g, lambda g, case: np.where(np.arange(g.size) < 9, 0, g),
    lambda g, case: backward(case[0]._replace(activation=SIGMOID), *case[1:])],
    ids=["x1.001", "flipped sign", "first layer unused", "another activation"])
def test_a_wrong_gradient_of_a_network_is_rejected(gradient_check, wrong):
    """Museum 11 among them."""
    network, w, x, dy = case = network_case((2, 3, 4, 1), "tanh", rows=5)
    passes, g = gradient_check(lambda z: np.sum(dy * forward(network, z, x)[0]), w), backward(*case)
    assert passes(g)
    assert not passes(wrong(g, case))
