"""The checker finds right gradients right and wrong ones wrong, kernel by kernel and along the whole training path."""

import numba
import numpy as np
import pytest

from bbbnp import Objective, free_energy_gradient, reference
from bbbnp.gradcheck import (
    TOLERANCE, complex_step_gradient, numerical_gradient, ridders, table, worst_entry)
from bbbnp.gradcheck_cases import (
    BUILDS, kernel_rows, network_rows, network_settings, path_blocks, path_case, path_numeric, path_rows,
    reference_rows)
from bbbnp.kernels import posterior
from bbbnp.kernels.draw import DROPOUT, Draw
from bbbnp.study import Key, weight_noise

HIDDEN = (2,) if numba.config.DISABLE_JIT else (4, 5)


@pytest.mark.parametrize("f, x, derivative", [
    (np.sin, 1.0, np.cos(1.0)), (np.exp, -3.0, np.exp(-3.0)), (lambda x: x**5, 0.0, 0.0), (np.tanh, 0.3, None)])
def test_ridders_on_known_derivatives(f, x, derivative):
    derivative = 1 - np.tanh(x)**2 if derivative is None else derivative
    assert ridders(f, x, 0.1) == pytest.approx(derivative, abs=1e-11)


def test_ridders_shrinks_its_step_beside_a_kink_and_says_when_it_lies_on_one():
    def same_branch(x):
        return x > 0.5

    def kinked(x):
        return max(x, 0.5) ** 3

    assert ridders(kinked, 0.501, 0.1, same_branch) == pytest.approx(3 * 0.501**2, abs=1e-9)
    assert abs(ridders(kinked, 0.501, 0.1) - 3 * 0.501**2) > 1e-6
    with pytest.raises(ArithmeticError, match="kink"):
        ridders(kinked, 0.5, 0.1, same_branch)


def test_complex_step_is_exact_to_rounding():
    x = np.array([0.3, -1.2])
    np.testing.assert_allclose(
        complex_step_gradient(lambda z: np.exp(z[0]) * np.sin(z[1]), x),
        [np.exp(0.3) * np.sin(-1.2), np.exp(0.3) * np.cos(-1.2)], rtol=1e-15)


def test_worst_entry_measures_a_small_entry_beside_its_own_block():
    g = np.array([1e6, 1e6, 1.0, 1.0])
    numeric = g + [0, 0, 0, 1e-6]
    error, entry = worst_entry(g, numeric, [("large", 2), ("small", 2)])
    assert error == pytest.approx(5e-7) and entry == "small[1]"
    assert worst_entry(g, numeric)[0] < TOLERANCE < error
    assert worst_entry(g, np.array([1e6, np.nan, 1.0, 1.0]))[0] == np.inf
    assert worst_entry(np.zeros(2), np.zeros(2))[0] == 0


@pytest.mark.parametrize("rows", [
    kernel_rows,
    pytest.param(reference_rows, marks=pytest.mark.E13),
    pytest.param(lambda: path_rows(HIDDEN), marks=[pytest.mark.E12, pytest.mark.E13], id="path_rows"),
    pytest.param(lambda: network_rows(HIDDEN), marks=[pytest.mark.E10, pytest.mark.E19, pytest.mark.E25],
                 id="network_rows")])
def test_every_gradient_agrees_with_finite_differences(rows):
    rows = list(rows())
    assert max(row.worst for row in rows) <= TOLERANCE, table(rows)


def test_the_path_is_checked_in_every_combination():
    rows = list(path_rows((1,)))
    assert len(rows) == len(set(row.what for row in rows)) * 2 * len(BUILDS) == 2 * 2 * 5 * 3 * 2 * len(BUILDS)
    assert {row.build for row in rows} == set(BUILDS)


