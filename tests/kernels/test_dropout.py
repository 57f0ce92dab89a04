"""Dropout beside reference.py, its mean, and wrong gradients rejected."""

import numba
import numpy as np
import pytest

from bbbnp import reference
from bbbnp.architecture import ACTIVATIONS, Architecture
from bbbnp.kernels import dropout, elbo, placement
from bbbnp.kernels.draw import DROPOUT, Draw, unit_kept

pytestmark = pytest.mark.E25
ROWS, WIDTHS, CHANCES = 5, (3, 6, 4, 2), (0.2, 0.5)  # all different: equal widths hide bugs
KEYS = 500 if numba.config.DISABLE_JIT else 5000
DRAW = Draw(DROPOUT, 9, 4, 2, 1, 3, *CHANCES)


def network_case(widths=WIDTHS, activation="tanh", dtype=np.float64):
    """Architecture, w, x, and the gradient dy of the outputs."""
    rng, architecture = np.random.default_rng(31), Architecture(widths, activation)
    return architecture, *(rng.normal(size=shape).astype(dtype) for shape in (
        architecture.size, (ROWS, widths[0]), (ROWS, widths[-1])))


def forward(architecture, w, x, draw=DRAW, cuts=(0, ROWS)):
    """Outputs of the last layer, and the workspace, blocks of rows one after another."""
    ws = architecture.workspace(len(x), x.dtype, weight_noise="dropout")
    ws.w[:] = w
    parts = [placement.placed_forward(ws, architecture.network, w, x, a, b, draw) for a, b in zip(cuts, cuts[1:])]
    return np.vstack(parts), ws


def backward(architecture, w, x, dy, draw=DRAW, cuts=(0, ROWS)):
    """Gradient in w of the outputs weighted with dy."""
    _, ws = forward(architecture, w, x, draw, cuts)
    ws.doutputs[ws.doutputs.size - dy.size:] = dy.ravel()
    for a, b in zip(cuts, cuts[1:]):
        placement.placed_backward(ws, architecture.network, w, len(x), a, b, draw)
    dw = np.full_like(w, np.nan)
    elbo.network_backward_weights(dw, architecture.network, *dropout.multiplied(x, ws), ws.doutputs)
    return dw


def masks(architecture, rows=ROWS, draw=DRAW):
    """z of every layer, (B, K) each, from the kernel that draws them."""
    z = [np.empty((rows, width)) for width in architecture.widths[:-1]]
    for depth, mask in enumerate(z):
        for example, row in enumerate(mask):
            unit_kept(row, CHANCES[depth > 0], architecture.network.widths, depth, example, draw)
    return z


@pytest.mark.parametrize("widths, activation", [(WIDTHS, name) for name in ACTIVATIONS] + [((3, 2), "relu")])
def test_network_and_its_gradient_are_those_of_the_reference(widths, activation, dtype, assert_twins):
    architecture, w, x, dy = network_case(widths, activation, dtype)
    z, w64, x64 = masks(architecture), w.astype(float), x.astype(float)
    h = reference.network(w64, x64, widths, activation, z)
    assert_twins(forward(architecture, w, x)[0], h[-1], eps32=30, scale=4)
    dw = reference.network_backward(dy.astype(float), w64, h, widths, activation, z)
    ours = backward(architecture, w, x, dy)
    assert ours.dtype == dtype
    assert_twins(ours, dw, eps32=100, scale=np.abs(dw).max())


def test_rows_have_the_same_units_left_out_in_any_block_and_in_any_company():
    architecture, w, x, dy = network_case()
    whole = forward(architecture, w, x)[0]
    np.testing.assert_allclose(forward(architecture, w, x, cuts=(0, 1, 4, 5))[0], whole, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(forward(architecture, w, x[:3].copy(), cuts=(0, 3))[0], whole[:3], rtol=1e-13,
                               atol=1e-15)
    np.testing.assert_allclose(backward(architecture, w, x, dy, cuts=(0, 2, 5)), backward(architecture, w, x, dy),
                               rtol=1e-12, atol=1e-14)


def test_without_chances_it_is_the_plain_network():
    architecture, w, x, _ = network_case()
    out, _ = forward(architecture, w, x, DRAW._replace(drop_inputs=0.0, drop_hidden=0.0))
    np.testing.assert_allclose(out, reference.network(w, x, WIDTHS, "tanh")[-1], rtol=1e-12)
    assert not np.isclose(out, forward(architecture, w, x)[0]).any()


@pytest.mark.parametrize("depth", [0, 1])
def test_what_is_left_of_h_is_h_on_average(depth):
    h, widths = np.array([[1.0, -2.0, 0.5]]), np.array([3, 3, 1])
    h2 = np.empty((KEYS, 1, 3))
    for step, row in enumerate(h2):
        dropout.drop_units(row, h, widths, depth, 0, DRAW._replace(step=step))
    p = CHANCES[depth]
    assert np.all((h2 == 0) | np.isclose(h2, h / (1 - p), rtol=1e-15))

    def z(values):
        return np.abs((values.mean(axis=0) - h) / (np.abs(h) * np.sqrt(p / (1 - p) / KEYS))).max()

    assert z(h2) < 5 < z((1 - p) * h2)  # units that stay are not scaled


def test_in_place_is_the_same():
    h, h2 = np.random.default_rng(1).normal(size=(2, 4, 6))
    dropout.drop_units(h2, h, np.array(WIDTHS), 1, 3, DRAW)
    dropout.drop_units(h, h, np.array(WIDTHS), 1, 3, DRAW)
    np.testing.assert_array_equal(h, h2)


def test_weights_were_multiplied_by_what_dropout_left():
    architecture, w, x, _ = network_case()
    _, ws = forward(architecture, w, x)
    z, h = masks(architecture), reference.network(w, x, WIDTHS, "tanh", masks(architecture))
    inputs, outputs = dropout.multiplied(x, ws)
    np.testing.assert_allclose(inputs, z[0] * x, rtol=1e-14)
    np.testing.assert_allclose(outputs, np.concatenate([(a * b).ravel() for a, b in zip(z[1:], h[1:])]), rtol=1e-12)
    for name in ("weights", "local", "flipout"):
        ws = architecture.workspace(ROWS, float, weight_noise=name)
        inputs, outputs = dropout.multiplied(x, ws)
        assert np.shares_memory(inputs, x) and np.shares_memory(outputs, ws.outputs)


def other(z):
    """Masks of the next draw."""
    return masks(Architecture(WIDTHS), draw=DRAW._replace(number=3))


@pytest.mark.parametrize("wrong", [
    lambda z: [0 * m + 1 for m in z], lambda z: [1.0 * (m > 0) for m in z], other,
    lambda z: [z[0], *(0 * m + 1 for m in z[1:])], lambda z: [0 * z[0] + 1, *z[1:]]],
    ids=["no mask", "no 1/(1 - p)", "mask of another draw", "hidden units without", "inputs without"])
def test_a_wrong_gradient_is_rejected(wrong, gradient_check):
    architecture, w, x, dy = network_case()
    passes = gradient_check(lambda v: np.sum(dy * forward(architecture, v, x)[0]), w)
    z = masks(architecture)
    h = reference.network(w, x, WIDTHS, "tanh", z)
    assert passes(backward(architecture, w, x, dy))
    assert passes(reference.network_backward(dy, w, h, WIDTHS, "tanh", z))
    assert not passes(reference.network_backward(dy, w, h, WIDTHS, "tanh", wrong(z)))
