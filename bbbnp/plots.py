"""Figures, drawn with matplotlib's objects: no display, no pyplot, and settings are left as they were."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib import get_data_path, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.patches import Circle, Rectangle

# from dark to light, in steps that remain when printed in grey
INK, BLUE, ORANGE, GREY, PALE = "#1a1a1a", "#1f4e8c", "#c9651c", "#a8a8a8", "#bcd6f0"
STYLE = {
    "font.family": "STIXGeneral", "font.size": 10, "mathtext.fontset": "stix", "text.usetex": False, "text.color": INK,
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white", "savefig.bbox": None,
    "hatch.linewidth": 0.6}
for shipped in Path(get_data_path(), "fonts", "ttf").glob("STIX*.ttf"):
    fontManager.addfont(shipped)  # they come with matplotlib, but its list of fonts in the user's cache may lack them
CENTRED = {"ha": "center", "va": "center_baseline", "zorder": 6}

# the network of `network_comparison`, in inches from the left end and the middle of its panel
INPUTS, HIDDEN, OUTPUT = ((0.27, 0.95), (0.27, -0.95)), ((1.9, 1.45), (1.9, 0), (1.9, -1.45)), ((3.2, 0),)
EDGES = np.array([(a, b) for layers in ((INPUTS, HIDDEN), (HIDDEN, OUTPUT)) for a in layers[0] for b in layers[1]])
ALONG = np.array((0.39, 0.385, 0.78, 0.78, 0.385, 0.39, 0.5, 0.5, 0.5))[:, None]  # no box on another connection
CENTRES, BOX = EDGES[:, 0] + ALONG * (EDGES[:, 1] - EDGES[:, 0]), np.array((0.5, 0.31))
ZOOMED, ZOOM, ZOOM_BOX = 5, np.array((0.76, -2.53)), np.array((1.4, 1.2))  # one connection, drawn large below


@contextmanager
def drawing(path, height, size=15, **options):
    """A figure 7 inches wide to draw on; at the end it is written to `path`, if that is given, as a PNG at 200 dpi that
    does not name matplotlib's version."""
    with rc_context({**STYLE, "font.size": size}):
        figure = Figure(figsize=(7, height), **options or {"layout": "constrained"})
        FigureCanvasAgg(figure)
        yield figure
        if path is not None:
            figure.savefig(path, format="png", dpi=200, metadata={"Software": None})


