"""The parts of README.md on MNIST: Tables 1 and 2, from the files that ``bbbnp mnist`` and ``bbbnp prune`` wrote."""

import numpy as np

from bbbnp import paper
from bbbnp.experiments import pruned, questions_text, uncertainty as study
from bbbnp.experiments.mnist_table import EPOCHS, cells_of, spread
from bbbnp.experiments.results import mean_error, mean_text, read

NAMES = {"sgd": "SGD", "dropout": "dropout", "gaussian": "Bayes by Backprop, Gaussian prior",
         "mixture": "Bayes by Backprop, scale mixture"}


def _percent(records, name, bound):
    """A mean with its standard error, where there are several seeds, in percent; in bold if at most the bound."""
    text = mean_text((record[name] for record in records), 2)
    return f"**{text}**" if spread(records, name)[0] <= bound else text


def _full(cells):
    """Cells of Table 1, but for shorter runs where a method has some of EPOCHS or more at that width."""
    long = {cell[:2] for cell in cells if cell[2] >= EPOCHS}
    return {cell: of for cell, of in cells.items() if cell[2] >= EPOCHS or cell[:2] not in long}


def prior_text(s, gaussian):
    """The prior that settings name, in words."""
    return (f"prior deviation {s['sigma1']:.3g}" if gaussian else
            f"pi {s['pi']:g}, sigma1 {s['sigma1']:.3g}, sigma2 {s['sigma2']:.2g}")


def _settings(record):
    """The settings of a record, in words."""
    s = record["settings"]
    text = f"{s['optimizer']}, learning rate {s['learning_rate']:g}"
    if record["method"] in ("sgd", "dropout"):
        return text
    prior = prior_text(s, record["method"] == "gaussian")
    return (f"{text}, {prior}, {s['minibatch_weights']} minibatch weights, {s['draws']} draw(s) a step, noise in "
            f"{s['weight_noise']}, rho from {s['rho_init']:g}")


def table1(results):
    """Table 1 as Markdown, with what it says."""
    records = read(results, "mnist_table1")
    if not records:
        return ""
    cells = _full(cells_of(records))
    text = ["**Table 1**, MNIST test error in percent, two hidden layers; in bold what is at most the paper's", "",
            "| method | units | seeds | epochs | chosen by | mean network | averaged draws | paper | NLL | ECE |",
            "|---|---|---|---|---|---|---|---|---|---|"]
    for (method, hidden, epochs, by), of in cells.items():
        there = paper.table_1(method, hidden)
        errors = " | ".join(_percent(of, f"test_error_{which}", there) for which in ("mean_network", "averaged"))
        text.append(f"| {NAMES[method]} | {hidden} | {len(of)} | {epochs} | {by} | {errors} | "
                    f"{there:.2f} | {spread(of, 'test_nll')[0]:.4f} | "
                    f"{spread(of, 'test_ece')[0]:.4f} |")
    one = {(method, by): of[0] for (method, _, _, by), of in cells.items()}
    chosen = "; ".join(f"{NAMES[method]}, {by}: {_settings(record)}" for (method, by), record in one.items())
    where = "; ".join(f"{by}: {text}" for by, text in {r["chosen_by"]: r["selected_on"] for r in records}.items())
    by_name = [f"{NAMES[method]} by {record['settings']['optimizer']}" for (method, _), record in one.items()
               if method in ("sgd", "dropout") and record["settings"]["optimizer"] != "sgd"]
    hours = sum(record["wall_time_s"] for record in records) / 3600
    fewer = sum(map(len, cells_of(records).values())) - sum(map(len, cells.values()))
    text += ["", *([f"Ordinary networks have the paper's names, but the search chose another optimiser: "
                    f"{', '.join(by_name)}.", ""] if by_name else []),
             f"Settings were ranked by the mean network's error on ({where}). {chosen}. Trained on all 60,000 images; "
             "but for the finals, for as many epochs as there was time for, fixed before each run (the paper's Figure "
             f"2 shows 600). NLL and ECE are those of {max(r['draws'] for r in records)} averaged draws, ± the "
             f"standard error over seeds; {hours:.1f} hours by the clock, pauses and other work included ([all numbers]"
             f"(pictures/mnist_table1.json){f', {fewer} shorter runs among them' if fewer else ''}, "
             f"{records[0]['machine']})."]
    return "\n".join(text)


def _candidates(records, head):
    """A table of the candidates of a contest, by their validation errors; `head` are further columns, by a setting."""
    text = [f"| recipe | {' | '.join(head)} | mean network | averaged draws | NLL |", "|---" * (4 + len(head)) + "|"]
    return text + [
        f"| {name} | {' | '.join(value(r) for value in head.values())} | {r['validation_error_mean_network']:.2f} | "
        f"{r['validation_error_averaged']:.2f} | {r['validation_nll']:.4f} |" for name, r in records.items()]


def _earlier(record):
    """What the choice among fewer candidates had shown of the test images before, which is a look at them too."""
    return (f"An earlier contest, of fewer candidates and decided by the {_rule(record)}, had chosen "
            f"{record['hidden']} units and {record['epochs']} epochs: {record['test_error_mean_network']:.2f} %, "
            f"{record['test_error_averaged']:.2f} %, NLL {record['test_nll']:.4f}. ")


def _rule(found):
    """What a contest was decided by; files of before it was said were by the error."""
    return {"validation_nll": "NLL of averaged draws"}.get(found.get("rule"), "error of the mean network")


