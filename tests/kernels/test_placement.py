"""Local reparameterisation and flipout: by hand, beside reference.py, their moments, and wrong gradients rejected."""

import numba
import numpy as np
import pytest

from bbbnp import Key, Objective, reference, unit_noise, weight_noise
from bbbnp.architecture import ACTIVATIONS, Architecture
from bbbnp.kernels import elbo, noise, placement, second_product
from bbbnp.kernels.draw import Draw
from bbbnp.objective import PLACEMENTS

ROWS, WIDTHS = 5, (3, 6, 4, 2)  # all different: equal widths hide bugs
KEYS = 300 if numba.config.DISABLE_JIT else 4000
PLACED = pytest.mark.parametrize("name", ["local", "flipout"])


def network_case(name, widths=WIDTHS, activation="tanh", dtype=np.float64):
    """Architecture, mu, rho, x, the gradient dy of the outputs, and the draw."""
    rng, architecture = np.random.default_rng(21), Architecture(widths, activation)
    mu, rho, x, dy = (rng.normal(size=shape).astype(dtype) for shape in (
        architecture.size, architecture.size, (ROWS, widths[0]), (ROWS, widths[-1])))
    return architecture, mu, rho - dtype(1), x, dy, Draw(PLACEMENTS[name], 9, 4, 2, 1)


def forward(architecture, mu, rho, x, draw, cuts=(0, ROWS)):
    """Outputs of the last layer, and the workspace, blocks of rows one after another."""
    ws = architecture.workspace(len(x), x.dtype, weight_noise="local")
    noise.normals(ws.eps, draw.seed, noise.WEIGHTS, draw.step, draw.number)
    second_product.spread(ws.spread, rho, ws.eps, draw.placement)
    parts = [placement.placed_forward(ws, architecture.network, mu, x, a, b, draw) for a, b in zip(cuts, cuts[1:])]
    return np.vstack(parts), ws


def backward(architecture, mu, rho, x, dy, draw, cuts=(0, ROWS)):
    """Gradient in mu and rho of the outputs weighted with dy."""
    _, ws = forward(architecture, mu, rho, x, draw, cuts)
    ws.doutputs[ws.doutputs.size - dy.size:] = dy.ravel()
    for a, b in zip(cuts, cuts[1:]):
        placement.placed_backward(ws, architecture.network, mu, len(x), a, b, draw)
    dmu, ds, drho = np.full_like(mu, np.nan), np.full_like(mu, np.nan), np.zeros_like(mu)
    elbo.network_backward_weights(dmu, architecture.network, x, ws.outputs, ws.doutputs)
    second_product.spread_gradient(ds, architecture.network, ws.second_inputs, ws.slopes, len(x))
    second_product.spread_backward(drho, ds, ws.spread, rho, draw.placement, 1.0)
    return dmu, drho


def twin(name, architecture, mu, rho, x, dy):
    """The same by reference.py: outputs, dmu, drho."""
    mu, rho, x, dy = (array.astype(float) for array in (mu, rho, x, dy))
    eps, units = weight_noise(Key(9, 4), 2, mu.size).astype(float), unit_noise(
        Key(9, 4), 2, architecture, len(x), weight_noise=name)
    s = reference.spread(rho, eps, name == "local")
    out, tape = reference.placed_network(mu, s, x, units, architecture.widths, architecture.activation)
    dmu, ds = reference.placed_network_backward(dy, mu, s, tape, architecture.widths, architecture.activation)
    return out, dmu, reference.spread_backward(ds, rho, eps, name == "local")


@pytest.mark.E16
@pytest.mark.E22
@PLACED
@pytest.mark.parametrize("widths, activation", [(WIDTHS, name) for name in ACTIVATIONS] + [((3, 2), "relu")])
def test_network_and_its_gradient_are_those_of_the_reference(name, widths, activation, dtype, assert_twins):
    *case, dy, draw = network_case(name, widths, activation, dtype)
    out, dmu, drho = twin(name, *case, dy)
    assert_twins(forward(*case, draw)[0], out, eps32=30, scale=4)
    ours = backward(*case, dy, draw)
    assert ours[0].dtype == dtype
    for g, truth in zip(ours, (dmu, drho)):
        assert_twins(g, truth, eps32=100, scale=np.abs(truth).max())