def _bell(axes, left, base, width, unit, mu, sigma):
    """Density of N(mu, sigma^2) on its baseline from -1 to 1; a density of 1 is `unit` high."""
    w = np.linspace(-1, 1, 401)
    x = left + (w + 1) * width / 2
    y = base + unit * np.exp(-(((w - mu) / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi))
    axes.fill_between(x, base, y, color=PALE, linewidth=0, zorder=4)
    axes.plot(x, y, color=BLUE, linewidth=1.4, zorder=5)
    axes.plot((left, left + width), (base, base), color=INK, linewidth=0.9, zorder=6)


def _network(axes, origin):
    """Circles, connections, a white box on each connection, and a larger one below for the connection ZOOMED."""
    for a, b in EDGES + origin:
        axes.plot(*np.transpose((a, b)), color=GREY, linewidth=1.3, zorder=1)
    for side in (-0.5, 0.5):
        ends = CENTRES[ZOOMED] + BOX * (side, -0.5) + origin, ZOOM + ZOOM_BOX * (side, 0.5) + origin
        axes.plot(*np.transpose(ends), color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    for centre, size in [(c, BOX) for c in CENTRES] + [(ZOOM, ZOOM_BOX)]:
        axes.add_patch(Rectangle(centre - size / 2 + origin, *size, fc="white", ec=GREY, linewidth=0.8, zorder=3))
    for place, name in zip(INPUTS + HIDDEN + OUTPUT, ("x_1", "x_2", "h_1", "h_2", "h_3", "y")):
        axes.add_patch(Circle(place + origin, 0.21, fc="white", ec=INK, linewidth=1.4, zorder=3))
        axes.text(*place + origin, f"${name}$", **CENTRED)


def _numbers(axes, origin, mu):
    """A number in each box; in the large one a spike at the number."""
    for centre, value in zip(CENTRES + origin, mu):
        axes.text(*centre, f"${value:.1f}$", **CENTRED)
    x, base = ZOOM + origin + (mu[ZOOMED] * 0.65, -0.22)
    axes.plot((x, x), (base, base + 0.75), color=BLUE, linewidth=2.4, zorder=5)
    axes.plot(ZOOM[0] + origin[0] + np.array((-0.65, 0.65)), (base, base), color=INK, linewidth=0.9, zorder=6)
    axes.text(x, base - 0.19, f"${mu[ZOOMED]:.1f}$", **CENTRED)
    axes.text(*ZOOM + origin + (0.82, 0), f"$w = {mu[ZOOMED]:.1f}$", va="center_baseline")


def _bells(axes, origin, mu, sigma):
    """A bell in each box; in the large one mu and sigma are marked, and the height is fitted."""
    for (left, base), m, s in zip(CENTRES + origin - BOX / 2 + 0.03, mu, sigma):
        _bell(axes, left, base, BOX[0] - 0.06, (BOX[1] - 0.06) / 2.5, m, s)
    m, s = mu[ZOOMED], sigma[ZOOMED]
    x, base = ZOOM + origin + (m * 0.65, -0.22)
    side, waist = x + s * 0.65, base + 0.75 * np.exp(-0.5)
    _bell(axes, ZOOM[0] + origin[0] - 0.65, base, 1.3, 0.75 * s * np.sqrt(2 * np.pi), m, s)
    axes.plot((x, x), (base, base + 0.75), color=INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=6)
    axes.annotate("", (x, waist), (side, waist), zorder=7, arrowprops={
        "arrowstyle": "<->", "color": INK, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7})
    axes.text(x, base - 0.17, r"$\mu$", **CENTRED)
    axes.text(side + 0.06, waist, r"$\sigma$", va="center_baseline", zorder=6)
    axes.text(*ZOOM + origin + (0.82, 0.2), r"$w \sim \mathcal{N}(\mu, \sigma^2)$", va="center_baseline")
    axes.text(*ZOOM + origin + (0.82, -0.2), r"$\sigma = \log(1 + \exp(\rho))$", va="center_baseline")


def network_comparison(path=None, seed=68):
    """Draw a network of numbers beside a network of distributions (Blundell et al. 2015, Figure 1).

    The weights are illustrative, drawn and not learnt: mu are distinct tenths from -0.5 to 0.5, sigma are uniform on
    [0.16, 0.32]. The numbers on the left are the mu on the right; each bell stands over the weights from -1 to 1.

    Parameters
    ----------
    path : str or path-like, optional
        Where to write a PNG; its folder must exist.
    seed : int
        Seed of the illustrative weights.

    Returns
    -------
    matplotlib.figure.Figure
        7 inches wide; its text is 16.5 pt, which is 8 pt in a column of 3.4 inches.
    """
    generator = np.random.default_rng(seed)
    mu = generator.permutation(np.delete(np.arange(-5, 6), 5))[:len(EDGES)] / 10
    sigma = generator.uniform(0.16, 0.32, len(EDGES))
    left, right = np.array((0, 3.27)), np.array((3.53, 3.27))
    with drawing(path, 5.7, 16.5, layout="none") as figure:
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 7), ylim=(0, 5.7))
        axes.set_axis_off()
        for origin, title in (left, "An ordinary network:\none number a weight"), (
                right, "A Bayesian neural network:\none distribution a weight"):
            axes.text(*origin + (1.735, 2.1), title, ha="center", va="center", linespacing=1.1)
            _network(axes, origin)
        _numbers(axes, left, mu)
        _bells(axes, right, mu, sigma)
    return figure


def _bands(axes, x, distribution, title):
    """Median, interquartile range and 95 % interval, dark to light."""
    axes.fill_between(x, *distribution.interval(0.95), color=PALE, linewidth=0, label="95 %")
    axes.fill_between(x, *distribution.interval(0.5), color="#7fa8d9", linewidth=0, label="50 %")
    axes.plot(x, distribution.quantile(0.5), color=BLUE, linewidth=2, label="median")
    axes.set_title(title, fontsize="medium")


