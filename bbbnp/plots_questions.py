"""Figures of ``bbbnp questions``: what each setting came to, and how minibatch weights slow the KL under Adam.

Both take what `questions.run` returns and where to write a PNG, and return the figure, 7 inches wide, its text 15 pt.
"""

import numpy as np

from bbbnp.plots import BLUE, GREY, INK, ORANGE, drawing

SHORT = {  # rows of the first figure, from top to bottom
    "gaussian_uniform": "Gaussian", "gaussian_geometric": "Gaussian, geom.", "searched_uniform": "mixture",
    "searched_geometric": "mixture, geom.", "mixture_uniform": "wide mixture",
    "mixture_geometric": "wide mix., geom.", "mixture_t0.3": "wide mix., T = 0.3", "mixture_t0.1": "wide mix., T = 0.1",
    "sgd_rho-3": "SGD, ρ = −3", "sgd_rho-5": "SGD, ρ = −5"}
GROUPS = {"idle": (ORANGE, 0.2), "used": (BLUE, -0.2)}


def _by_case(result, case):
    """Runs of a case that did not diverge."""
    return [run for run in result["runs"] if run["case"] == case and "diverged" not in run]


def _scores(axes, result, keys, title):
    """A dot for every seed, and a bar at their mean; filled for the first key, hollow for the second."""
    for place, case in enumerate(SHORT):
        for key, fill, up in zip(keys, ("full", "none"), (0.15, -0.15)):
            values = [run[key] for run in _by_case(result, case)]
            up = up if len(keys) > 1 else 0
            axes.plot(values, np.full(len(values), place + up), "o", color=BLUE, markersize=6, fillstyle=fill)
            if values:
                axes.plot([np.mean(values)] * 2, [place + up - 0.2, place + up + 0.2], color=INK, linewidth=1.5)
    axes.set_title(title, fontsize="small")
    axes.tick_params(labelsize="small")
    axes.grid(axis="y", color=GREY, linewidth=0.4)
    axes.locator_params(axis="x", nbins=4)


def outcomes(result, path=None):
    """Draw validation error, NLL and the trained sigma of every setting."""
    with drawing(path, 6.2) as figure:
        error, nll, sigma = figure.subplots(1, 3, sharey=True, width_ratios=(3, 3, 4))
        _scores(error, result, ("error_mean_network", "error_averaged"), "error, %")
        _scores(nll, result, ("nll",), "NLL, nats")
        for place, case in enumerate(SHORT):
            runs = _by_case(result, case)
            for group, (colour, up) in GROUPS.items():
                found = [run["posterior"][group]["sigma"] for run in runs if group in run["posterior"]]
                if not found:
                    continue
                low, left, middle, right, high = np.mean(found, axis=0)
                y = place - up
                sigma.plot([low, high], [y, y], color=colour, linewidth=1.2)
                sigma.plot([left, right], [y, y], color=colour, linewidth=4, solid_capstyle="butt")
                sigma.plot(middle, y, "s" if group == "idle" else "o", color=colour, markersize=7, markeredgecolor=INK,
                           label=group if place == 0 else None)
            if runs:
                start = np.logaddexp(0, runs[0]["rho_init"])
                sigma.plot([start, start], [place - 0.42, place + 0.42], color=INK, linewidth=1.2, linestyle=":",
                           label="start" if place == 0 else None)
        sigma.set(xscale="log", xlim=(1e-3, 1), title=r"$\sigma$ trained")
        sigma.set_xticks((0.001, 0.01, 0.1, 1), ("0.001", "0.01", "0.1", "1"))
        sigma.minorticks_off()
        sigma.title.set_fontsize("small")
        sigma.tick_params(labelsize="small")
        sigma.grid(axis="y", color=GREY, linewidth=0.4)
        error.set_yticks(range(len(SHORT)), SHORT.values())
        error.set_ylim(len(SHORT) - 0.5, -0.5)
        figure.legend(*sigma.get_legend_handles_labels(), loc="outside lower right", ncols=3, frameon=False,
                      fontsize="small", handlelength=1.2)
        figure.text(0.01, 0.015, "error: ● mean network, ○ draws averaged", fontsize="x-small",
                    fontfamily=["STIXGeneral", "DejaVu Sans"])
    return figure


