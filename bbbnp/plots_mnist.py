"""Figures of networks trained on MNIST, in the manner of `bbbnp.plots`: how much to believe them.

All take what `bbbnp.experiments.uncertainty.run` returns, of which runs of one method and width are averaged, and where
to write a PNG; they return the figure, 7 inches wide, its text 15 pt.
"""

import numpy as np
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bbbnp.plots import BLUE, GREY, INK, ORANGE, drawing

LINES = {  # name, line, colour and marker of each method: told apart in grey
    "sgd": ("ordinary", ":", INK, "s"), "dropout": ("dropout", "-", GREY, "^"),
    "gaussian": ("Gaussian", "--", ORANGE, "D"), "mixture": ("mixture", "-", BLUE, "o")}
BOXES = {  # face and hatch of the same
    "sgd": ("white", ""), "dropout": (GREY, "///"), "gaussian": ("#f2d5bd", "..."), "mixture": (BLUE, "")}
DATA = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "notmnist": "notMNIST"}
SCORES = {"entropy": "$H$", "mutual_information": "$I$"}
LEAST = 1e-4  # nats: what is less is drawn there, on a logarithmic axis
FEW = 20  # a bin with fewer images has an accuracy of no meaning


def shown(records, same=("hidden",)):
    """Records by method, of what is the `same` that most methods have, of two such the larger: only these compare."""
    methods = {}
    for record in records:
        alike = tuple(record[name] for name in same)
        methods.setdefault(alike, {}).setdefault(record["method"], []).append(record)
    most = methods[max(methods, key=lambda alike: (len(methods[alike]), alike))]
    return {method: most[method] for method in LINES if method in most}


def _mean(records, value):
    """Mean over the runs of a method, as an array."""
    return np.mean([value(record) for record in records], axis=0)


def _face(method):
    """Colour inside a method's marker."""
    return "white" if method in ("sgd", "gaussian") else LINES[method][2]


def _line(axes, method, x, y, **options):
    """The line of a method."""
    _, style, colour, marker = LINES[method]
    axes.plot(x, y, **{"linestyle": style, "color": colour, "marker": marker, "mfc": _face(method), "mew": 1.5,
                       "markersize": 6, "linewidth": 2, "clip_on": False, "zorder": 3, **options})


def _with_doubt(groups):
    """The methods that have mutual information: that of a point network is zero by construction, and not drawn."""
    return {method: records for method, records in groups.items() if records[0]["draws"] > 0}


def _legend(figure, groups, *, boxes=False):
    """Names of the methods above all panels, each with its marker, on its line or beside its box."""
    handles = []
    for method in groups:
        _, style, colour, marker = LINES[method]
        mark = Line2D([], [], color=colour, marker=marker, mfc=_face(method), mew=1.5, markersize=9 if boxes else 6,
                      linestyle="none" if boxes else style, linewidth=2)
        box = [Patch(facecolor=BOXES[method][0], hatch=BOXES[method][1], edgecolor=INK)] if boxes else []
        handles.append((*box, mark))
    names, side_by_side = [LINES[method][0] for method in groups], {tuple: HandlerTuple(ndivide=None)}
    figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False, fontsize="small",
                  handlelength=2.2, columnspacing=1.2, handler_map=side_by_side)


def pooled(records):
    """Confidence and accuracy of all runs' images together, in bins that hold at least FEW of them."""
    bins = [record["reliability"] for record in records]
    count = np.array([b["count"] for b in bins])
    confidence, accuracy = ((count * np.array([b[name] for b in bins], float)).astype(float)
                            for name in ("confidence", "accuracy"))
    used = count.sum(axis=0) >= FEW * len(records)
    return tuple(np.nansum(part, axis=0)[used] / count.sum(axis=0)[used] for part in (confidence, accuracy))


def reliability(result, path=None):
    """Draw accuracy against confidence, and that of what is kept when the most uncertain images are rejected."""
    groups = shown(result["records"])
    with drawing(path, 4.3) as figure:
        calibration, kept = figure.subplots(1, 2)
        calibration.plot((0, 1), (0, 1), color=GREY, linewidth=1, zorder=0)
        for method, records in groups.items():
            _line(calibration, method, *pooled(records))
            rejected = records[0]["rejection"]["rejected"]
            _line(kept, method, range(len(rejected)), 100 - _mean(records, lambda r: r["rejection"]["error"]))
        calibration.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy", xticks=(0, 0.5, 1),
                        yticks=(0, 0.5, 1))
        kept.set(xlabel="rejected, %", ylabel="accuracy of the rest, %")
        kept.set_xticks(range(len(rejected)), map(str, rejected))
        _legend(figure, groups)
    return figure


