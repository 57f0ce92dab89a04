"""Table 2 (Blundell et al. 2015): test error when most of the weights are removed, honestly.

Weights go by their signal-to-noise ratio |mu|/sigma (E19), by |mu| alone, or at random; both the mean network and
averaged draws are scored, since a weight that is only said to be pruned keeps its noise, which the mean network hides.
"""

import numpy as np

from bbbnp import metrics, paper
from bbbnp.experiments import mnist
from bbbnp.pruning import CRITERIA, log10_signal_to_noise, prune

REMOVED = (0.0, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99)
DRAWS = 10
QUANTILES = tuple(paper.FIGURE_4)


def errors(model, x, y, *, removed=REMOVED, draws=DRAWS, seed=0, of="test"):
    """Records of criterion, removed, prediction and error in percent on images of the kind `of`, of one model."""
    labels = np.searchsorted(model.classes_, y)
    for criterion in CRITERIA:
        for part in removed:
            pruned = prune(model, part, criterion=criterion, seed=seed)
            for prediction, number in (("mean", 0), ("averaged", draws)):
                p = pruned.predict_distribution(x, draws=number).mean
                yield {"criterion": criterion, "removed": part, "prediction": prediction,
                       f"{of}_error": metrics.error_rate(p, labels)}


def densities(model, bins=200):
    """What Figures 3 and 4 draw: the trained weights' density, mu, and one draw of w; density of log10 |mu|/sigma."""
    mu, sigma = model.mu_.astype(float), model.sigma_
    w = mu + sigma * np.random.default_rng(0).normal(size=mu.size)
    edges = np.linspace(-0.25, 0.25, bins + 1)
    found = {"edges": edges.tolist()} | {
        name: np.histogram(values, edges)[0].tolist() for name, values in (("mu", mu), ("w", w))}
    found |= {"deviation_mu": float(mu.std()), "deviation_w": float(w.std()), "size": mu.size}
    if not sigma.any():
        return found
    found["rms_sigma"] = float(np.sqrt(np.mean(sigma**2)))
    log_ratio = log10_signal_to_noise(model.mu_, model.rho_)
    ratio_edges = np.linspace(-5, 2, bins + 1)
    return found | {"ratio_edges": ratio_edges.tolist(), "ratio": np.histogram(log_ratio, ratio_edges)[0].tolist(),
                    "ratio_quantiles": {str(q): float(np.quantile(log_ratio, q)) for q in QUANTILES}}


def named(settings):
    """A network in words: method and units, and of a Bayesian one what decides its signal-to-noise."""
    words = [f"{settings['method']} {settings['hidden']}"]
    if settings["method"] in ("gaussian", "mixture"):
        words.append(settings["minibatch_weights"])
    if settings["method"] == "mixture":
        words.append(f"spike {settings['sigma2']:.2g}")
    if settings["temperature"] != 1:
        words.append(f"T = {settings['temperature']:g}")
    if settings["weight_noise"] != "weights":
        words.append(settings["weight_noise"])
    if settings["input_dropout"] != 0:
        words.append(f"inputs left out {settings['input_dropout']:g}")
    words.append(f"{settings['epochs']} epochs")
    return ", ".join(words + ["validation"] * settings["held_out"])


def merged(earlier, records):
    """Earlier records, with `records` in place of those of networks of their seeds and names, whatever the epochs.

    Run folders need not outlive what was written of them.
    """
    networks = {}
    for found in (earlier, records):
        of = {}
        for r in found:
            of.setdefault((r["network"].replace(f"{r['epochs']} epochs", ""), r["seed"]), []).append(r)
        networks |= of
    return [r for found in networks.values() for r in found]


def run(folders, *, earlier=None, data_dir=None, draws=DRAWS, progress=None):
    """Table 2 of the run folders of Bayesian networks, and the densities of all run folders.

    A network that was trained on 50,000 images, to choose settings, is scored on the other 10,000, and in no figure.
    `earlier` is what this returned before: other networks in it stay (see `merged`).

    Raises
    ------
    ValueError
        If two folders have networks of one name and seed, whose rows would be one; if there is no Bayesian network, or
        `earlier` has averages of another number of draws.
    """
    from tqdm import tqdm
    table, weights, folder_of, earlier = [], [], {}, earlier or {"table": [], "weights": []}
    for r in earlier["table"]:
        if r["draws"] != draws:
            raise ValueError(f"draws={draws}, but the table that is there averages {r['draws']}: take as many, or "
                             "begin a table in another folder")
    for folder in folders:  # before the work
        settings, model = mnist.load_run(folder)
        if model.state_.epoch < settings["epochs"]:
            raise ValueError(f"{folder} has done {model.state_.epoch} of its {settings['epochs']} epochs: go on with "
                             f"bbbnp mnist --run {folder} --resume")
        row = named(settings), settings["seed"]
        if settings["method"] in ("gaussian", "mixture") and row in folder_of:
            raise ValueError(f"{folder_of[row]} and {folder} are both {row[0]}, seed {row[1]}: they would share their "
                             "rows of the table, so leave one out")
        folder_of[row] = folder
    for folder in tqdm(folders, unit="run", disable=None if progress is None else not progress):
        settings, model = mnist.load_run(folder)
        who = {name: settings[name] for name in ("method", "hidden", "seed", "epochs", "minibatch_weights", "rho_init")}
        who["network"] = named(settings)
        if not settings["held_out"]:
            weights.append({**who, **densities(model)})
        if model.has_sigma:
            _, _, x, y = mnist.load_split(settings["held_out"], data_dir)
            table += [{**who, "draws": draws, **record} for record in errors(
                model, x, y, draws=draws, of="validation" if settings["held_out"] else "test")]
    found = {"table": table, "weights": weights}
    found = {name: merged(earlier[name], records) for name, records in found.items()}
    if not found["table"]:
        raise ValueError("there is nothing to prune by signal-to-noise: name a run of a Bayesian network")
    return found


def rows(records):
    """Error by what was removed, of each (network, criterion, prediction)."""
    found = {}
    for r in records:
        key = f"{r['network']}, seed {r['seed']}", r["criterion"], r["prediction"]
        found.setdefault(key, {})[r["removed"]] = r.get("test_error", r.get("validation_error"))
    return found


def table(records):
    """Error by what was removed, as text: a line for each network, criterion and prediction."""
    parts, found = sorted({r["removed"] for r in records}), rows(records)
    width = max(len(network) for network, *_ in found) + 2
    lines = [f"{'network':{width}}{'criterion':11}{'prediction':11}" + "".join(f"{part:>8.0%}" for part in parts)]
    for (network, criterion, prediction), errors_of in found.items():
        lines.append(f"{network:{width}}{criterion:11}{prediction:11}"
                     + "".join(f"{errors_of[part]:8.2f}" for part in parts))
    return "\n".join(lines)
