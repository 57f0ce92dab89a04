"""Figures 2, 3 and 4 of the paper and its Table 2 as a figure, the paper's own numbers drawn behind ours.

Every function takes what a command wrote and where to write a PNG, and returns the figure, 7 inches wide.
"""

import numpy as np

from bbbnp import paper
from bbbnp.plots import BLUE, GREY, INK, ORANGE, drawing
from bbbnp.plots_mnist import LINES


def learning_curves(records, path=None, hidden=None):
    """Draw test error against epochs, mean of the seeds, and the paper's digitised curves as open markers (Figure 2).

    `records` are those of Table 1; `hidden` is the width, 1200 or the widest there is.
    """
    hidden = hidden or max(record["hidden"] for record in records)
    with drawing(path, 4.8) as drawn:
        axes = drawn.subplots()
        for method, (name, line, colour, marker) in LINES.items():
            runs = [r["curve"] for r in records if (r["method"], r["hidden"]) == (method, hidden)]
            if runs:
                epochs = [look["epoch"] for look in runs[0]]
                error = np.mean([[look["error_mean_network"] for look in run] for run in runs], axis=0)
                axes.plot(epochs, error, line, color=colour, linewidth=2, label=name)
            if method in paper.FIGURE_2:
                axes.plot(paper.EPOCHS[:len(paper.FIGURE_2[method])], paper.FIGURE_2[method], marker,
                          color=colour, fillstyle="none", markersize=8, mew=1.5, label=f"{name}, paper")
        axes.set(xscale="log", ylim=(0.8, 2.6), xlabel="epochs", ylabel=f"test error in %, {hidden} units")
        axes.set_xticks((1, 10, 100, 600), ("1", "10", "100", "600"))
        drawn.legend(loc="outside upper center", ncols=2, frameon=False, fontsize="small", handlelength=1.6)
    return drawn


def _widest(weights):
    """Records of the widest network that there is, by method."""
    hidden = max(record["hidden"] for record in weights)
    return {r["method"]: r for r in reversed(weights) if r["hidden"] == hidden}


def weight_histogram(weights, path=None):
    """Draw the density of the trained weights, of Bayes by Backprop one draw; the paper's peaks as markers (Figure 3).

    `weights` are records with `edges` and counts; those of the widest network are drawn.
    """
    with drawing(path, 4.6) as drawn:
        axes = drawn.subplots()
        for method, record in _widest(weights).items():
            name, line, colour, marker = LINES[method]
            edges, counts = np.array(record["edges"]), np.array(record["w"])
            density = counts / record["size"] / np.diff(edges)
            axes.plot((edges[1:] + edges[:-1]) / 2, density, line, color=colour, linewidth=2,
                      label=f"{name}: deviation {record['deviation_w']:.3f}")
            if method in paper.FIGURE_3:
                deviation, peak = paper.FIGURE_3[method]
                axes.plot(0, peak, marker, color=colour, fillstyle="none", markersize=9, mew=1.5,
                          label=f"its peak in the paper: {deviation:.3f}")
        axes.set(xlim=(-0.2, 0.2), yscale="log", ylim=(0.1, None), xlabel="weight", ylabel="density")
        drawn.legend(loc="outside upper center", ncols=2, frameon=False, fontsize="x-small", handlelength=1.6)
    return drawn


def signal_to_noise(weights, path=None):
    """Draw density and distribution function of log10 |mu|/sigma, the paper's quantiles as markers (Figure 4)."""
    with drawing(path, 6.4) as drawn:
        density, below = drawn.subplots(2, 1, sharex=True)
        for method, record in _widest(weights).items():
            if "ratio" not in record:
                continue
            name, line, colour, marker = LINES[method]
            edges, counts = np.array(record["ratio_edges"]), np.array(record["ratio"])
            density.plot((edges[1:] + edges[:-1]) / 2, counts / record["size"] / np.diff(edges), line, color=colour,
                         linewidth=2, label=name)
            below.plot(edges[1:], np.cumsum(counts) / record["size"], line, color=colour, linewidth=2)
        below.plot(list(paper.FIGURE_4.values()), list(paper.FIGURE_4), "o", color=INK, fillstyle="none", markersize=8,
                   mew=1.5, label="paper, mixture")
        below.axhline(0.75, color=GREY, linewidth=1)
        density.set(ylabel="density")
        below.set(xlabel=r"$\log_{10}\ |\mu|/\sigma$", ylabel="part of the weights", xlim=(-5, 1.5))
        density.legend(frameon=False, fontsize="small")
        below.legend(frameon=False, fontsize="small")
    return drawn


CRITERIA = {"snr": (BLUE, "-", "o"), "magnitude": (INK, "--", "s"), "random": (GREY, ":", "^")}


def pruning(records, path=None):
    """Draw test error against the part of the weights left, by criterion and prediction; Table 2 as crosses."""
    chosen = [r for r in records if r["method"] == "mixture"] or records
    hidden = max(r["hidden"] for r in chosen)
    with drawing(path, 5.0) as drawn:
        panels = drawn.subplots(1, 2, sharey=True)
        for axes, prediction, title in zip(panels, ("mean", "averaged"), ("mean network", "averaged draws")):
            for criterion, (colour, line, marker) in CRITERIA.items():
                of = [r for r in chosen if (r["hidden"], r["criterion"], r["prediction"])
                      == (hidden, criterion, prediction)]
                parts = sorted({r["removed"] for r in of})
                error = [np.mean([r["test_error"] for r in of if r["removed"] == part]) for part in parts]
                axes.plot([100 * (1 - part) for part in parts], error, line, marker=marker, color=colour, linewidth=2,
                          markersize=6, label=criterion)
            axes.plot([100 * (1 - part) for part in paper.TABLE_2], list(paper.TABLE_2.values()), "x", color=ORANGE,
                      markersize=9, mew=2, label="paper")
            axes.set(xscale="log", ylim=(1, 3), xlabel="% of the weights left", title=title)
            axes.set_xticks((1, 5, 25, 100), ("1", "5", "25", "100"))
            axes.minorticks_off()
            axes.invert_xaxis()
        panels[0].set_ylabel(f"test error in %, {hidden} units")
        panels[0].legend(frameon=False, fontsize="small")
    return drawn
