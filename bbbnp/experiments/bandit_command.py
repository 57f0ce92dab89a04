"""The command line of the bandit: what ``bbbnp bandit`` takes and does."""

import json
from pathlib import Path

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
    parser.add_argument("--agents", nargs="+", choices=bandit.AGENTS, default=list(bandit.AGENTS), metavar="AGENT",
                        help=f"default: all of {', '.join(bandit.AGENTS)}")
    parser.add_argument("--seeds", type=int, default=5, help="games of each agent, with seeds 0, 1, ... (default 5)")
    for name, of in TYPES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=of, metavar=of.__name__.upper(),
                            help=f"{HELP[name]} (default {bandit.DEFAULTS[name]:.3g})")
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
    parser.add_argument("--collect", action="store_true", help="play nothing; write what games that have ended say")
    parser.add_argument("--jobs", type=int, default=2, help="games at a time, one thread each (default 2)")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of results (default pictures)")
    parser.add_argument("--data-dir", metavar="FOLDER", help="see bbbnp data --help")


def run(options):
    """What ``bbbnp bandit`` does."""
    from bbbnp import plots_bandit
    for name in ("seeds", "jobs"):
        if getattr(options, name) < 1:
            raise ValueError(f"{name}={getattr(options, name)} must be at least 1")
    names = [*TYPES, "prior", "fresh"]
    changed = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    seeds = range(options.seeds)
    cells = bandit.variants(seeds, **changed) if options.variants else bandit.games(options.agents, seeds, **changed)
    out = results.writable_folder(options.out)
    if not options.collect:
        bandit.play_all(options.runs, cells, jobs=options.jobs, data_dir=options.data_dir)
    records = bandit.collect(options.runs, cells)
    if not records:
        raise ValueError(f"{options.runs} holds no game of these that has ended: leave --collect out, to play them")
    name, draw = (("bandit_variants", plots_bandit.sensitivity) if options.variants
                  else ("bandit", plots_bandit.regret))
    print(bandit.table(records))
    results.write_text(out / f"{name}.json", json.dumps(records) + "\n")
    draw(records, out / f"{name}.png")
    return 0
