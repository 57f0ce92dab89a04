"""Gaussian, categorical and Bernoulli likelihood: by value, summed, far from zero, and wrong gradients rejected."""

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import bernoulli, multinomial, norm

from bbbnp import reference
from bbbnp.kernels import likelihood

CODES = {"gaussian": likelihood.GAUSSIAN, "gaussian_input": likelihood.GAUSSIAN_INPUT,
         "categorical": likelihood.CATEGORICAL, "bernoulli": likelihood.BERNOULLI}
E8, E9 = pytest.mark.E8, pytest.mark.E9
each_likelihood = pytest.mark.parametrize("name", [
    pytest.param(name, marks=E8 if "gaussian" in name else E9) for name in CODES])
LOG_NOISE = np.array([-0.7, 0.4])


def data(name, dtype=np.float64, rows=5):
    """out, y and log_noise; three classes, or two targets."""
    rng = np.random.default_rng(9)
    out = rng.normal(size=(rows, {"gaussian_input": 4, "categorical": 3}.get(name, 2)))
    y = {"categorical": rng.integers(0, 3, (rows, 1)), "bernoulli": rng.integers(0, 2, (rows, 2))}.get(
        name, rng.normal(size=(rows, 2)))
    return out.astype(dtype), y.astype(dtype), LOG_NOISE.astype(dtype)


def value(name, out, y, log_noise):
    """Log-likelihood of each row, and their sum."""
    rows = np.full(len(y), np.nan, out.dtype)
    return rows, likelihood.log_likelihood(rows, CODES[name], out, y, log_noise)


def gradient(name, out, y, log_noise):
    dout, dlog_noise = np.full_like(out, np.nan), np.zeros_like(log_noise)
    likelihood.log_likelihood_backward(dout, dlog_noise, CODES[name], out, y, log_noise)
    return dout, dlog_noise


def scipy_rows(name, out, y, log_noise):
    if name == "categorical":
        p = np.exp(out) / np.exp(out).sum(axis=1, keepdims=True)
        return multinomial.logpmf(y == np.arange(3), 1, p)
    if name == "bernoulli":
        return bernoulli.logpmf(y, expit(out)).sum(axis=1)
    mean, log_noise = np.split(out, 2, axis=1) if name == "gaussian_input" else (out, log_noise)
    return norm.logpdf(y, mean, np.exp(log_noise)).sum(axis=1)


@each_likelihood
def test_log_likelihood_is_that_of_scipy_row_by_row_and_summed(name):
    """Museum 2, 19 and 25: a mean in place of a sum, a squared error in place of a likelihood, a stray constant."""
    arguments = data(name)
    rows, total = value(name, *arguments)
    np.testing.assert_allclose(rows, scipy_rows(name, *arguments), rtol=1e-12)
    assert total == pytest.approx(scipy_rows(name, *arguments).sum(), rel=1e-12)


@E9
@given(st.lists(st.floats(-1e30, 1e30), min_size=2, max_size=9), st.integers(0, 8),
       st.sampled_from([np.float32, np.float64]))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_any_logits_give_probabilities_and_a_pull_of_at_most_one(logits, label, dtype):
    """Through log_sum_exp, which is right to an ulp of the largest logit: so much may the probabilities miss one."""
    out, y, none = np.array([logits], dtype), np.array([[label % len(logits)]], dtype), np.zeros(1, dtype)
    (log_p,), _ = value("categorical", out, y, none)
    assert log_p <= 0 and np.isfinite(log_p)
    dout, _ = gradient("categorical", out, y, none)
    missed = np.finfo(dtype).eps * (len(logits) + np.abs(out).max())
    assert np.all(np.abs(dout) <= 1 + missed) and (abs(dout.sum()) <= missed or missed > 1)
    odds, flags = out.T.copy(), np.arange(len(logits))[:, None] % 2 * np.ones((1, 1), dtype)
    log_p, _ = value("bernoulli", odds, flags.astype(dtype), none)
    dodds, _ = gradient("bernoulli", odds, flags.astype(dtype), none)
    assert np.all(log_p <= 0) and np.isfinite(log_p).all() and np.all(np.abs(dodds) <= 1)


