"""The command line, ``bbbnp``: its commands are those of `COMMANDS`.

Exit codes: 0 done, 1 failed, 2 wrong use; an error is one line.
"""

import argparse
import importlib
import json
from pathlib import Path
import sys
import time

import bbbnp
from bbbnp.architecture import ACTIVATIONS
from bbbnp.estimator import OPTIMIZERS, SCHEDULES
from bbbnp.objective import GRADIENTS, GaussianPrior, KLS, MINIBATCH_WEIGHTS, PLACEMENTS, ScaleMixture


def _widths(text):
    """"100,50" as (100, 50)."""
    try:
        return tuple(int(width) for width in text.split(",") if width)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of widths, such as 100 or 100,50") from None


def _noise(text):
    """A number, or one of the names."""
    try:
        return float(text)
    except ValueError:
        return text


def _regression_arguments(parser):
    from bbbnp.experiments.regression import DATASETS, DEFAULTS
    parser.add_argument("--data", choices=DATASETS, default=DATASETS[0],
                        help="noise as in the paper's figure (additive, deviation 0.05) or as in its text")
    parser.add_argument("--n", type=int, default=600, help="training points, on [0, 0.5] (default 600)")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of results (default pictures)")
    parser.add_argument("--hidden", type=_widths, default=DEFAULTS["hidden"], metavar="W[,W...]",
                        help="widths of the hidden layers (default 50)")
    parser.add_argument("--activation", choices=ACTIVATIONS, default="relu")
    parser.add_argument("--prior", choices=("mixture", "gaussian"), default="mixture",
                        help="on every weight: scale mixture (equation 7) or one Gaussian")
    parser.add_argument("--pi", type=float, default=0.5, help="mixture: weight of the slab (default 0.5)")
    parser.add_argument("--sigma1", type=float, default=1.0,
                        help="deviation of the slab, or of the Gaussian prior (default 1)")
    parser.add_argument("--sigma2", type=float, default=ScaleMixture().sigma2,
                        help="mixture: deviation of the spike (default e^-6)")
    parser.add_argument("--noise", type=_noise, default="learned",
                        help="of the likelihood: learned (default), input (an output of the network), or a deviation")
    parser.add_argument("--draws", type=int, default=1, help="weight draws a step (default 1)")
    _estimator_arguments(parser)
    parser.add_argument("--minibatch-weights", choices=MINIBATCH_WEIGHTS, default="uniform",
                        help="part of the KL that each minibatch carries (section 3.4)")
    parser.add_argument("--temperature", type=float, default=1.0, help="factor on the KL (default 1: the posterior)")
    parser.add_argument("--epochs", type=int, default=DEFAULTS["epochs"], help="default %(default)s")
    parser.add_argument("--batch-size", type=int, default=128, help="default %(default)s")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="adam")
    parser.add_argument("--learning-rate", type=float, default=DEFAULTS["learning_rate"], help="default %(default)s")
    parser.add_argument("--schedule", choices=SCHEDULES, default="cosine")
    parser.add_argument("--horizon", type=int, help="steps over which the rate falls (default: all)")
    parser.add_argument("--average-last", type=float, default=0.0, help="part of the steps to average over (default 0)")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--no-standardize", dest="standardize", action="store_false",
                        help="take inputs and targets in their own units")
    parser.add_argument("--threads", type=int, help="default: one for a small network, all for a large one")
    parser.add_argument("--rho-init", type=float, default=-5.0, help="sigma starts at log(1 + e^rho) (default -5)")
    parser.add_argument("--prediction-draws", type=int, default=DEFAULTS["prediction_draws"],
                        help="weight draws a prediction averages (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)


def _estimator_arguments(parser):
    parser.add_argument("--weight-noise", choices=PLACEMENTS, default="weights",
                        help="where the noise enters: the weights, every unit (local reparameterisation), or the "
                        "weights with other signs for every example (default weights)")
    parser.add_argument("--antithetic", action="store_true", help="draws in pairs, eps and -eps: --draws must be even")
    parser.add_argument("--kl", choices=KLS, default="sampled",
                        help="at the draw of the weights, or in closed form: --prior gaussian (default sampled)")
    parser.add_argument("--gradient", choices=GRADIENTS, default="total",
                        help="all of it, or without the score of log q, whose mean is zero (default total)")


def _regression(options):
    from bbbnp.experiments import regression
    params = dict(vars(options))
    for name in ("command", "run"):
        del params[name]
    pi, sigma1, sigma2 = params.pop("pi"), params.pop("sigma1"), params.pop("sigma2")
    gaussian = params.pop("prior") == "gaussian"
    prior = GaussianPrior(sigma1) if gaussian else ScaleMixture(pi, sigma1, sigma2)
    out = params.pop("out")
    result = regression.run(out, prior=prior, **params)
    print(f"{'':25}{'Bayes by Backprop':>20}{'ordinary network':>20}")
    rows = [("held-out log-likelihood", "held_out_log_likelihood"), ("coverage of 50 %", "coverage_50"),
            ("coverage of 95 %", "coverage_95"), ("seconds to fit*", "fit_s")]
    for label, key in rows:
        print(f"{label:25}" + "".join(f"{result[model][key]:20.3f}" for model in ("bayes", "ordinary")))
    for x in result["bayes"]["width_95"]:
        print(f"{f'95 % band at x = {x}':25}"
              + "".join(f"{result[model]['width_95'][x]:20.3f}" for model in ("bayes", "ordinary")))
    print(f"* compiling included, where it was needed. Figure and numbers are in {out}/")
    return 0


def _gradcheck_arguments(parser):
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON too")
    parser.add_argument("--hidden", type=_widths, default=(4, 5), metavar="W[,W...]",
                        help="hidden widths of the networks that are checked (default 4,5)")


def _gradcheck(options):
    from tqdm import tqdm
    from bbbnp import gradcheck, gradcheck_cases
    if options.json:
        options.json.touch()
    rows = list(tqdm(gradcheck_cases.all_rows(options.hidden), desc="gradients", unit=" checks", disable=None,
                     leave=False))
    worst = max(row.worst for row in rows)
    print(gradcheck.table(rows))
    print(f"{len(rows)} gradients, worst relative error {worst:.1e}, bound {gradcheck.TOLERANCE:.0e}")
    if options.json:
        options.json.write_text(json.dumps({"worst": worst, "rows": [row._asdict() for row in rows]}, indent=1) + "\n")
    return 0 if worst <= gradcheck.TOLERANCE else 1


def _bench_arguments(parser):
    parser.add_argument("--peers", action="store_true",
                        help="also time PyTorch and JAX (with optax), where they are installed")
    parser.add_argument("--story", action="store_true",
                        help="in place of all that: one step five times, from a plain loop to the one that trains")
    parser.add_argument("--rounds", type=int, default=7, help="times that each contestant is timed in turn (default 7)")
    parser.add_argument("--json", type=Path, metavar="FILE",
                        help="write the results, and beside them (not for the story) the figure, as .png")


def _bench(options):
    from bbbnp import plots
    from bbbnp.experiments import bench, results, story
    if options.rounds < 1:
        raise ValueError(f"rounds={options.rounds} must be at least 1")
    if options.json:
        if options.json.suffix == ".png" or options.json.is_dir():
            raise ValueError(f"--json {options.json} must name a file for the numbers, beside which the .png goes")
        results.writable_folder(options.json.parent)
    begun = time.perf_counter()
    module, settings = (story, {}) if options.story else (bench, {"peers": options.peers})
    result = module.run(rounds=options.rounds, **settings)
    print(module.table(result))
    if options.json:
        results.write(options.json, result, seed=0, settings={"rounds": options.rounds, **settings},
                      wall_time_s=time.perf_counter() - begun)
        if not options.story:
            plots.bench(result, options.json.with_suffix(".png"))
    return 0


def _variance_arguments(parser):
    parser.add_argument("--keys", type=int, default=200, help="noise keys a variance is taken over (default 200)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of the training races (default 5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="training time of each racer (default 4)")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of results (default pictures)")


def _variance(options):
    from bbbnp import plots
    from bbbnp.experiments import results, variance
    settings = {name: getattr(options, name) for name in ("keys", "seeds", "seconds")}
    if options.keys < 2 * variance.GROUPS or options.seeds < 1 or not options.seconds > 0:
        raise ValueError(f"keys={options.keys} must be at least {2 * variance.GROUPS}, seeds={options.seeds} at least "
                         f"1 and seconds={options.seconds} positive")
    path, begun = results.writable_folder(options.out) / "estimators.json", time.perf_counter()
    result = variance.run(**settings)
    print(variance.table(result))
    results.write(path, result, seed=0, settings=settings, wall_time_s=time.perf_counter() - begun)
    plots.estimators(result, path.with_suffix(".png"))
    plots.races(result, path.with_name("estimators_races.png"))
    return 0


def _data_arguments(parser):
    from bbbnp.data import DATASETS
    parser.add_argument("name", choices=DATASETS, help="the data set")
    parser.add_argument("--data-dir", metavar="FOLDER",
                        help="read the files, plain or as .gz, from here or from a folder of the data set's name in "
                        "here, and download nothing (default: the environment variable BBBNP_DATA)")


def _data(options):
    from bbbnp import data
    print(data.DATASETS[options.name].source)
    for path, shape in data.files(options.name, data_dir=options.data_dir):
        print(f"{path}  {' x '.join(map(str, shape))}  sum OK", flush=True)
    return 0


def _of(module, arguments="_arguments", run="_run"):
    """Functions that add arguments and run, of an experiment that is imported when they are called."""
    def found(name):
        return getattr(importlib.import_module(f"bbbnp.experiments.{module}"), name)

    return lambda parser: found(arguments)(parser), lambda options: found(run)(options)


def _report_arguments(parser):
    parser.add_argument("--readme", type=Path, default=Path("README.md"), help="file to write into (default README.md)")
    parser.add_argument("--results", type=Path, default=Path("pictures"), help="folder of JSON results")
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date: exit 1 if not")


def _report(options):
    from bbbnp.experiments import report
    return report.run(options.readme, options.results, check=options.check)


COMMANDS = {
    "regression": (_regression_arguments, _regression, "Figure 5: a regression that knows what it does not know",
                   "Train a neural network by Bayes by Backprop and an ordinary one on the paper's curve; write the "
                   "figure and its numbers. Vary anything: fewer points, another prior, no temperature, and look."),
    "mnist": (*_of("mnist_command", "mnist_arguments", "run_mnist"),
              "Table 1 and Figure 2: a network on MNIST, the choice of settings, the whole table",
              "Train a network on MNIST in a folder, with checkpoints: Ctrl-C at any time, and --resume goes on "
              "to the same bits. With --grid and --finals, choose settings on validation data; with --table1, train "
              "every cell with them; with --collect, write the table and the figure; with --moonshot, go beyond "
              "the paper. What is left out has the method's default, or that of a contest's recipe."),
    "prune": (*_of("mnist_command", "prune_arguments", "run_prune"),
              "Table 2, Figures 3 and 4: the error when most weights are removed",
              "Remove weights of trained networks by signal-to-noise, by size and at random, and score the mean "
              "network and averaged draws; draw the densities of weights and of their signal-to-noise."),
    "uncertainty": (*_of("uncertainty"), "how much to believe each network trained on MNIST",
                    "Score and calibrate the networks of run folders, reject what they doubt, show them images of no "
                    "digit and one digit turned upside down, and say where Bayes by Backprop is worse."),
    "questions": (*_of("questions"), "four questions about the prior, temperature, minibatch weights and SGD",
                  "Train the same network on MNIST in several ways, never with the test images, measure what Adam "
                  "makes of each minibatch weight, check it on a model of known posterior, and say what comes out."),
    "bandit": (*_of("bandit_command", "arguments", "run"),
               "Figure 6: mushrooms that may be poisonous, chosen by Thompson sampling",
               "Play the mushroom bandit with Bayes by Backprop, greedy agents and an exact control, in compiled code; "
               "write the regret of each and the figure. A game of 50,000 steps takes about ten minutes on a core; "
               "Ctrl-C at any time, and the same command goes on to the same bits. With --variants, see which of the "
               "settings that the paper does not state decides success."),
    "gradcheck": (_gradcheck_arguments, _gradcheck, "every hand-written gradient against finite differences",
                  "Check every kernel, reference.py, and the training path, serial and parallel, for each prior, "
                  "likelihood, activation, minibatch weight and way of putting the noise in, by Ridders' extrapolated "
                  "differences in float64; exit 1 above 1e-7."),
    "bench": (_bench_arguments, _bench, "what a training step costs, beside the matrix products it cannot avoid",
              "Time the training step of 784-H-H-10, the products alone, the paper's small networks, drawing noise, "
              "and a cold start, in one process and in turn; with --peers, other libraries in turn with ours, in "
              "processes of their own. A quarter of an hour or more, on a machine that does nothing else."),
    "variance": (_variance_arguments, _variance, "how noisy the gradient is under each way of putting the noise in",
                 "Measure the variance of the gradient in mu and rho under each estimator, on an untrained and a "
                 "trained network, beside what theory predicts, and race them at equal CPU time; takes minutes, on a "
                 "machine that does nothing else."),
    "data": (_data_arguments, _data, "download a data set, or check the files that you have",
             "Find or download each file of a data set, check the SHA-256 sum of its uncompressed content, and say "
             "where it is and what shape it has; exit 1 if a file is missing, damaged or another one. Downloads go to "
             "the cache folder of the user, or to BBBNP_CACHE, and are kept only if their sum is right. Without a "
             "network, put the files into a folder and name it."),
    "report": (_report_arguments, _report, "write the README's results from the result files",
               "Fill the part of README.md between the report marks from the JSON files, so that no number is typed.")}


def parser():
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="bbbnp", description="Bayes by Backprop with every gradient derived by hand (Blundell et al. 2015).")
    top.add_argument("--version", action="version", version=f"bbbnp {bbbnp.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    for name, (arguments, run, short, long) in COMMANDS.items():
        command = commands.add_parser(name, help=short, description=long)
        arguments(command)
        command.set_defaults(run=run)
    return top


def main(arguments=None):
    """Run a command; returns its exit code."""
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except ValueError as error:
        print(f"bbbnp {options.command}: {error}", file=sys.stderr)
        return 2
    except (OSError, ArithmeticError) as error:
        print(f"bbbnp {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"bbbnp {options.command}: stopped", file=sys.stderr)
        return 1
