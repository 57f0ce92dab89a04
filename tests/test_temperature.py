"""The effective temperature: of recipes against exact optima, of our own training, and the page that says so."""

import numpy as np
import pytest

from bbbnp import BayesClassifier, BayesRegressor, effective_temperature, load, minibatch_weights
from bbbnp.exact import ConjugateRegression
from bbbnp.experiments import temperature
from bbbnp.gradcheck import numerical_gradient
from bbbnp.objective import MINIBATCH_WEIGHTS

pytestmark = pytest.mark.E26

NOISE, PRIOR_SIGMA, EXAMPLES, BATCH = 0.5, 0.8, 12, 4
BATCHES = EXAMPLES // BATCH
REDUCE = {"sum": np.sum, "mean": np.mean}
RECIPES = [  # settings, temperature by hand, for three weights
    ({"kl_weight": 1 / 3}, 1), ({"kl_weight": minibatch_weights("geometric", [4, 4, 4])}, 1),
    ({"likelihood_weight": 3.0}, 1), ({"likelihood": "mean", "kl_weight": 1 / 12}, 1),
    ({"likelihood": "mean", "kl_weight": 1 / 3}, 4), ({"likelihood": "mean"}, 12), ({}, 3),
    ({"likelihood": "mean", "likelihood_weight": 12, "kl_weight": 1 / 3}, 1 / 3),
    ({"likelihood": "mean", "kl": "mean"}, 4), ({"kl_weight": [1, 0.5, 0.25]}, 1.75),
    ({"likelihood": "mean", "likelihood_weight": 2 * NOISE**2}, 24),
    ({"draws": 5, "kl_draws": "sum", "kl_weight": 1 / 3}, 5), ({"draws": 5, "likelihood_draws": "sum"}, 0.6)]


def exact(temperature=1.0, prior_sigma=PRIOR_SIGMA):
    rng = np.random.default_rng(3)
    X = np.column_stack([rng.normal(size=(EXAMPLES, 2)), np.ones(EXAMPLES)])
    y = X @ [0.7, -0.4, 0.3] + NOISE * rng.normal(size=EXAMPLES)
    return ConjugateRegression(X, y, NOISE, prior_sigma, temperature)


def loss(mu, sigma, settings):
    """What a library computes over a pass, minibatch by minibatch, with the mean over q in place of draws."""
    model, total = exact(), 0.0
    s = {"likelihood": "sum", "kl": "sum", "likelihood_draws": "mean", "kl_draws": "mean", "likelihood_weight": 1,
         "kl_weight": 1, "draws": 1} | settings
    kl = np.log(PRIOR_SIGMA / sigma) + (sigma**2 + mu**2) / (2 * PRIOR_SIGMA**2) - 0.5
    for i, kl_weight in enumerate(np.broadcast_to(s["kl_weight"], BATCHES)):
        X, y = model.X[i * BATCH:(i + 1) * BATCH], model.y[i * BATCH:(i + 1) * BATCH]
        nll = ((y - X @ mu)**2 + X**2 @ sigma**2) / (2 * NOISE**2)
        draws = [(REDUCE[s["likelihood"]](nll), REDUCE[s["kl"]](kl)) for _ in range(s["draws"])]
        nll, kl_term = (REDUCE[s[f"{name}_draws"]](terms) for name, terms in zip(("likelihood", "kl"), zip(*draws)))
        total += s["likelihood_weight"] * nll + kl_weight * kl_term
    return total


@pytest.mark.parametrize("settings, by_hand", RECIPES, ids=str)
def test_a_recipe_has_its_optimum_where_its_temperature_says(settings, by_hand):
    found = effective_temperature(EXAMPLES, batches=BATCHES, weights=3, **settings)
    assert found == pytest.approx(by_hand, rel=1e-12)

    def largest_gradient(temperature):
        mu, sigma = exact(temperature).mean_field
        scale = np.concatenate([sigma, sigma])  # of one deviation
        optimum = np.concatenate([mu, sigma])
        g = numerical_gradient(lambda z: loss(*np.split(z * scale, 2), settings), optimum / scale, 0.05)
        return np.abs(g).max() / loss(mu, sigma, settings)

    assert largest_gradient(found) < 1e-8
    assert largest_gradient(1.1 * found) > 1e-4 < largest_gradient(found / 1.1)


@pytest.mark.parametrize("temperature", [0.3, 4.0])
def test_tempering_the_likelihood_is_t_times_the_posterior_of_a_prior_that_much_narrower(temperature):
    covariance = np.linalg.inv(exact(temperature).precision)
    narrower = exact(prior_sigma=PRIOR_SIGMA / temperature**0.5)
    np.testing.assert_allclose(covariance, temperature * np.linalg.inv(narrower.precision), rtol=1e-12)
    np.testing.assert_allclose(exact(temperature).mean, narrower.mean, rtol=1e-12)
    ratio = np.diag(covariance) / np.diag(np.linalg.inv(exact().precision))
    assert np.all(np.abs(ratio / temperature - 1) > 0.01)  # and not T times the posterior itself


@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_a_factor_on_the_whole_loss_changes_nothing(factor):
    one = effective_temperature(100, batches=7, likelihood="mean", kl_weight=0.3)
    both = effective_temperature(100, batches=7, likelihood="mean", likelihood_weight=factor, kl_weight=0.3 * factor)
    assert one == pytest.approx(both, rel=1e-12)


