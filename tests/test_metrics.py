"""Metrics against numbers worked by hand, definitions written out, scikit-learn, and invariances (E21)."""

import math

from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest
from scipy.stats import norm

from bbbnp import metrics
from bbbnp.kernels.predictive import log_predictive

pytestmark = pytest.mark.E21

P = [[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]  # right, wrong, right, wrong
LABELS = [0, 1, 0, 0]
CLASSIFICATION = [metrics.nll, metrics.brier, metrics.error_rate, metrics.reliability, metrics.ece]
SPREAD = [[0.0], [2.0]]  # two draws for one target


def exactly(value):
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def random_classes(seed, n=200, classes=4):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(classes), n), rng.integers(0, classes, n)


def sklearn_metrics():
    return pytest.importorskip("sklearn.metrics", reason="scikit-learn is the independent implementation")


@pytest.mark.parametrize("metric, arguments, by_hand", [
    (metrics.nll, (P, LABELS), -math.log(0.9 * 0.2 * 0.6 * 0.3) / 4),
    (metrics.nll, ([[0.0, 1.0], [1.0, 0.0]], [0, 0]), np.inf),
    (metrics.brier, (P, LABELS), 2 * (0.1**2 + 0.8**2 + 0.4**2 + 0.7**2) / 4),
    (metrics.brier, ([[0.0, 1.0]], [0]), 2),
    (metrics.error_rate, (P, LABELS), 50),
    (metrics.error_rate, ([[0.5, 0.5]] * 4, [0, 0, 0, 1]), 25),  # the first class wins a tie
    (metrics.ece, (P, LABELS, 5), (abs(1 - 0.6) + 2 * abs(0 - 0.75) + abs(1 - 0.9)) / 4),
    (metrics.ece, (P, LABELS, 1), abs(0.5 - 0.75)),
    (metrics.rmse, ([1, 2], [1, 4]), math.sqrt(2)),
    (metrics.rmse, ([[1], [2]], [1, 4]), math.sqrt(2)),  # one column does not broadcast against a vector
    (metrics.rmse, ([[1, 2], [3, 4]], [[1, 2], [3, 8]]), 2),
    (metrics.coverage, ([0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 2, -1]), 0.5),  # ends included
    (metrics.crps, (SPREAD, [1]), 0.5),  # the integral of (F - [x >= 1])^2 is 1/4 on each of (0, 1) and (1, 2)
    (metrics.crps, ([[3.0, -1.0]], [1, 1]), 2),  # of one draw, the absolute error
    (metrics.auroc, ([1, 2], [2, 3]), 3.5 / 4),
    (metrics.auroc, ([1, 1, 1], [1, 1]), 0.5),
    (metrics.auroc, ([1, 2], [3]), 1),
])
def test_value_by_hand(metric, arguments, by_hand):
    value = metric(*arguments)
    assert type(value) is float
    assert value == exactly(by_hand)


few = settings(derandomize=True, deadline=None, max_examples=60)
NUMBERS = st.floats(-1e6, 1e6)


@few
@given(arrays(float, (5, 3), elements=st.floats(-1000, 1000)), arrays(int, 5, elements=st.integers(0, 2)),
       st.integers(1, 30))
def test_metrics_of_any_probabilities_are_in_their_ranges(logits, labels, bins):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    assert metrics.nll(p, labels) >= 0 and 0 <= metrics.brier(p, labels) <= 2 + 1e-12
    assert 0 <= metrics.ece(p, labels, bins) <= 1 and 0 <= metrics.error_rate(p, labels) <= 100
    confidence, accuracy, count = metrics.reliability(p, labels, bins)
    assert count.sum() == 5 and np.all(np.isnan(confidence) == (count == 0)) and np.all(accuracy[count > 0] <= 1)
    best = np.eye(3)[labels]
    assert metrics.nll(best, labels) == metrics.brier(best, labels) == metrics.ece(best, labels, bins) == 0


@few
@given(arrays(float, (4, 3), elements=NUMBERS), arrays(float, 3, elements=NUMBERS), NUMBERS, st.floats(0.01, 100))
def test_scores_of_any_draws_move_and_scale_with_the_unit(samples, y, shift, unit):
    size = np.abs(samples).max() + np.abs(y).max() + abs(shift) + 1e-300
    for metric, first in ((metrics.crps, samples), (metrics.rmse, samples[0])):
        value = metric(first, y)
        assert 0 <= value <= np.abs(first - y).max() + 1e-12 * size
        assert metric(unit * (first + shift), unit * (y + shift)) == pytest.approx(
            unit * value, rel=1e-9, abs=1e-9 * unit * size)
    assert metrics.crps(samples, y) <= np.abs(samples - y).mean() + 1e-12 * size  # of draws that agree with each other
    low, high = np.sort(samples, axis=0)[[0, -1]]
    assert metrics.coverage(low, high, y) <= metrics.coverage(low - 1, high + 1, y) <= 1
    assert metrics.coverage(low, high, samples[2]) == 1