def _idle_tracks(axes, result):
    """Where rho of the idle weights of the conjugate model goes under Adam: uniform, and geometric at every M."""
    adam = [r for r in result["conjugate"] if r["optimizer"] == "adam"]
    shortest = min((r["steps"] for r in adam), default=0)
    runs = [r for r in adam if r["steps"] < 2 * shortest]
    geometric = [r for r in runs if r["minibatch_weights"] == "geometric"]
    drawn = [r for r in runs if r["minibatch_weights"] == "uniform"][:1] + geometric  # uniform ones are all alike
    lines = "-", "--", "-.", ":", "o-"
    for run, line, colour in zip(drawn, lines, (INK, ORANGE, BLUE, ORANGE, BLUE)):
        name = "uniform, any M" if run is drawn[0] and run not in geometric else f"geometric, M = {run['minibatches']}"
        axes.plot(*np.transpose(run["track"]), line, color=colour, linewidth=2.2, markersize=5, label=name)
    for place, run in enumerate(drawn):
        axes.plot(run["steps"], run["rho_idle_predicted"], "x", color=INK, markersize=9, mew=2, zorder=5,
                  clip_on=False, label="predicted end" if place == 0 else None)
    axes.set_xlabel("steps of Adam, conjugate model")
    axes.set_ylabel(r"$\rho$ of idle weights")
    axes.locator_params(axis="x", nbins=4)


def _effective(axes, result):
    """Part of the used weights whose effective KL weight is below x, and where theory puts a KL that is alone."""
    for parameter, colour in (("mu", GREY), ("rho", BLUE)):
        for case, state, line in (("gaussian_uniform", "start", "--"), ("gaussian_geometric", "end", "-")):
            for record in result["forces"]:
                if (record["case"], record["state"], record["parameter"], record["group"]) == (
                        case, state, parameter, "used"):
                    axes.plot(record["effective"], np.linspace(0, 1, len(record["effective"])), line, color=colour,
                              linewidth=2.4, label=f"$\\{parameter}$, {'start' if state == 'start' else 'trained'}")
    for record in result["forces"][:1]:  # M is the same for all
        axes.axvline(record["predicted_alone"], color=ORANGE, linewidth=2, linestyle=":",
                     label="KL alone,\n" + r"$\sqrt{3/M}$")
    axes.set(xscale="log", xlim=(0.05, 1.2), xlabel="effective KL weight of geometric weights",
             ylabel="part of used weights")
    ticks = (0.05, 0.1, 0.2, 0.5, 1)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def mechanism(result, path=None):
    """Draw the idle weights of the conjugate model over the steps, and the effective KL weights of MNIST networks."""
    with drawing(path, 6.6) as figure:
        for axes, draw in zip(figure.subplots(2, 1), (_idle_tracks, _effective)):
            draw(axes, result)
            if axes.get_legend_handles_labels()[0]:
                axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5),
                            handlelength=1.8)
    return figure


def temperatures(recipes, path=None):
    """Draw pairs of a loss and the temperature that it targets on one axis, 1 marked, the coldest on top.

    What is cold is too sure (hollow), what is hot is nearer to the prior than the data ask for (filled); squares hit 1.
    """
    recipes = sorted(recipes, key=lambda recipe: -recipe[1])
    with drawing(path, 5.6, size=13) as figure:
        axes = figure.subplots()
        axes.axvline(1, color=INK, linewidth=1)
        for place, (_, value) in enumerate(recipes):
            right = abs(value - 1) < 1e-9
            axes.plot([1, value], [place, place], color=GREY, linewidth=1.2, zorder=1)
            axes.plot(value, place, "s" if right else "o", color=INK if right else BLUE if value < 1 else ORANGE,
                      fillstyle="none" if value < 1 - 1e-9 else "full", markersize=7, markeredgewidth=1.5)
        axes.set_yticks(range(len(recipes)), [loss for loss, _ in recipes])
        axes.set(xscale="log", xlabel="temperature of the target")
        for text, side in (("colder: too sure ", "right"), (" hotter: nearer to the prior", "left")):
            axes.annotate(text, (1, 1.01), xycoords=("data", "axes fraction"), ha=side, fontsize="small")
        axes.grid(axis="x", color=GREY, linewidth=0.4)
    return figure
