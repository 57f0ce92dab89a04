"""The study interface: the free energy, its gradient and its noise are those of the reference, and those that train."""

import numpy as np
import pytest

from bbbnp import (
    Architecture, GaussianPrior, Key, Objective, free_energy, free_energy_gradient, minibatch_weights, reference,
    weight_noise)
from bbbnp.gradcheck_cases import PRIORS, path_case
from bbbnp.kernels import fused, hotloop, optimizer
from bbbnp.objective import LIKELIHOODS, MINIBATCH_WEIGHTS

PAIRS = {"gaussian": [(1.0, 0.7)], "mixture": [(0.25, 1.0), (0.75, 0.1)]}
CASES = pytest.mark.parametrize("prior, likelihood", [(p, k) for p in PRIORS for k in LIKELIHOODS])


def close(a, b, tolerance=1e-12):
    """|a - b| within `tolerance` of the largest entry of b."""
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max())


def twin(case, prior):
    """Arguments of reference.free_energy for a case of the study interface, and the eps that it used."""
    architecture, mu, rho, x, y, objective, key = case
    eps = np.array([weight_noise(key, draw, mu.size) for draw in range(objective.draws)], float)
    return (mu, rho, np.log(objective.noise), x, y, eps, architecture.widths, architecture.activation, PAIRS[prior],
            objective.likelihood.removesuffix("_learned"), objective.temperature * objective.minibatch_weight)


@pytest.mark.E2
@CASES
def test_value_and_parts_equal_the_reference(prior, likelihood):
    *arguments, objective, key = case = path_case(prior, likelihood, "tanh", "geometric")
    value, log_q, log_prior, log_lik = result = free_energy(*arguments, objective=objective, key=key)
    mu, rho, *_, eps, _, _, pairs, _, _ = arguments_of_twin = twin(case, prior)
    assert objective.temperature * objective.minibatch_weight * (log_q - log_prior) - log_lik == pytest.approx(
        value, rel=1e-12)
    assert value == pytest.approx(reference.free_energy(*arguments_of_twin), rel=1e-12)
    assert log_q == pytest.approx(np.mean([reference.log_posterior(rho, e) for e in eps]), rel=1e-12)
    w = reference.reparameterize(mu, rho, eps)
    assert log_prior == pytest.approx(np.mean([reference.log_prior(row, pairs) for row in w]), rel=1e-12)
    assert result == free_energy_gradient(*arguments, objective=objective, key=key)[:4]


@pytest.mark.E12
@pytest.mark.E13
@CASES
@pytest.mark.parametrize("form", ["short", "paper"])
def test_gradient_in_both_forms_equals_the_reference(prior, likelihood, form):
    *arguments, objective, key = case = path_case(prior, likelihood, "sigmoid", "uniform", form=form)
    result = free_energy_gradient(*arguments, objective=objective, key=key)
    dmu, drho, dlog_noise = reference.free_energy_gradient(
        *twin(case, prior), form={"short": reference.short_gradient, "paper": reference.paper_gradient}[form])
    close(result.dmu, dmu)
    close(result.drho, drho)
    assert result.dmu.all() and result.drho.all()  # no layer, weight or bias is forgotten (museum 11, 23)
    if likelihood == "gaussian_learned":
        close(result.dlog_noise, dlog_noise)
        close(result.dnoise * objective.noise, dlog_noise)
    else:
        assert result.dnoise is None and result.dlog_noise is None


@pytest.mark.E12
@pytest.mark.E13
def test_short_form_is_the_paper_form_to_rounding_of_its_largest_term():
    architecture, mu, _, x, y, objective, key = path_case("mixture", "gaussian", "tanh", "uniform")
    rho, kl = np.linspace(-20, 5, mu.size), objective.temperature * objective.minibatch_weight
    short, paper = (free_energy_gradient(architecture, mu, rho, x, y, key=key, objective=Objective(
        objective.prior, "gaussian", temperature=kl, form=form)) for form in ("short", "paper"))
    eps = weight_noise(key, 0, mu.size).astype(float)
    q_w, _, q_rho = reference.log_posterior_backward(rho, eps)
    largest = np.abs(short.dmu) + kl * np.abs(q_w)
    assert np.all(np.abs(short.dmu - paper.dmu) <= 1e-12 * largest)
    largest = largest * np.abs(eps) * reference.logistic(rho) + kl * np.abs(q_rho)
    assert np.all(np.abs(short.drho - paper.drho) <= 1e-12 * largest)
    assert not np.array_equal(short.drho, paper.drho)  # they are two computations


