"""Each way of putting the noise in, KL and gradient: beside reference.py and finite differences; its expectation."""

from dataclasses import replace
import itertools

from hypothesis import given, settings as hypothesis_settings, strategies as st
import numba
import numpy as np
import pytest

from bbbnp import (
    Architecture, BayesRegressor, GaussianPrior, Key, Objective, free_energy, free_energy_gradient, load, reference,
    unit_noise, weight_noise)
from bbbnp.exact import ConjugateRegression
from bbbnp.gradcheck import TOLERANCE, table, worst_entry
from bbbnp.architecture import ACTIVATIONS
from bbbnp.gradcheck_cases import (
    BUILDS, PIECES, equation_of, estimator_rows, estimator_settings, left_out, path_blocks, path_case, path_numeric)
from bbbnp.gradcheck_kernels import PRIORS, data_for
from bbbnp.kernels import hotloop
from bbbnp.objective import output_width

JIT = not numba.config.DISABLE_JIT
HIDDEN = (4, 5) if JIT else (2,)
KEYS = 2000 if JIT else 1000
PAIRS = {"gaussian": [(1.0, 0.7)], "mixture": [(0.25, 1.0), (0.75, 0.1)]}
SETTINGS = [*estimator_settings()]
SOME = [{"weight_noise": "local", "kl": "closed"}, {"weight_noise": "flipout"}, {"weight_noise": "local"},
        {"weight_noise": "flipout", "kl": "closed"}, {"antithetic": True}, {"kl": "closed"}, {"gradient": "path"},
        {"weight_noise": "flipout", "antithetic": True, "gradient": "path"},
        {"weight_noise": "local", "antithetic": True, "kl": "closed"}]


def words(settings):
    return ", ".join(f"{key}={value}" for key, value in settings.items())


def noise_of(architecture, rows, objective, key):
    """eps, shape (S, P), and the noise of the units of each draw, as `reference` takes them."""
    step = 2 if objective.antithetic else 1
    numbers = range(0, objective.draws, step)
    eps = np.array([weight_noise(key, number, architecture.size) for number in numbers], float)
    eps = reference.antithetic(eps) if objective.antithetic else eps
    if objective.weight_noise == "weights":
        return eps, None
    units = [unit_noise(key, number, architecture, rows, weight_noise=objective.weight_noise)
             for number in numbers for _ in range(step)]
    if objective.antithetic and objective.weight_noise == "local":
        units[1::2] = [[(None, -zeta) for _, zeta in layers] for layers in units[1::2]]
    return eps, units


def twin(case, pairs):
    """Value, dmu and drho by reference.py."""
    architecture, mu, rho, x, y, objective, key = case
    closed = objective.kl == "closed"
    eps, units = noise_of(architecture, len(x), objective, key)
    form = reference.path_gradient if objective.gradient == "path" else reference.short_gradient
    arguments = (mu, rho, np.log(objective.noise), x, y, *([eps] if units is None else [eps, units]),
                 architecture.widths, architecture.activation, pairs, objective.likelihood.removesuffix("_learned"),
                 0.0 if closed else objective.kl_weight)
    if units is None:
        value = reference.free_energy(*arguments)
        dmu, drho, _ = reference.free_energy_gradient(*arguments, form=form)
    else:
        value = reference.placed_free_energy(*arguments)
        dmu, drho, _ = reference.placed_free_energy_gradient(*arguments, form=form)
    if not closed:
        return value, dmu, drho
    kl = [objective.kl_weight * part for part in (
        reference.kl_to_gaussian(mu, rho, 0.7), *reference.kl_to_gaussian_backward(mu, rho, 0.7))]
    return value + kl[0], dmu + kl[1], drho + kl[2]


@pytest.mark.E14
@pytest.mark.E16
@pytest.mark.E22
@pytest.mark.E23
@pytest.mark.E24
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("prior, settings", SETTINGS, ids=str)
def test_value_and_gradient_equal_the_reference(prior, settings, dtype):
    architecture, mu, rho, x, y, objective, key = case = path_case(
        prior, "gaussian_input", "sigmoid", "uniform", **settings)
    value, dmu, drho = twin(case, PAIRS[prior])
    result = free_energy_gradient(architecture, mu.astype(dtype), rho, x, y, objective=objective, key=key)
    tolerance = 1e-12 if dtype is np.float64 else 2e-5
    assert result.value == pytest.approx(value, rel=tolerance)
    for ours, truth in ((result.dmu, dmu), (result.drho, drho)):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, truth, rtol=0, atol=tolerance * np.abs(truth).max())
    if settings["kl"] == "closed":
        assert result.log_prior == 0
        assert result.log_q == pytest.approx(reference.kl_to_gaussian(mu, rho, 0.7), rel=tolerance)
    assert result[:4] == free_energy(architecture, mu.astype(dtype), rho, x, y, objective=objective, key=key)


