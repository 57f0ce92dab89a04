"""Bad input gets an error that names the argument and says what to do, before anything runs; and nothing is lost."""

import numpy as np
import pytest

from bbbnp import BayesClassifier, BayesRegressor, GaussianPrior, ScaleMixture
from bbbnp.estimator import NotFittedError

RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(12, 2)), RNG.normal(size=12)
LABELS = np.arange(12) % 3
SMALL = {"hidden": (3,), "epochs": 2}


def holding(array, value):
    """A copy of `array` as float whose third row has `value`."""
    array = array.astype(float)
    array[2] = value
    return array


BAD_DATA = {
    "NaN in X": (holding(X, np.nan), Y, "^X holds nan at row 2, column 0: remove or impute"),
    "infinity in X": (holding(X, np.inf), Y, "^X holds inf at row 2, column 0: remove or impute"),
    "NaN in y": (X, holding(Y, np.nan), "^y holds nan at row 2, column 0: remove or impute"),
    "infinity in y": (X, holding(Y, -np.inf), "^y holds -inf at row 2, column 0: remove or impute"),
    "vector X": (X[:, 0], Y, r"^X has shape \(12,\); it must be a matrix .* use X.reshape\(-1, 1\)"),
    "cube X": (X[None], Y, r"^X has shape \(1, 12, 2\); it must be a matrix"),
    "number X": (3.0, Y, r"^X has shape \(\); it must be a matrix"),
    "cube y": (X, Y[:, None, None], r"^y has shape \(12, 1, 1\); it must be a matrix"),
    "number y": (X, 3.0, r"^y has shape \(\)"),
    "lengths": (X, Y[:5], "^X has 12 rows and y has 5: they must be the same examples"),
    "no examples": (X[:0], Y[:0], r"^X has shape \(0, 2\): it is empty"),
    "no columns": (X[:, :0], Y, r"^X has shape \(12, 0\): it is empty"),
    "no targets": (X, Y[:0], r"^y has shape \(0, 1\): it is empty"),
    "objects in X": (X.astype(object), Y, "^X has dtype object; it must hold numbers: encode text and objects first"),
    "text in X": (X.astype(str), Y, "^X has dtype <U.*; it must hold numbers: encode text and objects first"),
    "objects in y": (X, Y.astype(object), "^y has dtype object; it must hold numbers"),
    "text in y": (X, Y.astype(str), "^y has dtype <U.*; it must hold numbers"),
    "None": (None, None, "^[Xy] has dtype object; it must hold numbers"),
}
BAD_LABELS = {
    "NaN": (X, holding(LABELS, np.nan), "^y holds NaN or infinite labels: remove those examples"),
    "two columns": (X, np.c_[LABELS, LABELS], r"^y has shape \(12, 2\); it must be one class label an example"),
    "objects": (X, LABELS.astype(object), "^y has dtype object; labels must be numbers, booleans or text of one kind"),
    "lengths": (X, LABELS[:5], "^X has 12 rows and y has 5: they must be the same examples"),
    "no examples": (X[:0], LABELS[:0], "is empty"),
    "one class": (X, np.zeros(12, int), "^y has one class only, .*0.*: there is nothing to tell apart"),
}
BAD_VALIDATION = [
    ((X[:, :1], Y), "^X has 1 columns, but 2 are expected"), ((X, Y[:3]), "^validation X has 12 rows and validation y"),
    ((X, np.c_[Y, Y]), "^y has 2 targets, but the model was started with 1"), ((holding(X, np.nan), Y), "^X holds nan"),
    (X, "^validation"),
    (3, "^validation"),
]


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_are_named(case):
    x, y, message = BAD_DATA[case]
    with pytest.raises(ValueError, match=message):
        BayesRegressor(**SMALL).fit(x, y)


@pytest.mark.parametrize("case", BAD_LABELS)
def test_bad_labels_are_named(case):
    x, y, message = BAD_LABELS[case]
    with pytest.raises(ValueError, match=message):
        BayesClassifier(**SMALL).fit(x, y)


@pytest.mark.parametrize("validation, message", BAD_VALIDATION)
def test_bad_validation_is_named(validation, message):
    with pytest.raises(ValueError, match=message):
        BayesRegressor(**SMALL).fit(X, Y, validation=validation)