@pytest.mark.E16
def test_a_unit_by_hand_and_no_gradient_where_nothing_varies():
    assert second_product.local_output(3.0, 4.0, 0.5) == 4
    assert second_product.local_output_backward(4.0, 0.5) == 0.125
    assert second_product.local_output_backward(0.0, 0.5) == 0
    architecture, mu, rho, x, dy, draw = network_case("local", (3, 2))
    out, _ = forward(architecture, mu, np.full_like(rho, -800), x, draw)  # sigma^2 is 0 there
    np.testing.assert_allclose(out, x @ mu[:6].reshape(3, 2) + mu[6:], rtol=1e-14)
    dmu, drho = backward(architecture, mu, np.full_like(rho, -800), x, dy, draw)
    assert np.isfinite(dmu).all() and not drho.any()


@pytest.mark.E22
def test_flipout_flips_inputs_and_outputs_of_one_perturbation():
    assert second_product.flipout_output(3.0, 0.5, -1.0) == 2.5
    architecture, mu, rho, x, _, draw = network_case("flipout", (3, 2))
    out, ws = forward(architecture, mu, rho, x, draw)
    delta = np.logaddexp(0, rho) * weight_noise(Key(9, 4), 2, mu.size)
    (s, t), = unit_noise(Key(9, 4), 2, architecture, ROWS, weight_noise="flipout")
    assert set(np.unique(s)) == set(np.unique(t)) == {-1, 1}
    expected = [row @ (mu[:6].reshape(3, 2) + a[:, None] * delta[:6].reshape(3, 2) * b) + mu[6:] + b * delta[6:]
                for row, a, b in zip(x, s, t)]  # every example has weights of its own
    np.testing.assert_allclose(out, expected, rtol=1e-12)


@PLACED
def test_rows_have_the_same_noise_in_any_block_and_in_any_company(name):
    architecture, mu, rho, x, dy, draw = network_case(name)
    whole = forward(architecture, mu, rho, x, draw)[0]
    np.testing.assert_allclose(forward(architecture, mu, rho, x, draw, (0, 1, 4, 5))[0], whole, rtol=1e-13)
    np.testing.assert_allclose(forward(architecture, mu, rho, x[:3], draw, (0, 3))[0], whole[:3], rtol=1e-13)
    in_blocks = backward(architecture, mu, rho, x, dy, draw, (0, 2, 5))
    np.testing.assert_allclose(in_blocks, backward(architecture, mu, rho, x, dy, draw), rtol=1e-12)


@pytest.mark.E16
@pytest.mark.E22
@PLACED
def test_no_two_units_share_their_noise(name):
    layers = unit_noise(Key(1), 0, Architecture((130, 40, 41, 42)), 3, weight_noise=name)
    if name == "local":
        zeta = np.concatenate([z.ravel() for _, z in layers])
        assert len(np.unique(zeta)) == zeta.size == 3 * 123
        assert not np.isin(zeta, weight_noise(Key(1), 0, 800)).any()
    else:  # forty signs are alike by chance once in 2^40
        rows = [tuple(row[:40]) for pair in layers for signs in pair for row in signs]
        assert len(set(rows)) == len(rows) == 3 * 6


def outputs_of_keys(name, x):
    """Outputs of one linear layer, shape (KEYS, rows, 2), with their mean and variance by formula."""
    architecture, mu, rho, *_ = network_case("local", (3, 2))
    objective = Objective(weight_noise=name).for_kernels
    ws, outputs = architecture.workspace(len(x), float, weight_noise=name), np.empty((KEYS, len(x), 2))
    for step in range(KEYS):
        draw = Draw(PLACEMENTS[name], 3, step, 0, 1)
        outputs[step] = elbo.forward_draw(
            ws, elbo.Parameters(mu, rho, np.zeros(2)), architecture.network, Objective().prior.components(float),
            objective, elbo.Batch(x, np.zeros((len(x), 2)), 1.0), draw)[3]
    variance = np.logaddexp(0, rho)**2
    return outputs, x @ mu[:6].reshape(3, 2) + mu[6:], x**2 @ variance[:6].reshape(3, 2) + variance[6:]