def regression(x_train, y_train, x, bayes, ordinary, path=None):
    """Draw the regression of Figure 5 (Blundell et al. 2015): both networks' bands, and the two kinds of doubt.

    Parameters
    ----------
    x_train, y_train : ndarray, shape (N,)
    x : ndarray, shape (G,)
        Increasing.
    bayes, ordinary : RegressionDistribution
        Predictions at `x`.
    path : str or path-like, optional
        Where to write a PNG; its folder must exist.

    Returns
    -------
    matplotlib.figure.Figure
        7 inches wide, its text 15 pt.
    """
    with drawing(path, 5.6) as figure:
        panels = figure.subplot_mosaic([["bayes", "ordinary"], ["doubt", "doubt"]], height_ratios=(3, 2))
        for name, distribution, title in (
                ("bayes", bayes, "Bayes by Backprop"), ("ordinary", ordinary, "Ordinary network")):
            _bands(panels[name], x, distribution, title)
            panels[name].plot(x_train, y_train, ".", color=INK, markersize=1.5, alpha=0.6, zorder=3)
            panels[name].set(xlim=(x[0], x[-1]), ylim=(-1.2, 2.8), xlabel="$x$")
            panels[name].locator_params(axis="x", nbins=4)  # more would touch each other
        panels["bayes"].set_ylabel("$y$")
        panels["ordinary"].legend(loc="lower right", frameon=False, fontsize="small", handlelength=1.2, borderpad=0)
        doubt = panels["doubt"]
        doubt.plot(x, np.sqrt(bayes.epistemic), color=BLUE, linewidth=2, label="epistemic: doubt about the weights")
        doubt.plot(x, np.sqrt(bayes.aleatoric), color=ORANGE, linewidth=2, linestyle="--",
                   label="aleatoric: noise of the data")
        doubt.axvspan(x_train.min(), x_train.max(), color="#e8e8e8", linewidth=0, zorder=0)
        doubt.text(x_train.mean(), 0.86, "training data", ha="center", fontsize="small",
                   transform=doubt.get_xaxis_transform())
        doubt.set(xlim=(x[0], x[-1]), ylim=(0, None), xlabel="$x$", ylabel="deviation")
        doubt.legend(loc="center left", bbox_to_anchor=(0.12, 0.62), frameon=False, fontsize="small", handlelength=1.8)
    return figure


def bench(result, path=None):
    """Draw what a training step costs: its parts, the products alone and the peers; and its cost against H.

    Parameters
    ----------
    result : dict
        What ``bbbnp bench --json`` writes.
    path : str or path-like, optional
        Where to write a PNG; its folder must exist.

    Returns
    -------
    matplotlib.figure.Figure
        7 inches wide, its text 15 pt.
    """
    floors = {r["hidden"]: r["floor_ns_per_weight"] for r in sorted(result["steps"], key=lambda r: r["threads"])}
    ours = [r for r in result["widths"] if r["hidden"] in floors]
    peers = [r for r in result["peers"] if r["prior"] == "mixture" and "hidden" in r]
    with drawing(path, 6.4) as figure:
        bars, line = figure.subplots(2, 1, height_ratios=(3, 2))
        rows = sorted([(r["hidden"], 0, "this package", r) for r in ours]
                      + [(r["hidden"], 1 + (r["peer"] == "torch"), {"torch": "PyTorch", "jax": "JAX"}[r["peer"]], r)
                         for r in peers], key=lambda row: row[:2], reverse=True)
        for place, (hidden, kind, _, r) in enumerate(rows):
            if kind > 0:
                bars.barh(place, r["ns_per_weight"], color="white", edgecolor=INK, hatch="///", height=0.7)
                continue
            left = 0
            for part, colour in (("sampling", INK), ("products", BLUE), ("update", PALE)):
                label = {"update": "gradient and update"}.get(part, part) if r is ours[0] else None
                bars.barh(place, r[part], left=left, color=colour, edgecolor=INK, height=0.7, label=label)
                left += r[part]
            bars.plot([floors[hidden]] * 2, [place - 0.45, place + 0.45], color=ORANGE, linewidth=3,
                      label="products alone" if r is ours[0] else None)
        bars.set(yticks=range(len(rows)), yticklabels=[f"{name}, H = {hidden}" for hidden, _, name, _ in rows],
                 xlabel="ns a weight and step")
        figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize="small", handlelength=1.2)
        widths = [r["hidden"] for r in result["widths"]]
        line.plot(widths, [r["ns_per_weight"] for r in result["widths"]], "o-", color=BLUE, label="step")
        line.plot(list(floors), list(floors.values()), "s--", color=ORANGE, label="products alone")
        line.set(xscale="log", xlabel="hidden units a layer, $H$", ylabel="ns a weight",
                 ylim=(0, 1.1 * max(r["ns_per_weight"] for r in result["widths"])))
        line.set_xticks(widths, [str(width) for width in widths])
        line.minorticks_off()
        line.legend(frameon=False, fontsize="small", ncols=2)
    return figure


