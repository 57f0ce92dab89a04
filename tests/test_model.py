"""The models as people meet them: shapes, labels, the user's units, scikit-learn, and errors that say what to do."""

import numba
import numpy as np
import pytest

from bbbnp import (
    BayesClassifier, BayesRegressor, GaussianPrior, Key, ScaleMixture, minibatch_weights, reference, weight_noise)
from bbbnp.metrics import nll

STILL = {"optimizer": "sgd", "learning_rate": 1e-30, "epochs": 1, "batch_size": 12}  # trains without moving
NOISES = pytest.mark.parametrize("noise", [0.3, "learned", "input"])
LABELS = {"int": [7, 3, -1], "bool": [False, True], "text": ["no", "yes", "perhaps"], "float": [-5.0, 1.0, 2.0]}


@NOISES
@pytest.mark.parametrize("columns", [None, 1, 3])
def test_regression_has_the_shapes_of_its_targets(columns, noise, regressor, small):
    y = small.y if columns is None else small.Y[:, :columns]
    net = regressor(noise=noise)
    assert net.fit(small.X.tolist(), y.tolist()) is net
    mean, std = net.predict(small.X[:7], return_std=True)
    d = net.predict_distribution(small.X[:7], draws=5)
    assert net.predict(small.X[:7]).shape == mean.shape == std.shape == d.mean.shape == y[:7].shape
    assert d.samples.shape == (5, *y[:7].shape) and d.log_density(y[:7]).shape == (7,)
    assert np.all(std > 0) and np.all(d.aleatoric > 0) and np.all(d.epistemic > 0)
    if noise == "input":
        with pytest.raises(AttributeError, match="depends on the input: see predict_distribution"):
            net.noise_
        assert np.all(d.aleatoric[0] != d.aleatoric[1])
    else:
        np.testing.assert_allclose(d.aleatoric, np.broadcast_to(net.noise_**2, (7, columns or 1)).reshape(y[:7].shape))
        assert np.allclose(net.noise_, 0.3, rtol=1e-6) == (noise == 0.3)
    assert net.score(small.X, y) <= 1


@pytest.mark.parametrize("likelihood, kind", [
    *(("categorical", kind) for kind in LABELS), ("bernoulli", "bool"), ("bernoulli", "text")])
def test_classes_are_the_users_labels(likelihood, kind, classifier, small):
    names = np.array(LABELS[kind])[:2 if likelihood == "bernoulli" else None]
    y = names[np.minimum(small.labels, len(names) - 1)]
    net = classifier(likelihood=likelihood, posterior="point", epochs=40, learning_rate=0.1).fit(small.X, y)
    p, labels = net.predict_proba(small.X), net.predict(small.X)
    np.testing.assert_array_equal(net.classes_, np.sort(names))
    assert labels.dtype == net.classes_.dtype and p.shape == (12, len(names))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(labels, net.classes_[p.argmax(axis=1)])
    assert net.score(small.X, y) == np.mean(labels == y) > 0.8


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-4), ("float64", 1e-9)])
@NOISES
def test_everything_is_in_the_users_units(noise, dtype, tolerance, regressor, small):  # museum 12 and 25
    y = 1000 * small.y - 70_000
    nets = [regressor(noise=noise, dtype=dtype).fit(small.X, small.y),
            regressor(noise=noise if isinstance(noise, str) else 1000 * noise, dtype=dtype).fit(0.01 * small.X - 3, y)]
    (mean, std), (mean_, std_) = nets[0].predict(small.X, True), nets[1].predict(0.01 * small.X - 3, True)
    np.testing.assert_allclose(mean_, 1000 * mean - 70_000, rtol=0, atol=1000 * tolerance)
    np.testing.assert_allclose(std_, 1000 * std, rtol=tolerance)
    one, other = nets[0].predict_distribution(small.X), nets[1].predict_distribution(0.01 * small.X - 3)
    np.testing.assert_allclose(other.epistemic, 1e6 * one.epistemic, rtol=10 * tolerance)
    np.testing.assert_allclose(other.log_density(y), one.log_density(small.y) - np.log(1000), rtol=0, atol=tolerance)
    terms, terms_ = nets[0].free_energy_, nets[1].free_energy_
    np.testing.assert_allclose(terms_["misfit"] - terms["misfit"], 12 * np.log(1000), rtol=tolerance)
    np.testing.assert_allclose(terms_["complexity"], terms["complexity"], rtol=tolerance)
    if noise == "learned":
        np.testing.assert_allclose(nets[1].noise_, 1000 * nets[0].noise_, rtol=tolerance)


@pytest.mark.parametrize("model, params", [
    (BayesRegressor, {}), (BayesRegressor, {"noise": "input"}), (BayesClassifier, {}),
    (BayesClassifier, {"likelihood": "bernoulli"})], ids=str)
