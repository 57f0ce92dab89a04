"""Table 1 (Blundell et al. 2015): every cell trained with settings chosen on validation data, and what came out.

The settings of a method are those that `mnist_grid`, or `mnist_finals` in runs of full length, chose on validation
data at 400 units, for all three widths; the numbers of epochs, where the finals did not choose them, were fixed
beforehand, by the time a run takes. Of seeds, the mixture had five at 400 units from the start; the rest was added as
there was time, after the first had been seen. Each run trains on all 60,000 images, and its test error is that of its
last epoch.
"""

import contextlib
import json
from pathlib import Path

from tqdm import tqdm

from bbbnp import paper
from bbbnp.experiments import mnist, mnist_grid, pool, results

WIDTHS, EPOCHS = (1200, 800, 400), 80
SEEDS = {400: 3, 800: 3, 1200: 2, ("mixture", 400): 5}  # of a width, or of a method there
SELECTED_ON = {
    "finals": "validation, 10,000 of the training images, at 400 units, by runs of full length",
    "search": "validation, 10,000 of the training images, at 400 units", "nobody": "nothing: the settings were given"}


def plan(search, finals=None):
    """Settings of every run, by the name of its folder, the longest first; `finals` as `mnist_finals.run` returns."""
    cells = {}
    for hidden in WIDTHS:
        for method in reversed(mnist.METHODS):
            if finals and finals["result"]["method"] == method:
                best = _point_of(finals)
            else:
                best = {"epochs": EPOCHS, **mnist_grid.summary(search, method)["best"]["point"]}
            for seed in range(SEEDS.get((method, hidden), SEEDS[hidden])):
                cells[f"{method}_{hidden}_{seed}"] = mnist.settings_of(method, hidden=hidden, seed=seed, **best)
    return cells


def _point_of(finals):
    """What the finals chose, whatever the width and the seed."""
    settings = mnist.completed(finals["result"]["settings"])
    return {name: value for name, value in settings.items() if name not in ("method", "hidden", "seed", "held_out")}


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


def _chosen_by(record, chosen, finals):
    """Who chose the settings of a record, a key of SELECTED_ON."""
    def same(settings, but=()):
        own = mnist.completed(record["settings"])
        return all(own[name] == value for name, value in settings.items() if name not in but)

    method = record["method"]
    if finals and finals["result"]["method"] == method and same(_point_of(finals)):
        return "finals"
    of_search = method in chosen and mnist.settings_of(method, **chosen[method]["best"]["point"])
    return "search" if of_search and same(of_search, ("hidden", "epochs", "seed", "held_out")) else "nobody"


def preferred(records):
    """The records whose settings the finals chose where there are some of a cell, then the search's, then the rest."""
    order, best = list(SELECTED_ON), {}
    for record in records:
        cell = _cell(record)[:3]
        best[cell] = min(best.get(cell, order[-1]), record["chosen_by"], key=order.index)
    return [record for record in records if record["chosen_by"] == best[_cell(record)[:3]]]


def collect(folder, chosen=(), earlier=(), finals=None):
    """Records of all finished runs on all the training images in folders of `folder`, sorted.

    `chosen` is what `searches` returns, `finals` what `mnist_finals.run` does: a record says who chose its settings.
    `earlier` are records of runs whose folders may be gone: they stay, but where the folder has the same cell, epochs,
    chooser and seed.
    """
    records = []
    for path in sorted(Path(folder).glob("*/result.json")):
        record = json.loads(path.read_text())
        if record["settings"]["held_out"] or record.get("networks", 1) > 1:
            continue
        record["curve"] = [json.loads(line) for line in (path.parent / "log.jsonl").read_text().splitlines()]
        records.append(record)
    for record in (*records, *earlier):
        record["chosen_by"] = _chosen_by(record, chosen, finals)
        record["selected_on"] = SELECTED_ON[record["chosen_by"]]
    there = [_cell(record) for record in records]
    records += [record for record in earlier if _cell(record) not in there]
    return sorted(records, key=lambda r: (list(mnist.METHODS).index(r["method"]), *_cell(r)[1:]))


def _cell(record):
    return record["method"], record["hidden"], record["epochs"], record["chosen_by"], record["seed"]


def cells_of(records):
    """Records by (method, hidden, epochs, who chose the settings)."""
    cells = {}
    for record in records:
        cells.setdefault(_cell(record)[:4], []).append(record)
    return cells


def spread(records, name):
    """Mean of a number over seeds, and its standard error, None for one seed."""
    return results.mean_error(record[name] for record in records)


def table(records):
    """Errors beside the paper's, as text."""
    lines = [f"{'method':10}{'hidden':>7}{'seeds':>6}{'epochs':>7}{'chosen by':>10}{'mean network %':>18}"
             f"{'averaged %':>18}{'paper':>9}"]
    for (method, hidden, epochs, by), of_cell in cells_of(records).items():
        cells = [results.mean_text((record[name] for record in of_cell), 2, "+-")
                 for name in ("test_error_mean_network", "test_error_averaged")]
        lines.append(f"{method:10}{hidden:7}{len(of_cell):6}{epochs:7}{by:>10}{cells[0]:>18}{cells[1]:>18}"
                     f"{paper.table_1(method, hidden):9.2f}")
    return "\n".join(lines)
