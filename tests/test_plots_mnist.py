"""Figures of MNIST networks: the same bytes each time, and the numbers of the result in them."""

import numpy as np
import pytest

from bbbnp import plots_mnist

ALL = (("mixture", 5), ("sgd", 5), ("gaussian", 5), ("dropout", 5))


def lines(axes):
    """What is drawn in the colour of each method, without what has no marker."""
    colours = {line[2]: method for method, line in plots_mnist.LINES.items()}
    return {colours[line.get_color()]: line.get_ydata() for line in axes.get_lines() if line.get_marker() != "None"}


@pytest.mark.parametrize("name", ["reliability", "doubt", "turned"])
@pytest.mark.parametrize("cells", [ALL, (("sgd", 5),)], ids=["all", "sgd"])
@pytest.mark.parametrize("sets", [("mnist",), ("mnist", "fashion-mnist", "notmnist")], ids=["one", "three"])
def test_figure_is_a_png_with_the_same_bytes_each_time(name, cells, sets, uncertainty_result, assert_drawn_alike):
    result = uncertainty_result(*cells, sets=sets)
    assert_drawn_alike(lambda path=None: getattr(plots_mnist, name)(result, path))


def test_no_two_methods_are_drawn_alike_in_grey():
    lines, boxes = plots_mnist.LINES, plots_mnist.BOXES
    assert list(lines) == list(boxes) and len({line[3] for line in lines.values()}) == len(set(boxes.values())) == 4


def test_only_networks_of_one_width_are_compared(uncertainty_result):
    result = uncertainty_result(*ALL, ("sgd", 9), ("mixture", 9))
    shown = plots_mnist.shown(result["records"])
    assert list(shown) == ["sgd", "dropout", "gaussian", "mixture"]
    assert {r["hidden"] for records in shown.values() for r in records} == {5}
    larger = plots_mnist.shown(uncertainty_result(("sgd", 5), ("sgd", 9))["records"])
    assert [r["hidden"] for r in larger["sgd"]] == [9]
    lengths = [{"method": method, "hidden": 5, "epochs": epochs} for method, epochs in (("sgd", 3), ("mixture", 3),
                                                                                        ("mixture", 9))]
    assert plots_mnist.shown(lengths, ("hidden", "epochs")) == {"sgd": lengths[:1], "mixture": lengths[1:2]}


def test_bins_of_several_runs_are_pooled_by_their_counts(uncertainty_result):
    one, other = uncertainty_result(("sgd", 5), ("sgd", 5))["records"]
    other["reliability"] = {"confidence": [0.2, None, 0.7], "accuracy": [0.1, None, 0.75], "count": [39, 0, 20]}
    confidence, accuracy = plots_mnist.pooled([one, other])
    np.testing.assert_allclose(confidence, [0.6, (60 * 0.9 + 20 * 0.7) / 80])  # 39 of 40 asked for: too few
    np.testing.assert_allclose(accuracy, [0.5, (60 * 0.95 + 20 * 0.75) / 80])


def test_runs_of_a_method_are_averaged(uncertainty_result):
    result = uncertainty_result(("sgd", 5), ("sgd", 5), ("mixture", 5))
    result["records"][1]["rejection"]["error"] = [4.0, 3.9, 3.8, 3.5, 3.0, 2.5, 2.0]
    found = lines(plots_mnist.reliability(result).axes[1])
    np.testing.assert_allclose(found["sgd"], 100 - np.array([3, 2.9, 2.8, 2.5, 2, 1.5, 1]))
    np.testing.assert_allclose(found["mixture"], 100 - np.array([2, 1.9, 1.8, 1.5, 1, 0.5, 0]))


def test_a_point_network_has_no_mutual_information_to_draw(uncertainty_result):
    result = uncertainty_result(("sgd", 5), ("dropout", 5))
    _, probability, entropy, mutual = plots_mnist.turned(result).axes
    assert set(lines(probability)) == set(lines(entropy)) == {"sgd", "dropout"}
    assert list(lines(mutual)) == ["dropout"]
    np.testing.assert_allclose(lines(mutual)["dropout"], [plots_mnist.LEAST, 0.2, plots_mnist.LEAST])
    np.testing.assert_allclose(lines(probability)["sgd"], [0.9, 0.1, 0.5])
    areas = plots_mnist.doubt(result).axes[2].get_lines()
    assert [line.get_xdata() for line in areas if line.get_marker() != "None"] == [0.8, 0.8, 0.9]


def test_pictures_are_those_of_the_result(uncertainty_result):
    axes = plots_mnist.turned(uncertainty_result(("sgd", 5))).axes[0]
    shown = [inset.get_images()[0].get_array() for inset in axes.child_axes]
    np.testing.assert_array_equal(shown, [np.arange(16).reshape(4, 4)] * 2)