def test_training_and_prediction_see_the_same_data_and_likelihood(model, params, small):  # museum 12
    y = small.y if model is BayesRegressor else small.labels // 2
    net = model(hidden=(3,), posterior="point", **STILL, **params).fit(small.X, y)
    d = net.predict_distribution(small.X)
    loss = -d.log_density(y).sum() if model is BayesRegressor else 12 * nll(d.mean, y)
    assert net.free_energy_["misfit"] == pytest.approx([loss], rel=1e-5)


def test_more_training_keeps_the_standardisation_of_the_first(small):
    net = BayesRegressor(hidden=(3,), posterior="point", **STILL).fit(small.X, small.y)
    net.partial_fit(small.X[:5] + 1, 3 * small.y[:5])
    loss = -net.predict_distribution(small.X[:5] + 1).log_density(3 * small.y[:5]).sum()
    assert net.free_energy_["misfit"][1] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("columns, columns_valid", [((12, 1), 12), (12, (12, 1))], ids=str)
def test_one_target_is_validated_alike_as_vector_and_as_column(columns, columns_valid, regressor, small):
    looks = [regressor().fit(small.X, small.y.reshape(shape), validation=(small.X, small.y.reshape(valid))).validation_
             for shape, valid in ((12, 12), (columns, columns_valid))]
    assert looks[0] == looks[1]


def test_constant_columns_are_learnt_from(regressor, small):
    X, y = small.X * [1, 0], np.full(12, 70.0)
    net = regressor(epochs=20, learning_rate=0.05).fit(X, y)
    np.testing.assert_allclose(net.predict(X), 70, atol=1)
    assert np.isfinite(net.predict_distribution(X).log_density(y)).all()


def test_rows_are_predicted_alike_in_any_company(regressor, small):  # museum 12
    net = regressor().fit(small.X, small.y)
    np.testing.assert_allclose(net.predict(small.X[3:5]), net.predict(small.X)[3:5], rtol=1e-5)


@pytest.mark.E2
@pytest.mark.E15
@pytest.mark.parametrize("kind", ["uniform", "geometric"])
@pytest.mark.parametrize("prior, pairs", [(GaussianPrior(0.5), [(1, 0.5)]),
                                          (ScaleMixture(0.25, 1.0, 0.1), [(0.25, 1.0), (0.75, 0.1)])])
def test_complexity_has_a_term_for_every_weight_and_bias(prior, pairs, kind, small):  # museum 13, 14 and 23
    net = BayesRegressor(hidden=(3,), prior=prior, temperature=0.7, dtype="float64", minibatch_weights=kind,
                         **STILL | {"batch_size": 5}).fit(small.X, small.y)
    total, mu, rho = 0, net.mu_, net.rho_
    for step, weight in enumerate(minibatch_weights(kind, (5, 5, 2))):
        eps = weight_noise(Key(0, step), 0, (2 * 3 + 3) + (3 + 1)).astype(float)
        for m, r, e in zip(mu, rho, eps, strict=True):
            w = reference.reparameterize(m, r, e)
            total += 0.7 * weight * (reference.log_posterior(r, e) - reference.log_prior(w, pairs))
    assert net.free_energy_["complexity"] == pytest.approx([total], rel=1e-10)


def test_free_energy_keeps_its_two_terms_apart_for_every_epoch(regressor, small):
    net = regressor(epochs=4, learning_rate=0.01).fit(small.X, small.y)
    terms = net.free_energy_
    assert terms.shape == (4,) and terms.dtype.names == ("complexity", "misfit")
    assert np.all(terms["complexity"] > 0) and np.all(np.diff(terms["misfit"]) < 0)


def test_point_posterior_is_an_ordinary_network(regressor, small):
    net = regressor(posterior="point", rho_init=-3.0).fit(small.X, small.y)
    d = net.predict_distribution(small.X)
    assert np.all(net.rho_ == -3) and not net.sigma_.any() and not net.free_energy_["complexity"].any()
    assert not d.epistemic.any() and len(d.samples) == 1
    assert np.all(net.mu_ != net.architecture_.initial_mu(0))


@pytest.mark.E25
def test_dropout_is_an_ordinary_network_that_leaves_units_out_in_training_and_prediction(regressor, small):
    nets = {name: regressor(posterior=name, rho_init=-3.0, dtype="float64").fit(small.X, small.y)
            for name in ("point", "dropout")}
    net = nets["dropout"]
    assert np.all(net.rho_ == -3) and not net.sigma_.any() and not net.free_energy_["complexity"].any()
    assert np.all(net.mu_ != nets["point"].mu_)
    d = net.predict_distribution(small.X)
    assert len(d.samples) == net.prediction_draws and np.all(d.epistemic > 0)
    mean = net.predict_distribution(small.X, draws=0)
    assert len(mean.samples) == 1 and not mean.epistemic.any()
    none = net.set_params(dropout=(0.0, 0.0)).predict_distribution(small.X)
    np.testing.assert_allclose(none.mean, mean.mean, rtol=1e-12)
    never = regressor(posterior="dropout", dropout=(0.0, 0.0), dtype="float64").fit(small.X, small.y)
    np.testing.assert_allclose(never.mu_, nets["point"].mu_, rtol=1e-10)


