"""How much to believe a network that was trained on MNIST: its calibration, and its doubt where it should doubt.

For each run folder of `mnist.run`, of the averaged prediction (an ordinary network is a point and has one prediction):
scores and calibration on the test images; errors that remain when the most uncertain images are rejected; predictive
entropy and its part due to the weights, the mutual information of label and weights, on the test images and on images
of no digit; how well either tells the two apart; and one digit turned upside down in steps.

Every image of Fashion-MNIST and notMNIST counts as out of distribution, whatever it looks like: an I is much like a 1.
"""

import itertools
import math
from pathlib import Path
import time

import numpy as np
from tqdm import tqdm

from bbbnp import _check, data, metrics
from bbbnp.experiments import mnist, results

INSIDE = "mnist"
OUTSIDE = {"fashion-mnist": data.load_fashion_mnist, "notmnist": data.load_notmnist}
REJECTED = (0, 1, 2, 5, 10, 20, 50)  # percent
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
ANGLES, SHOWN = tuple(range(0, 181, 10)), tuple(range(0, 181, 30))  # degrees; pictures are kept of those shown
SURE = 0.9  # a wrong class with this probability is a bold mistake
ROWS_AT_ONCE = 10_000  # bounds the memory; all test images at once, so that dropout draws what `mnist.scores` drew
BASELINES, BAYESIAN = ("sgd", "dropout"), ("gaussian", "mixture")
POINT_NOTE = ("An ordinary network (SGD in the paper) is a point: its mutual information is zero by construction, and "
              "tells nothing apart.")


def doubts(model, images, draws):
    """Predictive probabilities (N, C), entropy (N,) and mutual information (N,), in nats, of images (N, H, W)."""
    draws = 0 if model.posterior == "point" else draws
    parts = []
    for start in range(0, len(images), ROWS_AT_ONCE):
        found = model.predict_distribution(mnist.pixels(images[start:start + ROWS_AT_ONCE]), draws=draws)
        parts.append((found.mean, found.aleatoric + found.epistemic, found.epistemic))
    return tuple(np.concatenate(part) for part in zip(*parts))


def rejection(p, labels, doubt):
    """Percentage of errors among the examples that are kept when REJECTED percent, the most doubtful, are not.

    Parameters
    ----------
    p : ndarray, shape (N, C)
    labels : ndarray of int, shape (N,)
    doubt : ndarray, shape (N,)
        Of two that are equal, the later one is rejected first.

    Returns
    -------
    list of float, one for each of REJECTED
    """
    order = np.argsort(doubt, kind="stable")
    kept = [order[:len(order) - round(len(order) * percent / 100)] for percent in REJECTED]
    return [metrics.error_rate(p[rows], labels[rows]) for rows in kept]


def spread(doubt):
    """Mean and QUANTILES of a score of doubt, in nats."""
    return {"mean": float(doubt.mean()), "quantiles": np.quantile(doubt, QUANTILES).tolist()}


def turn(image, angles):
    """An image (H, W) turned anticlockwise by each angle in degrees, cut to its own frame: float array (A, H, W)."""
    from scipy.ndimage import rotate  # not above: commands that turn nothing should start at once
    return np.array([rotate(image.astype(float), angle, order=1, reshape=False) for angle in angles])


def turned(model, image, label, draws):
    """Per angle of ANGLES, what is thought of a digit with index `label` among the classes: lists of JSON types."""
    p, entropy, mutual = doubts(model, turn(image, ANGLES), draws)
    return {"p_true": p[:, label].tolist(), "winner": model.classes_[p.argmax(axis=1)].tolist(),
            "p_winner": p.max(axis=1).tolist(), "entropy": entropy.tolist(), "mutual_information": mutual.tolist()}


def judged(p, entropy, labels):
    """Scores, calibration and errors under rejection of predictive probabilities (N, C), as JSON types."""
    bins = metrics.reliability(p, labels)
    means = {name: [None if np.isnan(value) else float(value) for value in getattr(bins, name)]
             for name in ("confidence", "accuracy")}
    return {"error": metrics.error_rate(p, labels), "nll": metrics.nll(p, labels), "brier": metrics.brier(p, labels),
            "ece": metrics.ece(p, labels), "reliability": {**means, "count": bins.count.tolist()},
            "rejection": {"rejected": list(REJECTED), "error": rejection(p, labels, entropy)}}


