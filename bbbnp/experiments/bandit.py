"""Figure 6: seven agents at the mushroom bandit, and what of the settings that the paper leaves open decides success.

A run is a game of one agent and one seed; agents of one seed meet the same mushrooms and the same luck. Games are kept
in a folder, go on where Ctrl-C stopped them, to the same bits, and are not played again once they have ended.
"""

import json
from pathlib import Path
import time

import numpy as np
from tqdm import tqdm

import bbbnp
from bbbnp import _check
from bbbnp.bandit import ThompsonSampler, mushroom_bandit
from bbbnp.experiments import pool, results
from bbbnp.game import Game, LinearThompson, by_chance
from bbbnp.model import BayesRegressor
from bbbnp.objective import GaussianPrior, ScaleMixture
from bbbnp.training import DivergenceError

DEFAULTS = {
    "agent": "bbb", "seed": 0, "steps": 50_000, "hidden": [100, 100], "prior": "gaussian", "pi": 0.5,
    "sigma1": 1.0, "sigma2": float(np.exp(-6)), "noise": 0.3, "learning_rate": 2e-4, "halved_after": 500,
    "optimizer": "adam", "rho_init": -2.0, "temperature": 1.0, "fresh": False, "line_noise": 3.0, "line_sigma": 3.0}
NETWORKS = {  # posterior, weight draws that decide, chance of an action by chance
    "bbb": ("diagonal", 2, 0.0), "bbb-1": ("diagonal", 1, 0.0), "greedy": ("point", 0, 0.0),
    "epsilon-1": ("point", 0, 0.01), "epsilon-5": ("point", 0, 0.05)}
POINT = {"learning_rate": 1e-3, "noise": 1.0}  # of greedy agents: see bandit_trials.json
AGENTS = (*NETWORKS, "random", "linear-thompson")
MARKS = (500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 50_000)
VARIANTS = {  # what differs from DEFAULTS, for the figure of what matters
    "as in the table": {}, "mixture prior": {"prior": "mixture"},
    "prior deviation 0.37": {"sigma1": float(np.exp(-1))}, "noise 1": {"noise": 1.0}, "noise 10": {"noise": 10.0},
    "noise 1, prior deviation 0.37": {"noise": 1.0, "sigma1": float(np.exp(-1))}, "constant rate": {"halved_after": 0},
    "rho from -5": {"rho_init": -5.0},
    "fresh, rate 1e-2": {"fresh": True, "learning_rate": 1e-2, "halved_after": 0}}  # 64 steps must be enough
BATCH, MINIBATCHES, ACTIONS = 64, 64, 2
SHORT = 20_000  # steps of a variant
SAVED_EVERY = 1000  # interactions between checkpoints
POINTS = 60  # of a curve in the result file


def settings_of(agent, **changed):
    """All settings of a game: those given, and the defaults."""
    _check.one_of("agent", agent, AGENTS)
    for name in changed:
        _check.one_of("setting", name, DEFAULTS)
    own = POINT if NETWORKS.get(agent, "")[:1] == ("point",) else {}
    return {**DEFAULTS, **own, **changed, "agent": agent}


def agent_of(settings):
    """The agent that the settings describe, before its first interaction."""
    agent, seed = settings["agent"], settings["seed"]
    if agent == "random":
        return by_chance(ACTIONS, seed=seed)
    if agent == "linear-thompson":
        return LinearThompson(ACTIONS, settings["line_noise"], settings["line_sigma"], seed)
    posterior, draws, epsilon = NETWORKS[agent]
    prior = (GaussianPrior(settings["sigma1"]) if settings["prior"] == "gaussian"
             else ScaleMixture(settings["pi"], settings["sigma1"], settings["sigma2"]))
    own = {name: settings[name] for name in ("noise", "learning_rate", "optimizer", "rho_init", "temperature")}
    horizon = settings["halved_after"] * MINIBATCHES
    model = BayesRegressor(hidden=tuple(settings["hidden"]), prior=prior, posterior=posterior, batch_size=BATCH,
                           schedule="inverse_time" if horizon else "constant", horizon=horizon or None,
                           standardize=False, seed=seed, **own)
    return ThompsonSampler(model, ACTIONS, draws=draws, epsilon=epsilon, minibatches=MINIBATCHES,
                           fresh=settings["fresh"])


def run(folder, settings, *, data_dir=None, progress=None):
    """Play one game in `folder`, from its checkpoint if there is one.

    Returns
    -------
    dict or None
        The record, which is in result.json too; None if Ctrl-C stopped the game.

    Raises
    ------
    ValueError
        If the folder holds a game with other settings.
    DataError, OSError
        As the loader and the files.
    """
    folder = Path(folder)
    path, saved, result = (folder / name for name in ("settings.json", "game.npz", "result.json"))
    if path.exists() and json.loads(path.read_text()) != settings:
        raise ValueError(f"{folder} holds a game with other settings: name another folder")
    if result.exists():
        return json.loads(result.read_text())
    game = Game(mushroom_bandit(data_dir=data_dir), agent_of(settings), settings["steps"])
    results.writable_folder(folder)
    results.write_text(path, json.dumps(settings, indent=1) + "\n")
    seconds, diverged = 0.0, False
    if saved.exists():
        kept = game.restore(saved)
        seconds, diverged = kept["seconds"], kept["diverged"]
    while game.played < settings["steps"] and not diverged:
        begun, stopped = time.perf_counter(), False
        try:
            stopped = game.play(until=min(game.played + SAVED_EVERY, settings["steps"]), progress=progress)
        except DivergenceError:
            diverged = True
        seconds += time.perf_counter() - begun
        game.save(saved, {"seconds": seconds, "diverged": diverged})
        if stopped:
            return None
    record = _record(settings, game, seconds, diverged)
    results.write_text(result, json.dumps(record) + "\n")
    return record