@E8
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-20, 30), st.sampled_from([np.float32, np.float64]))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_any_gaussian_target_has_its_density_and_gradient(f, y, log_noise, dtype):
    arguments = (np.array([[v]], dtype) for v in (f, y))
    f, y, tau = *arguments, np.array([log_noise], dtype)
    z = (float(y[0, 0]) - float(f[0, 0])) * np.exp(-float(tau[0]))
    (log_p,), _ = value("gaussian", f, y, tau)
    (df,), (dtau,) = gradient("gaussian", f, y, tau)
    eps = 64 * float(np.finfo(dtype).eps)  # log_noise = 20 has an exponential that is right to twenty of its ulps
    assert log_p == pytest.approx(norm.logpdf(z) - float(tau[0]), rel=eps, abs=eps * (abs(float(tau[0])) + 1 + z * z))
    assert df[0] == pytest.approx(-z * np.exp(-float(tau[0])), rel=eps)
    assert dtau == pytest.approx(1 - z**2, rel=eps, abs=eps)


@E8
def test_gaussian_and_its_gradient_by_hand():
    f, y, log_noise = np.array([1.0, 5.0, np.log(2)])  # z = (y - f)/noise = 2
    assert likelihood.gaussian(f, y, log_noise) == pytest.approx(-np.log(2) - 2, rel=1e-14)
    assert likelihood.gaussian_backward(f, y, log_noise) == pytest.approx((-1, -3), rel=1e-14)


@E9
def test_categorical_and_bernoulli_and_their_gradients_by_hand():
    out, p = np.log([1.0, 2.0, 5.0]), np.empty(3)
    assert likelihood.categorical(out, 1) == pytest.approx(np.log(0.25), rel=1e-14)
    likelihood.categorical_backward(p, out, 1)
    np.testing.assert_allclose(p, [0.125, -0.75, 0.625], rtol=1e-14)
    f, zero, one = np.array([np.log(3), 0, 1])
    assert likelihood.bernoulli(f, one) == pytest.approx(np.log(0.75), rel=1e-14)
    assert likelihood.bernoulli(f, zero) == pytest.approx(np.log(0.25), rel=1e-14)
    assert likelihood.bernoulli_backward(f, one) == pytest.approx(-0.25, rel=1e-14)
    assert likelihood.bernoulli_backward(f, zero) == pytest.approx(0.75, rel=1e-14)


@each_likelihood
def test_value_and_gradient_are_those_of_the_reference(dtype, assert_twins, name):
    arguments = data(name, dtype)
    truth = [a.astype(float) for a in arguments]
    assert_twins(value(name, *arguments)[1], reference.log_likelihood(name, *truth), eps32=2)
    for ours, expected in zip(gradient(name, *arguments), reference.log_likelihood_backward(name, *truth)):
        assert_twins(ours, np.broadcast_to(expected, ours.shape), eps32=4, scale=1)


@E8
def test_gradient_in_the_noise_is_added_to_what_is_there():
    arguments = data("gaussian")
    dlog_noise = np.array([10.0, 20.0])
    likelihood.log_likelihood_backward(np.empty((5, 2)), dlog_noise, likelihood.GAUSSIAN, *arguments)
    np.testing.assert_allclose(dlog_noise, [10, 20] + gradient("gaussian", *arguments)[1], rtol=1e-12)


@E9
@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_softmax_does_not_change_when_all_outputs_are_shifted(dtype, shift):
    """Within the rounding of the outputs themselves, where exp(1e4) overflows; the reference is NaN there."""
    out, label = np.array([[0.5, -1.25, 2.0]], dtype), np.array([[1]], dtype)
    shifted, tolerance = out + dtype(shift), 1e4 * np.finfo(dtype).eps
    for function in (value, gradient):
        for ours, unshifted in zip(*(function("categorical", o, label, LOG_NOISE) for o in (shifted, out))):
            np.testing.assert_allclose(ours, unshifted, rtol=0, atol=tolerance)
    with np.errstate(all="ignore"):
        assert not np.isfinite(reference.log_likelihood("categorical", shifted.astype(float), label, 0))


