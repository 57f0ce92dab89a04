"""Pruning: which weights go, that they are gone for good, and what is refused."""

import numpy as np
import pytest

from bbbnp import (
    BayesRegressor, DivergenceError, GaussianPrior, ModelFileError, ScaleMixture, load, prune, reference, threads)
from bbbnp.estimator import NotFittedError
from bbbnp.kernels import noise
from bbbnp.pruning import CRITERIA, log10_signal_to_noise

pytestmark = pytest.mark.E19
PLAIN_PYTHON_WARNS = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
ESTIMATORS = [{"weight_noise": "local", "kl": "closed"}, {"weight_noise": "flipout"}, {"gradient": "path"},
              {"draws": 2, "antithetic": True}, {"posterior": "point"},
              {"posterior": "dropout", "prior": ScaleMixture()}, {"optimizer": "momentum", "learning_rate": 1e-4},
              {"optimizer": "sgd", "learning_rate": 1e-4}, {"dtype": "float64", "noise": "input"}]


@pytest.fixture
def net(regressor, small):
    """A fitted regression of 13 weights, of which the means and deviations all differ."""
    model = regressor().fit(small.X, small.y)
    rng = np.random.default_rng(43)
    model.state_.theta[:26] = rng.normal(0, np.repeat([1, 3], 13))
    return model


def criterion_of(net, criterion):
    return {"snr": reference.signal_to_noise(net.mu_.astype(float), net.rho_.astype(float)),
            "magnitude": np.abs(net.mu_)}[criterion]


# ---- which weights go ----


def test_log10_signal_to_noise_is_what_figure_4_draws():
    ratios = log10_signal_to_noise([0.1, -0.1, 3, 0, 0], [np.log(np.e - 1)] * 3 + [2, -np.inf])  # sigma is 1
    np.testing.assert_allclose(ratios, [-1, -1, np.log10(3), -np.inf, -np.inf], rtol=1e-14)
    assert log10_signal_to_noise(np.float32([0.5]), np.float32([-40])) == pytest.approx(
        np.log10(0.5) + 40 / np.log(10), rel=1e-14)
    with pytest.raises(ValueError, match=r"mu and rho have shapes \(2,\) and \(3,\)"):
        log10_signal_to_noise([1, 2], [1, 2, 3])


@pytest.mark.parametrize("criterion", ["snr", "magnitude"])
@pytest.mark.parametrize("removed", [0, 0.3, 0.5, 0.99])
def test_the_smallest_go_and_biases_are_among_them(removed, criterion, net):
    score, count = criterion_of(net, criterion), round(13 * removed)
    before, pruned = net.state_.theta.copy(), prune(net, removed, criterion=criterion)
    gone = np.isneginf(pruned.rho_)
    np.testing.assert_array_equal(np.sort(np.argsort(score)[:count]), np.flatnonzero(gone))
    assert not pruned.mu_[gone].any() and not pruned.sigma_[gone].any() and pruned.sigma_[~gone].all()
    np.testing.assert_array_equal(pruned.mu_[~gone], net.mu_[~gone])
    np.testing.assert_array_equal(pruned.rho_[~gone], net.rho_[~gone])
    np.testing.assert_array_equal(pruned.noise_, net.noise_)
    np.testing.assert_array_equal(net.state_.theta, before)
    if removed == 0.5:
        assert any(np.isneginf(bias).any() for _, bias in pruned.architecture_.views(pruned.rho_))


def test_criteria_remove_different_weights(net):
    gone = [np.isneginf(prune(net, 0.5, criterion=criterion).rho_) for criterion in CRITERIA]
    assert len(np.unique(gone, axis=0)) == 3


def test_random_pruning_is_a_function_of_the_seed_and_nested(net):
    half = np.isneginf(prune(net, 0.5, criterion="random", seed=1).rho_)
    np.testing.assert_array_equal(np.isneginf(prune(net, 0.5, criterion="random", seed=1).rho_), half)
    assert not np.array_equal(np.isneginf(prune(net, 0.5, criterion="random", seed=2).rho_), half)
    assert np.isneginf(prune(net, 0.8, criterion="random", seed=1).rho_)[half].all()


def test_random_pruning_does_not_look_at_the_initial_means():
    """Means begin as normals of the same seed and index: of another stream, or the smallest would go."""
    z = np.empty((2, 1000))
    for row, stream in zip(z, (noise.PRUNING, noise.INITIAL)):
        noise.normals(row, 0, stream, 0, 0)
    assert abs(np.corrcoef(z)[0, 1]) < 5 / np.sqrt(1000) and abs(np.corrcoef(abs(z))[0, 1]) < 5 / np.sqrt(1000)