def assess(model, images, labels, outside, draws):
    """Everything but the turned digit, of one network.

    Parameters
    ----------
    model : BayesClassifier
    images, labels : ndarray, shape (N, H, W) and (N,)
        Test data of the kind that the network was trained on.
    outside : dict of ndarray, shape (M, H, W)
        Images out of distribution, by the name of their data set.
    draws : int
        Predictions averaged; a point network has one.

    Returns
    -------
    dict of JSON types
        As `judged`; for each data set `entropy` and `mutual_information`; for those outside the `auroc` of both, higher
        being better; that of the mutual information of a point network is None.
    """
    p, *inner = doubts(model, images, draws)
    record = {**judged(p, inner[0], np.searchsorted(model.classes_, labels)), "auroc": {}}
    kinds = "entropy", "mutual_information"
    record |= {kind: {INSIDE: spread(score)} for kind, score in zip(kinds, inner)}
    for name, others in outside.items():
        record["auroc"][name] = {}
        for kind, score, other in zip(kinds, inner, doubts(model, others, draws)[1:]):
            record[kind][name] = spread(other)
            separates = kind == "entropy" or model.posterior != "point"
            record["auroc"][name][kind] = metrics.auroc(score, other) if separates else None
    return record


def load_outside(data_dir=None):
    """Images of each data set of OUTSIDE, and of those that cannot be had the reason: two dicts."""
    found, left_out = {}, {}
    for name, load in OUTSIDE.items():
        try:
            found[name] = load("test", data_dir=data_dir)[0]
        except data.DataError as error:
            left_out[name] = str(error)
    return found, left_out


def run(folders, *, draws=mnist.REPORTED_DRAWS, data_dir=None, digit=1):
    """Assess the networks of run folders.

    Parameters
    ----------
    folders : list of path
        Of `mnist.run`.
    draws : int
        Predictions averaged.
    data_dir : path, optional
        See `bbbnp.data.load_mnist`.
    digit : int
        The first test image with this label is turned: with 1, the third image.

    Returns
    -------
    dict of JSON types
        `records`, one for each folder: what `assess` and `turned` return, and what was trained; `left_out`, the data
        sets that are missing, with the reason; `digit` and `angles`, what was turned; `note`, on point networks.

    Raises
    ------
    FileNotFoundError
        If a folder holds no run.
    ValueError
        If two hold runs of the same settings and seed.
    DataError
        If MNIST is missing.
    """
    draws, digit = _check.integer("draws", draws, least=1), _check.integer("digit", digit, least=0, most=9)
    trained = [mnist.load_run(folder)[0] for folder in folders]  # a wrong name is found before the work, not after half
    for i, folder in enumerate(folders):
        if trained[i] in trained[:i]:
            raise ValueError(f"{folders[trained.index(trained[i])]} and {folder} hold the same network: leave one out")
    images, labels = data.load_mnist("test", data_dir=data_dir)
    outside, left_out = load_outside(data_dir)
    index = int(np.argmax(labels == digit))
    pictures = np.rint(turn(images[index], SHOWN)).clip(0, 255).astype(np.uint8)
    result = {"draws": draws, "left_out": left_out, "note": POINT_NOTE, "quantiles": list(QUANTILES),
              "angles": list(ANGLES), "digit": {
                  "label": digit, "index": index, "chosen": f"first test image labelled {digit}", "angles": list(SHOWN),
                  "pictures": [picture.tobytes().hex() for picture in pictures]}, "records": []}
    for folder in tqdm(folders, desc="uncertainty", unit="run", disable=None, leave=False):
        settings, model = mnist.load_run(folder)
        result["records"].append({
            **{name: settings[name] for name in ("method", "hidden", "seed")}, "epochs": model.state_.epoch,
            "draws": 0 if model.posterior == "point" else draws,
            **assess(model, images, labels, outside, draws),
            "turned": turned(model, images[index], int(np.searchsorted(model.classes_, digit)), draws)})
    return result


def columns(result):
    """What methods are compared by: name, format, whether more is better, and a function of a record."""
    yield from (("error", "{:.2f} %", False, lambda r: r["error"]), ("NLL", "{:.4f}", False, lambda r: r["nll"]),
                ("Brier", "{:.4f}", False, lambda r: r["brier"]),
                ("ECE", "{:.2f} %", False, lambda r: 100 * r["ece"]),
                ("error, 10 % rejected", "{:.2f} %", False, lambda r: r["rejection"]["error"][REJECTED.index(10)]))
    for name in (name for name in OUTSIDE if name not in result["left_out"]):
        for kind, short in (("entropy", "entropy"), ("mutual_information", "MI")):
            yield (f"AUROC of {short}, {name}", "{:.4f}", True,
                   lambda r, name=name, kind=kind: r["auroc"][name][kind])


