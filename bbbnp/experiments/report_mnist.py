"""The parts of README.md on MNIST: Tables 1 and 2, from the files that ``bbbnp mnist`` and ``bbbnp prune`` wrote."""

import json

from bbbnp import paper
from bbbnp.experiments import questions_text
from bbbnp.experiments.mnist_table import cells_of, spread

NAMES = {"sgd": "SGD", "dropout": "dropout", "gaussian": "Bayes by Backprop, Gaussian prior",
         "mixture": "Bayes by Backprop, scale mixture"}


def read(results, name):
    """The records of a result file, or an empty list where there is none."""
    path = results / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else []


def _percent(records, name):
    """A mean with its standard error, where there are several seeds, in percent."""
    mean, error = spread(records, name)
    return f"{mean:.2f}" + (f" ± {error:.2f}" if error is not None else "")


def _settings(record):
    """The settings that the search chose, in words."""
    s = record["settings"]
    text = f"{s['optimizer']}, learning rate {s['learning_rate']:g}"
    if record["method"] in ("sgd", "dropout"):
        return text
    prior = (f"prior deviation {s['sigma1']:.3g}" if record["method"] == "gaussian" else
             f"pi {s['pi']:g}, sigma1 {s['sigma1']:.3g}, sigma2 {s['sigma2']:.2g}")
    return f"{text}, {prior}, {s['minibatch_weights']} minibatch weights, {s['draws']} draw(s) a step"


def table1(results):
    """Table 1 as Markdown, with what it says."""
    records = read(results, "mnist_table1")
    if not records:
        return ""
    cells = cells_of(records)
    text = ["**Table 1**, MNIST test error in percent, two hidden layers", "",
            "| method | units | seeds | epochs | mean network | averaged draws | paper | NLL | ECE |",
            "|---|---|---|---|---|---|---|---|---|"]
    for (method, hidden), of in cells.items():
        there = paper.TABLE_1[method][paper.WIDTHS.index(hidden)]
        text.append(f"| {NAMES[method]} | {hidden} | {len(of)} | {of[0]['epochs']} | "
                    f"{_percent(of, 'test_error_mean_network')} | {_percent(of, 'test_error_averaged')} | {there:.2f} "
                    f"| {spread(of, 'test_nll')[0]:.4f} | {spread(of, 'test_ece')[0]:.4f} |")
    first = {method: of[0] for (method, _), of in reversed(cells.items())}
    chosen = "; ".join(f"{NAMES[method]}: {_settings(record)}" for method, record in reversed(first.items()))
    hours = sum(record["wall_time_s"] for record in records) / 3600
    text += ["", f"Settings chosen on {records[0]['selected_on']}. {chosen}. Trained on all 60,000 images for as many "
             "epochs as there was time for, fixed before each run (the paper's Figure 2 shows 600). "
             f"NLL and ECE are those of {max(r['draws'] for r in records)} averaged draws, ± the standard error over "
             f"seeds; {hours:.1f} hours of training, with other work beside it ([all numbers]"
             f"(pictures/mnist_table1.json), {records[0]['machine']}).", "", comment(cells)]
    return "\n".join(text)


def comment(cells):
    """What Table 1 says, cell by cell: where ours is below the paper's row, and where it is not."""
    better, worse = [], []
    for (method, hidden), of in cells.items():
        there = paper.TABLE_1[method][paper.WIDTHS.index(hidden)]
        ours = min(spread(of, name)[0] for name in ("test_error_mean_network", "test_error_averaged"))
        (better if ours <= there else worse).append(f"{NAMES[method]} at {hidden} ({ours:.2f} against {there:.2f})")
    return (f"By the better of the two predictions, at or below the paper's number: {', '.join(better) or 'none'}. "
            f"Above it: {', '.join(worse) or 'none'}.")


def uncertainty(results):
    """How much to believe each method, as Markdown: the scores by method, and where Bayes by Backprop is worse."""
    from bbbnp.experiments import uncertainty as study
    result = read(results, "mnist_uncertainty")
    if not result:
        return ""
    of = {}
    for record in result["records"]:
        of.setdefault((record["hidden"], record["method"]), []).append(record)
    text = ["**How much to believe it**", "",
            "| | " + " | ".join(f"{NAMES[method]}, {hidden}" for hidden, method in of) + " |",
            "|---" * (1 + len(of)) + "|"]
    for name, form, _, value in study.columns(result):
        cells = [[value(record) for record in records] for records in of.values()]
        text.append(f"| {name} | " + " | ".join(
            "none" if None in cell else form.format(sum(cell) / len(cell)) for cell in cells) + " |")
    text += ["", *study.comment(result).splitlines(), ""]
    text += [f"{name} is left out: its files were not there." for name in result["left_out"]]
    return "\n".join([*text, f"{result['note']} ([all numbers](pictures/mnist_uncertainty.json))"])


def questions(results):
    """The four questions and their answers."""
    result = read(results, "mnist_questions")
    if not result:
        return ""
    return (f"Two layers of {result['hidden']} units, {result['epochs']} epochs, {len(result['seeds'])} seeds: means ± "
            "standard errors; two numbers are told apart where 0 is outside the 95 % interval of their difference "
            f"([all numbers](pictures/mnist_questions.json)).\n\n{questions_text.comment(result)}")


def table2(results):
    """Table 2 as Markdown, with what it says."""
    records = read(results, "mnist_table2")
    if not records:
        return ""
    parts = sorted({r["removed"] for r in records})
    text = ["**Table 2**, test error in percent after removing weights", "",
            "| network | criterion | prediction | " + " | ".join(f"{part:.0%}" for part in parts) + " |",
            "|---" * (3 + len(parts)) + "|"]
    rows = {}
    for r in records:
        key = (f"{NAMES[r['method']]}, {r['hidden']} units, {r['minibatch_weights']} weights, seed {r['seed']}",
               r["criterion"], r["prediction"])
        rows.setdefault(key, {})[r["removed"]] = r["test_error"]
    text += ["| " + " | ".join(key) + " | " + " | ".join(f"{found[part]:.2f}" for part in parts) + " |"
             for key, found in rows.items()]
    there = " | ".join(f"{paper.TABLE_2[part]:.2f}" if part in paper.TABLE_2 else "" for part in parts)
    text += [f"| paper, 1200 units | snr | not said | {there} |", ""]
    for (network, criterion, prediction), found in rows.items():
        if criterion == "snr":
            text.append(f"{network}, {prediction}: removing 95 % by signal-to-noise changes the error by "
                        f"{found[0.95] - found[0.0]:+.2f} points, 98 % by {found[0.98] - found[0.0]:+.2f}.")
    text += ["", f"`averaged` are {records[0]['draws']} draws. A pruned weight is gone: no noise, no KL, no gradient "
             "([all numbers](pictures/mnist_table2.json))."]
    return "\n".join(text)
