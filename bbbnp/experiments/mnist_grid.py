"""The settings of each method, chosen on validation data by successive halving (Jamieson and Talwalkar 2016).

The paper's grid (section 5.1): learning rate, weight draws a step, pi, -log sigma1 and -log sigma2, 324 settings of the
mixture. The paper does not say which minibatch weights it used, so both are tried. Every rung costs the same: all
settings are trained a little, the best quarter four times as long, and so on. The cost is counted in passes of one
weight draw over the 50,000 images, so that a setting with ten draws gets a tenth of the steps; below one pass it sees a
part of the images, with the temperature lowered by that part, which is the same objective up to a factor. The schedule
ends with the rung. Test images are not read.
"""

import itertools
import json
from pathlib import Path
import time

import numpy as np

from bbbnp.experiments import mnist, pool, results

RATES, DRAWS, NEGATIVE_LOGS = (1e-3, 1e-4, 1e-5), (1, 2, 5, 10), ((0, 1, 2), (6, 7, 8))
KEPT = 4  # one in four goes on to the next rung
FINALISTS = 3  # the last rung has no more settings than this
# passes over the training images that the search of a method may take: not equal, since the time left was not
BUDGETS = {"sgd": 300, "dropout": 100, "gaussian": 200, "mixture": 800}
WEIGHTS = ("geometric", "uniform")


def grid(method):
    """The settings that differ from the method's own, for each point of its grid."""
    if method in ("sgd", "dropout"):
        return [{"learning_rate": rate, "optimizer": rule} for rate in RATES for rule in ("sgd", "adam")]
    slabs = [{"sigma1": float(np.exp(-s))} for s in NEGATIVE_LOGS[0]]
    if method == "mixture":
        slabs = [{**slab, "sigma2": float(np.exp(-s)), "pi": pi}
                 for slab, s, pi in itertools.product(slabs, NEGATIVE_LOGS[1], (0.25, 0.5, 0.75))]
    return [{"learning_rate": rate, "draws": draws, "minibatch_weights": weights, **slab}
            for rate, draws, weights, slab in itertools.product(RATES, DRAWS, WEIGHTS, slabs)]


def rungs(size, budget):
    """Number of settings and passes a setting of each rung; the passes of all rungs together are the budget."""
    sizes = [size]
    while sizes[-1] > FINALISTS:
        sizes.append(max(-(-sizes[-1] // KEPT), FINALISTS))
    return [(n, budget / len(sizes) / n) for n in sizes]


def _train(method, hidden, seed, point, passes, data_dir):
    """Validation scores of one setting after so many passes, and CPU seconds; None if Ctrl-C stopped it."""
    if not _held:  # the images are read once in a process
        _held.append(mnist.load_split(True, data_dir))
    x, y, valid_x, valid_y = _held[0]
    begun, passes = time.process_time(), passes / point.get("draws", 1)
    part, epochs = min(passes, 1), max(round(passes), 1)
    rows = max(round(part * len(x)), mnist.BATCH)
    settings = mnist.settings_of(method, hidden=hidden, seed=seed, epochs=epochs, temperature=rows / len(x), **point)
    model = mnist.network(settings, threads=1).fit(x[:rows], y[:rows])
    if model.interrupted_:
        return None
    found = mnist.scores([model], valid_x, valid_y, draws=mnist.WATCHED_DRAWS)
    return {**found, "cpu_s": round(time.process_time() - begun, 2)}


_held = []


def trial(arguments):
    """`_train`, for a pool; a setting that diverges is the worst."""
    try:
        return _train(*arguments)
    except ArithmeticError:
        return {"error_mean_network": 100.0, "error_averaged": 100.0, "nll": np.inf, "cpu_s": 0.0}


def run(folder, method, *, hidden=400, budget=None, seed=0, jobs=2, data_dir=None, progress=None):
    """Search one method's grid; trials are kept in `folder`, and those that are there are not run again.

    Returns
    -------
    list of dict
        Trials of the last rung, the best first: rung, point, passes, validation scores, cpu_s.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C stopped it: trials that had ended are kept, and another call goes on.
    """
    budget = budget or BUDGETS[method]
    path = results.writable_folder(folder) / f"{method}_{hidden}_{seed}_{budget}.jsonl"
    done = _trials(path)
    points = grid(method)
    for rung, (size, passes) in enumerate(rungs(len(points), budget)):
        points = points[:size]
        ranked = [t for t in done if t["rung"] == rung]
        missing = [p for p in points if p not in [t["point"] for t in ranked]]
        tasks = [(method, hidden, seed, point, passes, data_dir) for point in missing]
        for number, scores in pool.each(trial, tasks, jobs=jobs, progress=progress, desc=f"{method}, rung {rung}"):
            ranked.append({"rung": rung, "point": missing[number], "passes": passes, **scores})
            done.append(ranked[-1])
            results.write_text(path, "".join(json.dumps(trial) + "\n" for trial in done))
        ranked.sort(key=lambda t: (t["error_mean_network"], t["nll"], points.index(t["point"])))
        points = [t["point"] for t in ranked]
    return ranked


def _trials(path):
    """The trials in a file, which is written whole; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def summary(folder, method, hidden=400, seed=0, budget=None):
    """What a finished search cost and found: number of trials, CPU seconds, the best of the last rung.

    Raises
    ------
    FileNotFoundError
        If there is none, or it has not come to its end.
    """
    budget = budget or BUDGETS[method]
    path = Path(folder) / f"{method}_{hidden}_{seed}_{budget}.jsonl"
    trials, sizes = _trials(path), rungs(len(grid(method)), budget)
    finalists = [t for t in trials if t["rung"] == len(sizes) - 1]
    if len(finalists) < sizes[-1][0]:
        raise FileNotFoundError(f"{path} holds no finished search: search, or go on, with bbbnp mnist --grid {folder} "
                                f"--method {method}")
    best = min(finalists, key=lambda t: (t["error_mean_network"], t["nll"]))
    return {"trials": len(trials), "settings": sum(t["rung"] == 0 for t in trials), "budget_passes": budget,
            "cpu_s": round(sum(t["cpu_s"] for t in trials)), "best": best}