@pytest.mark.parametrize("arguments, message", [
    ({"examples": 0}, "examples=0"), ({"batches": 13}, "batches=13 exceeds examples=12"), ({"batches": 0}, "batches=0"),
    ({"kl": "average"}, "kl='average' is unknown"), ({"kl": "mean"}, "weights=None must be an integer"),
    ({"weights": 2.5}, "weights=2.5"), ({"kl_weight": [1, 1]}, r"kl_weight has shape \(2,\).* each of 3 minibatches"),
    ({"kl_weight": -1}, "kl_weight=.*-1"), ({"likelihood_weight": 0}, "likelihood_weight=0"), ({"draws": 0}, "draws=0"),
    ({"likelihood_draws": "max"}, "likelihood_draws='max'"), ({"kl_weight": [1, 1, np.nan]}, "kl_weight=.*nan")])
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        effective_temperature(**{"examples": 12, "batches": 3, **arguments})


@pytest.mark.parametrize("kind", MINIBATCH_WEIGHTS)
@pytest.mark.parametrize("batch_size", [1, 5, 12, 99])
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_our_own_training_targets_what_is_asked_for_however_it_is_cut(kind, batch_size, temperature, small):
    net = BayesRegressor(hidden=(), epochs=1, minibatch_weights=kind, batch_size=batch_size, temperature=temperature,
                         draws=2).fit(small.X, small.y)  # measured on the weights in test_training.py
    assert net.effective_temperature_ == pytest.approx(temperature, rel=1e-12)
    net.temperature = 7.0
    assert net.effective_temperature_ == pytest.approx(temperature, rel=1e-12)  # it is that of training
    assert net.partial_fit(small.X, small.y).effective_temperature_ == pytest.approx(7, rel=1e-12)


@pytest.mark.parametrize("posterior", ["point", "dropout"])
def test_without_a_kl_the_temperature_is_zero(posterior, classifier, small):
    net = classifier(posterior=posterior).fit(small.X, small.labels)
    assert net.effective_temperature_ == 0
    assert net.partial_fit(small.X[:7], small.labels[:7]).effective_temperature_ == 0


def test_a_part_of_the_data_is_warned_of_and_remembered(regressor, small, tmp_path):
    net = regressor(temperature=0.5, hidden=()).fit(small.X, small.y)
    with pytest.warns(UserWarning, match=r"given 4 examples after 12.*temperature 1.5, where temperature=0.5"):
        net.partial_fit(small.X[:4], small.y[:4])
    assert net.effective_temperature_ == pytest.approx(1.5, rel=1e-12)
    net.save(tmp_path / "net.npz")
    again = load(tmp_path / "net.npz")
    assert again.effective_temperature_ == net.effective_temperature_
    with pytest.warns(UserWarning, match="given 6 examples after 12"):
        again.partial_fit(small.X[:6], small.y[:6])
    more = np.vstack([small.X, small.X]), np.concatenate([small.y, small.y])
    assert net.partial_fit(*more).effective_temperature_ == pytest.approx(0.5, rel=1e-12)
    assert net.fit(small.X[:6], small.y[:6]).effective_temperature_ == pytest.approx(0.5, rel=1e-12)  # from scratch


def test_a_file_of_before_has_what_was_asked_for(regressor, small):
    for params, expected in (({"temperature": 0.5}, 0.5), ({"posterior": "point"}, 0)):
        net = regressor(**params).fit(small.X, small.y)
        net.started_ = {key: net.started_[key] for key in ("standardize", "likelihood")}
        assert net.effective_temperature_ == expected
        assert net.partial_fit(small.X[:5], small.y[:5]).effective_temperature_ == expected


def test_an_unfitted_model_targets_nothing_yet():
    with pytest.raises(ValueError, match="not fitted"):
        BayesClassifier().effective_temperature_


def test_formulas_of_the_page_are_those_of_the_function():
    names = {"N": temperature.EXAMPLES, "B": temperature.BATCH, "M": temperature.BATCHES, "P": temperature.WEIGHTS,
             "S": 10, "noise": temperature.NOISE}
    for recipe in temperature.RECIPES:
        by_hand = eval(recipe.formula.replace("2 noise²", "2*noise**2"), {}, names)  # our own text, such as 1/M
        assert recipe.temperature == pytest.approx(by_hand, rel=1e-12), recipe.loss
    assert len(temperature.RECIPES) == 14  # which the text of the figure says, and:
    assert sum(recipe.temperature == pytest.approx(1) for recipe in temperature.RECIPES) == 4
    assert f"{temperature.RECIPES[6].temperature:.1f}" == "100.0"  # which page and docstring show
    settings = temperature.RECIPES[-2].settings | {"likelihood_weight": 2 * 0.5}  # MSE + KL/N, noise 0.71
    assert effective_temperature(temperature.EXAMPLES, batches=temperature.BATCHES, **settings) == pytest.approx(1)


def test_figure_shows_every_recipe():
    axes, = temperature.figure().axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        recipe.loss for recipe in sorted(temperature.RECIPES, key=lambda recipe: -recipe.temperature)]
