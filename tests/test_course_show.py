"""What lectures show: pictures have a text, animations need no network, code is that of the package."""

import sys
import types

import numpy as np
import pytest

from bbbnp import plots_course, reference
from bbbnp.course import loops, show
from bbbnp.kernels import elbo

ALT = "A line that rises from left to right."


def figure():
    x = np.linspace(0.1, 1, 9)
    return plots_course.curves(x, {"a": x, "b": x**2}, xlabel="x", ylabel="y", log="xy", vertical=0.5)


def test_a_picture_is_a_png_with_its_text():
    data, metadata = show.picture(figure(), ALT, main=True)._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG") and data["text/plain"] == f"Picture: {ALT}"
    assert metadata["image/png"] == {"alt": ALT, "main": True}
    assert "main" not in show.picture(figure(), ALT)._repr_mimebundle_()[1]["image/png"]


@pytest.mark.parametrize("alt", [None, "", "short"])
def test_a_picture_needs_a_text(alt):
    with pytest.raises(ValueError, match="in words"):
        show.picture(figure(), alt)


def film():
    w, states = np.linspace(-2, 2, 21), np.array([[0.5, 1.0], [0.1, 0.5]])
    return plots_course.bells([("w", w, plots_course.normal(w, 0, 0.4), states)], frames=["first", "second"])


def test_an_animation_has_a_text_no_style_sheet_and_the_same_bytes_each_time():
    html = show.animation(film(), ALT)
    assert f'alt="{ALT}"' in html and "<link" not in html and "fa-" not in html and "http" not in html
    assert html == show.animation(film(), ALT) and html._repr_html_() == html
    assert repr(html) == f"Animation: {ALT}"


def test_source_is_that_of_the_function_and_of_the_kernel():
    text = show.source(reference.short_gradient, elbo.short_gradient)
    assert repr(text).count("def short_gradient") == 2 and "E13" in text
    html = text._repr_html_()
    assert "monospace" in html and "color:" in html and "<style" not in html


def test_sliders_are_left_out_where_nobody_can_slide(monkeypatch):
    monkeypatch.setenv("BBBNP_STATIC", "1")
    assert show.slider(None, x=(0, 1)) is None


def test_sliders_call_the_function_where_somebody_can(monkeypatch):
    """A stand-in for ipywidgets, which tests do not need, moves one slider to its end."""
    monkeypatch.delenv("BBBNP_STATIC", raising=False)
    monkeypatch.setattr(show.importlib.util, "find_spec", lambda name: name)
    seen = []
    widgets, shown = types.ModuleType("ipywidgets"), types.ModuleType("IPython.display")
    widgets.interact = lambda function, **ranges: function(**{name: high for name, (_, high) in ranges.items()})
    shown.display = seen.append
    monkeypatch.setitem(sys.modules, "ipywidgets", widgets)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    show.slider(lambda x: 10 * x, x=(0, 3))
    assert seen == [30]


def test_loops_shrink_on_request(monkeypatch):
    monkeypatch.setenv("BBBNP_FAST", "1")
    assert loops(100, fast=10) == 10
    monkeypatch.delenv("BBBNP_FAST")
    assert loops(100, fast=10) == 100
