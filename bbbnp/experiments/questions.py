"""``bbbnp questions``: four questions about Table 1 that the paper leaves open, settled with runs.

1. Is the scale mixture a better prior than one Gaussian?
2. What does a lower temperature on the KL do to error and to NLL?
3. Why do geometric minibatch weights train another network than uniform ones under Adam, and which posterior is it?
4. What does plain SGD, the likely optimiser of the paper, do to rho?

Networks are trained on 50,000 images and judged on the other 10,000 training images; test images are not read. Weights
are told apart: idle ones belong to pixels that are zero in every training image, so that the KL is the only force on
them. For the third question see `questions_adam`; there is also a model whose best posterior is known exactly.
"""

import json
import math
from pathlib import Path
import time

import numpy as np

from bbbnp.experiments import mnist, pool, questions_adam, results
from bbbnp.experiments.questions_adam import quantiles
from bbbnp.experiments.questions_text import comment, table
from bbbnp.pruning import log10_signal_to_noise

__all__ = ["CASES", "comment", "run", "table"]
_ADAM = {"optimizer": "adam", "learning_rate": 1e-3, "schedule": "cosine", "rho_init": -5.0}
_SGD = {**_ADAM, "optimizer": "sgd"}
_SEARCHED = {"pi": 0.75, "sigma1": math.exp(-1), "sigma2": math.exp(-8)}  # the mixture that Table 1's search chose
CASES = {  # settings of each run; the mixture's take longest and go first, so that no process waits for the last one
    "mixture_uniform": {"method": "mixture", "minibatch_weights": "uniform", **_ADAM},
    "mixture_geometric": {"method": "mixture", "minibatch_weights": "geometric", **_ADAM},
    "searched_uniform": {"method": "mixture", "minibatch_weights": "uniform", **_ADAM, **_SEARCHED},
    "searched_geometric": {"method": "mixture", "minibatch_weights": "geometric", **_ADAM, **_SEARCHED},
    "mixture_t0.3": {"method": "mixture", "minibatch_weights": "uniform", **_ADAM, "temperature": 0.3},
    "mixture_t0.1": {"method": "mixture", "minibatch_weights": "uniform", **_ADAM, "temperature": 0.1},
    "sgd_rho-3": {"method": "mixture", "minibatch_weights": "uniform", **_SGD, "rho_init": -3.0},
    "sgd_rho-5": {"method": "mixture", "minibatch_weights": "uniform", **_SGD},
    "gaussian_uniform": {"method": "gaussian", "minibatch_weights": "uniform", **_ADAM},
    "gaussian_geometric": {"method": "gaussian", "minibatch_weights": "geometric", **_ADAM}}
MEASURED = ("mixture_uniform", "mixture_geometric", "gaussian_uniform", "gaussian_geometric")  # forces, by this rule
BINS = np.linspace(-4, 1, 101)  # of log10 sigma


def settings_of(case, hidden, epochs, seed):
    """All settings of one run."""
    return mnist.settings_of(**CASES[case], hidden=hidden, epochs=epochs, seed=seed, held_out=True)


def run_folder(folder, case, hidden, epochs, seed):
    """Where one run is kept."""
    return Path(folder) / f"{case}_{hidden}_{epochs}_{seed}"


def train(arguments):
    """`mnist.finished`, for a pool: its record, or where it diverged the text that says so."""
    try:
        return mnist.finished(arguments)
    except ArithmeticError as error:
        return {"diverged": str(error)}


def idle_weights(architecture, x):
    """Which of all weights only ever see zero: those of the first layer from inputs that are zero in all of `x`.

    Returns
    -------
    ndarray of bool, shape (P,)
    """
    mask = np.zeros(architecture.size, bool)
    architecture.views(mask)[0][0][~np.any(x, axis=0)] = True
    return mask


def posterior_summary(model, idle, rho_init):
    """Quantiles of rho, of how far it moved, of sigma and of log10 of |mu|/sigma, and where sigma is, by group."""
    groups, snr = {}, log10_signal_to_noise(model.mu_, model.rho_)
    for name, mask in (("idle", idle), ("used", ~idle)):
        if mask.any():
            sigma, rho = model.sigma_[mask], model.rho_[mask].astype(float)
            inside = np.clip(np.log10(sigma), BINS[0], BINS[-1])  # the ends of the histogram hold what is beyond
            groups[name] = {
                "weights": int(mask.sum()), "rho": quantiles(rho), "moved": quantiles(rho - rho_init),
                "sigma": quantiles(sigma), "log10_snr": quantiles(np.maximum(snr[mask], -99)),
                "mean_abs_move": float(np.mean(np.abs(rho - rho_init))),
                "histogram": (np.histogram(inside, BINS)[0] / mask.sum()).round(6).tolist()}
    return groups