@pytest.mark.parametrize("params, message", [
    *(({"hidden": (3, width)}, f"^hidden={width} must be an integer of at least 1") for width in (0, -2, 2.5, True)),
    ({"hidden": ("a",)}, "^hidden='a' must be an integer"), ({"hidden": 5}, r"^hidden=5 must be a tuple of widths"),
    ({"hidden": None}, "^hidden=None must be a tuple of widths"),
    *(({"noise": noise}, f"^noise={noise} must be a finite number, greater than 0") for noise in (0, -1.0, np.nan)),
    ({"noise": "low"}, "^noise='low' is unknown; choose one of 'learned', 'input'"),
    ({"activation": "rleu"}, "^activation='rleu' is unknown; choose one of 'relu', 'tanh', 'sigmoid'"),
    ({"posterior": "full"}, "^posterior='full' is unknown; choose one of 'diagonal', 'point', 'dropout'"),
    *(({"dropout": dropout}, "^dropout=.* must be two chances, of inputs and of hidden units, such as") for dropout in (
        0.5, (0.5,), None, (0.1, 0.2, 0.3))),
    ({"dropout": (0.2, 1)}, "^dropout=1 must be a finite number, less than 1, at least 0"),
    ({"dropout": (-0.1, 0.5), "posterior": "dropout"}, "^dropout=-0.1 must be"),
    ({"posterior": "dropout", "gradient": "path"}, "^gradient='path' is of no use .* or a point posterior"),
    ({"minibatch_weights": "geo"}, "^minibatch_weights='geo' is unknown; choose one of 'uniform', 'geometric'"),
    ({"optimizer": "Adam"}, "^optimizer='Adam' is unknown; choose one of 'sgd', 'momentum', 'adam'"),
    ({"schedule": "step"}, "^schedule='step' is unknown; choose one of 'constant', 'cosine', 'inverse_time'"),
    ({"dtype": "float16"}, "^dtype='float16' is unknown; choose one of 'float32', 'float64'"),
    *(({name: 0}, f"^{name}=0 must be an integer") for name in ("draws", "epochs", "batch_size", "prediction_draws")),
    ({"horizon": 0}, "^horizon=0 must be an integer of at least 1"), ({"seed": -1}, "^seed=-1 must be an integer"),
    ({"learning_rate": 0}, "^learning_rate=0 must be a finite number, greater than 0"),
    ({"average_last": 1.5}, "^average_last=1.5 must be a finite number, at least 0, at most 1"),
    ({"rho_init": np.inf}, "^rho_init=inf must be a finite number"), ({"temperature": -1}, "^temperature=-1 must be"),
    ({"prior": "gaussian"}, "^prior='gaussian' must be a ScaleMixture or a GaussianPrior"),
    ({"prior": GaussianPrior}, "^prior=<class .*GaussianPrior'> must be a ScaleMixture or a GaussianPrior"),
    ({"standardize": "no"}, "^standardize='no'"),
    ({"seed": 2**63}, "^seed=.* must be an integer from 0 to"),
    ({"weight_noise": "units"}, "^weight_noise='units' is unknown; choose one of 'weights', 'local', 'flipout'"),
    ({"kl": "closed"}, "^kl='closed' needs a GaussianPrior"), ({"antithetic": True}, "^antithetic=True .* draws=1"),
    ({"posterior": "point", "weight_noise": "local"}, "^weight_noise='local' is of no use .* or a point posterior"),
])
def test_bad_settings_are_named_and_the_known_names_listed(params, message):
    with pytest.raises(ValueError, match=message):
        BayesRegressor(**SMALL | params).fit(X, Y)


@pytest.mark.parametrize("params, y, message", [
    ({"likelihood": "softmax"}, LABELS, "^likelihood='softmax' is unknown; choose one of 'categorical', 'bernoulli'"),
    ({"likelihood": "bernoulli"}, LABELS, "^likelihood='bernoulli' needs two classes, y has 3: use 'categorical'")])
def test_bad_likelihoods_are_named(params, y, message):
    with pytest.raises(ValueError, match=message):
        BayesClassifier(**SMALL | params).fit(X, y)


@pytest.mark.parametrize("make, method, arguments", [
    *((BayesRegressor, *call) for call in (("predict", [X]), ("score", [X, Y]), ("save", ["model.npz"]))),
    *((BayesClassifier, *call) for call in (("predict", [X]), ("predict_proba", [X]), ("predict_distribution", [X]))),
    (BayesClassifier, "score", [X, LABELS])])
def test_what_needs_fitting_first_says_so(make, method, arguments):
    with pytest.raises(NotFittedError, match=f"this {make.__name__} is not fitted yet: call fit") as caught:
        getattr(make(), method)(*arguments)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, AttributeError)


@pytest.mark.parametrize("make, method, arguments, message", [
    (BayesRegressor, "predict", [X[:, :1]], "^X has 1 columns, but 2 are expected"),
    (BayesRegressor, "partial_fit", [np.c_[X, X], Y], "^X has 4 columns, but 2 are expected"),
    (BayesRegressor, "partial_fit", [X, np.c_[Y, Y]], "^y has 2 targets, but the model was started with 1"),
    (BayesRegressor, "predict", [holding(X, np.nan)], "^X holds nan"), (BayesRegressor, "predict", [X[:0]], "is empty"),
    (BayesRegressor, "score", [X, Y[:5]], "^X has 12 rows and y has 5"),
    (BayesClassifier, "score", [X, LABELS[:5]], "^X has 12 rows and y has 5"),
    (BayesClassifier, "score", [X, LABELS + 1], r"^y holds .*3.* not among the classes seen in training: 0, 1, 2"),
    (BayesClassifier, "partial_fit", [X, LABELS.astype(str)], "^y holds .*'0'.* not among the classes seen"),
    (BayesRegressor, "score", [X, np.c_[Y, Y]], "^y has 2 targets"),
    (BayesRegressor, "partial_fit", [None, Y], "^X has"),
])
def test_bad_input_to_a_fitted_model_is_named_and_leaves_it_as_it_was(make, method, arguments, message):
    net = make(**SMALL).fit(X, Y if make is BayesRegressor else LABELS)
    before, bits = net.predict(X), net.state_.theta.copy()
    with pytest.raises(ValueError, match=message):
        getattr(net, method)(*arguments)
    np.testing.assert_array_equal(net.state_.theta, bits)
    np.testing.assert_array_equal(net.predict(X), before)