def test_networks_are_checked_without_noise_with_dropout_and_pruned_under_every_estimator():
    rows = [(equation, names, settings) for equation, names, settings in network_settings()]
    assert {names[1:] for equation, names, _ in rows if equation == "E25"} == {
        (likelihood, activation) for likelihood in ("gaussian_input", "categorical") for activation in ("tanh", "relu")}
    of_draws = [settings for equation, _, settings in rows if equation == "E25" and settings.get("draws") != 0]
    assert {value for settings in of_draws for value in settings.values()} == {
        "paper", "closed", "path", True, (0.2, 0.5)} and len(of_draws) == 5
    pruned = [settings for equation, _, settings in rows if equation == "E19"]
    assert {settings.get("weight_noise", "weights") for settings in pruned} == {"weights", "local", "flipout"}
    assert {"path", "closed", "paper", 0, (0.2, 0.5)} <= {value for settings in pruned for value in settings.values()}
    for equation, names, settings in rows:  # no row compares zero with zero
        *arguments, objective, key = path_case(*names, "geometric", **settings)
        g = free_energy_gradient(*arguments, objective=objective, key=key, threads=1)
        left = np.isfinite(arguments[2])
        assert np.mean(g.dmu[left] != 0) > 0.25 and g.drho[left].all() == (objective.draws > 0)
        assert left.all() == (equation != "E19")


def dropout_gradient(case, masks, change=lambda z: z):
    """dmu and drho under dropout by reference.py, with masks that `change` makes of its own going backward."""
    architecture, mu, rho, x, y, objective, key = case
    prior = objective.prior
    names, total = (architecture.widths, architecture.activation), np.zeros((2, mu.size))
    for draw in range(max(objective.draws, 1)):
        z = masks(architecture, len(x), objective.dropout, Draw(DROPOUT, *key, draw, 1))
        eps = weight_noise(key, draw, mu.size) if objective.draws > 0 else 0
        w = reference.reparameterize(mu, rho, eps)
        h = reference.network(w, x, *names, z)
        dout, _ = reference.log_likelihood_backward(objective.likelihood, h[-1], y, np.log(objective.noise))
        dmu, drho = reference.network_backward(dout, w, h, *names, [change(mask) for mask in z]), 0
        if objective.draws > 0:
            score = reference.mixture_score(w, [(prior.pi, prior.sigma1), (1 - prior.pi, prior.sigma2)])
            dmu, drho = (g / objective.draws for g in reference.short_gradient(
                dmu - objective.kl_weight * score, rho, eps, objective.kl_weight))
        total += np.array([dmu, drho + 0 * mu])
    return total.ravel()


@pytest.mark.E25
@pytest.mark.parametrize("draws", [0, 2])
@pytest.mark.parametrize("likelihood", ["categorical", "gaussian_input"])
def test_planted_errors_of_dropout_are_rejected_by_the_same_check(likelihood, draws, masks):
    case = path_case("mixture", likelihood, "tanh", "geometric", draws=draws, dropout=(0.2, 0.5))
    *arguments, objective, key = case
    numeric, blocks = path_numeric(*case), path_blocks(case[0])
    result = free_energy_gradient(*arguments, objective=objective, key=key)
    right = np.concatenate([result.dmu, result.drho])
    assert worst_entry(right, numeric, blocks)[0] <= TOLERANCE
    np.testing.assert_allclose(right, dropout_gradient(case, masks), rtol=0, atol=1e-12 * np.abs(right).max())
    for plant, change in {"no mask": lambda z: 0 * z + 1, "no 1/(1 - p)": lambda z: 1.0 * (z > 0),
                          "masks of other examples": lambda z: z[::-1]}.items():
        assert worst_entry(dropout_gradient(case, masks, change), numeric, blocks)[0] > 1e-4, plant