@few
@given(arrays(float, 4, elements=NUMBERS), arrays(float, 6, elements=NUMBERS))
def test_auroc_of_any_scores_depends_on_their_order_only(negative, positive):
    value = metrics.auroc(negative, positive)
    assert 0 <= value <= 1
    assert metrics.auroc(positive, negative) == exactly(1 - value)
    ranks = {v: float(i) for i, v in enumerate(np.unique(np.concatenate([negative, positive])))}
    assert metrics.auroc([ranks[v] for v in negative], [ranks[v] for v in positive]) == exactly(value)


def test_reliability_by_hand_with_edges_in_the_bin_below():
    confidence, accuracy, count = metrics.reliability(P, LABELS, bins=5)
    np.testing.assert_array_equal(count, [0, 0, 1, 2, 1])
    np.testing.assert_allclose(confidence, [np.nan, np.nan, 0.6, 0.75, 0.9], rtol=1e-12)
    np.testing.assert_array_equal(accuracy, [np.nan, np.nan, 1, 0, 1])


@pytest.mark.parametrize("bins", [1, 7, 15, 100])
def test_reliability_and_ece_agree_with_a_loop_over_bins(bins):
    p, labels = random_classes(0)
    top, right, gap = p.max(1), p.argmax(1) == labels, 0
    result = metrics.reliability(p, labels, bins)
    assert result.count.sum() == len(p)
    for m in range(bins):
        inside = (m / bins < top) & (top <= (m + 1) / bins)
        assert result.count[m] == inside.sum()
        if inside.any():
            assert (result.confidence[m], result.accuracy[m]) == exactly((top[inside].mean(), right[inside].mean()))
            gap += abs(right[inside].sum() - top[inside].sum()) / len(p)
    assert metrics.ece(p, labels, bins) == exactly(gap)


def test_ece_is_zero_when_calibrated_and_not_when_one_label_is_wrong():
    p = [[0.75, 0.25]] * 4 + [[0.4, 0.6]] * 5
    labels = [0, 0, 0, 1] + [1, 1, 1, 0, 0]
    assert metrics.ece(p, labels) == exactly(0)
    labels[4] = 0
    assert metrics.ece(p, labels) == exactly(1 / 9)


def test_a_row_that_rounds_above_one_is_in_the_last_bin():
    assert metrics.reliability([[1 + 1e-7, 0]], [0], bins=3).count.tolist() == [0, 0, 1]


def test_classification_agrees_with_scikit_learn():
    reference, (p, labels) = sklearn_metrics(), random_classes(1)
    assert metrics.nll(p, labels) == exactly(reference.log_loss(labels, p))
    assert metrics.error_rate(p, labels) == exactly(100 - 100 * reference.accuracy_score(labels, p.argmax(1)))
    squares = sum((p[n, c] - (labels[n] == c)) ** 2 for n in range(len(p)) for c in range(p.shape[1]))
    assert metrics.brier(p, labels) == exactly(squares / len(p))


def test_nll_averages_probabilities_over_draws_and_not_their_logarithms():
    draws = np.array([[[0.9, 0.1]], [[0.1, 0.9]]])
    log_mean = np.empty(1)
    log_predictive(log_mean, np.log(draws[:, :, 0]))
    assert (metrics.nll(draws.mean(0), [0]), -log_mean[0]) == exactly((math.log(2), math.log(2)))
    assert np.mean([metrics.nll(p, [0]) for p in draws]) == exactly(-math.log(0.9 * 0.1) / 2)  # 1.2, not 0.7


@pytest.mark.parametrize("metric", CLASSIFICATION)
def test_order_of_examples_and_names_of_classes_do_not_matter(metric):
    p, labels = random_classes(2)
    rng = np.random.default_rng(3)
    rows, classes = rng.permutation(len(p)), rng.permutation(p.shape[1])
    renamed = metric(p[rows][:, classes], np.argsort(classes)[labels[rows]])
    np.testing.assert_allclose(renamed, metric(p, labels), rtol=1e-12)


