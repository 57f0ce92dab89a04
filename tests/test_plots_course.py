"""Figures of lectures: the same bytes each time, and what was given is what is drawn."""

import numpy as np
import pytest

from bbbnp import plots_course as plots

X = np.linspace(0.1, 1, 9)
TRACK = np.random.default_rng(0).uniform(0.1, 1, (5, 4))


@pytest.mark.parametrize("draw", [
    lambda path=None: plots.curves(X, {"a": X}, xlabel="x", ylabel="y", points={"b": X}, path=path),
    lambda path=None: plots.convergence(TRACK, np.ones(4), ["slope", "bias"], path=path),
    lambda path=None: plots.fan(X, np.array([X, X**2]), X, X, band=(X - 1, X + 1), path=path)],
    ids=["curves", "convergence", "fan"])
def test_a_figure_is_written_the_same_each_time(draw, assert_drawn_alike):
    assert_drawn_alike(draw)


def test_convergence_has_means_above_and_deviations_below():
    above, below = plots.convergence(TRACK, np.arange(4.0), ["slope", "bias"]).axes
    np.testing.assert_array_equal(above.get_lines()[0].get_ydata(), TRACK[:, 0])
    np.testing.assert_array_equal(below.get_lines()[2].get_ydata(), TRACK[:, 3])
    assert list(below.get_lines()[3].get_ydata()) == [3.0, 3.0]


def test_a_normal_density_integrates_to_one():
    w = np.linspace(-9, 9, 2001)
    assert plots.normal(w, 1.0, 0.7).sum() * (w[1] - w[0]) == pytest.approx(1, abs=1e-12)