@pytest.mark.E19
@pytest.mark.parametrize("plant", ["gradient of the likelihood", "still in the KL", "others forgotten", "alive"])
def test_planted_errors_of_pruning_are_rejected_by_the_same_check(plant):
    architecture, mu, rho, x, y, objective, key = case = path_case(*CASE, hidden=(3, 2), pruned=True)
    numeric, blocks, gone = path_numeric(*case), path_blocks(architecture), np.isneginf(rho)

    def gradient(rho, **changed):
        result = free_energy_gradient(architecture, mu, rho, x, y, key=key, objective=Objective(
            **{**vars(objective), **changed}))
        return np.array([result.dmu, result.drho])

    right, tiny = gradient(rho), np.where(gone, -200, rho)  # a deviation of 1e-87: alive, but as good as none
    wrong = right.copy()
    if plant == "gradient of the likelihood":
        wrong[:, gone] = gradient(tiny, temperature=0.0)[:, gone]
    elif plant == "still in the KL":
        wrong[:, gone] = gradient(tiny)[:, gone] - gradient(tiny, temperature=0.0)[:, gone]
        np.testing.assert_allclose(wrong[1, gone], -objective.kl_weight, rtol=1e-12)
    elif plant == "others forgotten":
        wrong[:, np.roll(gone, 1)] = 0
    else:
        wrong = gradient(np.where(gone, 0, rho))
    assert not right[:, gone].any()
    assert worst_entry(right.ravel(), numeric, blocks)[0] <= TOLERANCE
    assert worst_entry(wrong.ravel(), numeric, blocks)[0] > 1e-4


CASE = ("mixture", "gaussian_input", "tanh", "geometric")


@pytest.mark.E13
@pytest.mark.parametrize("plant", [
    "x1.001", "sign of one entry", "no s(rho)", "no -1/sigma", "no prior", "noise of another step", "noise forgotten"])
def test_planted_errors_are_rejected_by_the_same_check(plant):
    """Museum 6 and 13 among them: other noise in the backward pass, a KL without gradient."""
    architecture, mu, rho, x, y, objective, key = path_case(*CASE, hidden=HIDDEN)
    numeric = path_numeric(architecture, mu, rho, x, y, objective, key)
    right = free_energy_gradient(architecture, mu, rho, x, y, objective=objective, key=key)
    dmu, drho = right.dmu.copy(), right.drho.copy()
    r = np.array([posterior.log_softplus_backward(v) for v in rho])
    s = np.array([posterior.logistic(v) for v in rho])
    if plant == "x1.001":
        dmu *= 1.001
    elif plant == "sign of one entry":
        drho[np.abs(drho).argmax()] *= -1
    elif plant == "no s(rho)":
        drho /= s
    elif plant == "no -1/sigma":
        drho += objective.kl_weight * r
    elif plant == "no prior":
        dmu = free_energy_gradient(architecture, mu, rho, x, y, objective=objective.__class__(
            objective.prior, objective.likelihood, draws=2, minibatch_weight=0.0), key=key).dmu
    elif plant == "noise of another step":
        other = free_energy_gradient(architecture, mu, rho, x, y, objective=objective, key=Key(key.seed, key.step + 1))
        dmu, drho = other.dmu, other.drho
    else:
        eps = weight_noise(key, 0, mu.size)
        drho = drho / np.where(np.abs(eps) > 1e-3, eps, 1)
    blocks = path_blocks(architecture)
    assert worst_entry(np.concatenate([right.dmu, right.drho]), numeric, blocks)[0] <= TOLERANCE
    assert worst_entry(np.concatenate([dmu, drho]), numeric, blocks)[0] > 1e-4


def test_a_wrong_gradient_is_marked_in_the_table():
    rows = list(kernel_rows())
    assert "!" not in table(rows)
    assert table([rows[0]._replace(worst=1e-3)]).splitlines()[1].startswith("!")


def test_numerical_gradient_leaves_its_argument_alone():
    x = np.array([1.0, 2.0])
    numerical_gradient(lambda z: z @ z, x, 0.1)
    np.testing.assert_array_equal(x, [1.0, 2.0])
