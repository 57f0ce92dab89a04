"""Table 1 (Blundell et al. 2015): every cell trained with the settings that the search chose, and what came out.

The settings of a method are those that `mnist_grid` chose on validation data at 400 units, for all three widths; the
numbers of epochs and seeds were fixed beforehand, by the time a run takes. Each run trains on all 60,000 images, and
its test error is that of its last epoch.
"""

import contextlib
import json
from pathlib import Path

from tqdm import tqdm

from bbbnp import paper
from bbbnp.experiments import mnist, mnist_grid, pool, results

EPOCHS = {400: 80, 800: 30, 1200: 30}
SEEDS = {("mixture", 400): 5}  # other cells have one


def plan(search, epochs=None):
    """Settings of every run, by the name of its folder, the longest first."""
    epochs = epochs or EPOCHS
    cells = {}
    for hidden in sorted(epochs, reverse=True):
        for method in reversed(mnist.METHODS):
            best = mnist_grid.summary(search, method)["best"]["point"]
            for seed in range(SEEDS.get((method, hidden), 1)):
                cells[f"{method}_{hidden}_{seed}"] = mnist.settings_of(
                    method, hidden=hidden, seed=seed, epochs=epochs[hidden], **best)
    return cells


def run(folder, cells, *, jobs=2, data_dir=None, progress=None):
    """Train the cells of a plan in folders of `folder`, `jobs` at a time on a thread each; finished ones are kept."""
    tasks = [(Path(folder) / name, settings, data_dir) for name, settings in cells.items()]
    for number, record in pool.each(mnist.finished, tasks, jobs=jobs, progress=progress, desc="Table 1"):
        tqdm.write(f"{tasks[number][0].name}: test error {record['test_error_mean_network']:.2f} %")


def searches(folder):
    """What each method's search in `folder` cost and chose, for those that are there."""
    found = {}
    for method in mnist.METHODS:
        with contextlib.suppress(FileNotFoundError):
            found[method] = mnist_grid.summary(folder, method)
    return found


def collect(folder, chosen=(), earlier=()):
    """Records of all finished runs on all the training images in folders of `folder`, sorted.

    `chosen` is what `searches` returns: a record says whether its settings are those that the search chose. `earlier`
    are records of runs whose folders may be gone: they stay, but where the folder has the same cell, epochs and seed.
    """
    records = []
    for path in sorted(Path(folder).glob("*/result.json")):
        record = json.loads(path.read_text())
        if record["settings"]["held_out"]:
            continue
        point = chosen[record["method"]]["best"]["point"] if record["method"] in chosen else None
        of_search = point is not None and point.items() <= record["settings"].items()
        record["selected_on"] = ("validation, 10,000 of the training images, at 400 units" if of_search
                                 else "nothing: the settings were given")
        record["curve"] = [json.loads(line) for line in (path.parent / "log.jsonl").read_text().splitlines()]
        records.append(record)
    there = [_cell(record) for record in records]
    records += [record for record in earlier if _cell(record) not in there]
    return sorted(records, key=lambda r: (list(mnist.METHODS).index(r["method"]), r["hidden"], r["epochs"], r["seed"]))


def _cell(record):
    return record["method"], record["hidden"], record["epochs"], record["seed"]


def cells_of(records):
    """Records by (method, hidden, epochs)."""
    cells = {}
    for record in records:
        cells.setdefault(_cell(record)[:3], []).append(record)
    return cells


def spread(records, name):
    """Mean of a number over seeds, and its standard error, None for one seed."""
    return results.mean_error(record[name] for record in records)


def table(records):
    """Errors beside the paper's, as text."""
    lines = [f"{'method':10}{'hidden':>7}{'seeds':>6}{'epochs':>7}{'mean network %':>18}{'averaged %':>18}{'paper':>9}"]
    for (method, hidden, epochs), of_cell in cells_of(records).items():
        cells = [results.mean_text((record[name] for record in of_cell), 2, "+-")
                 for name in ("test_error_mean_network", "test_error_averaged")]
        lines.append(f"{method:10}{hidden:7}{len(of_cell):6}{epochs:7}" + f"{cells[0]:>18}{cells[1]:>18}"
                     f"{paper.table_1(method, hidden):9.2f}")
    return "\n".join(lines)
