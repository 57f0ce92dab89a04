"""Truth: what is known exactly, and that training the real network code reaches it."""

import numba
import numpy as np
import pytest
from scipy import integrate, linalg, stats

from bbbnp import Architecture, BayesRegressor, GaussianPrior, Key, Objective, free_energy, free_energy_gradient
from bbbnp.exact import ConjugateRegression, grid_posterior

NOISE, PRIOR_SIGMA = 0.5, 0.8
STEPS = 20_000 if numba.config.DISABLE_JIT else 120_000
# The error of averaged iterates falls with the square root of their number: the bounds are those of 120,000 steps.
SLACK = np.sqrt(120_000 / STEPS)
KEYS = 1_000 if numba.config.DISABLE_JIT else 4_000


def regression_data(n=61):
    """Correlated inputs, a bias, 61 examples: minibatches of 20 are unequal."""
    rng = np.random.default_rng(5)
    mixing = np.array([[1.0, 0.6, -0.3], [0.0, 0.8, 0.5], [0.0, 0.0, 0.7]])
    X = rng.normal(size=(n, 3)) @ mixing + 0.3
    return X, X @ [0.7, -0.4, 0.2] + 0.3 + NOISE * rng.normal(size=n)


def exact(temperature=1.0):
    X, y = regression_data()
    return ConjugateRegression(np.column_stack([X, np.ones(len(X))]), y, NOISE, PRIOR_SIGMA, temperature)


def objective(**kwargs):
    return Objective(GaussianPrior(PRIOR_SIGMA), "gaussian", NOISE, **kwargs)


def optimum():
    """Architecture, mu, rho at the mean-field optimum; rho = log(exp(sigma) - 1)."""
    mu, sigma = exact().mean_field
    return Architecture((3, 1)), mu, np.log(np.expm1(sigma))


@pytest.mark.E1
def test_grid_posterior_is_that_of_a_conjugate_mean_and_survives_underflow():
    y, grid = np.array([0.9, 1.3, 0.4]), np.linspace(-6, 6, 4001)
    log_joint = stats.norm.logpdf(y[:, None], grid, 0.7).sum(axis=0) + stats.norm.logpdf(grid, 0, 2.0)
    precision = 3 / 0.7**2 + 1 / 2.0**2
    density, log_evidence = grid_posterior(log_joint - 5000, grid[1] - grid[0])
    truth = stats.norm.pdf(grid, y.sum() / 0.7**2 / precision, precision**-0.5)
    np.testing.assert_allclose(density, truth, atol=1e-12)
    covariance = 0.7**2 * np.eye(3) + 2.0**2
    assert log_evidence + 5000 == pytest.approx(stats.multivariate_normal.logpdf(y, np.zeros(3), covariance), abs=1e-9)


@pytest.mark.parametrize("log_joint, spacing, message", [
    ([[0.0, 1.0]], 0.1, "vector"), ([], 0.1, "vector"), ([0.0], -1, "spacing"), ([-np.inf], 0.1, "finite")])
def test_grid_posterior_says_what_is_wrong(log_joint, spacing, message):
    with pytest.raises(ValueError, match=message):
        grid_posterior(log_joint, spacing)


@pytest.mark.parametrize("noise", [NOISE, 0.7])  # 1/0.5^2 is 2/0.5
def test_conjugate_posterior_by_quadrature_in_one_dimension(noise):
    X, y = np.array([[0.5], [1.0], [-2.0]]), np.array([0.1, 0.9, -1.2])
    model = ConjugateRegression(X, y, noise, PRIOR_SIGMA)

    def joint(w, power=0):
        return w**power * np.exp(stats.norm.logpdf(y, X[:, 0] * w, noise).sum() + stats.norm.logpdf(w, 0, PRIOR_SIGMA))

    evidence, first, second = (integrate.quad(joint, -6, 6, args=(k,), epsabs=1e-13)[0] for k in range(3))
    assert model.log_evidence == pytest.approx(np.log(evidence), abs=1e-10)
    assert model.mean[0] == pytest.approx(first / evidence, abs=1e-10)
    assert 1 / model.precision[0, 0] == pytest.approx(second / evidence - (first / evidence)**2, abs=1e-10)


@pytest.mark.parametrize("name", ["noise", "prior_sigma", "temperature"])
def test_deviations_and_temperature_are_positive(name):
    numbers = {"noise": 1.0, "prior_sigma": 1.0, "temperature": 1.0, name: 0.0}
    with pytest.raises(ValueError, match=rf"^{name}=0"):
        ConjugateRegression(np.ones((2, 1)), np.ones(2), **numbers)


