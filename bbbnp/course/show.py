"""What a lecture shows: pictures that have a text for those who cannot see them, animations, source code, sliders.

Figures come from `bbbnp.plots_course`; nothing here imports matplotlib.
"""

import importlib.util
import inspect
import io
import os
import re

BUTTONS = {"minus": "&minus;", "fast-backward": "|&lt;", "step-backward": "&lt;", "play fa-flip-horizontal": "&#9664;",
           "pause": "||", "play": "&#9654;", "step-forward": "&gt;", "fast-forward": "&gt;|", "plus": "+"}


class Picture:
    """A figure as a PNG with its text; the main one of a lecture is marked, and `build` keeps it in pictures/."""

    def __init__(self, figure, alt, main):
        self.figure, self.alt, self.main = figure, alt, main

    def __repr__(self):
        return f"Picture: {self.alt}"

    def _repr_mimebundle_(self, **_):
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
        metadata = {"alt": self.alt} | ({"main": True} if self.main else {})
        return {"image/png": buffer.getvalue(), "text/plain": repr(self)}, {"image/png": metadata}


def _needed(alt):
    if not isinstance(alt, str) or len(alt) < 20:
        raise ValueError(f"alt={alt!r} must say in words what the picture shows")
    return alt


def picture(figure, alt, *, main=False):
    """Show a figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        What it shows, for those who cannot see it.
    main : bool
        Whether this is the one figure of the lecture.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        Without a text.
    """
    return Picture(figure, _needed(alt), main)


class Html(str):
    """Text that a notebook shows as HTML; `alt` says what it shows."""

    def __repr__(self):
        return f"Animation: {self.alt}"

    def _repr_html_(self):
        return str(self)


def animation(film, alt):
    """Show an animation as HTML that needs neither network nor style sheet.

    Parameters
    ----------
    film : matplotlib.animation.Animation
    alt : str
        What it shows, for those who cannot see it.

    Returns
    -------
    Html
    """
    html = re.sub(r"<link[^>]*>", "", film.to_jshtml(default_mode="once"))
    html = re.sub(r'<i class="fa fa-([^"]+)"></i>', lambda match: BUTTONS[match[1]], html)
    unique = re.search(r"_anim_img([0-9a-f]{32})", html)[1]
    html = html.replace(unique, f"{len(html):032x}")  # the same text at every build
    shown = Html(html.replace("<img id=", f'<img alt="{_needed(alt)}" id='))
    shown.alt = alt
    return shown


class Source(str):
    """Python text that a notebook shows in colours."""

    def __repr__(self):
        return str(self)

    def _repr_html_(self):
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer
        colours = HtmlFormatter(noclasses=True, nobackground=True, prestyles="font-family: monospace")
        return highlight(self, PythonLexer(), colours)  # colours without a style sheet


def source(*functions):
    """Show the source of functions or compiled kernels, as it is in the package.

    Returns
    -------
    Source
    """
    return Source("\n\n".join(inspect.getsource(getattr(f, "py_func", f)) for f in functions))


def slider(function, **ranges):
    """Sliders over the arguments of a function that returns a picture, where ipywidgets is there; nothing otherwise.

    Parameters
    ----------
    function : callable
    **ranges
        For each argument (low, high) or (low, high, step).
    """
    if os.environ.get("BBBNP_STATIC") == "1" or importlib.util.find_spec("ipywidgets") is None:
        return
    from IPython.display import display
    from ipywidgets import interact
    interact(lambda **values: display(function(**values)), **ranges)
