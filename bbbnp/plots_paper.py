"""Figures 2, 3 and 4 of the paper and its Table 2 as a figure, the paper's own numbers drawn behind ours.

Every function takes what a command wrote and where to write a PNG, and returns the figure, 7 inches wide.
"""

from itertools import cycle
import textwrap

import numpy as np

from bbbnp import paper
from bbbnp.plots import BLUE, GREY, INK, ORANGE, drawing
from bbbnp.plots_mnist import LINES, shown


def learning_curves(records, path=None):
    """Draw test error against epochs, mean of the seeds, and the paper's digitised curves as open markers (Figure 2).

    `records` are those of Table 1, of which runs of one width and length are drawn, those that most methods have.
    """
    found = shown(records, ("hidden", "epochs"))
    hidden = next(iter(found.values()))[0]["hidden"]
    with drawing(path, 4.8) as drawn:
        axes = drawn.subplots()
        for method, (name, line, colour, marker) in LINES.items():
            runs = [record["curve"] for record in found.get(method, [])]
            if runs:
                epochs = [look["epoch"] for look in runs[0]]
                error = np.mean([[look["error_mean_network"] for look in run] for run in runs], axis=0)
                axes.plot(epochs, error, line, color=colour, linewidth=2, label=name)
            if method in paper.FIGURE_2:
                axes.plot(paper.EPOCHS[:len(paper.FIGURE_2[method])], paper.FIGURE_2[method], marker,
                          color=colour, fillstyle="none", markersize=8, mew=1.5, label=f"{name}, paper, 1200")
        axes.set(xscale="log", ylim=(0.8, 2.6), xlabel="epochs", ylabel=f"test error in %, {hidden} units")
        axes.set_xticks((1, 10, 100, 600), ("1", "10", "100", "600"))
        drawn.legend(loc="outside upper center", ncols=2, frameon=False, fontsize="small", handlelength=1.6)
    return drawn


def _first(weights):
    """One record a method, of the width that most methods have."""
    return {method: records[0] for method, records in shown(weights).items()}


def weight_histogram(weights, path=None):
    """Draw the density of the trained weights, of Bayes by Backprop one draw; the paper's peaks as markers (Figure 3).

    `weights` are records with `edges` and counts; one is drawn for each method, of the width that most have.
    """
    with drawing(path, 4.6) as drawn:
        axes = drawn.subplots()
        for method, record in _first(weights).items():
            name, line, colour, marker = LINES[method]
            edges, counts = np.array(record["edges"]), np.array(record["w"])
            density = counts / record["size"] / np.diff(edges)
            axes.plot((edges[1:] + edges[:-1]) / 2, density, line, color=colour, linewidth=2,
                      label=f"{name}, {record['epochs']} epochs: deviation {record['deviation_w']:.3f}")
            if method in paper.FIGURE_3:
                deviation, peak = paper.FIGURE_3[method]
                axes.plot(0, peak, marker, color=colour, fillstyle="none", markersize=9, mew=1.5,
                          label=f"paper, 1200 units: {deviation:.3f}, peak")
        axes.set(xlim=(-0.2, 0.2), yscale="log", ylim=(0.1, None), xlabel="weight", ylabel="density")
        drawn.legend(loc="outside upper center", ncols=2, frameon=False, fontsize="small", handlelength=1.6)
    return drawn


def signal_to_noise(weights, path=None):
    """Draw density and distribution function of log10 |mu|/sigma, the paper's quantiles as markers (Figure 4).

    Each network has a line style of its own, the widest lines are the widest networks.
    """
    with drawing(path, 7.2) as drawn:
        density, below = drawn.subplots(2, 1, sharex=True)
        for record, line in zip((r for r in weights if "ratio" in r), cycle(("-", "--", "-.", ":", (0, (6, 1, 1, 1))))):
            edges, counts = np.array(record["ratio_edges"]), np.array(record["ratio"])
            colour = INK if record["minibatch_weights"] == "uniform" else LINES[record["method"]][2]
            style = {"color": colour, "linestyle": line, "linewidth": 1 + record["hidden"] / 600}
            density.plot((edges[1:] + edges[:-1]) / 2, counts / record["size"] / np.diff(edges), **style,
                         label=record["network"])
            below.plot(edges[1:], np.cumsum(counts) / record["size"], **style)
        below.plot(list(paper.FIGURE_4.values()), list(paper.FIGURE_4), "o", color=INK, fillstyle="none", markersize=8,
                   mew=1.5, label="paper, mixture, 1200 units")
        below.axhline(0.75, color=GREY, linewidth=1)
        density.set(ylabel="density")
        below.set(xlabel=r"$\log_{10}\ |\mu|/\sigma$", ylabel="part of the weights", xlim=(-5, 1.5))
        below.legend(frameon=False, fontsize="small")
        drawn.legend(*density.get_legend_handles_labels(), loc="outside upper center", frameon=False, fontsize="small",
                     handlelength=3)
    return drawn


CRITERIA = {  # the first wide, so that it is seen under the second, which often coincides with it
    "snr": (r"$|\mu|/\sigma$", BLUE, "-", "o", 5, 10), "magnitude": (r"$|\mu|$", INK, "--", "s", 2, 5),
    "random": ("random", GREY, ":", "^", 2, 6)}


def pruning(records, path=None):
    """Draw test error of averaged draws against the part of the weights left, by criterion.

    A panel for each network that saw all training images; crosses are Table 2, in those of its width.
    """
    chosen = [r for r in records if r["prediction"] == "averaged" and "test_error" in r]
    networks = list(dict.fromkeys(r["network"] for r in chosen))
    rows = max(1, -(-len(networks) // 2))
    with drawing(path, 1 + 2.8 * rows, 16) as drawn:
        grid = drawn.subplots(rows, min(max(len(networks), 1), 2), sharex=True, sharey=True, squeeze=False)
        panels = grid.ravel()
        for axes, network in zip(panels, networks):
            for criterion, (name, colour, line, marker, width, size) in CRITERIA.items():
                of = [r for r in chosen if (r["network"], r["criterion"]) == (network, criterion)]
                parts = sorted({r["removed"] for r in of})
                error = [np.mean([r["test_error"] for r in of if r["removed"] == part]) for part in parts]
                axes.plot([100 * (1 - part) for part in parts], error, line, marker=marker, color=colour,
                          linewidth=width, markersize=size, label=name)
            if of[0]["hidden"] == paper.TABLE_2_UNITS:
                axes.plot([100 * (1 - part) for part in paper.TABLE_2], list(paper.TABLE_2.values()), "x",
                          color=ORANGE, markersize=8, mew=2, label="paper")
            axes.set(xscale="log", yscale="log", ylim=(1, 10))
            axes.set_title(textwrap.fill(network.replace(" epochs", "\u00a0epochs"), 30), fontsize="small")
            axes.set_xticks((1, 5, 25, 100), ("1", "5", "25", "100"))
            axes.set_yticks((1, 2, 5, 10), ("1", "2", "5", "10"))
            axes.minorticks_off()
        panels[0].invert_xaxis()
        drawn.supxlabel("% of the weights left", fontsize="medium")
        drawn.supylabel("test error in %, averaged draws", fontsize="medium")
        for axes in panels[max(len(networks), 1):]:
            axes.set_visible(False)
        handles = max((axes.get_legend_handles_labels() for axes in panels), key=lambda both: len(both[0]))
        drawn.legend(*handles, loc="outside upper center", ncols=4, frameon=False, fontsize="small", handlelength=1.8)
    return drawn
