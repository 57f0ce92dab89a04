"""Figures of the lectures: a few kinds of drawing, each used by several of them. Data come in, a figure goes out."""

import numpy as np
from matplotlib.animation import FuncAnimation

from bbbnp.plots import BLUE, GREY, INK, ORANGE, PALE, drawing
from bbbnp.reference import gaussian_density

LINES = (("-", BLUE), ("--", ORANGE), (":", INK), ("-.", GREY), ("-", PALE))


def curves(x, ys, *, xlabel, ylabel, log="", vertical=None, points=None, path=None):
    """Draw curves over one axis, told apart in grey too.

    Parameters
    ----------
    x : ndarray, shape (G,)
    ys : dict of str to ndarray, shape (G,)
        At most five, by the name that the legend gives them.
    xlabel, ylabel : str
    log : str
        Which axes are logarithmic: "", "x", "y" or "xy".
    vertical : float, optional
        Where to draw a thin vertical line.
    points : dict of str to ndarray, shape (G,), optional
        At most three, drawn as open circles, squares and triangles.
    path : str or path-like, optional
        Where to write a PNG.

    Returns
    -------
    matplotlib.figure.Figure
        7 inches wide.
    """
    with drawing(path, 4) as figure:
        axes = figure.add_subplot()
        for (name, y), (line, colour) in zip(ys.items(), LINES):
            axes.plot(x, y, line, color=colour, linewidth=2, label=name)
        for (name, y), marker in zip((points or {}).items(), "os^"):
            axes.plot(x, y, marker, color=INK, fillstyle="none", markersize=7, label=name)
        if vertical is not None:
            axes.axvline(vertical, color=INK, linewidth=0.8)
        axes.set(xlabel=xlabel, ylabel=ylabel, **{f"{axis}scale": "log" for axis in log})
        axes.legend(frameon=False, fontsize="small")
    return figure


def convergence(track, exact, names, *, path=None):
    """Draw parameters against training steps, beside the values they should reach.

    Parameters
    ----------
    track : ndarray, shape (steps, 2 n)
        n means, then n deviations, after each step.
    exact : ndarray, shape (2 n,)
    names : sequence of str
        Of the n weights.
    path : str or path-like, optional

    Returns
    -------
    matplotlib.figure.Figure
        Means above, deviations below.
    """
    steps, count = np.arange(1, len(track) + 1), len(names)
    with drawing(path, 5.4) as figure:
        panels = figure.subplots(2, 1, sharex=True)
        for row, (axes, title) in enumerate(zip(panels, (r"means $\mu$", r"deviations $\sigma$"))):
            for name, values, truth, (line, colour) in zip(
                    names, track.T[row * count:], exact[row * count:], LINES):
                axes.plot(steps, values, line, color=colour, linewidth=1.5, label=name)
                axes.axhline(truth, color=INK, linewidth=0.8)
            axes.set(ylabel=title, xscale="log")
        panels[0].legend(frameon=False, fontsize="small")
        panels[1].set_xlabel("steps (thin lines: the exact answer)")
    return figure


def normal(w, mu, sigma):
    """Density of N(mu, sigma^2)."""
    return gaussian_density(w - mu, sigma)


def bells(panels, *, frames, xlabel="$w$", target="exact"):
    """Film of bell curves that move to a target, a panel for each weight.

    Parameters
    ----------
    panels : list of (str, ndarray, ndarray, ndarray)
        Title; grid w, shape (G,); target density there; (mu, sigma) of every frame, shape (frames, 2).
    frames : list of str
        What each frame is called.
    xlabel, target : str

    Returns
    -------
    matplotlib.animation.FuncAnimation
    """
    with drawing(None, 2.9, 12, layout="constrained", dpi=50) as figure:
        moving = []
        for axes, (title, w, density, states) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels):
            axes.fill_between(w, density, color=PALE, linewidth=0, label=target)
            moving += axes.plot(w, normal(w, *states[0]), color=BLUE, linewidth=2, label="$q$")
            axes.set(xlabel=xlabel, yticks=[], ylim=(0, 2.2 * density.max()), xlim=(w[0], w[-1]), title=title)
        axes.legend(frameon=False, fontsize="small")
        heading = figure.suptitle(frames[0], fontsize="medium")

    def update(i):
        heading.set_text(frames[i])
        for line, (_, w, _, states) in zip(moving, panels):
            line.set_ydata(normal(w, *states[i]))
        return moving

    return FuncAnimation(figure, update, frames=len(frames), interval=250)


def fan(x, draws, x_train, y_train, *, band=None, xlabel="$x$", ylabel="$y$", ylim=None, path=None):
    """Draw curves, one for each draw of the weights, over the data; and a band beneath, if given.

    Parameters
    ----------
    x : ndarray, shape (G,)
        Increasing.
    draws : ndarray, shape (S, G)
    x_train, y_train : ndarray, shape (N,)
    band : (ndarray, ndarray), optional
        Lower and upper end, shape (G,).
    xlabel, ylabel : str
    ylim : (float, float), optional
    path : str or path-like, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    with drawing(path, 4.2) as figure:
        axes = figure.add_subplot()
        if band is not None:
            axes.fill_between(x, *band, color=PALE, linewidth=0, label="95 %")
        for number, draw in enumerate(draws):
            name = None if number else "one draw of the weights"
            axes.plot(x, draw, color=BLUE, linewidth=0.8, alpha=0.5, label=name)
        axes.plot(x_train, y_train, "o", color=INK, markersize=3, label="data")
        axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(x[0], x[-1]), ylim=ylim)
        axes.legend(frameon=False, fontsize="small")
    return figure
