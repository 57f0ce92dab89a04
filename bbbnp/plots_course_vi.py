"""Figures of the lectures on exact and variational inference: bells that slide, and weights drawn as ellipses."""

import numpy as np

from bbbnp.plots import BLUE, GREY, INK, ORANGE, PALE, drawing
from bbbnp.plots_course import LINES, normal


def sliding(w, density, states, names, values, floor, *, path=None):
    """Draw a bell at several times on its way to a density, beside the free energy that it lowers.

    Parameters
    ----------
    w, density : ndarray, shape (G,)
        The posterior on a grid.
    states : ndarray, shape (F, 2)
        mu and sigma at each of the times, at most four.
    names : sequence of str
        Of the times.
    values : ndarray, shape (steps,)
        Free energy after each step.
    floor : float
        What it cannot go below.
    path : str or path-like, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    with drawing(path, 3.6, 12) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        left.fill_between(w, density, color=PALE, linewidth=0, label="exact posterior")
        styles = ((":", GREY), ("-.", ORANGE), ("--", INK), ("-", BLUE))
        for (mu, sigma), name, (line, colour) in zip(states, names, styles):
            left.plot(w, normal(w, mu, sigma), line, color=colour, linewidth=2, label=f"$q$, {name}")
        left.set(xlabel="$w$", yticks=[], xlim=(w[0], w[-1]), ylim=(0, 1.6 * density.max()))
        left.legend(frameon=False, fontsize="small", loc="upper center", ncols=2)
        steps = np.arange(len(values))
        right.fill_between(steps, floor, values, color=PALE, linewidth=0, label="KL$(q\\,\\|\\,$posterior)")
        right.plot(steps, values, color=BLUE, linewidth=2, label="$F$")
        right.axhline(floor, color=INK, linewidth=0.8, label=r"$-\log P(\mathcal{D})$")
        right.set(xlabel="step", xlim=(0, len(values) - 1))
        right.legend(frameon=False, fontsize="small")
    return figure


def outline(mean, covariance, deviations=2.0):
    """Points of the ellipse that is `deviations` away from the mean, shape (2, 100)."""
    angle = np.linspace(0, 2 * np.pi, 100)
    return np.asarray(mean)[:, None] + deviations * np.linalg.cholesky(covariance) @ [np.cos(angle), np.sin(angle)]


def ellipses(gaussians, *, xlabel, ylabel, path=None):
    """Draw Gaussians of two weights as the ellipses of two deviations.

    Parameters
    ----------
    gaussians : dict of str to (ndarray, ndarray)
        Mean, shape (2,), and covariance, shape (2, 2); the first is shaded.
    xlabel, ylabel : str
    path : str or path-like, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    with drawing(path, 4.2, 12) as figure:
        axes = figure.add_subplot()
        for number, ((name, gaussian), (line, colour)) in enumerate(zip(gaussians.items(), LINES)):
            points = outline(*gaussian)
            if number == 0:
                axes.fill(*points, color=PALE, linewidth=0)
            axes.plot(*points, line, color=colour, linewidth=2, label=name)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.legend(frameon=False, fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return figure


def posterior_lines(panels, truth, x, *, path=None):
    """Draw what is known of a line, a column for each number of data: of slope and bias above, of the line below.

    Parameters
    ----------
    panels : list of (ndarray, ndarray, ndarray, ndarray, ndarray)
        Mean, shape (2,), and covariance, shape (2, 2), of slope and bias; draws of them, shape (S, 2); the data's x
        and y.
    truth : (float, float)
        Slope and bias that made the data.
    x : ndarray, shape (G,)
        Where lines are drawn.
    path : str or path-like, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    with drawing(path, 4.6, 12) as figure:
        above, below = figure.subplots(2, len(panels), sharex="row", sharey="row")
        for over, under, (mean, covariance, draws, x_data, y_data) in zip(above, below, panels):
            over.fill(*outline(mean, covariance), color=PALE, linewidth=0)
            over.plot(*outline(mean, covariance), color=BLUE, linewidth=1.5)
            over.plot(*truth, "+", color=INK, markersize=10, markeredgewidth=1.5)
            over.set(title=f"{len(x_data)} points" if len(x_data) != 1 else "1 point", xlabel="slope")
            under.plot(x, np.outer(x, draws[:, 0]) + draws[:, 1], color=BLUE, linewidth=0.7, alpha=0.5)
            under.plot(x_data, y_data, "o", color=INK, markersize=3.5)
            under.set(xlabel="$x$", xlim=(x[0], x[-1]))
        above[0].set_ylabel("bias")
        below[0].set_ylabel("$y$")
    return figure