def table(result):
    """The results as lines of text."""
    measures = list(columns(result))
    runs = [f"{r['method']}, H = {r['hidden']}, seed {r['seed']}" for r in result["records"]]
    left, width = max(len(measure[0]) for measure in measures) + 2, max(map(len, runs)) + 2
    lines = [" " * left + "".join(f"{name:>{width}}" for name in runs)]
    for name, form, _, value in measures:
        cells = ["-" if value(r) is None else form.format(value(r)) for r in result["records"]]
        lines.append(f"{name:{left}}" + "".join(f"{cell:>{width}}" for cell in cells))
    for kind, name in itertools.product(("entropy", "mutual_information"), (INSIDE, *OUTSIDE)):
        if name not in result["left_out"]:
            label = f"mean {'MI' if kind == 'mutual_information' else kind}, {name}"
            lines.append(f"{label:{left}}" + "".join(f"{r[kind][name]['mean']:{width}.4f}" for r in result["records"]))
    lines += [f"{name} is left out: {reason}" for name, reason in result["left_out"].items()]
    return "\n".join([*lines, result["note"]])


def comment(result):
    """What the numbers say of Bayes by Backprop beside the baselines, worse or better, width by width.

    Means over several seeds are told apart where 0 is outside the 95 % interval of their difference, by Student's t:
    wide where seeds are few; the numbers of one seed as they are.
    """
    text = []
    for hidden in sorted({r["hidden"] for r in result["records"]}):
        groups = {method: [r for r in result["records"] if (r["method"], r["hidden"]) == (method, hidden)]
                  for method in mnist.METHODS}
        groups = {method: records for method, records in groups.items() if records}
        runs = ", ".join(f"{method} {len(records)}" for method, records in groups.items())
        single = " One seed a method settles nothing." if min(map(len, groups.values())) == 1 else ""
        text.append(f"{hidden} units a layer, mean of the runs ({runs}): {_comparison(result, groups)}{single} "
                    f"{_boldness(result, groups)}")
    return "\n".join(text)


def _comparison(result, groups):
    """In what the best Bayes by Backprop is worse than the best baseline, in what better, in what neither."""
    found = {"worse than": [], "better than": [], "not told apart from": []}
    for name, form, more, value in columns(result):
        means = {method: results.mean_error(map(value, records)) for method, records in groups.items()
                 if value(records[0]) is not None}
        best = [max((method for method in means if method in family), default=None,
                    key=lambda method: means[method][0] if more else -means[method][0])
                for family in (BAYESIAN, BASELINES)]
        if None in best:
            continue
        (ours, our_error), (theirs, their_error) = (means[method] for method in best)
        freedom = sum(len(groups[method]) - 1 for method in best)
        noise = 0 if None in (our_error, their_error) else results.half_interval(
            math.hypot(our_error, their_error), freedom)
        verdict = ("not told apart from" if abs(ours - theirs) <= noise
                   else "better than" if (ours > theirs) == more else "worse than")
        found[verdict].append(f"{name} ({best[0]} {form.format(ours)}, {best[1]} {form.format(theirs)})")
    if not any(found.values()):
        return "there is nothing to compare."
    if not found["worse than"]:
        found["worse than"].append("nothing")
    return "; ".join(f"Bayes by Backprop is {verdict} the best baseline in {', '.join(names)}"
                     for verdict, names in found.items() if names) + "."


def _boldness(result, groups):
    """How often the turned digit was taken for another with much confidence."""
    label, counts = result["digit"]["label"], []
    for method, records in groups.items():
        bold = [sum(p >= SURE and winner != label for p, winner in zip(r["turned"]["p_winner"], r["turned"]["winner"]))
                for r in records]
        counts.append(f"{method} {np.mean(bold):.3g}")
    return (f"Angles of {len(result['angles'])} at which the turned {label} was given to another class with a "
            f"probability of {SURE} or more: {', '.join(counts)}.")


def _arguments(parser):
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUN", help="folder of a run of bbbnp mnist")
    parser.add_argument("--draws", type=int, default=mnist.REPORTED_DRAWS,
                        help="predictions averaged (default %(default)s; a point network has one)")
    parser.add_argument("--digit", type=int, default=1,
                        help="the first test image with this label is turned (default %(default)s)")
    parser.add_argument("--data-dir", metavar="FOLDER",
                        help="where the files of MNIST, Fashion-MNIST and notMNIST are (default: BBBNP_DATA; without "
                        "it they are downloaded)")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of results (default pictures)")


def _run(options):
    from bbbnp import plots_mnist
    out, begun = results.writable_folder(options.out), time.perf_counter()
    result = run(options.folders, draws=options.draws, data_dir=options.data_dir, digit=options.digit)
    print(table(result))
    print(comment(result))
    settings = {"draws": options.draws, "digit": options.digit, "runs": [folder.name for folder in options.folders]}
    result["left_out"] = dict.fromkeys(result["left_out"], "its files were not there")  # errors name folders
    results.write(out / "mnist_uncertainty.json", result, seed=sorted({r["seed"] for r in result["records"]}),
                  settings=settings, wall_time_s=time.perf_counter() - begun)
    for name in ("reliability", "doubt", "turned"):
        getattr(plots_mnist, name)(result, out / f"mnist_{name}.png")
    return 0
