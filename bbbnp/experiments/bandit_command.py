"""The command line of the bandit: what ``bbbnp bandit`` takes and does."""

import json
from pathlib import Path

from bbbnp import _check
from bbbnp.experiments import bandit, results

TYPES = {"steps": int, "learning_rate": float, "halved_after": int, "noise": float, "pi": float, "sigma1": float,
         "sigma2": float, "rho_init": float, "temperature": float, "line_noise": float, "line_sigma": float}
HELP = {
    "steps": "interactions of a game", "learning_rate": "of Adam",
    "halved_after": "the rate at interaction t is the learning rate over 1 + t/this; 0 keeps it constant",
    "noise": "deviation that the likelihood gives to rewards", "pi": "mixture: weight of the slab",
    "sigma1": "deviation of the slab, or of the Gaussian prior", "sigma2": "mixture: deviation of the spike",
    "rho_init": "sigma starts at log(1 + e^rho)", "temperature": "factor on the KL; 1 targets the posterior",
    "line_noise": "linear-thompson: deviation that its likelihood gives to rewards",
    "line_sigma": "linear-thompson: deviation of its prior"}


def arguments(parser):
    """Arguments of ``bbbnp bandit``."""
    parser.add_argument("--agents", nargs="+", choices=bandit.AGENTS, metavar="AGENT",
                        help=f"default: all of {', '.join(bandit.AGENTS)}")
    parser.add_argument("--seeds", type=int, default=5, help="games of each agent (default 5)")
    parser.add_argument("--first-seed", type=int, default=0,
                        help="their seeds are this, this + 1, ... (default 0)")
    for name, of in TYPES.items():
        of_point = f", {bandit.POINT[name]:.3g} of greedy agents" if name in bandit.POINT else ""
        parser.add_argument(f"--{name.replace('_', '-')}", type=of, metavar=of.__name__.upper(),
                            help=f"{HELP[name]} (default {bandit.DEFAULTS[name]:.3g}{of_point})")
    parser.add_argument("--prior", choices=("mixture", "gaussian"),
                        help=f"on every weight (default {bandit.DEFAULTS['prior']})")
    parser.add_argument("--fresh", action="store_true", default=None,
                        help="train from the initial network after every interaction, not from where it stands")
    parser.add_argument("--variants", action="store_true",
                        help=f"in place of all that: vary the settings that the paper leaves open, {bandit.SHORT:,} "
                        "steps each")
    parser.add_argument("--runs", type=Path, default=Path("runs/bandit"), metavar="FOLDER",
                        help="games, a folder each: those that have ended are kept, those that were stopped go on "
                        "(default %(default)s)")
    parser.add_argument("--trials", action="store_true",
                        help="play nothing; write bandit_trials.json: what all games in --runs came to")
    parser.add_argument("--collect", action="store_true", help="play nothing; write what games that have ended say")
    parser.add_argument("--jobs", type=int, default=2, help="games at a time, one thread each (default 2)")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of results (default pictures)")
    parser.add_argument("--data-dir", metavar="FOLDER", help="see bbbnp data --help")


def run(options):
    """What ``bbbnp bandit`` does."""
    from bbbnp import plots_bandit
    for name in ("seeds", "jobs"):
        _check.integer(name, getattr(options, name), least=1)
    if options.variants and options.agents:
        raise ValueError("--variants are of Bayes by Backprop: leave --agents out")
    names = [*TYPES, "prior", "fresh"]
    changed = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    cells = (bandit.variants(seeds, **changed) if options.variants else
             bandit.games(options.agents or bandit.AGENTS, seeds, **changed))
    out = results.writable_folder(options.out)
    if options.trials:
        results.write_text(out / "bandit_trials.json", json.dumps(bandit.trials(options.runs), indent=0) + "\n")
        return 0
    if not options.collect:
        bandit.play_all(options.runs, cells, jobs=options.jobs, data_dir=options.data_dir)
    records = bandit.collect(options.runs, cells)
    if not records:
        raise ValueError(f"{options.runs} holds no game of these that has ended: leave --collect out, to play them")
    name, draw = (("bandit_variants", plots_bandit.sensitivity) if options.variants
                  else ("bandit", plots_bandit.regret))
    print(bandit.table(records))
    if not bandit.rows(records):
        raise ArithmeticError("all of these games diverged: nothing is written")
    results.write_text(out / f"{name}.json", json.dumps(records) + "\n")
    draw([record for of in bandit.rows(records).values() for record in of], out / f"{name}.png")
    return 0