@pytest.mark.E25
def test_weights_are_drawn_and_units_left_out_in_training_and_weights_alone_are_drawn_in_prediction(regressor, small):
    nets = {name: regressor(posterior=name, rho_init=-3.0, dtype="float64").fit(small.X, small.y)
            for name in ("diagonal", "diagonal_dropout")}
    net = nets["diagonal_dropout"]
    assert net.sigma_.all() and np.all(net.mu_ != nets["diagonal"].mu_) and net.effective_temperature_ == 1
    never = regressor(posterior="diagonal_dropout", dropout=(0.0, 0.0), rho_init=-3.0, dtype="float64")
    np.testing.assert_allclose(never.fit(small.X, small.y).mu_, nets["diagonal"].mu_, rtol=1e-10)
    d = net.predict_distribution(small.X)
    assert len(d.samples) == net.prediction_draws and np.all(d.epistemic > 0)
    np.testing.assert_array_equal(d.mean, net.set_params(posterior="diagonal").predict(small.X))
    with pytest.raises(ValueError, match="use weight_noise='weights'"):
        regressor(posterior="diagonal_dropout", weight_noise="flipout").fit(small.X, small.y)


@pytest.mark.E25
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2 or numba.config.DISABLE_JIT, reason="needs two threads")
@pytest.mark.parametrize("posterior", ["dropout", "diagonal_dropout"])
def test_dropout_trains_and_predicts_the_same_bits_on_one_and_two_threads(small, posterior):
    X, nets = np.tile(small.X, (100, 1)), []
    for threads in (1, 2):
        nets.append(BayesClassifier(hidden=(40, 70), epochs=2, batch_size=500, posterior=posterior, threads=threads,
                                    prediction_draws=3).fit(X, np.tile(small.labels, 100)))
    np.testing.assert_array_equal(nets[0].mu_, nets[1].mu_)
    np.testing.assert_array_equal(*(net.predict_distribution(X).samples for net in nets))


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="thousands of steps take minutes as plain Python")
def test_it_learns():
    rng = np.random.default_rng(0)
    X = rng.uniform(-3, 3, (300, 1))
    y = 10 * np.sin(X[:, 0]) + rng.normal(size=300)
    net = BayesRegressor(hidden=(20,), epochs=1600, learning_rate=0.01, prior=GaussianPrior(1.0)).fit(X, y)
    assert net.score(X, 10 * np.sin(X[:, 0])) > 0.98
    assert net.noise_ == pytest.approx(1, rel=0.1)
    labels = np.where(np.abs(X[:, 0]) < 1.5, "in", "out")
    model = BayesClassifier(hidden=(20,), epochs=200, learning_rate=0.01).fit(X, labels)
    assert model.score(X, labels) > 0.95


def test_scikit_learn_can_clone_search_and_pipe(regressor, classifier, small):
    base = pytest.importorskip("sklearn.base", reason="scikit-learn is not installed")
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    for make, y, is_kind in ((regressor, small.y, base.is_regressor), (classifier, small.labels, base.is_classifier)):
        net = make(seed=3, prior=GaussianPrior(0.5)).fit(small.X, y)
        twin = base.clone(net)
        assert twin.get_params() == net.get_params() and not hasattr(twin, "state_") and is_kind(twin)
        chosen = {"draws": 2, "antithetic": True, "weight_noise": "flipout", "kl": "closed"}
        assert base.clone(make(prior=GaussianPrior(), **chosen)).get_params().items() >= chosen.items()
        assert twin.set_params(epochs=3, draws=2) is twin and (twin.epochs, net.epochs) == (3, 2)
        np.testing.assert_array_equal(base.clone(net).fit(small.X, y).predict(small.X), net.predict(small.X))
        pipe = make_pipeline(StandardScaler(), make()).fit(small.X, y)
        assert pipe.predict(small.X).shape == (12,) and pipe.score(small.X, y) == pipe[-1].score(
            pipe[0].transform(small.X), y)
        search = GridSearchCV(make(), {"hidden": [(2,), (3,)], "learning_rate": [1e-3]}, cv=2).fit(small.X, y)
        assert search.best_params_["hidden"] in [(2,), (3,)] and search.predict(small.X).shape == (12,)
        assert cross_val_score(make(), small.X, y, cv=3).shape == (3,)
    with pytest.raises(ValueError, match="parameter='hiden' is unknown; choose one of 'hidden', "):
        regressor().set_params(hiden=(3,))