few = hypothesis_settings(derandomize=True, deadline=None, max_examples=30)


@st.composite
def problems(draw, likelihoods, rho, scale):
    """Of any architecture, prior and estimator: name of the prior, and what `twin` takes, in float64.

    Layer widths differ; rho is drawn from `rho`, weight by weight, means and inputs are up to `scale` in size.
    """
    prior, estimator = draw(st.sampled_from(SETTINGS))
    likelihood, hidden = draw(st.sampled_from(likelihoods)), draw(st.lists(st.integers(1, 7), max_size=3, unique=True))
    architecture = Architecture((3, *hidden, output_width(likelihood, 2)), draw(st.sampled_from([*ACTIVATIONS])))
    rows, numbers = draw(st.integers(1, 9)), np.random.default_rng(draw(st.integers(0, 99)))
    mu = scale * numbers.normal(size=architecture.size)
    rho = numbers.choice(draw(st.lists(rho, min_size=1, max_size=5)), mu.size)
    x, y = data_for(numbers, likelihood, 3, rows)
    return prior, (architecture, mu, rho, scale * x, y, Objective(
        PRIORS[prior], likelihood, (0.6, 0.9), draws=2, minibatch_weight=draw(st.floats(1e-3, 1)), **{
            name: value for name, value in estimator.items() if name != "draws"}), Key(draw(st.integers(0, 2**62)), 3))


@few
@given(problems(["gaussian", "gaussian_input", "categorical", "bernoulli"], st.floats(-30, 2), 1.0))
def test_any_network_has_value_and_gradient_of_the_reference(problem):
    prior, case = problem
    *arguments, objective, key = case
    result = free_energy_gradient(*arguments, objective=objective, key=key)
    value, dmu, drho = twin(case, PAIRS[prior])
    assert result.value == pytest.approx(value, rel=1e-9)
    for ours, truth in ((result.dmu, dmu), (result.drho, drho)):
        np.testing.assert_allclose(ours, truth, rtol=0, atol=1e-10 * np.abs(truth).max())


@few
@given(problems(["gaussian", "categorical", "bernoulli"], st.sampled_from([-800.0, -110.0, -40.0, 0.0, 40.0, 800.0]),
                100.0), st.sampled_from([np.float32, np.float64]))
def test_nothing_is_infinite_or_nan_at_extreme_deviations_means_and_inputs(problem, dtype):
    """Without the path derivative, whose eps/sigma no float has at rho = -800; so has the paper's form."""
    architecture, mu, rho, x, y, objective, key = problem[1]
    objective = replace(objective, gradient="total")
    result = free_energy_gradient(
        architecture, mu.astype(dtype), rho.astype(dtype), x, y, objective=objective, key=key)
    for values in (*result[:4], result.dmu, result.drho):
        assert np.isfinite(values).all()


def test_every_gradient_agrees_with_finite_differences_in_both_builds():
    rows = list(estimator_rows(HIDDEN))
    assert max(row.worst for row in rows) <= TOLERANCE, table(rows)
    checked = {row.what for row in rows}
    assert len(rows) == len(BUILDS) * len(checked) and len(SETTINGS) < len(checked) < 2 * len(SETTINGS)
    assert {row.equation for row in rows} == {"E14", "E16", "E22", "E23", "E24"}


@pytest.mark.skipif(not JIT, reason="there is one build")
def test_the_checker_runs_both_builds(monkeypatch):
    ran = []
    for build in ("train_serial", "train_parallel"):
        original = getattr(hotloop, build)
        monkeypatch.setattr(hotloop, build, lambda *a, original=original, build=build: (
            ran.append((build, a[8].mode)), original(*a))[1])
    next(rows := estimator_rows((1,)))
    next(rows)
    assert [build for build, mode in ran if mode == hotloop.RECORD] == ["train_serial", "train_parallel"]


