"""Training: the same bits however it is cut, and nothing is lost at Ctrl-C or divergence."""

import signal
import sys
import threading
import tracemalloc

import numba
import numpy as np
import pytest

from bbbnp import Architecture, BayesRegressor, DivergenceError, GaussianPrior, load, reference, threads, training

BASE = {"hidden": (3,), "epochs": 6, "batch_size": 5}  # three minibatches an epoch
BITS = [{"optimizer": "adam"}, {"optimizer": "momentum", "learning_rate": 1e-4, "draws": 2}, {"average_last": 0.5},
        {"optimizer": "sgd", "learning_rate": 1e-4, "schedule": "inverse_time", "dtype": "float64"},
        {"posterior": "point"}, {"posterior": "dropout"},
        {"minibatch_weights": "geometric", "temperature": 0.5, "noise": "input"}]
SETTINGS = pytest.mark.parametrize("params", BITS, ids=lambda params: ", ".join(map(str, params.values())))
PLAIN_PYTHON_WARNS = pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")


@pytest.fixture
def step_by_step(monkeypatch):
    """Slices of one step, as on the slowest of machines; returns a function to press Ctrl-C during a step."""
    monkeypatch.setattr(training, "SLICE_SECONDS", 0)
    train, taken = threads.train, []

    def interrupt_at(step, times=1):
        def counted(steps, *rest, **options):
            assert steps == 1
            result = train(steps, *rest, **options)
            taken.append(rest[1].theta.copy())
            for _ in range(times * (len(taken) == step)):
                signal.raise_signal(signal.SIGINT)
            return result
        monkeypatch.setattr(threads, "train", counted)
        return taken
    return interrupt_at


@SETTINGS
def test_same_seed_same_bits(params, small, assert_same_bits):
    one, two, other = (BayesRegressor(**BASE | params, seed=s).fit(small.X, small.y) for s in (1, 1, 2))
    assert_same_bits(one, two)
    assert np.all((one.mu_ != other.mu_))


@SETTINGS
def test_save_load_and_resume_give_the_bits_of_one_long_fit(params, small, tmp_path, assert_same_bits):
    parts = BayesRegressor(**BASE | params).partial_fit(small.X, small.y, epochs=2)
    parts.save(tmp_path / "model.npz")
    resumed = load(tmp_path / "model.npz").partial_fit(small.X, small.y, epochs=4)
    assert_same_bits(resumed, BayesRegressor(**BASE | params).fit(small.X, small.y))


