"""Signal to noise by hand and beside reference.py; a pruned network is one without its pruned weights."""

import numba
import numpy as np
import pytest

from bbbnp import (
    Architecture, GaussianPrior, Key, Objective, free_energy, free_energy_gradient, reference, unit_noise, weight_noise)
from bbbnp.gradcheck_cases import network_settings, path_case
from bbbnp.kernels import pruning
from bbbnp.kernels.draw import DROPOUT, Draw, Piece

pytestmark = pytest.mark.E19
PAIRS = {"gaussian": [(1.0, 0.7)], "mixture": [(0.25, 1.0), (0.75, 0.1)]}
PRUNED = [(names, settings) for equation, names, settings in network_settings() if equation == "E19"]


def log_ratios(mu, rho, dtype=np.float64):
    log_ratio = np.full(len(mu), np.nan, dtype)
    pruning.signal_to_noise(log_ratio, np.array(mu, dtype), np.array(rho, dtype))
    return log_ratio


def test_signal_to_noise_is_that_of_the_reference(dtype, assert_twins):
    mu, rho = np.random.default_rng(41).normal(0, 3, (2, 50)).astype(dtype)
    truth = np.log(reference.signal_to_noise(mu.astype(float), rho.astype(float)))
    assert_twins(log_ratios(mu, rho, dtype), truth, eps32=4, scale=4)


def test_signal_to_noise_keeps_its_digits_where_sigma_has_none(dtype, assert_twins):
    with np.errstate(divide="ignore"):
        assert reference.signal_to_noise(0.5, -800.0) == np.inf  # e^-800 is 0
    rho = [-40, -800, 0, 40, 800]
    truth = np.log(0.5) - [-40, -800, np.log(np.log(2)), np.log(40), np.log(800)]
    assert_twins(log_ratios([0.5] * 5, rho, dtype), truth, eps32=4)
    np.testing.assert_array_equal(log_ratios([-0.5] * 5, rho, dtype), log_ratios([0.5] * 5, rho, dtype))


def test_without_signal_the_ratio_is_minus_infinity_also_where_there_is_no_noise(dtype):
    np.testing.assert_array_equal(log_ratios([0, 0, -0.0], [-np.inf, 2, -40], dtype), [-np.inf] * 3)


@pytest.mark.parametrize("pruned", [[], [0], [1, 4], [0, 1, 2, 3, 4]], ids=str)
def test_what_is_left_of_a_piece_are_the_entries_that_were_not_pruned(pruned, dtype):
    mu, rho, w, eps = np.random.default_rng(42).normal(size=(4, 5)).astype(dtype)
    rho[pruned] = -np.inf
    piece, rest = Piece(mu, rho, w, eps, np.zeros(0, dtype)), np.isfinite(rho)
    left = pruning.left_of(piece)
    for ours, whole in zip(left[:4], piece[:4]):
        assert ours.dtype == dtype
        np.testing.assert_array_equal(ours, whole[rest])


def test_pruned_weights_have_no_gradient_and_a_finite_stand_in(dtype):
    rho = np.array([-1, -np.inf, -800, -np.inf], dtype)
    np.testing.assert_array_equal(pruning.finite(rho), [-1, 0, -800, 0])
    np.testing.assert_array_equal(rho, [-1, -np.inf, -800, -np.inf])
    for pruned, expected in ((True, [1, 0, 3, 0]), (False, [1, 2, 3, 4])):
        dmu, drho = np.array([[1, 2, 3, 4], [1, 2, 3, 4]], dtype)
        pruning.leave_pruned(dmu, drho, rho, pruned)
        np.testing.assert_array_equal([dmu, drho], [expected, expected])


def stand_in(rho):
    """Deviations of 1e-87 in place of none, for `reference`, which takes the logarithm of sigma."""
    return np.where(np.isneginf(rho), -200, rho)


def noise_of(architecture, rows, objective, key):
    """eps, shape (S, P), and the noise of the units of each draw, or None."""
    numbers = range(max(objective.draws, 1))
    eps = np.array([weight_noise(key, number, architecture.size) for number in numbers], float)
    if objective.weight_noise == "weights":
        return eps, None
    return eps, [unit_noise(key, number, architecture, rows, weight_noise=objective.weight_noise)
                 for number in numbers]