def _boxes(axes, groups, kind, sets):
    """Boxes of the quartiles, whiskers from 5 to 95 %, white medians, for each data set and method."""
    height = 0.84 / max(len(groups), 1)
    for at, name in enumerate(sets):
        for order, (method, records) in enumerate(groups.items()):
            y = at + (order + 0.5) * height - 0.42
            quantiles = np.maximum(_mean(records, lambda r: r[kind][name]["quantiles"]), LEAST)
            low, first, median, third, high = quantiles
            face, hatch = BOXES[method]
            axes.plot((low, high), (y, y), color=INK, linewidth=1.2, zorder=1)
            axes.barh(y, third - first, height * 0.86, left=first, color=face, hatch=hatch, edgecolor=INK,
                      linewidth=0.8)
            axes.plot(median, y, "o", color="white", markersize=7, mec=INK, mew=1.5, zorder=3)
    axes.set_yticks(range(len(sets)), [DATA[name] for name in sets])
    axes.set(xscale="log", ylim=(len(sets) - 0.45, -0.55), xlim=(LEAST, 3))
    axes.minorticks_off()


def doubt(result, path=None):
    """Draw quantiles of entropy and mutual information on each data set, and how well they tell it from MNIST.

    Quantiles (5, 25, 50, 75 and 95 % of the images) are on a logarithmic axis; below LEAST they are drawn at its end.
    """
    groups = shown(result["records"])
    sets = [name for name in DATA if name in result["records"][0]["entropy"]]
    rows = [(name, kind) for name in sets[1:] for kind in SCORES]
    heights = [0.5 * len(sets), 0.5 * len(sets), *([0.38 * len(rows)] if rows else [])]
    with drawing(path, 2 + 1.7 * sum(heights)) as figure:
        panels = figure.subplots(len(heights), 1, height_ratios=heights)
        _boxes(panels[0], groups, "entropy", sets)
        panels[0].set_xlabel("predictive entropy $H$, nats")
        _boxes(panels[1], _with_doubt(groups), "mutual_information", sets)
        panels[1].set_xlabel("mutual information $I$ of label and weights, nats")
        for place, (name, kind) in enumerate(rows):
            for method, records in (groups if kind == "entropy" else _with_doubt(groups)).items():
                apart = 0.22 * (list(groups).index(method) - (len(groups) - 1) / 2)  # values can be close
                area = _mean(records, lambda r: r["auroc"][name][kind])
                _line(panels[2], method, area, place + apart, markersize=7)
        if rows:
            panels[2].set_yticks(range(len(rows)), [f"{DATA[name]}, {SCORES[kind]}" for name, kind in rows])
            panels[2].set(ylim=(len(rows) - 0.5, -0.5), xlabel="AUROC")
            panels[2].locator_params(axis="x", nbins=6)
            for place in range(1, len(rows)):
                panels[2].axhline(place - 0.5, color=GREY, linewidth=0.8)
        _legend(figure, groups, boxes=True)
    return figure


def turned(result, path=None):
    """Draw a digit as it is turned: pictures above; probability of its class, entropy, mutual information below.

    Mutual information is on a logarithmic axis; below LEAST it is drawn at its end.
    """
    digit, angles, groups = result["digit"], result["angles"], shown(result["records"])
    with drawing(path, 7.4) as figure:
        panels = figure.subplots(4, 1, sharex=True, height_ratios=(1.15, 2, 2, 2))
        panels[0].set_axis_off()
        for angle, picture in zip(digit["angles"], digit["pictures"]):
            pixels = np.frombuffer(bytes.fromhex(picture), np.uint8)
            inset = panels[0].inset_axes((angle - 13, 0, 26, 1), transform=panels[0].get_xaxis_transform())
            inset.imshow(pixels.reshape(2 * (round(pixels.size**0.5),)), cmap="gray_r")
            inset.set(xticks=(), yticks=())
        for method, records in groups.items():
            _line(panels[1], method, angles, _mean(records, lambda r: r["turned"]["p_true"]))
            _line(panels[2], method, angles, _mean(records, lambda r: r["turned"]["entropy"]))
        for method, records in _with_doubt(groups).items():
            mutual = _mean(records, lambda r: r["turned"]["mutual_information"])
            _line(panels[3], method, angles, np.maximum(mutual, LEAST))
        for axes, label in zip(panels[1:], (f"probability\nof a {digit['label']}", "entropy,\nnats",
                                            "mutual infor-\nmation, nats")):
            axes.set_ylabel(label, linespacing=0.9)
        panels[1].set(ylim=(0, 1), yticks=(0, 0.5, 1))
        panels[2].set_ylim(0, None)
        panels[3].set(yscale="log", ylim=(LEAST, 2), xlabel="turned anticlockwise, degrees", xlim=(-14, 194))
        panels[3].minorticks_off()
        panels[3].set_xticks(digit["angles"])
        figure.align_ylabels(panels[1:])
        _legend(figure, groups)
    return figure
