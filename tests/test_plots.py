"""Figures: drawn without a display, the same bytes each time, and nothing of the user's settings touched."""

import json
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest

from bbbnp import plots
from bbbnp.experiments import temperature


def committed(name):
    """A committed result file."""
    return json.loads((Path(__file__).parents[1] / "pictures" / f"{name}.json").read_text())


class Prediction:
    """Stands in for a predictive distribution with a band from -1 to 1."""

    def __init__(self, n):
        self.epistemic, self.aleatoric = np.full(n, 0.04), np.full(n, 0.01)

    def interval(self, level):
        return -level * np.ones(len(self.epistemic)), level * np.ones(len(self.epistemic))

    def quantile(self, q):
        return np.zeros(len(self.epistemic))


@pytest.mark.parametrize("draw", [
    plots.network_comparison,
    lambda path=None: plots.regression(np.array([0.0, 0.5]), np.zeros(2), np.linspace(-1, 1, 9), Prediction(9),
                                       Prediction(9), path),
    lambda path=None: plots.bench(committed("bench"), path),
    lambda path=None: plots.estimators(committed("estimators"), path),
    lambda path=None: plots.races(committed("estimators"), path), temperature.figure],
    ids=["networks", "regression", "bench", "estimators", "races", "temperature"])
def test_figure_is_a_png_with_the_same_bytes_each_time(draw, assert_drawn_alike):
    assert_drawn_alike(draw)


def test_fonts_are_found_where_the_list_in_the_users_cache_lacks_them(tmp_path):
    code = ("from matplotlib.font_manager import fontManager as fonts\n"
            "fonts.ttflist = [font for font in fonts.ttflist if 'STIX' not in font.name]\n"
            "from bbbnp import plots\n"
            f"plots.network_comparison({str(tmp_path / 'networks.png')!r})")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "findfont" not in run.stderr


def test_regression_shows_both_kinds_of_doubt_as_deviations():
    figure = plots.regression(np.array([0.0, 0.5]), np.zeros(2), np.linspace(-1, 1, 9), Prediction(9), Prediction(9))
    heights = {line.get_label().split(":")[0]: line.get_ydata()[0] for line in figure.axes[-1].get_lines()}
    assert heights == {"epistemic": 0.2, "aleatoric": 0.1}
