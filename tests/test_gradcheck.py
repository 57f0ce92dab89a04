"""The checker finds right gradients right and wrong ones wrong, kernel by kernel and along the whole training path."""

import numba
import numpy as np
import pytest

from bbbnp import free_energy_gradient
from bbbnp.gradcheck import (
    TOLERANCE, complex_step_gradient, numerical_gradient, ridders, table, worst_entry)
from bbbnp.gradcheck_cases import (
    BUILDS, kernel_rows, path_blocks, path_case, path_numeric, path_rows, reference_rows)
from bbbnp.kernels import posterior
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
    pytest.param(lambda: path_rows(HIDDEN), marks=[pytest.mark.E12, pytest.mark.E13], id="path_rows")])
def test_every_gradient_agrees_with_finite_differences(rows):
    rows = list(rows())
    assert max(row.worst for row in rows) <= TOLERANCE, table(rows)


def test_the_path_is_checked_in_every_combination():
    rows = list(path_rows((1,)))
    assert len(rows) == len(set(row.what for row in rows)) * 2 * len(BUILDS) == 2 * 2 * 5 * 3 * 2 * len(BUILDS)
    assert {row.build for row in rows} == set(BUILDS)


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