@CASES
def test_float32_is_close_to_float64(prior, likelihood):
    architecture, mu, rho, x, y, objective, key = path_case(prior, likelihood, "tanh", "uniform")
    double = free_energy_gradient(architecture, mu, rho, x, y, objective=objective, key=key)
    single = free_energy_gradient(architecture, *np.float32([mu, rho]), x, y, objective=objective, key=key)
    close(np.array(single[:4]), np.array(double[:4]), 1e-6)
    for one, other in zip(single[4:], double[4:]):
        if other is not None:
            assert one.dtype == np.float32
            close(one, other, 1e-5)


def test_no_draws_is_an_ordinary_network_without_kl():
    architecture, mu, rho, x, y, _, key = path_case("mixture", "gaussian", "relu", "uniform")
    result = free_energy_gradient(architecture, mu, rho, x, y, key=key, objective=Objective(draws=0, noise=0.5))
    h = reference.network(mu, x, architecture.widths, "relu")
    assert result[:3] == (-result.log_likelihood, 0, 0)
    assert result.log_likelihood == pytest.approx(
        reference.log_likelihood("gaussian", h[-1], y, np.log(0.5)), rel=1e-12)
    close(result.dmu, reference.network_backward((h[-1] - y) / 0.25, mu, h, architecture.widths, "relu"))
    assert not result.drho.any()


@pytest.mark.E4
def test_noise_is_a_function_of_seed_step_draw_and_index():
    eps = weight_noise(Key(1, 2), 3, 9)
    assert eps.dtype == np.float32
    np.testing.assert_array_equal(eps[:5], weight_noise(Key(1, 2), 3, 5))
    for key, draw in ((Key(0, 2), 3), (Key(1, 3), 3), (Key(1, 2), 2)):
        assert not np.isclose(eps, weight_noise(key, draw, 9)).any()


@pytest.mark.E2
@pytest.mark.E15
@pytest.mark.parametrize("kind", MINIBATCH_WEIGHTS)
def test_minibatches_sum_to_the_free_energy_of_all_data(kind):  # museum 2 and 19: temperature one
    architecture, mu, rho, _, _, _, key = path_case("gaussian", "gaussian", "tanh", "uniform")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    parts = [free_energy_gradient(architecture, mu, rho, x[i:j], y[i:j], key=key, objective=Objective(
        GaussianPrior(0.7), minibatch_weight=float(weight)))
        for i, j, weight in zip((0, 5, 10), (5, 10, 12), minibatch_weights(kind, (5, 5, 2)))]
    whole = free_energy_gradient(architecture, mu, rho, x, y, objective=Objective(GaussianPrior(0.7)), key=key)
    for name in ("value", "dmu", "drho"):
        close(sum(getattr(part, name) for part in parts), getattr(whole, name), 1e-11)


@pytest.mark.E14
def test_expected_complexity_is_the_kl_summed_over_all_weights():  # museum 3, 13 and 23
    architecture, rng = Architecture((2, 1)), np.random.default_rng(1)
    mu, rho = rng.normal(size=3), np.array([-1.0, 0.5, 0.0])
    results = [free_energy(architecture, mu, rho, [[0.0, 0]], [0.0], key=Key(5, step),
                           objective=Objective(GaussianPrior(0.7), draws=30)) for step in range(60)]
    complexity = np.array([r.log_q - r.log_prior for r in results])
    error = complexity.std(ddof=1) / np.sqrt(len(results))
    kl = reference.kl_to_gaussian(mu, rho, 0.7)
    assert abs(complexity.mean() - kl) < 5 * error < 0.2 * kl