def largest_z(outputs, mean, variance):
    """Of the first two moments, against those of normal variables."""
    n = len(outputs)
    return max(np.abs((outputs.mean(axis=0) - mean) / np.sqrt(variance / n)).max(),
               np.abs((np.mean((outputs - mean)**2, axis=0) / variance - 1) / np.sqrt(2 / n)).max())


@pytest.mark.E16
@pytest.mark.E22
@pytest.mark.parametrize("name", PLACEMENTS)
def test_units_have_the_moments_and_examples_the_correlation_of_their_placement(name):
    """One draw of the weights makes alike examples alike; the others draw for each."""
    x = np.array([[0.5, -1.0, 2.0], [0.5, -1.0, 2.0], [0.0, 0.3, -0.7]])
    outputs, mean, variance = outputs_of_keys(name, x)
    assert largest_z(outputs, mean, variance) < 5
    centred = (outputs - mean) / np.sqrt(variance)
    correlation = np.mean(centred[:, 0] * centred[:, 1], axis=0)
    between_units = np.mean(centred[:, 0, 0] * centred[:, 0, 1])
    if name == "weights":
        np.testing.assert_allclose(correlation, np.mean(centred[:, 0]**2, axis=0), rtol=1e-12)
    else:
        assert np.abs(correlation).max() < 5 / np.sqrt(KEYS)
    assert abs(between_units) < 5 / np.sqrt(KEYS)


@pytest.mark.E22
def test_moments_tell_a_flipout_that_perturbs_with_whole_weights():  # museum 7
    rng = np.random.default_rng(4)
    architecture, mu, rho, x, *_ = network_case("flipout", (3, 2))
    sigma, outputs = np.logaddexp(0, rho), {"right": [], "wrong": []}
    for _ in range(KEYS):
        units = [(rng.choice([-1, 1], (ROWS, 3)), rng.choice([-1, 1], (ROWS, 2)))]
        delta = sigma * rng.normal(size=mu.size)
        for kind, s in (("right", delta), ("wrong", mu + delta)):
            outputs[kind].append(reference.placed_network(mu, s, x, units, (3, 2), "tanh")[0])
    variance = sigma**2
    moments = x @ mu[:6].reshape(3, 2) + mu[6:], x**2 @ variance[:6].reshape(3, 2) + variance[6:]
    assert largest_z(np.array(outputs["right"]), *moments) < 5 < largest_z(np.array(outputs["wrong"]), *moments)


@pytest.mark.E16
@pytest.mark.E22
@PLACED
@pytest.mark.parametrize("wrong", [
    lambda g, case: (1.001 * g[0], g[1]), lambda g, case: (g[0], 1.001 * g[1]), lambda g, case: (g[0], -g[1]),
    lambda g, case: (g[0], g[1] / 2), lambda g, case: (g[0], g[1] / reference.logistic(case[2])),
    lambda g, case: backward(*case[:-1], case[-1]._replace(number=3)),
    lambda g, case: backward(*case[:-1], case[-1]._replace(placement=3 - case[-1].placement))],
    ids=["dmu x1.001", "drho x1.001", "sign of drho", "no 2", "no s(rho)", "noise of another draw", "the other's"])
def test_a_wrong_gradient_of_a_noisy_network_is_rejected(name, wrong, gradient_check):
    architecture, mu, rho, x, dy, draw = case = network_case(name, (2, 4, 3, 1))
    passes = gradient_check(lambda z: np.sum(dy * forward(architecture, *np.split(z, 2), x, draw)[0]),
                            np.concatenate([mu, rho]))
    g = backward(*case)
    assert passes(g)
    assert not passes(wrong(g, case))
