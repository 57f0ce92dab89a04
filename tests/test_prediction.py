"""The predictive distribution against mixtures worked out with scipy, the reference network, and its own samples."""

import numpy as np
import pytest
from scipy.special import expit, logsumexp, softmax
from scipy.stats import entropy, norm

from bbbnp import Architecture, prediction, reference
from bbbnp.kernels import noise
from bbbnp.prediction import ClassDistribution, RegressionDistribution, sample_outputs

SHIFT, SCALE = np.array([5.0, -1.0]), np.array([3.0, 0.5])
LOG_NOISE = np.array([-1.0, 0.5])
REGRESSIONS = pytest.mark.parametrize("likelihood, flat", [
    ("gaussian", False), ("gaussian_learned", True), ("gaussian_input", False), ("gaussian_input", True)])


def regression(likelihood, flat, draws, examples, seed=3):
    """A distribution of known outputs, and mean and deviation of each draw's Gaussian, (S, N, T), worked by hand."""
    rng = np.random.default_rng(seed)
    targets = 1 if flat else 2
    f, log_deviation = rng.normal(size=(draws, examples, targets)), LOG_NOISE[:targets]
    outputs = f
    if likelihood == "gaussian_input":
        log_deviation = rng.normal(size=f.shape) / 3
        outputs = np.concatenate([f, log_deviation], axis=2)
    d = RegressionDistribution(outputs, LOG_NOISE[:targets], likelihood, shift=SHIFT[:targets], scale=SCALE[:targets],
                               flat=flat, seed=seed)
    return d, SHIFT[:targets] + SCALE[:targets] * f, np.broadcast_to(SCALE[:targets] * np.exp(log_deviation), f.shape)