@pytest.mark.E2
def test_free_energy_at_the_optimum_exceeds_minus_log_evidence_by_the_gap():
    model = exact()
    mu, sigma = model.mean_field
    assert model.free_energy(mu, sigma) + model.log_evidence == pytest.approx(model.gap, abs=1e-10)
    assert model.gap > 0.1
    for factor in (0.9, 1.1):
        assert model.free_energy(mu, sigma * factor) > model.free_energy(mu, sigma)


@pytest.mark.E2
def test_network_free_energy_has_the_closed_form_as_its_mean():
    """Museum 3, 13, 14, 23: no constant, weight or bias is missing or counted twice."""
    architecture, mu, rho = optimum()
    X, y = regression_data()
    values = [free_energy(architecture, mu, rho, X, y, objective=objective(), key=Key(3, step)).value
              for step in range(KEYS)]
    z = (np.mean(values) - exact().free_energy(*exact().mean_field)) / (np.std(values) / np.sqrt(KEYS))
    assert abs(z) < 5


@pytest.mark.E13
def test_mean_gradient_at_the_optimum_is_zero():
    architecture, mu, rho = optimum()
    X, y = regression_data()

    def largest_z(mu, rho):
        results = [free_energy_gradient(architecture, mu, rho, X, y, objective=objective(), key=Key(4, step))
                   for step in range(KEYS)]
        g = np.array([np.concatenate([r.dmu, r.drho]) for r in results])
        return np.abs(g.mean(axis=0) / (g.std(axis=0) / np.sqrt(KEYS))).max()

    assert largest_z(mu, rho) < 5
    assert largest_z(mu, rho - 0.5) > 5  # sigma 40 % too small is seen


@pytest.mark.E15
@pytest.mark.parametrize("batch_size, weights, temperature", [
    (61, "uniform", 1.0), (20, "uniform", 1.0), (20, "geometric", 1.0), (61, "uniform", 0.2)])
def test_training_reaches_the_mean_field_optimum(batch_size, weights, temperature):
    """SGD, decreasing steps, reshuffled and unequal minibatches, averaged iterates, correlated inputs, a bias."""
    X, y = regression_data()
    model = BayesRegressor(
        hidden=(), standardize=False, dtype="float64", noise=NOISE, prior=GaussianPrior(PRIOR_SIGMA), optimizer="sgd",
        learning_rate=4e-3, schedule="inverse_time", horizon=STEPS // 10, average_last=0.8, rho_init=-2.5,
        batch_size=batch_size, minibatch_weights=weights, temperature=temperature,
        epochs=STEPS // -(-len(X) // batch_size), seed=1).fit(X, y)
    m, sigma = exact(temperature).mean_field
    deviations = np.sqrt(np.diag(np.linalg.inv(exact(temperature).precision)))
    assert np.abs((model.mu_ - m) / deviations).max() < 0.03 * SLACK
    assert np.abs(model.sigma_ / sigma - 1).max() < 0.02 * SLACK
    if temperature != 1:  # the tempered optimum is another one, and the test can tell
        assert np.abs(model.sigma_ / exact().mean_field[1] - 1).min() > 0.3


@pytest.mark.E24
def test_path_gradient_of_every_draw_is_zero_at_the_true_posterior():
    """Where the inputs are orthogonal, the bias's among them, the best diagonal Gaussian is the posterior itself."""
    X = linalg.hadamard(8)[:, 1:4] * [0.7, 1.1, 1.6]
    y = X @ [0.7, -0.4, 0.2] + 0.3 + NOISE * np.random.default_rng(2).normal(size=8)
    model = ConjugateRegression(np.column_stack([X, np.ones(8)]), y, NOISE, PRIOR_SIGMA)
    assert model.gap == pytest.approx(0, abs=1e-12)
    m, sigma = model.mean_field
    rho, architecture = np.log(np.expm1(sigma)), Architecture((3, 1))

    def largest(X, y, mu, rho, **settings):
        results = [free_energy_gradient(architecture, mu, rho, X, y, objective=objective(**settings), key=Key(5, step))
                   for step in range(20)]
        return [max(np.abs(r.dmu).max(), np.abs(r.drho).max()) for r in results]

    total = largest(X, y, m, rho)
    assert max(largest(X, y, m, rho, gradient="path")) < 1e-12 * min(total)
    assert min(largest(X, y, m, rho - 1e-3, gradient="path")) > 1e-6 * max(total)  # nearly the posterior is not enough
    assert min(largest(*regression_data(), *optimum()[1:], gradient="path")) > 0.1  # nor the optimum, if that differs