def test_crps_agrees_with_the_double_sum_and_not_with_the_unbiased_one():
    rng = np.random.default_rng(4)
    x, y = rng.normal(3, 2, (11, 6)).round(1), rng.normal(3, 2, 6).round(1)  # rounded: with ties
    error, spread = np.abs(x - y).mean(), np.abs(x[:, None] - x).mean()
    assert metrics.crps(x, y) == exactly(error - spread / 2)
    assert abs(metrics.crps(x, y) - (error - spread * 11 / 10 / 2)) > 0.05
    assert metrics.crps(5 * x[::-1] - 100, 5 * y - 100) == exactly(5 * metrics.crps(x, y))


@pytest.mark.parametrize("y", [-1.5, 0.0, 0.7])
def test_crps_of_many_quantiles_approaches_the_closed_form_of_the_gaussian(y):
    quantiles = norm.ppf((np.arange(20_000) + 0.5) / 20_000)[:, None]
    closed = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / math.sqrt(math.pi)
    assert metrics.crps(quantiles, [y]) == pytest.approx(closed, abs=1e-4)


def test_auroc_agrees_with_all_pairs_and_scikit_learn_and_turns_over_when_swapped():
    rng = np.random.default_rng(5)
    negative, positive = rng.integers(0, 9, 40), rng.integers(2, 11, 30)  # with ties
    value = metrics.auroc(negative, positive)
    pairs = [(q > n) + (q == n) / 2 for n in negative for q in positive]
    assert value == exactly(np.mean(pairs))
    assert 0.55 < value < 0.95
    assert metrics.auroc(positive, negative) == exactly(1 - value)
    assert metrics.auroc(np.exp(negative), np.exp(positive)) == exactly(value)
    truth, scores = np.repeat([0, 1], [40, 30]), np.concatenate([negative, positive])
    assert value == exactly(sklearn_metrics().roc_auc_score(truth, scores))


@pytest.mark.parametrize("metric", CLASSIFICATION)
@pytest.mark.parametrize("p, labels, message", [
    ([0.9, 0.1], [0, 0], r"p has shape \(2,\)"),
    (np.empty((0, 2)), [], "p has shape .* empty"),
    ([[np.nan, 1.0]], [0], "p holds nan"),
    ([[0.5, 0.5], [-0.1, 1.1]], [0, 0], "p has minimum -0.1 .* in row 1.*softmax"),
    ([[0.5, 0.500002]], [0], "p has .* sum 1.00000[0-9]+ in row 0.*softmax"),
    (P, [0, 1, 0], r"labels has shape \(3,\).* 4 rows"),
    (P, [[0], [1], [0], [0]], r"labels has shape \(4, 1\)"),
    (P, [0.0, 1.0, 0.0, 0.0], "labels has .* dtype float64.* integer"),
    (P, [0, 1, 2, 0], "labels holds 0 to 2; p has classes 0 to 1"),
    (P, [0, 1, -1, 0], "labels holds -1 to 1"),
])
def test_bad_classification_is_an_error(metric, p, labels, message):
    with pytest.raises(ValueError, match=message):
        metric(p, labels)


@pytest.mark.parametrize("metric, arguments, message", [
    (metrics.ece, (P, LABELS, 0), "bins=0 must be an integer of at least 1"),
    (metrics.reliability, (P, LABELS, 2.5), "bins=2.5"),
    (metrics.rmse, ([], []), "y has shape .* empty"),
    (metrics.rmse, ([1, 2, 3], [1, 2]), "mean has 3 rows and y has 2"),
    (metrics.rmse, ([[1, 2]], [1]), "mean has 2 columns, but 1 are expected"),
    (metrics.rmse, ([np.inf], [1]), "mean holds inf"),
    (metrics.coverage, ([0, 0], [1], [0, 0]), "upper has 1 rows and y has 2"),
    (metrics.coverage, ([0, 3], [1, 1], [0, 0]), "lower exceeds upper by up to 2.0"),
    (metrics.crps, (SPREAD, [1, 2]), "samples has 1 columns, but 2"),
    (metrics.crps, (np.empty((0, 1)), [1]), "samples has shape .* empty"),
    (metrics.crps, (SPREAD, [[1, 2]]), "y has 2 columns, but 1"),
    (metrics.auroc, ([], [1]), "score_negative has shape .* empty"),
    (metrics.auroc, ([1], [[1, 2]]), "score_positive has 2 columns"),
    (metrics.auroc, ([np.nan], [1]), "score_negative holds nan"),
])
def test_bad_arguments_are_errors(metric, arguments, message):
    with pytest.raises(ValueError, match=message):
        metric(*arguments)