def close(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.E18
@REGRESSIONS
def test_variance_is_aleatoric_and_epistemic_by_the_law_of_total_variance(likelihood, flat):  # museum 17
    d, mean, deviation = regression(likelihood, flat, draws=7, examples=4)
    second_moment = np.mean(mean**2 + deviation**2, axis=0)
    shape = (4,) if flat else (4, 2)
    close(d.mean, mean.mean(axis=0).reshape(shape))
    close(d.std**2, (second_moment - mean.mean(axis=0)**2).reshape(shape))
    close(d.aleatoric, np.mean(deviation**2, axis=0).reshape(shape))
    close(d.epistemic, mean.var(axis=0).reshape(shape))
    assert d.samples.shape == (7, *shape)


@pytest.mark.E18
@REGRESSIONS
def test_samples_have_the_predictive_moments_and_coverage(likelihood, flat):
    d, *_ = regression(likelihood, flat, draws=3000, examples=1)
    z = (d.samples - d.mean) / d.std
    assert np.all(np.abs(z.mean(axis=0)) < 5 / np.sqrt(3000))
    assert np.all(np.abs(np.mean(z**2, axis=0) - 1) < 5 * np.sqrt(np.var(z**2, axis=0) / 3000))
    for level in (0.5, 0.95):
        low, high = d.interval(level)
        inside = np.mean((low <= d.samples) & (d.samples <= high), axis=0)
        assert np.all(np.abs(inside - level) < 5 * np.sqrt(level * (1 - level) / 3000))


def test_observation_noise_has_a_stream_of_its_own():
    d, mean, deviation = regression("gaussian", False, draws=7, examples=4, seed=3)
    observed = ((d.samples - mean) / deviation).ravel()
    eps = np.empty((2, observed.size))
    for row, stream in zip(eps, (noise.OBSERVATION, noise.PREDICTION)):
        noise.normals(row, 3, stream, 0, 0)
    close(observed, eps[0])
    assert not np.isclose(observed, eps[1]).any()


@pytest.mark.E18
@REGRESSIONS
def test_quantiles_invert_the_distribution_function_of_the_mixture(likelihood, flat):
    d, mean, deviation = regression(likelihood, flat, draws=7, examples=4)
    for q in (0.001, 0.25, 0.5, 0.975):
        reached = norm(mean, deviation).cdf(d.quantile(q).reshape(mean.shape[1:])).mean(axis=0)
        close(reached, np.full_like(reached, q))
    low, high = d.interval(0.5)
    np.testing.assert_array_equal(low, d.quantile(0.25))
    np.testing.assert_array_equal(high, d.quantile(0.75))
    assert low.shape == d.mean.shape


@pytest.mark.E18
@pytest.mark.parametrize("q", [1e-12, 0.5, 1 - 1e-12])
@pytest.mark.parametrize("mean, deviation", [
    ([3.0] * 7, [1.0] * 7), ([3.0], [1.0]), ([0.0, 1e8], [1e-8, 1e8])], ids=["equal", "one draw", "far apart"])
def test_quantiles_where_draws_are_equal_or_far_apart(mean, deviation, q):
    outputs = np.stack([mean, np.log(deviation)], axis=-1)[:, None]
    d = RegressionDistribution(outputs, np.zeros(1), "gaussian_input", shift=np.zeros(1), scale=np.ones(1), flat=True,
                               seed=0)
    tail = norm(mean, deviation).cdf if q <= 0.5 else norm(mean, deviation).sf
    np.testing.assert_allclose(tail(d.quantile(q)).mean(), min(q, 1 - q), rtol=1e-6)


@pytest.mark.E1
@pytest.mark.E18
@REGRESSIONS
def test_log_density_is_that_of_the_mixture_in_the_users_units(likelihood, flat):  # museum 25
    d, mean, deviation = regression(likelihood, flat, draws=7, examples=4)
    y = SHIFT[:mean.shape[2]] + np.random.default_rng(0).normal(size=mean.shape[1:])
    by_scipy = logsumexp(norm(mean, deviation).logpdf(y).sum(axis=2), axis=0) - np.log(7)
    close(d.log_density(y[:, 0] if flat else y), by_scipy)


@pytest.mark.E1
@pytest.mark.E18
@pytest.mark.parametrize("likelihood, probabilities", [
    ("categorical", lambda f: softmax(f, axis=2)),
    ("bernoulli", lambda f: np.concatenate([expit(-f), expit(f)], axis=2))])
def test_class_probabilities_are_averaged_and_their_entropy_splits(likelihood, probabilities):  # museum 15
    f = 3 * np.random.default_rng(1).normal(size=(6, 4, 1 if likelihood == "bernoulli" else 3))
    d, p = ClassDistribution(f, likelihood), probabilities(f)
    close(d.samples, p)
    close(d.mean, p.mean(axis=0))
    close(d.mean.sum(axis=1), np.ones(4))
    close(d.aleatoric, entropy(p, axis=2).mean(axis=0))
    close(d.epistemic, entropy(p.mean(axis=0), axis=1) - d.aleatoric)
    assert d.mean.shape == (4, 2 if likelihood == "bernoulli" else 3)
    assert np.all(d.epistemic > 0.01)


def test_draws_that_contradict_each_other_with_certainty_are_all_doubt_about_the_weights():
    d = ClassDistribution(np.array([[[-800.0]], [[800.0]]]), "bernoulli")
    close([*d.mean[0], d.aleatoric[0], d.epistemic[0]], [0.5, 0.5, 0, np.log(2)])


@pytest.mark.E10
@pytest.mark.E11
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_no_draws_is_the_mean_network_of_the_reference(activation, small):
    architecture = Architecture((2, 4, 3, 5), activation)
    mu = architecture.initial_mu(1)
    outputs = sample_outputs(architecture, mu, np.full_like(mu, 2.0), small.X.copy(), draws=0)
    assert outputs.shape == (1, 12, 5)
    close(outputs[0], reference.network(mu, small.X, architecture.widths, activation)[-1])


@pytest.mark.E4
@pytest.mark.parametrize("at_once", [1024, 5])
def test_each_draw_is_one_network_for_all_rows(at_once, small, monkeypatch):
    monkeypatch.setattr(prediction, "ROWS_AT_ONCE", at_once)
    architecture = Architecture((2, 4, 3))
    mu, rho, eps = architecture.initial_mu(1), np.linspace(-3, 1, architecture.size), np.empty(architecture.size)
    x = small.X.copy()  # writable: Numba compiles another version for arrays that are not
    outputs = sample_outputs(architecture, mu, rho, x, draws=3, seed=8)
    for draw, out in enumerate(outputs):
        noise.normals(eps, 8, noise.PREDICTION, 0, draw)
        w = reference.reparameterize(mu, rho, eps)
        close(out, reference.network(w, x, architecture.widths, "relu")[-1])
    np.testing.assert_array_equal(sample_outputs(architecture, mu, rho, x, draws=1, seed=8), outputs[:1])
    mean_network = sample_outputs(architecture, mu, rho, x, draws=0)[0]
    close(mean_network, reference.network(mu, x, architecture.widths, "relu")[-1])


@pytest.mark.E18
def test_copies_of_one_input_get_the_same_prediction_with_epistemic_part(regressor, classifier, small):  # museum 16
    copies = np.tile(small.X[:1], (4, 1))
    for model, y in ((regressor(), small.y), (regressor(noise="input"), small.y), (classifier(), small.labels)):
        d = model.fit(small.X, y).predict_distribution(copies)
        assert np.all(d.epistemic > 0)
        close(d.epistemic, np.full(4, d.epistemic[0]), 1e-5)
        assert np.all(model.predict_distribution(copies, draws=0).epistemic == 0)


@pytest.mark.parametrize("draws", [None, 5, 0])
def test_prediction_is_a_function_of_the_seed(draws, regressor, small):
    net = regressor().fit(small.X, small.y)
    one, two = (net.predict_distribution(small.X, draws=draws) for _ in range(2))
    for name in ("mean", "aleatoric", "epistemic", "samples"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert len(one.samples) == {None: net.prediction_draws, 5: 5, 0: 1}[draws]
    other = net.set_params(seed=1).predict_distribution(small.X, draws=draws)
    assert np.all(other.samples != one.samples)
    assert np.all(other.mean != one.mean) == (draws != 0)


@pytest.mark.parametrize("method, argument, message", [
    ("interval", 0, "level=0 must be a finite number, greater than 0"), ("interval", 1.5, "level=1.5 must be"),
    ("quantile", 1.01, "q"), ("quantile", np.nan, "q"), ("quantile", 0, "q"),
    ("log_density", np.zeros(3), "the distribution has 4 rows and y has 3"),
    ("log_density", np.full(4, np.nan), "y holds nan"), ("log_density", ["1"] * 4, "y has dtype"),
    ("log_density", np.zeros((4, 2)), "y has 2 columns"),
])
def test_bad_arguments_are_named(method, argument, message):
    d, *_ = regression("gaussian", True, draws=2, examples=4)
    with pytest.raises(ValueError, match=rf"^{message}\b"):
        getattr(d, method)(argument)
