"""The commands ``bbbnp mnist`` and ``bbbnp prune``: one cell of Table 1, the search, both tables and their figures."""

import json
from pathlib import Path

from bbbnp import _check
from bbbnp.estimator import OPTIMIZERS, SCHEDULES
from bbbnp.experiments import mnist, mnist_finals, mnist_grid, mnist_table, pruned, results
from bbbnp.objective import MINIBATCH_WEIGHTS, PLACEMENTS

TYPES = {"hidden": int, "epochs": int, "draws": int, "seed": int, "learning_rate": float, "pi": float, "sigma1": float,
         "sigma2": float, "temperature": float, "input_dropout": float, "rho_init": float}
HELP = {
    "hidden": "units of each of the two hidden layers", "epochs": "passes over the training images",
    "draws": "weight draws a step", "seed": "of all noise",
    "learning_rate": "of a loss that is a sum over the minibatch",
    "pi": "mixture: weight of the slab", "sigma1": "deviation of the slab, or of the Gaussian prior",
    "sigma2": "mixture: deviation of the spike", "temperature": "factor on the KL; 1 targets the posterior",
    "input_dropout": "Gaussian, mixture: chance that an input is left out in training",
    "rho_init": "sigma starts at log(1 + e^rho)"}
OF_POSTERIORS = ("draws", "pi", "sigma1", "sigma2", "temperature", "minibatch_weights", "weight_noise", "input_dropout",
                 "rho_init")
UNUSED = {"sgd": OF_POSTERIORS, "dropout": OF_POSTERIORS, "gaussian": ("pi", "sigma2"), "mixture": ()}  # by the method
READS = {  # which settings a task takes from the command line; --run those that the method uses
    "grid": ("method", "hidden", "seed"), "table1": (), "collect": (),
    **dict.fromkeys(("finals", "moonshot"), ("hidden", "epochs", "temperature", "seed"))}


def _default(name, form):
    """The default of a setting, and which methods have another, for a help text."""
    others = "".join(
        f"; {method}: {form.format(own[name])}" for method, own in mnist.METHODS.items() if name in own)
    return form.format(mnist.DEFAULTS[name]) + others