MARKS = {  # line, colour and marker of each estimator: told apart in grey
    "weights": ("-", INK, "o"), "antithetic": ("-", ORANGE, "v"), "closed KL": (":", GREY, "s"),
    "path": (":", INK, "x"), "local, closed KL": ("--", BLUE, "D"),
    "flipout, closed KL": ("-.", ORANGE, "^")}


def estimators(result, path=None):
    """Draw the variance of the gradient in rho against the batch (untrained), and variance times time.

    Parameters
    ----------
    result : dict
        What ``bbbnp variance`` writes.
    path : str or path-like, optional
        Where to write a PNG; its folder must exist.

    Returns
    -------
    matplotlib.figure.Figure
        7 inches wide, its text 15 pt.
    """
    names = {"weights": "weights", "local": "local, closed KL", "flipout": "flipout, closed KL"}
    with drawing(path, 7.6) as figure:
        against, product = figure.subplots(2, 1)
        for name, style in names.items():
            rows = [r for r in result["variance"]
                    if (r["state"], r["part"], r["estimator"]) == ("untrained", "data", name)]
            line, colour, marker = MARKS[style]
            batches = [r["batch"] for r in rows]
            against.plot(batches, [r["variance_rho"] for r in rows], marker, color=colour, markersize=8, label=name)
            against.plot(batches, [r["predicted_rho"] for r in rows], line, color=colour, linewidth=1.5)
        against.set(xscale="log", yscale="log", xlabel="batch $B$ (points measured, lines predicted)",
                    ylabel=r"variance in $\rho$")
        against.set_xticks(batches, [str(b) for b in batches])
        against.minorticks_off()
        against.legend(frameon=False, fontsize="small")
        for place, (parameter, state) in enumerate((p, s) for p in ("mu", "rho") for s in ("untrained", "trained")):
            rows = {r["estimator"]: r for r in result["variance"]
                    if (r["state"], r["part"]) == (state, "all") and r["draws"] == 1 + (r["estimator"] == "antithetic")}
            base = rows["weights"][f"variance_{parameter}"] * result["step_s"]["weights"]
            for name, (_, colour, marker) in MARKS.items():
                value = rows[name][f"variance_{parameter}"] * result["step_s"][name] / base
                product.plot(place, value, marker, color=colour, markersize=9, mew=2, fillstyle="none",
                             label=name if place == 0 else None)
        product.set(yscale="log", xlim=(-0.5, 5.6), ylabel="variance × time of a step,\nshared weights = 1")
        product.set_xticks(range(4), [f"$\\{p}$\n{s}" for p in ("mu", "rho") for s in ("untrained", "trained")])
        product.legend(frameon=False, fontsize="x-small", loc="center right", handlelength=0.8)
    return figure


def races(result, path=None):
    """Draw free energy above the best that any reached from that seed against seconds of training, mean of the seeds.

    `result` is what ``bbbnp variance`` writes, `path` where to write a PNG; returned is the figure, 7 inches wide.
    """
    with drawing(path, 6.6) as figure:
        for axes, data in zip(figure.subplots(2, 1), ("digits", "regression")):
            runs = [r for r in result["races"] if r["data"] == data]
            best = {seed: min(v for r in runs if r["seed"] == seed for _, v in r["track"]) for seed in
                    {r["seed"] for r in runs}}
            seconds = np.geomspace(0.02, min(r["track"][-1][0] for r in runs), 60)
            for name, (line, colour, _) in MARKS.items():
                curves = [np.interp(seconds, *np.transpose(r["track"])) - best[r["seed"]] + 1
                          for r in runs if r["estimator"] == name]
                axes.plot(seconds, np.mean(curves, axis=0), line, color=colour, linewidth=2, label=name)
            axes.set(xscale="log", yscale="log", title=data, ylabel="free energy, nats\nabove the best, + 1")
            axes.minorticks_off()
            ticks = [t for t in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4) if t <= seconds[-1]]
            axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.set_xlabel("seconds of training on one core")
        axes.legend(frameon=False, fontsize="x-small", ncols=2)
    return figure