def _result(found, contest):
    """What the best candidate of a contest gives on the test images, and what all of it took."""
    record = found["result"]
    networks = record.get("networks", 1)
    of_means = "the mean network" if networks == 1 else f"the averaged mean networks of {networks}"
    runs = [*found["candidates"].values(), record]
    return (f"By the {_rule(found)}, \"{found['chosen']}\" is chosen. Trained again on all 60,000 images: test error "
            f"{record['test_error_mean_network']:.2f} % of {of_means}, {record['test_error_averaged']:.2f} % of "
            f"{record['draws']} averaged draws, NLL {record['test_nll']:.4f}, ECE {record['test_ece']:.4f}. "
            f"{''.join(map(_earlier, found.get('earlier', [])))}All runs together took "
            f"{sum(r['wall_time_s'] for r in runs) / 60:.0f} minutes, pauses and other work included "
            f"([all numbers](pictures/mnist_{contest}.json), {record['machine']}).")


def finals(results):
    """How the mixture's settings were chosen by runs of full length, as Markdown."""
    found = read(results, "mnist_finals")
    if not found:
        return ""
    s = found["result"]["settings"]
    return "\n".join([
        f"**Finals of the mixture**: {s['hidden']} units, {s['minibatch_weights']} minibatch weights, T = "
        f"{s['temperature']:g}, seed {s['seed']}, validation error in percent", "", *_candidates(found["candidates"], {
            "prior": lambda r: prior_text(r["settings"], False), "rho from": lambda r: f"{r['settings']['rho_init']:g}",
            "noise in": lambda r: r["settings"]["weight_noise"], "draws": lambda r: str(r["settings"]["draws"]),
            "epochs": lambda r: str(r["epochs"])}), "", _result(found, "finals")])


def moonshot(results):
    """What recipes of low temperature reach, as Markdown: a table of candidates, and the one that was chosen."""
    found = read(results, "mnist_moonshot")
    if not found:
        return ""
    s = found["result"]["settings"]
    return "\n".join([
        f"**Low temperature**: T = {s['temperature']:g}, seeds from {s['seed']} on, validation error in percent", "",
        *_candidates(found["candidates"], {
            "networks": lambda r: str(r.get("networks", 1)), "units, epochs": lambda r: f"{r['hidden']}, {r['epochs']}",
            "prior": lambda r: prior_text(r["settings"], r["method"] == "gaussian"),
            "noise in": lambda r: r["settings"]["weight_noise"]}), "", (
            f"{_result(found, 'moonshot')} It targets "
            f"$P(\\mathcal{{D}} \\mid w)^{{{1 / s['temperature']:g}}} P(w)$, not the posterior.")])


def uncertainty(results):
    """How much to believe each method, as Markdown: the scores by method, and where Bayes by Backprop is worse."""
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
            "none" if None in cell else " ± ".join(
                form.format(part) for part in mean_error(cell) if part is not None) for cell in cells) + " |")
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
    parts, rows = sorted({r["removed"] for r in records}), pruned.rows(records)
    shown = pruned.rows(r for r in records if "test_error" in r and (r["criterion"], r["prediction"]) != (
        "random", "mean"))
    there = " | ".join(f"{paper.TABLE_2[part]:.2f}" if part in paper.TABLE_2 else "" for part in parts)
    text = ["**Table 2**, test error in percent after removing weights", "",
            "| network | criterion | prediction | " + " | ".join(f"{part:.0%}" for part in parts) + " |",
            "|---" * (3 + len(parts)) + "|",
            *("| " + " | ".join(key) + " | " + " | ".join(f"{found[part]:.2f}" for part in parts) + " |"
              for key, found in shown.items()),
            f"| paper, 1200 units | snr | not said | {there} |", "",
            f"`averaged` are {records[0]['draws']} draws. A pruned weight is gone: no noise, no KL, no gradient ([all "
            "numbers](pictures/mnist_table2.json), those of validation images too). What removing 95 % adds to the "
            "error of averaged draws, in points:"]
    for (network, criterion, prediction), found in rows.items():
        if (criterion, prediction) == ("snr", "averaged"):
            size = rows[network, "magnitude", prediction]
            cost, of_size = (found[0.95] - found[0.0], size[0.95] - size[0.0])
            text.append(f"- {network}: {cost:+.2f} by signal-to-noise, {of_size:+.2f} by size: "
                        f"{'the ratio' if cost < of_size else 'size alone' if cost > of_size else 'neither'} sorts "
                        "better.")
    return "\n".join([*text, *deviations(read(results, "mnist_weights") or [])])


def deviations(weights):
    """How far sigma of the pruned networks came from its start, and their signal-to-noise, as Markdown."""
    found = [r for r in weights if "rms_sigma" in r]
    rows = [(r["network"], f"{np.logaddexp(0, r['rho_init']):.4f}", f"{r['rms_sigma']:.4f}",
             {float(q): value for q, value in r["ratio_quantiles"].items()}) for r in found]
    return ["", ("Root mean square of sigma before training and after it, and log10 of the signal-to-noise below which "
                 "so many of the weights are:"), "",
            f"| network | before | after | {' | '.join(f'{q:.0%}' for q in paper.FIGURE_4)} |",
            "|---" * (3 + len(paper.FIGURE_4)) + "|",
            *(f"| {network} | {before} | {after} | " + " | ".join(f"{ratios[q]:.2f}" for q in paper.FIGURE_4) + " |"
              for network, before, after, ratios in (*rows, ("paper", "", "", paper.FIGURE_4)))] if found else []


PARTS = finals, table1, moonshot, table2, uncertainty, questions  # each fills the part of its name