@pytest.mark.E13
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@CASES
def test_gradient_is_bit_for_bit_that_of_the_hot_loop(prior, likelihood, dtype):
    kind, sizes = "geometric", (7, 7, 5)
    architecture, mu, rho, x, y, objective, _ = path_case(prior, likelihood, "relu", kind)
    x, y = np.tile(x, (3, 1))[:19].astype(dtype), np.tile(y, (3, 1))[:19].astype(dtype)
    x += np.arange(19, dtype=dtype)[:, None] / 20  # all rows differ
    theta = np.concatenate([mu, rho, np.log(objective.noise)]).astype(dtype)
    none, size = np.zeros(0, dtype), mu.size
    state = fused.State(theta.copy(), none, none, none, np.zeros(2 * size, dtype), np.zeros(2, dtype), none)
    data = hotloop.Data(x, y, np.zeros(19, np.int64), x[:7].copy(), y[:7].copy())
    plan = hotloop.Plan(7, MINIBATCH_WEIGHTS[kind], objective.temperature, likelihood == "gaussian_learned", 0,
                        hotloop.UPDATE)
    rule, history = optimizer.Optimizer(optimizer.SGD, 0.5, optimizer.CONSTANT, 1.0, 0.9, 0.999, 1e-8), np.zeros((2, 2))
    cursor = hotloop.Cursor(11, 4, 1, 1)  # fifth step ever, second minibatch of the second epoch
    taken, *_ = hotloop.train_serial(
        1, history, state, architecture.network, objective.prior.components(dtype), objective.for_kernels, rule, data,
        plan, cursor, architecture.workspace(7, dtype, targets=2))
    assert taken == 1
    rows = data.order[7:14]
    expected = free_energy_gradient(architecture, *np.split(theta[:2 * mu.size], 2), x[rows], y[rows], key=Key(11, 4),
                                    objective=objective)
    assert sorted(data.order) == list(range(19))
    assert objective.minibatch_weight == minibatch_weights(kind, sizes)[1]
    dlog_noise = np.zeros(2) if expected.dlog_noise is None else expected.dlog_noise
    gradient = np.concatenate([state.dtheta, state.dlog_noise])
    np.testing.assert_array_equal(gradient, np.concatenate([expected.dmu, expected.drho, dlog_noise]))
    np.testing.assert_array_equal(state.theta, theta - dtype(0.5) * gradient)
    assert history[1].sum() == pytest.approx(expected.value, rel=1e-14 if dtype is np.float64 else 1e-6)
    assert not history[0].any()


@pytest.mark.parametrize("wrong, message", [
    ({"mu": np.zeros(8)}, r"mu has shape \(8,\); this architecture needs \(9,\)"),
    ({"mu": np.zeros(9, int)}, "mu has dtype int64; it must be float32 or float64"),
    ({"rho": np.zeros((3, 3))}, r"rho has shape \(3, 3\)"), ({"X": [[1.0]] * 4}, "X has 1 columns, but 2 are expected"),
    ({"X": [[1, np.inf]] * 4}, "X holds inf at row 0, column 1"), ({"y": [0.0] * 3}, "X has 4 rows and y has 3"),
    ({"y": np.zeros((4, 2))}, "y has 2 columns, .* the architecture has 1"), ({"y": [0, np.nan, 0, 0]}, "y holds nan"),
    ({"objective": Objective(likelihood="gaussian_input")}, "gaussian_input likelihood needs 2 outputs"),
    ({"objective": Objective(likelihood="bernoulli"), "y": [0, 1, 2, 0]}, "y must hold 0 and 1 only"),
    ({"objective": Objective(likelihood="categorical"), "y": [0, 1, 0, 0]}, "y must hold class indices from 0 to 0"),
    ({"objective": Objective(noise=(1, 2))}, "noise=.* must be one number, or one for each of 1 targets"),
    ({"key": Key(-1)}, "seed=-1 must be an integer"), ({"key": Key(0, 2**32)}, "step=4294967296 must be an integer"),
    ({"mu": np.full(9, np.nan)}, "mu"),
])
def test_bad_arguments_are_named(wrong, message):
    good = {"mu": np.zeros(9), "rho": np.zeros(9), "X": np.ones((4, 2)), "y": [0.0] * 4, "objective": Objective()}
    with pytest.raises(ValueError, match=message):
        free_energy(Architecture((2, 2, 1)), **good | wrong)


@pytest.mark.parametrize("key, draw, size, message", [
    (Key(), -1, 3, "draw=-1 must be an integer"), (Key(), 0, 0, "size=0 must be an integer of at least 1"),
    (Key(0, 2**32), 0, 3, "step=4294967296"),
    (Key(-1), 0, 3, "seed=-1"),
])
def test_bad_noise_arguments_are_named(key, draw, size, message):
    with pytest.raises(ValueError, match=message):
        weight_noise(key, draw, size)


def test_read_only_arrays_are_taken():
    arrays = [np.zeros(9), np.zeros(9), np.ones((4, 2)), np.zeros(4)]
    for array in arrays:
        array.flags.writeable = False
    assert np.isfinite(free_energy(Architecture((2, 2, 1)), *arrays, objective=Objective()).value)
