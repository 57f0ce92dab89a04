"""Figures of the lectures on exact and variational inference: the same bytes each time, and what was given is drawn."""

import numpy as np
import pytest

from bbbnp import plots_course_vi as plots

W = np.linspace(-1, 1, 21)
STATES = np.array([[-0.5, 0.4], [0.1, 0.3]])
MEAN, COVARIANCE = np.array([0.4, -1.0]), np.array([[2.0, 0.6], [0.6, 0.5]])
PANELS = [(MEAN, COVARIANCE, np.array([[1.0, 2.0], [0.5, 0.0]]), W[:n], W[:n]) for n in (0, 1, 3)]


def draw_sliding(path=None):
    return plots.sliding(W, 1 - W**2, STATES, ["a", "b"], np.array([3.0, 2.0, 1.5]), 1.0, path=path)


def draw_ellipses(path=None):
    return plots.ellipses({"p": (MEAN, COVARIANCE), "q": (MEAN, np.eye(2))}, xlabel="a", ylabel="b", path=path)


def draw_lines(path=None):
    return plots.posterior_lines(PANELS, (0.3, -0.2), W, path=path)


@pytest.mark.parametrize("draw", [draw_sliding, draw_ellipses, draw_lines])
def test_a_figure_is_written_the_same_each_time(draw, assert_drawn_alike):
    assert_drawn_alike(draw)


def test_an_outline_is_two_deviations_away_in_every_direction():
    off = plots.outline(MEAN, COVARIANCE) - MEAN[:, None]
    np.testing.assert_allclose(np.sum(off * np.linalg.solve(COVARIANCE, off), axis=0), 4, rtol=1e-12)


def test_bells_are_those_of_the_states_beside_the_free_energy_and_its_floor():
    left, right = draw_sliding().axes
    first, second = left.get_lines()
    assert W[first.get_ydata().argmax()] == pytest.approx(-0.5) and second.get_label() == "$q$, b"
    energy, floor = right.get_lines()
    assert list(energy.get_ydata()) == [3.0, 2.0, 1.5] and list(floor.get_ydata()) == [1.0, 1.0]


def test_lines_are_those_of_the_draws_and_titles_count_the_data():
    axes = draw_lines().axes
    assert [over.get_title() for over in axes[:3]] == ["0 points", "1 point", "3 points"]
    np.testing.assert_allclose(axes[3].get_lines()[0].get_ydata(), W + 2)
    assert list(axes[0].get_lines()[1].get_xydata()[0]) == [0.3, -0.2]