def read_run(path, x):
    """The record of a finished run folder, trained on `x`: validation scores, the curve, the posterior."""
    settings, model = mnist.load_run(path)
    record = json.loads((path / "result.json").read_text())
    lines = [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]
    names = ("error_mean_network", "error_averaged", "nll", "nll_mean_network", "ece")
    curve = {name: [line[name] for line in lines]
             for name in ("epoch", "error_mean_network", "error_averaged", "nll", "complexity", "misfit")}
    return {**{name: record[f"validation_{name}"] for name in names}, "wall_time_s": record["wall_time_s"],
            "rho_init": settings["rho_init"], "prior": {name: settings[name] for name in ("pi", "sigma1", "sigma2")},
            "predicted_move": predicted_move(settings, -(-len(x) // mnist.BATCH)), "curve": curve,
            "posterior": posterior_summary(model, idle_weights(model.architecture_, x), settings["rho_init"])}


def predicted_move(settings, minibatches):
    """How far the KL alone moves rho up in the whole run, as long as sigma is small beside the prior's."""
    weights = settings["temperature"] * questions_adam.minibatch_weights(
        settings["minibatch_weights"], [1] * minibatches)
    return questions_adam.travel(weights, settings["optimizer"], settings["learning_rate"],
                                 settings["epochs"] * minibatches)


def forces(path, x, y, *, batches=100, start=False):
    """What Adam divides by on the training images, at a run's end or at its start."""
    settings, model = mnist.load_run(path)
    architecture = model.architecture_
    mu, rho = model.mu_, model.rho_
    if start:
        mu, rho = architecture.initial_mu(settings["seed"]), np.full(architecture.size, settings["rho_init"])
    order = np.random.default_rng(settings["seed"]).permutation(len(x))
    minibatches = -(-len(x) // mnist.BATCH)
    rows = [order[i * mnist.BATCH:(i + 1) * mnist.BATCH] for i in range(min(batches, minibatches))]
    found = questions_adam.moments(architecture, (mu, rho), [(x[r], y[r]) for r in rows], model.prior,
                                   settings["seed"])
    return list(questions_adam.force_records(found, idle_weights(architecture, x), minibatches))


def run(folder, *, epochs=40, hidden=400, seeds=(0, 1, 2), jobs=2, data_dir=None, progress=None, batches=100,
        conjugate=None):
    """Make or find the runs in subfolders of `folder`, and measure; the conjugate model beside them.

    There are len(CASES) = 10 runs a seed. One that is finished is kept, one that was interrupted goes on where it was.

    Parameters
    ----------
    folder : path
    epochs, hidden : int
        Of every run.
    seeds : sequence of int
    jobs : int
        Processes at a time, of one thread each.
    data_dir : path, optional
        See `bbbnp.data.load_mnist`.
    progress : bool, optional
        Show a bar; left out, on a terminal only.
    batches : int
        Minibatches over which the forces are measured.
    conjugate : dict, optional
        Arguments of `questions_adam.conjugate`.

    Returns
    -------
    dict
        JSON types: runs, forces, conjugate, memory.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C stopped a run: call again to go on.
    ValueError, DataError, OSError
        As `mnist.run`.
    """
    results.writable_folder(folder)
    conjugate = {"long": questions_adam.LONG} | (conjugate or {})
    cells = [(case, seed) for case in CASES for seed in seeds]
    paths = {cell: run_folder(folder, cell[0], hidden, epochs, cell[1]) for cell in cells}
    tasks = [(paths[case, seed], settings_of(case, hidden, epochs, seed), data_dir) for case, seed in cells]
    found = {cells[number]: record for number, record in pool.each(
        train, tasks, jobs=jobs, progress=progress, desc="questions")}
    x, y, _, _ = mnist.load_split(True, data_dir)
    runs = [{"case": case, "seed": seed, **(
        found[case, seed] if "diverged" in found[case, seed] else read_run(paths[case, seed], x))}
        for case, seed in cells]
    measured = []
    for case in MEASURED:
        cell = case, seeds[0]
        for start in (True, False):
            if "diverged" not in found[cell] and (not start or case.endswith("uniform")):  # both start alike
                measured += [{"case": case, "state": "start" if start else "end", **record}
                             for record in forces(paths[cell], x, y, batches=batches, start=start)]
    return {"hidden": hidden, "epochs": epochs, "seeds": list(seeds), "examples": len(x), "bins": BINS.tolist(),
            "minibatches": -(-len(x) // mnist.BATCH), "idle_inputs": int(np.sum(~np.any(x, axis=0))), "runs": runs,
            "forces": measured, "conjugate": questions_adam.conjugate(**conjugate),
            "memory": questions_adam.memory(steps=conjugate["long"] // 4)}


def _arguments(parser):
    """Options of the command."""
    parser.add_argument("--runs", type=Path, required=True, metavar="FOLDER",
                        help="folder of the training runs: finished ones are kept, an interrupted one goes on")
    parser.add_argument("--epochs", type=int, default=40, help="of every run (default 40)")
    parser.add_argument("--hidden", type=int, default=400, help="units of each of the two layers (default 400)")
    parser.add_argument("--seeds", type=int, default=3, help=f"runs of each of {len(CASES)} settings (default 3)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, of one thread each (default 2)")
    parser.add_argument("--data-dir", metavar="FOLDER", help="where MNIST's files are (see bbbnp data)")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of results (default pictures)")


def _run(options):
    """The command: run, print, write mnist_questions.json and two figures; returns the exit code."""
    from bbbnp import plots_questions
    for name in ("epochs", "hidden", "seeds", "jobs"):
        if getattr(options, name) < 1:
            raise ValueError(f"{name}={getattr(options, name)} must be at least 1")
    path, begun = results.writable_folder(options.out) / "mnist_questions.json", time.perf_counter()
    settings = {"epochs": options.epochs, "hidden": options.hidden, "seeds": list(range(options.seeds)),
                "cases": CASES}
    result = run(options.runs, epochs=options.epochs, hidden=options.hidden, seeds=range(options.seeds),
                 jobs=options.jobs, data_dir=options.data_dir)
    results.write(path, result, seed=0, settings=settings, wall_time_s=time.perf_counter() - begun)
    print(table(result), comment(result), sep="\n\n")
    plots_questions.outcomes(result, path.with_suffix(".png"))
    plots_questions.mechanism(result, path.with_name("mnist_questions_adam.png"))
    return 0