def dropped(architecture, mu, rho, x, y, eps, objective, key, masks):
    """Value, dmu and drho of -log P(D | w) where units are left out beside drawn weights, by reference.py (E25)."""
    names, total = (architecture.widths, architecture.activation), np.zeros(1 + 2 * mu.size)
    for number, (e, w) in enumerate(zip(eps, reference.reparameterize(mu, rho, eps))):
        z = masks(architecture, len(x), objective.dropout, Draw(DROPOUT, *key, number, 1))
        h, log_noise = reference.network(w, x, *names, z), np.log(objective.noise)
        dout, _ = reference.log_likelihood_backward(objective.likelihood, h[-1], y, log_noise)
        dw = reference.network_backward(dout, w, h, *names, z)
        total += np.concatenate([[-reference.log_likelihood(objective.likelihood, h[-1], y, log_noise)],
                                 *reference.reparameterize_backward(dw, rho, e)]) / len(eps)
    return total[0], *np.split(total[1:], 2)


def twin(case, pairs, masks, naive=False):
    """Value, dmu and drho: the likelihood of the whole network, the KL of the weights that are left, by reference.py.

    With `naive`, the KL is that of all weights.
    """
    architecture, mu, rho, x, y, objective, key = case
    eps, units = noise_of(architecture, len(x), objective, key)
    left, size = np.ones(mu.size, bool) if naive else np.isfinite(rho), mu.size
    rest = (np.log(objective.noise), x, y, *([eps] if units is None else [eps, units]), architecture.widths,
            architecture.activation, pairs, objective.likelihood, 0.0)
    prefix = "" if units is None else "placed_"
    if objective.dropout is None:
        value = getattr(reference, f"{prefix}free_energy")(mu, stand_in(rho), *rest)
        dmu, drho, _ = getattr(reference, f"{prefix}free_energy_gradient")(mu, stand_in(rho), *rest)
    else:
        value, dmu, drho = dropped(architecture, mu, stand_in(rho), x, y, eps, objective, key, masks)
    dmu, drho = np.where(left, dmu, 0), np.where(left, drho, 0)
    mu, rho, eps, kl = mu[left], stand_in(rho)[left], eps[:, left], objective.kl_weight
    form = {"path": reference.path_gradient, "total": {
        "short": reference.short_gradient, "paper": reference.paper_gradient}[objective.form]}[objective.gradient]
    if objective.kl == "closed":
        parts = [kl * part for part in (
            reference.kl_to_gaussian(mu, rho, 0.7), *reference.kl_to_gaussian_backward(mu, rho, 0.7))]
    else:
        parts = [0, 0, 0]
        for e, w in zip(eps, reference.reparameterize(mu, rho, eps)):
            one = (kl * (reference.log_posterior(rho, e) - reference.log_prior(w, pairs)),
                   *form(-kl * reference.mixture_score(w, pairs), rho, e, kl))
            parts = [total + part / len(eps) for total, part in zip(parts, one)]
    dmu[left] += parts[1]
    drho[left] += parts[2]
    assert dmu.size == size
    return value + parts[0], dmu, drho


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("names, settings", [case for case in PRUNED if "draws" not in case[1]], ids=str)
def test_value_and_gradient_are_those_of_the_weights_that_are_left(names, settings, dtype, masks):
    architecture, mu, rho, x, y, objective, key = case = path_case(*names[:2], "tanh", "uniform", **settings)
    value, dmu, drho = twin(case, PAIRS[names[0]], masks)
    result = free_energy_gradient(architecture, mu.astype(dtype), rho, x, y, objective=objective, key=key)
    tolerance = 1e-12 if dtype is np.float64 else 2e-5
    assert result.value == pytest.approx(value, rel=tolerance)
    for ours, truth in ((result.dmu, dmu), (result.drho, drho)):
        np.testing.assert_allclose(ours, truth, rtol=0, atol=tolerance * np.abs(truth).max())
        assert not ours[np.isneginf(rho)].any() and ours[np.isfinite(rho)].all()
    with np.errstate(divide="ignore"):
        wrong, _, wrong_drho = twin(case, PAIRS[names[0]], masks, naive=True)  # pruned, but still in the KL
    assert abs(result.value - wrong) > 1 and np.abs(result.drho - wrong_drho).max() > 0.01