@E9
def test_a_class_that_is_ruled_out_has_a_finite_log_probability_and_the_full_pull(dtype):
    one, zero, large = dtype(1), dtype(0), dtype(1e4)
    out, dout = np.array([1e4, 0, -1e4], dtype), np.empty(3, dtype)
    assert [likelihood.categorical(out, c) for c in range(3)] == [0, -1e4, -2e4]
    likelihood.categorical_backward(dout, out, 2)
    np.testing.assert_array_equal(dout, [1, 0, -1])
    assert likelihood.bernoulli(large, zero) == likelihood.bernoulli(-large, one) == -1e4
    assert likelihood.bernoulli(large, one) == likelihood.bernoulli(-large, zero) == 0
    assert likelihood.bernoulli_backward(large, zero) == 1 and likelihood.bernoulli_backward(-large, one) == -1


@E9
def test_softmax_rows_are_the_class_probabilities_of_each_row(dtype, assert_twins):
    out, p = data("categorical", dtype)[0], np.full((5, 3), np.nan, dtype)
    likelihood.softmax_rows(p, out)
    e = np.exp(out.astype(float))
    assert_twins(p, e / e.sum(axis=1, keepdims=True), eps32=3)


WRONG = {
    "x1.001": ("all", lambda dout, dnoise, out, y: (1.001 * dout, dnoise)),
    "flipped sign": ("all", lambda dout, dnoise, out, y: (-dout, dnoise)),
    "averaged over the batch": ("all", lambda dout, dnoise, out, y: (dout / 5, dnoise / 5)),
    "dlog_noise x1.001": ("gaussian", lambda dout, dnoise, out, y: (dout, 1.001 * dnoise)),
    "sign of dlog_noise": ("gaussian", lambda dout, dnoise, out, y: (dout, -dnoise)),
    "dlog_noise without 1": ("gaussian", lambda dout, dnoise, out, y: (dout, dnoise - 5)),
    "no 1/noise^2": ("gaussian", lambda dout, dnoise, out, y: (out - y, dnoise)),
    "1/noise": ("gaussian", lambda dout, dnoise, out, y: ((out - y) / np.exp(LOG_NOISE), dnoise)),
    "halves swapped": ("gaussian_input", lambda dout, dnoise, out, y: (np.roll(dout, 2, axis=1), dnoise)),
    "no one-hot": ("categorical", lambda dout, dnoise, out, y: (dout + (y == np.arange(3)), dnoise)),
    "no y": ("bernoulli", lambda dout, dnoise, out, y: (dout + y, dnoise)),
    "as squared error": ("bernoulli", lambda dout, dnoise, out, y: (dout * expit(out) * expit(-out), dnoise)),
}


@pytest.mark.parametrize("name, wrong", [
    pytest.param(name, wrong, marks=E8 if "gaussian" in name else E9, id=f"{name}, {what}")
    for name in CODES for what, (where, wrong) in WRONG.items() if where in ("all", name)])
def test_a_wrong_gradient_is_rejected(gradient_check, name, wrong):
    out, y, log_noise = data(name)
    inside = 2 if name == "gaussian" else 0  # the log noise is a variable of the Gaussian likelihood alone

    def loss(z):
        noise = z[out.size:] if inside else log_noise
        return -value(name, z[:out.size].reshape(out.shape), y, noise)[1]

    def vector(dout, dlog_noise):
        return np.concatenate([dout.ravel(), dlog_noise[:inside]])

    passes, g = gradient_check(loss, vector(out, log_noise)), gradient(name, out, y, log_noise)
    assert passes(vector(*g))
    assert not passes(vector(*wrong(*g, out, y)))