@pytest.mark.parametrize("make, y, arguments", [
    (BayesRegressor, Y, {"X": X, "y": 100 * Y[:5]}),
    (BayesRegressor, Y, {"X": X, "y": Y, "validation": (X, Y[:3])}),
    (BayesClassifier, LABELS, {"X": X, "y": np.zeros(12)})])
def test_a_refused_fit_keeps_what_was_learnt_before(make, y, arguments):
    net = make(**SMALL).fit(X, y)
    before = net.predict(X)
    with pytest.raises(ValueError):
        net.fit(**arguments)
    np.testing.assert_array_equal(net.predict(X), before)


@pytest.mark.parametrize("params", [
    {"optimizer": "foo"}, {"batch_size": 0}, {"learning_rate": -1},
    {"noise": "input"}, {"noise": 0.5}, {"standardize": False},
    {"hidden": (4,)}, {"activation": "tanh"}, {"dtype": "float64"}, {"average_last": 0.5}])
def test_settings_changed_to_what_cannot_be_are_named_when_training_goes_on(params):
    net = BayesRegressor(**SMALL).fit(X, Y).set_params(**params)
    with pytest.raises(ValueError, match=f"^{next(iter(params))}="):
        net.partial_fit(X, Y)


@pytest.mark.parametrize("start, changed", [
    ({}, {"dtype": "float64"}), ({"likelihood": "bernoulli"}, {"likelihood": "categorical"}),
    ({}, {"likelihood": "bernoulli"})])
def test_predicting_with_settings_that_cannot_be_is_refused(start, changed):
    net = BayesClassifier(**SMALL, **start).fit(X, LABELS // 2).set_params(**changed)
    with pytest.raises(ValueError, match=f"^{next(iter(changed))}="):
        net.predict_proba(X)


def test_a_refused_first_partial_fit_does_not_make_a_fitted_model():
    net = BayesRegressor(**SMALL)
    with pytest.raises(ValueError, match="validation"):
        net.partial_fit(X, Y, validation=(X, Y[:3]))
    pytest.raises(NotFittedError, net.predict, X)


def test_training_goes_on_with_fewer_minibatches_than_were_done_of_an_epoch():
    net = BayesRegressor(**SMALL, batch_size=5).fit(X, Y)
    net.state_.step, net.state_.batch = 8, 2  # as Ctrl-C leaves it after two of three minibatches
    with pytest.warns(UserWarning, match="as a part of the data"):
        net.partial_fit(X[:5], Y[:5])
    assert net.state_.step > 8 and (net.state_.epoch, net.state_.batch) == (3, 0)


@pytest.mark.parametrize("make, data, message", [
    (BayesRegressor, (X * 1e300, Y), "^X holds values beyond"),
    (BayesRegressor, (X, Y * 1e300), "^y holds values beyond"), (BayesClassifier, (X, Y), "^y holds fractions")])
def test_numbers_that_no_model_can_learn_are_named(make, data, message):
    with pytest.raises(ValueError, match=message):
        make(**SMALL).fit(*data)


def test_a_constant_target_explains_nothing_and_a_tiny_given_noise_is_no_divergence():
    assert BayesRegressor(**SMALL).fit(X, np.full(12, 3.0)).score(X, np.full(12, 3.0)) == 0
    assert np.isfinite(BayesRegressor(**SMALL, noise=1e-14, dtype="float64").fit(X, Y).predict(X)).all()


def test_a_constant_column_keeps_its_scale_also_where_its_deviation_is_rounding():
    net = BayesRegressor(**SMALL).fit(np.c_[X, np.full(12, 0.1)], np.full(12, 0.1))
    assert net.x_scale_[2] == 1 and net.y_scale_[0] == 1
    assert np.abs(net.predict(np.c_[X, np.full(12, 0.2)])).max() < 10


def test_a_prior_too_narrow_for_the_precision_is_named():
    with pytest.raises(ValueError, match="too small for float32"):
        BayesRegressor(**SMALL, prior=GaussianPrior(1e-25)).fit(X, Y)


@pytest.mark.parametrize("prior, numbers", [(GaussianPrior, {"sigma": -1}), (ScaleMixture, {"pi": 1.5}),
                                            (ScaleMixture, {"sigma1": np.inf}), (ScaleMixture, {"sigma2": 0})])
def test_bad_priors_are_named(prior, numbers):
    name, value = next(iter(numbers.items()))
    with pytest.raises(ValueError, match=f"^{name}={value} must be a finite number, (greater than|at least) 0"):
        prior(**numbers)