def without(array, architecture, layer, unit):
    """A flat vector of the network without one hidden unit."""
    parts = []
    for depth, (weight, bias) in enumerate(architecture.views(array)):
        weight = np.delete(weight, unit, axis=0) if depth == layer + 1 else weight
        if depth == layer:
            weight, bias = np.delete(weight, unit, axis=1), np.delete(bias, unit)
        parts += [weight.ravel(), bias]
    return np.concatenate(parts)


@pytest.mark.parametrize("settings", [{"kl": "closed"}, {"draws": 0}, {"kl": "closed", "weight_noise": "local"}],
                         ids=str)
def test_free_energy_is_that_of_the_network_without_the_pruned_weights(settings):
    """A hidden unit all of whose weights are pruned, against the network of one unit less; noise without influence."""
    rng, whole, smaller = np.random.default_rng(44), Architecture((3, 4, 2), "tanh"), Architecture((3, 3, 2), "tanh")
    mu, rho = rng.normal(size=whole.size), np.full(whole.size, -45.0)  # so small that no draw differs from its mean
    for array, none in ((mu, 0), (rho, -np.inf)):
        (weight, bias), (out, _) = whole.views(array)
        weight[:, 1], bias[1], out[1] = none, none, none
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    objective = Objective(GaussianPrior(0.7), noise=0.5, **settings)
    ours = free_energy_gradient(whole, mu, rho, x, y, objective=objective, key=Key(3))
    other = free_energy_gradient(smaller, without(mu, whole, 0, 1), without(rho, whole, 0, 1), x, y,
                                 objective=objective, key=Key(3))
    np.testing.assert_allclose(ours[:4], other[:4], rtol=1e-12)
    for a, b in ((ours.dmu, other.dmu), (ours.drho, other.drho)):
        np.testing.assert_allclose(without(a, whole, 0, 1), b, rtol=1e-12, atol=1e-12 * np.abs(b).max())
    if settings.get("draws") != 0:  # the bug of PAPER.md's Table 2: rho = 0 is a deviation of 0.69
        alive = free_energy(whole, mu, np.where(np.isneginf(rho), 0, rho), x, y, objective=objective, key=Key(3))
        assert abs(alive.value - other.value) > 0.1 and abs(alive.log_likelihood - other.log_likelihood) > 0.01


@pytest.mark.parametrize("kl", ["sampled", "closed"])
def test_without_any_weight_only_the_likelihood_of_zero_is_left(kl):
    architecture = Architecture((3, 4, 2))
    mu, rho = np.zeros(architecture.size), np.full(architecture.size, -np.inf)
    y = np.random.default_rng(45).normal(size=(5, 2))
    result = free_energy_gradient(architecture, mu, rho, np.ones((5, 3)), y, objective=Objective(
        GaussianPrior(0.7), kl=kl, draws=2))
    assert (result.log_q, result.log_prior) == (0, 0) and not result.dmu.any() and not result.drho.any()
    assert result.log_likelihood == pytest.approx(-np.sum(y**2) / 2 - 5 * np.log(2 * np.pi), rel=1e-12)


def test_a_mean_without_noise_is_not_a_pruned_weight():
    architecture, mu, rho, x, y, objective, key = path_case("mixture", "gaussian", "tanh", "uniform")
    rho[3] = -np.inf
    with pytest.raises(ValueError, match="^rho is -inf, which prunes a weight, where mu is not zero"):
        free_energy(architecture, mu, rho, x, y, objective=objective, key=key)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2 or numba.config.DISABLE_JIT, reason="needs two threads")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("prior, settings", [
    ("mixture", {}), ("gaussian", {"weight_noise": "flipout"}), ("gaussian", {"weight_noise": "local", "kl": "closed"}),
    ("mixture", {"draws": 0})], ids=str)
def test_one_and_two_threads_give_the_same_bits(prior, settings, dtype):
    architecture, mu, *rest, objective, key = path_case(
        prior, "gaussian_input", "relu", "uniform", hidden=(40, 70), pruned=True, **settings)
    one, two = (free_energy_gradient(architecture, mu.astype(dtype), *rest, objective=objective, key=key,
                                     pieces={"tile": 64, "block": 2, "unit": 200}, threads=number)
                for number in (1, 2))
    np.testing.assert_array_equal(one.dmu, two.dmu)
    np.testing.assert_array_equal(one.drho, two.drho)
    assert one[:4] == two[:4]