@pytest.mark.parametrize("criterion", ["snr", "magnitude"])
def test_among_equals_the_first_go_and_their_number_is_exact(criterion, net):
    net.state_.theta[:13], net.state_.theta[13:26] = 0.5, -3
    gone = np.isneginf(prune(net, 0.4, criterion=criterion).rho_)
    np.testing.assert_array_equal(gone, np.arange(13) < 5)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_pruned_weights_stay_pruned_and_count(criterion, net):
    net.state_.theta[[0, 1]] = 0  # means of zero are not smaller than those pruned before
    first = prune(net, 0.3, criterion="random", seed=8)
    gone = np.isneginf(first.rho_)
    again = np.isneginf(prune(first, 0.6, criterion=criterion).rho_)
    assert gone.sum() == 4 and again.sum() == 8 and again[gone].all()
    np.testing.assert_array_equal(np.isneginf(prune(first, 0.1, criterion=criterion).rho_), gone)


@pytest.mark.parametrize("arguments, message", [
    ({"removed": 1}, "^removed=1 must be a finite number, less than 1, at least 0"),
    ({"removed": -0.1}, "^removed=-0.1 must be"),
    ({"removed": np.nan}, "^removed=nan"), ({"removed": "half"}, "^removed='half'"),
    ({"criterion": "SNR"}, "^criterion='SNR' is unknown; choose one of 'snr', 'magnitude', 'random'"),
    ({"criterion": "random", "seed": -1}, "^seed=-1 must be an integer"),
    ({"model": np.ones(3)}, "^model=.* must be a fitted BayesRegressor or BayesClassifier")], ids=str)
def test_bad_arguments_are_named(arguments, message, net):
    with pytest.raises(ValueError, match=message):
        prune(**{"model": net, "removed": 0.5} | arguments)


def test_an_unfitted_model_is_refused(regressor):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        prune(regressor(), 0.5)


@pytest.mark.parametrize("name", ["point", "dropout"])
def test_without_deviations_there_is_no_signal_to_noise_but_the_other_criteria(name, regressor, small):
    model = regressor(posterior=name).fit(small.X, small.y)
    with pytest.raises(ValueError, match=f"^criterion='snr' .* posterior='{name}' has no sigma: use 'magnitude'"):
        prune(model, 0.5)
    for criterion in ("magnitude", "random"):
        pruned = prune(model, 0.5, criterion=criterion)
        assert np.count_nonzero(pruned.mu_ == 0) >= 6 and np.isneginf(pruned.rho_).sum() == 6
        assert np.isfinite(pruned.predict(small.X)).all() and not pruned.sigma_.any()


def test_averaged_iterates_are_what_is_pruned(regressor, small):
    model = regressor(average_last=0.5).fit(small.X, small.y)
    pruned = prune(model, 0.3)
    left = np.isfinite(pruned.rho_)
    assert pruned.average_last == 0 and pruned.state_.average.size == 0 and model.average_last == 0.5
    np.testing.assert_array_equal(pruned.mu_[left], model.mu_[left])
    assert not np.array_equal(pruned.mu_[left], model.state_.theta[:13][left])
    pruned.partial_fit(small.X, small.y)
    assert np.isfinite(pruned.mu_).all() and np.isfinite(pruned.predict(small.X)).all()


# ---- models ----


def drawn(net, x, draws, rho):
    """Outputs of the draws of weights that predictions use, by reference.py."""
    eps, outputs = np.empty(net.mu_.size), []
    for draw in range(draws):
        noise.normals(eps, net.seed, noise.PREDICTION, 0, draw)
        w = reference.reparameterize(net.mu_.astype(float), rho, eps)
        outputs.append(reference.network(w, x, net.architecture_.widths, net.activation)[-1][:, 0])
    return np.array(outputs)


def test_predictions_are_those_of_draws_in_which_pruned_weights_are_zero(net, small):  # museum 10
    pruned = prune(net, 0.6)
    x, rho = (small.X - net.x_shift_) / net.x_scale_, pruned.rho_.astype(float)
    mean = net.y_shift_ + net.y_scale_ * drawn(pruned, x, 100, rho).mean(axis=0)
    np.testing.assert_allclose(pruned.predict(small.X), mean, rtol=1e-4)
    alive = net.y_shift_ + net.y_scale_ * drawn(pruned, x, 100, np.where(np.isneginf(rho), 0, rho)).mean(axis=0)
    assert np.abs(alive - mean).max() > 1e-2 * np.abs(mean).max()  # rho = 0 in place of -inf
    np.testing.assert_allclose(
        pruned.predict_distribution(small.X, draws=0).mean,
        net.y_shift_ + net.y_scale_ * reference.network(
            pruned.mu_.astype(float), x, net.architecture_.widths, "relu")[-1][:, 0], rtol=1e-5)


def test_the_sampled_network_is_the_mean_network_when_all_that_varies_is_pruned(net, small):  # museum 10
    net.state_.theta[13:26] = np.where(np.arange(13) < 6, 1.0, -60.0)  # the first six weights are noise
    epistemic = [prune(net, removed).predict_distribution(small.X).epistemic.max() for removed in (0, 6 / 13)]
    assert epistemic[0] > 1e-3 and epistemic[1] < 1e-10