def mnist_arguments(parser):
    """Arguments of ``bbbnp mnist``."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", type=Path, dest="folder", metavar="FOLDER", help="train one cell in this folder")
    what.add_argument("--grid", type=Path, metavar="FOLDER",
                      help="search the grid of --method on validation data, with its trials in this folder; go on with "
                      "those that are there")
    what.add_argument("--table1", type=Path, metavar="FOLDER",
                      help="train all cells of Table 1 in folders of this one, with the settings that the finals in "
                      "--out and the searches in --search chose; those that are there are kept or gone on with")
    what.add_argument("--collect", type=Path, metavar="FOLDER",
                      help="write mnist_table1.json and its figure into --out, from the finished runs in this folder; "
                      "records of other cells, epochs, choosers and seeds that are in the file stay")
    what.add_argument("--finals", type=Path, metavar="FOLDER",
                      help="choose the mixture of Table 1 by runs of full length on 50,000 images in folders of this "
                      "one, train the best again on all, and write mnist_finals.json into --out")
    what.add_argument("--moonshot", type=Path, metavar="FOLDER",
                      help="train recipes beyond the paper's on 50,000 images in folders of this one, the best by NLL "
                      "again on all, and write mnist_moonshot.json into --out")
    parser.add_argument("--method", choices=mnist.METHODS, help=f"default {mnist.DEFAULTS['method']}")
    for name, of in TYPES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=of, metavar=of.__name__.upper(),
                            help=f"{HELP[name]} (default {_default(name, '{:.3g}')})")
    for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("minibatch_weights", MINIBATCH_WEIGHTS),
                          ("weight_noise", PLACEMENTS)):
        parser.add_argument(f"--{name.replace('_', '-')}", choices=choices, help=f"default {_default(name, '{}')}")
    parser.add_argument("--held-out", action="store_true", default=None,
                        help="train on 50,000 images and watch the other 10,000, not the test images")
    parser.add_argument("--resume", action="store_true", help="go on with the run in the folder, to the same bits")
    parser.add_argument("--reuse", action="store_true",
                        help="of a contest: take what its file in --out has of the same settings, trained before, in "
                        "place of training it")
    parser.add_argument("--search", type=Path, default=Path("runs/search"), metavar="FOLDER",
                        help="folder of the searches (default runs/search)")
    parser.add_argument("--budget", type=int,
                        help="of a search, in passes of one weight draw over the images (default: "
                        f"{', '.join(f'{name} {passes}' for name, passes in mnist_grid.BUDGETS.items())})")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each (default 2)")
    parser.add_argument("--threads", type=int, help="of one run (default: all for a large network)")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of results (default pictures)")
    parser.add_argument("--data-dir", metavar="FOLDER", help="see bbbnp data --help")


def run_mnist(options):
    """What ``bbbnp mnist`` does."""
    _all_read(options)
    if options.grid:
        method, hidden, seed = (mnist.DEFAULTS[name] if getattr(options, name) is None else getattr(options, name)
                                for name in READS["grid"])
        for trial in mnist_grid.run(options.grid, method, budget=options.budget, jobs=options.jobs, hidden=hidden,
                                    seed=seed, data_dir=options.data_dir):
            print(f"validation error {trial['error_mean_network']:.2f} %  {json.dumps(trial['point'])}")
    elif options.table1:
        cells = mnist_table.plan(options.search, results.read(options.out, "mnist_finals"))
        mnist_table.run(options.table1, cells, jobs=options.jobs, data_dir=options.data_dir)
    elif options.finals:
        return _contest("finals", options.finals, options)
    elif options.moonshot:
        return _contest("moonshot", options.moonshot, options)
    elif options.collect:
        _collect(options.collect, options.search, options.out)
    else:
        return _one(options)
    return 0


def _all_read(options):
    """Raise ValueError for a setting that the task would pass over in silence."""
    for task, read in READS.items():
        for name in mnist.DEFAULTS:
            if getattr(options, task) and name not in read and getattr(options, name) is not None:
                takes = ", ".join(f"--{setting}" for setting in read) or "no setting"
                raise ValueError(f"--{task} takes {takes}: leave --{name.replace('_', '-')} out")
    for name in ("budget", "jobs"):
        if getattr(options, name) is not None:
            _check.integer(name, getattr(options, name), least=1)
    if options.reuse and not (options.finals or options.moonshot):
        raise ValueError("--reuse is for --finals and --moonshot: leave it out")
    method = options.method or mnist.DEFAULTS["method"]
    for name in UNUSED[method]:
        if getattr(options, name) is not None:
            raise ValueError(f"{method} has no use for --{name.replace('_', '-')}: leave it out")


def _one(options):
    """Train one cell, or go on with it."""
    changed = {name: getattr(options, name) for name in mnist.DEFAULTS if getattr(options, name) is not None}
    if options.resume and changed:
        flag = next(iter(changed)).replace("_", "-")
        raise ValueError(f"--resume goes on with the settings in the folder: leave --{flag} out")
    settings = None if options.resume else mnist.settings_of(**{"method": mnist.DEFAULTS["method"], **changed})
    record = mnist.run(options.folder, settings, resume=options.resume, data_dir=options.data_dir,
                       threads=options.threads)
    if record is None:
        print(f"stopped; go on with: bbbnp mnist --run {options.folder} --resume")
        return 1
    for name in ("error_mean_network", "error_averaged", "nll", "ece"):
        which = "validation" if record["settings"]["held_out"] else "test"
        print(f"{which} {name.replace('_', ' '):22}{record[f'{which}_{name}']:9.4f}")
    return 0


def _contest(name, folder, options):
    """Choose among the candidates of a contest, and write what the best gives."""
    out = results.writable_folder(options.out)
    changed = {setting: getattr(options, setting) for setting in ("hidden", "epochs", "temperature", "seed")}
    before = results.read(out, f"mnist_{name}")
    found = mnist_finals.run(
        folder, name, earlier=before if options.reuse else None, data_dir=options.data_dir, threads=options.threads,
        **{setting: value for setting, value in changed.items() if value is not None})
    if found is None:
        print("stopped; the same command goes on")
        return 1
    before = before or found
    found["earlier"] = before.get("earlier", [])
    if before["result"] != found["result"]:  # a look at the test images that was replaced is still one
        found["earlier"].append({**before["result"], "rule": before.get("rule", mnist_finals.RULES["finals"])})
    results.write_text(out / f"mnist_{name}.json", json.dumps(found, indent=1) + "\n")
    print("{}: test error {test_error_mean_network:.2f} %, of averaged draws {test_error_averaged:.2f} %, "
          "NLL {test_nll:.4f}".format(found["chosen"], **found["result"]))
    return 0


def _collect(folder, search, out):
    """Write Table 1, and draw Figure 2, from the finished runs."""
    from bbbnp import plots_paper
    if not folder.is_dir():
        raise ValueError(f"{folder} is not there: name the folder of the runs")
    results.writable_folder(out)
    chosen = {**(results.read(out, "mnist_search") or {}), **mnist_table.searches(search)}
    records = mnist_table.collect(
        folder, chosen, results.read(out, "mnist_table1") or (), results.read(out, "mnist_finals"))
    if not records:
        raise ValueError(f"{folder} holds no finished run on all training images: make some with --table1 or --run")
    print(mnist_table.table(records))
    if chosen:
        results.write_text(out / "mnist_search.json", json.dumps(chosen, indent=1) + "\n")
    results.write_text(out / "mnist_table1.json", json.dumps(records, indent=1) + "\n")
    plots_paper.learning_curves(mnist_table.preferred(records), out / "mnist_learning_curves.png")


def prune_arguments(parser):
    """Arguments of ``bbbnp prune``."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of runs of bbbnp mnist")
    parser.add_argument("--draws", type=int, default=pruned.DRAWS,
                        help="weight draws a prediction averages (default %(default)s)")
    parser.add_argument("--save", type=float, metavar="PART",
                        help="in place of the tables: write the network without this part of its weights, by "
                        "signal-to-noise, to pruned.npz in each RUN")
    parser.add_argument("--out", type=Path, default=Path("pictures"),
                        help="folder of results (default pictures); networks in its files stay, but for those with the "
                        "seed and the name of a RUN, whatever the epochs")
    parser.add_argument("--data-dir", metavar="FOLDER", help="see bbbnp data --help")


def run_prune(options):
    """What ``bbbnp prune`` does."""
    from bbbnp import plots_paper
    if options.save is not None:
        for folder in options.runs:
            pruned.prune(mnist.load_run(folder)[1], options.save).save(folder / "pruned.npz")
            print(folder / "pruned.npz")
        return 0
    if options.draws < 1:
        raise ValueError(f"draws={options.draws} must be at least 1")
    out = results.writable_folder(options.out)
    files = {"table": "mnist_table2", "weights": "mnist_weights"}
    earlier = {name: results.read(out, file) or [] for name, file in files.items()}
    found = pruned.run(options.runs, earlier=earlier, data_dir=options.data_dir, draws=options.draws)
    print(pruned.table(found["table"]))
    for name, indent in (("table", 1), ("weights", None)):
        results.write_text(out / f"{files[name]}.json", json.dumps(found[name], indent=indent) + "\n")
    plots_paper.pruning(found["table"], out / "mnist_table2.png")
    plots_paper.weight_histogram(found["weights"], out / "mnist_weight_histogram.png")
    plots_paper.signal_to_noise(found["weights"], out / "mnist_snr.png")
    return 0