def _record(settings, game, seconds, diverged):
    """What came out: cumulative regret at the marks and along the curve."""
    cumulative = np.cumsum(game.regret[:, :game.played], axis=1)
    points = np.unique(np.geomspace(1, game.played, POINTS).astype(int))
    realised, expected = ({str(mark): float(row[mark - 1]) for mark in MARKS if mark <= game.played}
                          for row in cumulative)
    return {"agent": settings["agent"], "seed": settings["seed"], "realised": realised, "expected": expected,
            "settings": settings, "wall_time_s": round(seconds, 1), "diverged_at": game.played if diverged else None,
            "curve": {"steps": points.tolist(), "realised": cumulative[0, points - 1].tolist(),
                      "expected": cumulative[1, points - 1].tolist()},
            "machine": results.machine(), "version": bbbnp.__version__}


def task(arguments):
    """`run` of (folder, settings, data_dir), for a pool."""
    return run(arguments[0], arguments[1], data_dir=arguments[2], progress=False)


def games(agents, seeds, **changed):
    """Settings of every game, by the name of its folder; all agents of a seed before the next."""
    return {f"{agent}_{seed}": settings_of(agent, seed=seed, **changed) for seed in seeds for agent in agents}


def variants(seeds, **changed):
    """Settings of the games that vary what the paper leaves open, by the name of their folder: variant/seed."""
    return {f"{name}/{seed}": settings_of("bbb", **{"seed": seed, "steps": SHORT, **changed, **varied})
            for seed in seeds for name, varied in VARIANTS.items()}


def play_all(folder, cells, *, jobs=2, data_dir=None, progress=None):
    """Play the games in folders of `folder`, `jobs` at a time on a thread each; those that have ended are kept."""
    tasks = [(Path(folder) / name, settings, data_dir) for name, settings in cells.items()]
    for number, record in pool.each(task, tasks, jobs=jobs, progress=progress, desc="games"):
        tqdm.write(f"{list(cells)[number]}: regret {record['curve']['realised'][-1]:.0f}")


def collect(folder, cells):
    """Records of those of the games that have ended; a variant's has its name."""
    records = []
    for name, settings in cells.items():
        path = Path(folder) / name / "result.json"
        record = json.loads(path.read_text()) if path.exists() else None
        if record and record["settings"] == settings:
            records.append({**record, **({"variant": name.split("/")[0]} if "/" in name else {})})
    return records


def rows(records):
    """Records by agent, or by variant, in the order of the first of each; without the games that diverged."""
    of = {}
    for record in records:
        if record["diverged_at"] is None:
            of.setdefault(record.get("variant", record["agent"]), []).append(record)
    return of


def diverged(records):
    """What is to be said of games that diverged, as a list of at most one sentence."""
    lost = [f"{record.get('variant', record['agent'])} with seed {record['seed']} after interaction "
            f"{record['diverged_at']:,}" for record in records if record["diverged_at"] is not None]
    return [f"Left out, since the free energy became infinite: {'; '.join(lost)}."] if lost else []


def table(records):
    """Mean and standard error of realised regret at the marks, as text."""
    marks = sorted({mark for record in records for mark in record["realised"]}, key=int)
    lines = [f"{'realised regret at':24}{'games':>6}" + "".join(f"{int(mark):>15,}" for mark in marks)]
    for name, of in rows(records).items():
        cells = [results.mean_text([record["realised"][mark] for record in of], 0, "+-")
                 if all(mark in record["realised"] for record in of) else "" for mark in marks]
        lines.append(f"{name:24}{len(of):6}" + "".join(f"{cell:>15}" for cell in cells))
    return "\n".join(lines + diverged(records))


def trials(folder):
    """Settings, and regret at the marks, of all games in folders of `folder` that have ended, whatever they are."""
    found = [json.loads(path.read_text()) for path in sorted(Path(folder).glob("**/result.json"))]
    return [{**{name: record[name] for name in ("agent", "seed", "diverged_at", "realised", "expected", "wall_time_s")},
             "steps": record["curve"]["steps"][-1], "at_the_end": record["curve"]["expected"][-1],
             "changed": {name: value for name, value in record["settings"].items()
                         if name not in ("agent", "seed", "steps") and value != DEFAULTS[name]
                         and name.startswith("line_") == (record["agent"] == "linear-thompson")}} for record in found]