@pytest.mark.parametrize("settings", [{}, *ESTIMATORS], ids=str)
def test_training_moves_the_others_only_and_comes_back_from_a_file_to_the_same_bits(
        settings, regressor, small, tmp_path, assert_same_bits):
    model = regressor(**{"prior": GaussianPrior(0.5), **settings}).fit(small.X, small.y)
    pruned = prune(model, 0.5, criterion="magnitude")
    gone, before = np.isneginf(pruned.rho_), pruned.state_.theta.copy()
    pruned.save(tmp_path / "pruned.npz")
    again = load(tmp_path / "pruned.npz")
    assert_same_bits(again, pruned)
    np.testing.assert_array_equal(again.predict(small.X), pruned.predict(small.X))
    pruned.partial_fit(small.X, small.y, epochs=2)
    assert_same_bits(again.partial_fit(small.X, small.y).partial_fit(small.X, small.y), pruned)
    np.testing.assert_array_equal(pruned.mu_ == 0, gone)
    np.testing.assert_array_equal(np.isneginf(pruned.rho_), gone)
    size = gone.size
    changed = (pruned.state_.theta != before)[:2 * size].reshape(2, size)
    assert not changed[:, gone].any() and changed[0][~gone].mean() > 0.5  # a dead ReLU has no gradient
    if "posterior" not in settings:
        assert changed[1][~gone].all() and np.isfinite(pruned.free_energy_["complexity"]).all()
    for moments in (pruned.state_.first, pruned.state_.second):
        assert not moments[:2 * size].reshape(2, size)[:, gone].any()


def test_moments_of_removed_weights_are_zero_and_the_others_kept(regressor, small):
    model = regressor().fit(small.X, small.y)
    pruned = prune(model, 0.5)
    gone = np.concatenate([np.isneginf(pruned.rho_)] * 2 + [[False]])
    for ours, whole in ((pruned.state_.first, model.state_.first), (pruned.state_.second, model.state_.second)):
        np.testing.assert_array_equal(ours, np.where(gone, 0, whole))
    assert model.state_.first[gone].any()


def test_a_classifier_is_pruned_alike(classifier, small):
    model = classifier().fit(small.X, small.labels)
    pruned = prune(model, 0.5)
    assert type(pruned) is type(model) and np.isneginf(pruned.rho_).sum() == round(0.5 * pruned.mu_.size)
    np.testing.assert_array_equal(pruned.classes_, model.classes_)
    assert np.isfinite(pruned.partial_fit(small.X, small.labels).predict_proba(small.X)).all()


def test_fit_starts_again_with_all_weights(net, small, assert_same_bits):
    assert_same_bits(prune(net, 0.5).fit(small.X, small.y), net.fit(small.X, small.y))


def test_iterates_of_a_pruned_model_cannot_be_averaged(net, small):
    with pytest.raises(ValueError, match="^average_last=0.5 is not what this model was started with"):
        prune(net, 0.5).set_params(average_last=0.5).partial_fit(small.X, small.y)


# ---- what goes wrong ----


@PLAIN_PYTHON_WARNS
def test_divergence_of_a_pruned_model_restores_the_pruned_state(net, small):
    pruned = prune(net, 0.5).set_params(optimizer="sgd", learning_rate=1e30)
    before = pruned.state_.theta.copy()
    with pytest.raises(DivergenceError, match="not finite at step"):
        pruned.partial_fit(small.X, small.y)
    np.testing.assert_array_equal(pruned.state_.theta, before)
    assert not pruned.state_.first.any() and np.isfinite(pruned.predict(small.X)).all()


@pytest.mark.parametrize("entry, value", [(0, -np.inf), (13, -np.inf), (12, np.nan), (26, np.inf), ("pruned", np.nan)])
def test_a_weight_that_becomes_infinite_is_a_divergence_and_not_pruned(entry, value, net, small, monkeypatch):
    net.state_.theta[[0, 12]] = 5  # these stay
    pruned, train = prune(net, 0.5), threads.train
    entry = 13 + np.flatnonzero(np.isneginf(pruned.rho_))[0] if entry == "pruned" else entry

    def blown_up(steps, history, arrays, *rest, **options):
        result = train(steps, history, arrays, *rest, **options)
        arrays.theta[entry] = value
        return result

    assert np.isfinite(pruned.rho_[[0, 12]]).all()
    monkeypatch.setattr(threads, "train", blown_up)
    before = pruned.state_.theta.copy()
    with pytest.raises(DivergenceError):
        pruned.partial_fit(small.X, small.y)
    np.testing.assert_array_equal(pruned.state_.theta, before)


def test_a_file_with_a_mean_where_a_weight_was_pruned_is_refused(net, tmp_path):
    pruned = prune(net, 0.5)
    pruned.state_.theta[np.flatnonzero(np.isneginf(pruned.rho_))[0]] = 0.1
    pruned.save(tmp_path / "model.npz")
    with pytest.raises(ModelFileError, match=r"model\.npz.* rho is -inf, which prunes a weight, where mu is not zero"):
        load(tmp_path / "model.npz")


def test_a_file_with_averages_beside_pruned_weights_is_refused(small, tmp_path):
    model = BayesRegressor(hidden=(3,), epochs=2, average_last=0.5).fit(small.X, small.y)
    model.state_.theta[[0, 13]] = 0, -np.inf
    model.save(tmp_path / "model.npz")
    with pytest.raises(ModelFileError, match="average"):
        load(tmp_path / "model.npz")