@pytest.mark.parametrize("prior, settings, plant", [
    ("mixture", {"weight_noise": "local"}, "half the likelihood's drho"),
    ("mixture", {"weight_noise": "local"}, "another step"),
    ("mixture", {"weight_noise": "flipout"}, "signs forgotten"),
    ("mixture", {"weight_noise": "flipout"}, "another step"),
    ("gaussian", {"kl": "closed"}, "sampled"), ("gaussian", {"weight_noise": "local", "kl": "closed"}, "sampled"),
    ("mixture", {"antithetic": True}, "no pairs"),
    ("mixture", {"weight_noise": "local", "antithetic": True}, "no pairs"),
    ("mixture", {"gradient": "path"}, "nothing left out"),
    ("mixture", {"gradient": "path", "weight_noise": "flipout"}, "nothing left out")], ids=str)
def test_planted_errors_are_rejected_by_the_same_check(prior, settings, plant):
    *arguments, objective, key = case = path_case(prior, "gaussian", "tanh", "uniform", hidden=HIDDEN, **settings)
    extra = left_out(*case) if settings.get("gradient") == "path" else 0

    def gradient(key=key, **changed):
        other = Objective(**{**vars(objective), **changed})
        result = free_energy_gradient(*arguments, objective=other, key=key)
        return np.concatenate([result.dmu, result.drho])

    right, size = gradient(), arguments[1].size
    if plant == "half the likelihood's drho":
        wrong = right.copy()
        wrong[size:] -= gradient(minibatch_weight=0.0)[size:] / 2
    else:
        wrong = {"another step": lambda: gradient(Key(key.seed, key.step + 1)),
                 "signs forgotten": lambda: gradient(weight_noise="weights"),
                 "sampled": lambda: gradient(kl="sampled"), "no pairs": lambda: gradient(antithetic=False),
                 "nothing left out": lambda: right - extra}[plant]()
    numeric, blocks = path_numeric(*case), path_blocks(arguments[0])
    assert worst_entry(right + extra, numeric, blocks)[0] <= TOLERANCE
    assert worst_entry(wrong + extra, numeric, blocks)[0] > 1e-4


def projected(objective, vectors):
    """The gradient along some vectors, in mu and in rho, for every key: shape (KEYS, 2 len(vectors))."""
    architecture, rng = Architecture((2, 3, 1), "tanh"), np.random.default_rng(6)
    mu, rho = architecture.initial_mu(1), -1 + rng.normal(size=architecture.size) / 3
    x, y = rng.normal(size=(4, 2)), rng.normal(size=4)
    rows = []
    for step in range(KEYS):
        result = free_energy_gradient(architecture, mu, rho, x, y, objective=objective, key=Key(7, step), threads=1)
        rows.append(np.concatenate([vectors @ result.dmu, vectors @ result.drho]))
    return np.array(rows)


@pytest.fixture(scope="module")
def directions():
    """Twenty random directions, and the gradient with one draw of the weights along them."""
    vectors = np.random.default_rng(8).normal(size=(20, 13))
    return vectors, projected(Objective(GaussianPrior(0.7), noise=0.5, draws=2), vectors)


def largest_z(difference):
    return np.abs(difference.mean(axis=0) / (difference.std(axis=0, ddof=1) / np.sqrt(len(difference)))).max()


@pytest.mark.E14
@pytest.mark.E16
@pytest.mark.E22
@pytest.mark.E23
@pytest.mark.E24
@pytest.mark.parametrize("settings", SOME, ids=words)
def test_gradient_has_the_expectation_of_that_with_shared_weights(settings, directions):
    vectors, shared = directions
    ours = projected(Objective(GaussianPrior(0.7), noise=0.5, draws=2, **settings), vectors)
    assert largest_z(ours - shared) < 4
    biased = projected(Objective(GaussianPrior(0.7), noise=0.5, draws=2, temperature=1.5, **settings), vectors)
    assert largest_z(biased - shared) > 4  # and the test can tell
    assert not np.isclose(ours, shared).all(axis=1).any()