@pytest.mark.parametrize("step", [1, 3, 4, 11])  # in the middle and at the end of an epoch
@pytest.mark.parametrize("params", [BITS[0], BITS[2]], ids=["adam", "averaged"])
def test_ctrl_c_keeps_what_is_learnt_and_resumes_to_the_same_bits(
        step, params, small, tmp_path, step_by_step, assert_same_bits):
    step_by_step(step)
    net = BayesRegressor(**BASE | params).fit(small.X, small.y)
    assert net.interrupted_ and (net.state_.step, net.state_.epoch, net.state_.batch) == (step, *divmod(step, 3))
    assert len(net.free_energy_) == step // 3 and np.isfinite(net.predict(small.X)).all()
    net.save(tmp_path / "model.npz")
    long = BayesRegressor(**BASE | params).fit(small.X, small.y)
    for model in (net, load(tmp_path / "model.npz")):
        model.partial_fit(small.X, small.y, epochs=6 - step // 3)
        assert_same_bits(model, long)
        assert not model.interrupted_


def test_ctrl_c_while_validating_stops_after_that_epoch(small, monkeypatch):
    monkeypatch.setattr(BayesRegressor, "_scores", lambda *_: signal.raise_signal(signal.SIGINT) or {"rmse": 1.0})
    net = BayesRegressor(**BASE).fit(small.X, small.y, validation=(small.X, small.y))
    assert net.interrupted_ and net.state_.epoch == 1 and net.validation_ == [{"epoch": 1, "rmse": 1.0}]


def test_an_impatient_second_ctrl_c_harms_nothing(small, step_by_step, assert_same_bits):
    step_by_step(4, times=2)
    net = BayesRegressor(**BASE).fit(small.X, small.y)
    assert net.interrupted_ and net.state_.step == 4
    net.partial_fit(small.X, small.y, epochs=6 - net.state_.epoch)
    assert_same_bits(net, BayesRegressor(**BASE).fit(small.X, small.y))


@PLAIN_PYTHON_WARNS
@pytest.mark.parametrize("params", [{}, {"optimizer": "sgd", "learning_rate": 1e20}], ids=["fit", "divergence"])
def test_the_handler_of_ctrl_c_is_put_back(params, small):
    before = signal.getsignal(signal.SIGINT)
    try:
        BayesRegressor(**BASE | params).fit(small.X, small.y)
    except DivergenceError:
        pass
    assert signal.getsignal(signal.SIGINT) is before


def test_training_in_another_thread_gives_the_same_bits(small, assert_same_bits):
    net = BayesRegressor(**BASE)
    thread = threading.Thread(target=net.fit, args=(small.X, small.y))
    thread.start()
    thread.join()
    assert_same_bits(net, BayesRegressor(**BASE).fit(small.X, small.y))


@SETTINGS
def test_bits_do_not_depend_on_how_training_is_sliced(params, small, monkeypatch, assert_same_bits):
    models = []
    for next_steps in ({}, {1: 4, 4: 7}):  # one step at a time; 1, 4, 7, 1, ...
        monkeypatch.setattr(training, "next_steps", lambda steps, seconds, then=next_steps: then.get(steps, 1))
        models.append(BayesRegressor(**BASE | params).fit(small.X, small.y))
    assert_same_bits(*models)


DIVERGES = {**BASE, "optimizer": "sgd", "learning_rate": 0.01, "schedule": "constant", "noise": 0.05}
WILD = {"learning_rate": 1e6, "noise": "learned"}


@PLAIN_PYTHON_WARNS
def test_divergence_names_step_layer_and_what_to_try_and_undoes_the_slice(small, step_by_step, assert_same_bits):
    net = BayesRegressor(**DIVERGES)
    with pytest.raises(DivergenceError, match=(
            r"not finite at step \d+ \(epoch \d\), .*in layer \d.* try learning_rate=0.001 in place of 0.01")):
        net.fit(small.X, small.y)
    twin = BayesRegressor(**DIVERGES)
    step_by_step(net.state_.step)
    assert twin.fit(small.X, small.y).interrupted_
    assert_same_bits(net, twin)


@PLAIN_PYTHON_WARNS
@pytest.mark.parametrize("params", [{}, WILD], ids=str)
def test_after_divergence_the_model_still_predicts_finite_values(params, small):
    net = BayesRegressor(**DIVERGES | params)
    with pytest.raises(DivergenceError):
        net.fit(small.X, small.y)
    assert all(np.isfinite(array).all() for array in net.state_.arrays)
    assert np.isfinite(net.predict(small.X, return_std=True)).all()


def test_divergence_names_the_epoch_of_the_step(small, monkeypatch):
    monkeypatch.setattr(training, "SLICE_SECONDS", 1e9)  # one step, then all that are left
    train = threads.train
    monkeypatch.setattr(threads, "train",
                        lambda steps, *rest, **options: (6,) if steps > 1 else train(steps, *rest, **options))
    with pytest.raises(DivergenceError, match=rf"step 7 \(epoch {7 // 3 + 1}\)"):
        BayesRegressor(**BASE).fit(small.X, small.y)


@PLAIN_PYTHON_WARNS
def test_a_last_update_that_overflows_is_a_divergence(small):
    net = BayesRegressor(**DIVERGES | {"learning_rate": 1e38, "epochs": 1, "batch_size": 12})
    pytest.raises(DivergenceError, net.fit, small.X, small.y)
    assert np.isfinite(net.state_.theta).all()


@pytest.mark.parametrize("layer, entry", [(1, 0), (2, 9)])
def test_divergence_names_the_layer(layer, entry, small):
    net = BayesRegressor(**BASE).partial_fit(small.X, small.y, epochs=2)
    net.state_.theta[entry] = np.nan
    with pytest.raises(DivergenceError, match=rf"step 6 \(epoch 3\), first in the weights of layer {layer}"):
        net.partial_fit(small.X, small.y)
    assert net.state_.step == 6 and len(net.free_energy_) == 2


@pytest.mark.parametrize("done, until", [(0, 1), (0, 100), (0, 101), (0, 250), (99, 349), (1, 301)])
def test_validation_data_are_watched_at_most_100_times_and_at_the_end(done, until, monkeypatch):
    def advance(problem, state, steps, good):
        state.epoch += steps

    monkeypatch.setattr(training, "_slice", advance)
    state, problem, seen = training.State(*np.zeros((4, 1)), epoch=done), training.Problem(*[None] * 8), []
    monkeypatch.setattr(training.Problem, "minibatches", 1)
    training.run(problem, state, until, validate=lambda epoch: seen.append(epoch) or "", progress=False)
    assert seen[-1] == until and seen == sorted(set(seen))
    assert min(until - done, 50) <= len(seen) <= 100


def test_validation_scores_are_kept_and_change_nothing(small, assert_same_bits):
    net = BayesRegressor(**BASE).fit(small.X, small.y, validation=(small.X[:5], small.y[:5]))
    assert_same_bits(net, BayesRegressor(**BASE).fit(small.X, small.y))
    assert [look["epoch"] for look in net.validation_] == [1, 2, 3, 4, 5, 6]
    d = net.predict_distribution(small.X[:5], draws=10)
    assert net.validation_[-1]["rmse"] == pytest.approx(np.sqrt(np.mean((d.mean - small.y[:5])**2)), rel=1e-12)
    assert net.validation_[-1]["log_likelihood"] == pytest.approx(d.log_density(small.y[:5]).mean(), rel=1e-12)


@pytest.mark.parametrize("progress, terminal, shown", [
    (None, False, False), (None, True, True), (True, False, True), (False, True, False)])
def test_progress_is_shown_when_asked_for_or_on_a_terminal(progress, terminal, shown, small, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    BayesRegressor(**BASE, progress=progress).fit(small.X, small.y, validation=(small.X, small.y))
    out, err = capsys.readouterr()
    assert out == "" and bool(err) == ("epoch" in err) == shown


@pytest.mark.E17
@pytest.mark.parametrize("part, first", [(1.0, 0), (0.5, 9), (1 / 18, 17), (0.0, None), (0.9, 2)])
def test_last_iterates_are_averaged(part, first, small, step_by_step):
    iterates = step_by_step(None)
    net = BayesRegressor(**BASE, average_last=part, dtype="float64").fit(small.X, small.y)
    expected = iterates[-1] if first is None else np.mean(iterates[first:], axis=0)
    np.testing.assert_allclose(np.concatenate([net.mu_, net.rho_]), expected[:26], rtol=1e-12)


@pytest.mark.E17
@pytest.mark.parametrize("noise", [0.5, "learned"])
def test_a_step_with_given_noise_by_hand(noise, small):  # museum 18
    """Gradient descent of a line: dW = x^T (f - y)/noise^2, db its sum, dlog_noise = sum 1 - ((y - f)/noise)^2."""
    net = BayesRegressor(hidden=(), posterior="point", noise=noise, optimizer="sgd", schedule="constant", epochs=1,
                         learning_rate=1e-3, standardize=False, dtype="float64").fit(small.X, small.y)
    start, deviation = Architecture((2, 1)).initial_mu(0), noise if noise == 0.5 else 1.0
    z = (small.X @ start[:2] - small.y) / deviation
    np.testing.assert_allclose(net.mu_[:2], start[:2] - 1e-3 * small.X.T @ z / deviation, rtol=1e-12)
    assert net.mu_[2] == pytest.approx(-1e-3 * z.sum() / deviation, rel=1e-12)
    assert net.noise_[0] == pytest.approx(0.5 if noise == 0.5 else np.exp(-1e-3 * np.sum(1 - z**2)), rel=1e-12)


@pytest.mark.E15
@pytest.mark.parametrize("kind", ["uniform", "geometric"])
@pytest.mark.parametrize("batch_size", [5, 12])
def test_an_epoch_charges_the_kl_once_times_the_temperature(kind, batch_size, small):  # museum 2 and 4
    """With and without the KL, and with the same noise, an epoch of gradient descent ends rate T dKL apart."""
    rate = 1e-7
    plain, charged = (BayesRegressor(
        hidden=(3,), prior=GaussianPrior(0.5), kl="closed", optimizer="sgd", schedule="constant", learning_rate=rate,
        minibatch_weights=kind, temperature=temperature, epochs=1, batch_size=batch_size, dtype="float64",
    ).fit(small.X, small.y) for temperature in (0.0, 0.7))
    for moved, dkl in zip((plain.mu_ - charged.mu_, plain.rho_ - charged.rho_),
                          reference.kl_to_gaussian_backward(charged.mu_, charged.rho_, 0.5)):
        np.testing.assert_allclose(moved / rate, 0.7 * dkl, rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="a large network takes minutes as plain Python")
@pytest.mark.parametrize("threads, more", [
    (1, {}), (2, {}), (1, {"average_last": 0.5}), (1, {"draws": 2}), (1, {"draws": 2, "average_last": 0.5})], ids=str)
def test_training_takes_ten_vectors_of_the_weights_beside_data_and_batch(threads, more):
    """Six of the state, two of the workspace, two to go back to; two more for averages, and two for several draws."""
    X = np.zeros((40, 300))
    net = BayesRegressor(hidden=(400, 400), epochs=3, batch_size=10, threads=threads, **more)
    net.fit(X, X[:, 0])  # compiles
    tracemalloc.start()
    net.fit(X, X[:, 0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size, widths = net.architecture_.size, 300 + 400 + 400 + 1
    vectors = (peak - X.nbytes / 2 - 3 * 4 * 10 * widths) / (4 * size)  # the data is there once, in float32
    assert 0 <= vectors - (10 + 2 * len(more)) < 1