@pytest.mark.E14
@pytest.mark.E16
@pytest.mark.E22
@pytest.mark.parametrize("weight_noise", ["weights", "local", "flipout"])
def test_the_kl_does_not_depend_on_the_batch_and_pulls_every_mean(weight_noise):  # museum 9
    architecture, mu, rho, x, y, objective, key = path_case(
        "gaussian", "gaussian", "tanh", "uniform", kl="closed", weight_noise=weight_noise)
    truth = np.array(reference.kl_to_gaussian_backward(mu, rho, 0.7))
    assert truth.all()
    for inputs, targets in ((x, y), (np.vstack([x, 3 * x]), np.vstack([y, -y])), (x[:1], y[:1])):
        charged, free = (free_energy_gradient(
            architecture, mu, rho, inputs, targets, key=key, objective=replace(objective, temperature=temperature))
            for temperature in (0.7, 0.0))
        assert charged.log_q == free.log_q == pytest.approx(reference.kl_to_gaussian(mu, rho, 0.7), rel=1e-12)
        part = np.array([charged.dmu - free.dmu, charged.drho - free.drho]) / objective.kl_weight
        np.testing.assert_allclose(part, truth, rtol=0, atol=1e-10 * np.abs(charged.dmu).max())


@pytest.mark.E23
@pytest.mark.parametrize("weight_noise", ["weights", "local", "flipout"])
def test_antithetic_pairs_integrate_odd_integrands_exactly(weight_noise):
    """The gradient in mu of a linear network with Gaussian prior and noise is its mean and what is odd in the noise."""
    rng = np.random.default_rng(9)
    X, y = np.column_stack([rng.normal(size=(6, 2)), np.ones(6)]), rng.normal(size=6)
    mu, rho = rng.normal(size=3), np.array([-1.0, 0.3, -0.5])
    model = ConjugateRegression(X, y, 0.5, 0.7)
    expected = model.precision @ mu - X.T @ y / 0.5**2

    def dmu(step, antithetic):
        objective = Objective(
            GaussianPrior(0.7), noise=0.5, draws=4, antithetic=antithetic, weight_noise=weight_noise)
        return free_energy_gradient(
            Architecture((2, 1)), mu, rho, X[:, :2], y, objective=objective, key=Key(2, step)).dmu

    for step in range(5):
        np.testing.assert_allclose(dmu(step, True), expected, atol=1e-13 * np.abs(expected).max())
        assert np.abs(dmu(step, False) - expected).max() > 1e-3 * np.abs(expected).max()


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2 or not JIT, reason="needs two threads and the compiler")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pieces", [{}, PIECES], ids=str)
@pytest.mark.parametrize("settings", [settings for settings in SOME if "weight_noise" in settings], ids=words)
def test_one_and_two_threads_give_the_same_bits(settings, pieces, dtype):
    architecture, mu, *rest, objective, key = path_case(
        "gaussian", "gaussian_input", "relu", "uniform", hidden=(40, 70), **settings)
    one, two = (free_energy_gradient(
        architecture, mu.astype(dtype), *rest, objective=objective, key=key, pieces=pieces, threads=number)
        for number in (1, 2))
    np.testing.assert_array_equal(one.dmu, two.dmu)
    np.testing.assert_array_equal(one.drho, two.drho)
    assert one[:4] == two[:4]


@pytest.mark.parametrize("settings", SOME, ids=words)
def test_models_train_resume_and_come_back_from_a_file(settings, small, tmp_path, assert_same_bits):
    params = {"hidden": (3,), "epochs": 4, "batch_size": 5, "draws": 2, "prior": GaussianPrior(0.5), **settings}
    net = BayesRegressor(**params).fit(small.X, small.y)
    half = BayesRegressor(**params)
    half.partial_fit(small.X, small.y, epochs=2).save(tmp_path / "half.npz")
    again = load(tmp_path / "half.npz")
    assert again.get_params() == half.get_params() and all(getattr(again, k) == v for k, v in settings.items())
    assert_same_bits(again.partial_fit(small.X, small.y, epochs=2), net)
    shared = BayesRegressor(**{k: v for k, v in params.items() if k not in settings}).fit(small.X, small.y)
    assert not np.array_equal(net.mu_, shared.mu_) and np.isfinite(net.predict(small.X)).all()


def test_all_settings_are_combined():
    combined = {(prior, *settings.values()) for prior, settings in SETTINGS}
    assert len(combined) == len(SETTINGS) == 3 * 2 * 4 - 2 - 2  # but the default with each prior, and path with local
    for weight, kl in itertools.product(("local", "flipout"), ("sampled", "closed")):
        assert any(s["weight_noise"] == weight and s["kl"] == kl and s["antithetic"] for _, s in SETTINGS)
    assert {equation_of(settings) for _, settings in SETTINGS} == {"E14", "E16", "E22", "E23", "E24"}
