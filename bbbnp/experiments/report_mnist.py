"""The parts of README.md on MNIST: Tables 1 and 2, from the files that ``bbbnp mnist`` and ``bbbnp prune`` wrote."""

import numpy as np

from bbbnp import paper
from bbbnp.experiments import mnist, pruned, questions_text, uncertainty as study
from bbbnp.experiments.mnist_table import EPOCHS, cells_of, spread
from bbbnp.experiments.results import mean_error, mean_text, read

NAMES = {"sgd": "ordinary network (paper: SGD)", "dropout": "dropout", "gaussian": "Bayes by Backprop, Gaussian prior",
         "mixture": "Bayes by Backprop, scale mixture"}
IMAGES = 10_000  # of the test, and held out


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


def _settings(cells):
    """What was chosen for each method, and by whom, as a table in Markdown."""
    text = ["| method | chosen by | optimiser, rate | prior | minibatch weights | draws | noise in | rho from |",
            "|---" * 8 + "|"]
    for (method, by), record in {(method, by): of[0] for (method, _, _, by), of in cells.items()}.items():
        s, bayesian = record["settings"], method not in ("sgd", "dropout")
        own = (prior_text(s, method == "gaussian"), s["minibatch_weights"], s["draws"], s["weight_noise"],
               f"{s['rho_init']:g}") if bayesian else ("",) * 5
        text.append(" | ".join(map(str, (
            f"| {NAMES[method]}", by, f"{s['optimizer']}, {s['learning_rate']:g}", *own))) + " |")
    return text


def _searches(found):
    """What the search of each method's grid cost, a sentence."""
    costs = ", ".join(f"{NAMES[method]}: {r['settings']} settings, {r['budget_passes']} passes, {r['cpu_s']} s, the "
                      f"last rung of {r['best']['passes']:.0f} passes a setting" for method, r in found.items())
    return [f"The searches ([all numbers](pictures/mnist_search.json)) had unequal budgets, in passes of one weight "
            f"draw over the 50,000 images, and seconds of a processor: {costs}. Dropout leaves out an input with "
            f"chance {mnist.DROPOUT[0]:g}, a hidden unit with {mnist.DROPOUT[1]:g}."] if found else []


def table1(results):
    """Table 1 as Markdown, with what it says."""
    records = read(results, "mnist_table1")
    if not records:
        return ""
    every = cells_of(records)
    cells = _full(every)
    text = ["**Table 1**, MNIST test error in percent, two hidden layers; in bold what is at most the paper's", "",
            "| method | units | seeds | epochs | chosen by | mean network | averaged draws | paper | NLL | ECE, % |",
            "|---|---|---|---|---|---|---|---|---|---|"]
    for (method, hidden, epochs, by), of in cells.items():
        there = paper.table_1(method, hidden)
        errors = " | ".join(_percent(of, f"test_error_{which}", there) for which in ("mean_network", "averaged"))
        text.append(f"| {NAMES[method]} | {hidden} | {len(of)} | {epochs} | {by} | {errors} | "
                    f"{there:.2f} | {spread(of, 'test_nll')[0]:.4f} | "
                    f"{100 * spread(of, 'test_ece')[0]:.2f} |")
    hours = sum(record["wall_time_s"] for record in records) / 3600
    shorter = ", of shorter runs too" if len(cells) < len(every) else ""
    machines = "; ".join(sorted({record["machine"] for record in records}))
    given = " Where nobody chose them, settings were given." if any(by == "nobody" for *_, by in every) else ""
    text += ["", "Means over seeds, ± the standard error. The paper trained its ordinary networks and dropout by SGD. "
             "All settings were chosen at 400 units, by the error of the mean network on 10,000 of the training "
             "images, and are those of all widths: the search ranks short runs, the finals runs of full length."
             f"{given} Then networks were trained on all 60,000 images; but for the finals, for as many epochs as "
             "there was time for, fixed before each run (the paper's Figure 2 shows 600). NLL and ECE are those of "
             f"{max(r['draws'] for r in records)} averaged draws; {hours:.1f} hours by the clock, pauses and other "
             f"work included ([all numbers](pictures/mnist_table1.json){shorter}, {machines}).",
             "", *_settings(every), "", *_searches(read(results, "mnist_search") or {})]
    return "\n".join(text)


def _candidates(records, head):
    """A table of the candidates of a contest, by their validation errors; `head` are further columns, by a setting."""
    text = [f"| recipe | {' | '.join(head)} | mean network | averaged draws | NLL |", "|---" * (4 + len(head)) + "|"]
    return text + [
        f"| {name} | {' | '.join(value(r) for value in head.values())} | {r['validation_error_mean_network']:.2f} | "
        f"{r['validation_error_averaged']:.2f} | {r['validation_nll']:.4f} |" for name, r in records.items()]


def _earlier(records):
    """What choices among fewer candidates had shown of the test images before, which is a look at them too."""
    looks = "; ".join(
        f"by the {_rule(r)}, {r['hidden']} units and {r['epochs']} epochs ({r['test_error_mean_network']:.2f} %, "
        f"{r['test_error_averaged']:.2f} %, {r['test_nll']:.4f})" for r in records)
    return ("Earlier contests, of fewer candidates, had chosen, with these test errors of the mean network and of "
            f"averaged draws and NLL: {looks}. " if looks else "")


def _rule(found):
    """What a contest was decided by; files of before it was said were by the error."""
    return {"validation_nll": "NLL of averaged draws"}.get(found.get("rule"), "error of the mean network")


def _result(found, contest):
    """What the best candidate of a contest gives on the test images, and what all of it took."""
    record = found["result"]
    networks = record.get("networks", 1)
    of_means = "the mean network" if networks == 1 else f"the averaged mean networks of {networks}"
    seconds = sum(r["wall_time_s"] for r in (*found["candidates"].values(), record))
    return (f"By the {_rule(found)}, \"{found['chosen']}\" is chosen. Trained again on all 60,000 images: test error "
            f"{record['test_error_mean_network']:.2f} % of {of_means}, {record['test_error_averaged']:.2f} % of "
            f"{record['draws']} averaged draws, NLL {record['test_nll']:.4f}, ECE {100 * record['test_ece']:.2f} %. "
            f"{_earlier(found.get('earlier', []))}The runs of every row and the "
            f"last took {seconds / 60:.0f} minutes in all, pauses and other work included "
            f"([all numbers](pictures/mnist_{contest}.json), {record['machine']}).")


def finals(results):
    """How the mixture's settings were chosen by runs of full length, as Markdown."""
    found = read(results, "mnist_finals")
    if not found:
        return ""
    s, again = found["result"]["settings"], ""
    for r in read(results, "mnist_table1") or ():
        if mnist.completed(r["settings"]) == mnist.completed(s) and r["test_error_averaged"] != found["result"][
                "test_error_averaged"]:
            again = (f" Table 1 has the same network, trained by kernels of another day, which round otherwise: "
                     f"{r['test_error_mean_network']:.2f} % and {r['test_error_averaged']:.2f} %.")
    return "\n".join([
        f"**Finals of the mixture**: {s['hidden']} units, {s['minibatch_weights']} minibatch weights, T = "
        f"{s['temperature']:g}, seed {s['seed']}, validation error in percent. Each row changes in the first what "
        "its name says; those of the search have its settings", "", *_candidates(found["candidates"], {
            "prior": lambda r: prior_text(r["settings"], False), "rho from": lambda r: f"{r['settings']['rho_init']:g}",
            "noise in": lambda r: r["settings"]["weight_noise"], "draws": lambda r: str(r["settings"]["draws"]),
            "epochs": lambda r: str(r["epochs"])}), "", _result(found, "finals") + again])


def moonshot(results):
    """What recipes beside the paper's reach, as Markdown: a table of candidates, and the one that was chosen."""
    found = read(results, "mnist_moonshot")
    if not found:
        return ""
    s = mnist.completed(found["result"]["settings"])
    target = f"It has T = {s['temperature']:g}"
    if s["temperature"] != 1:
        target += f": it targets $P(\\mathcal{{D}} \\mid w)^{{{1 / s['temperature']:g}}} P(w)$, not the posterior"
    if s["input_dropout"] != 0:
        target += f", and each input was left out in training with chance {s['input_dropout']:g}, not in prediction"
    return "\n".join([
        f"**Beyond the paper**: seeds from {s['seed']} on, validation error in percent", "",
        *_candidates(found["candidates"], {
            "networks": lambda r: str(r.get("networks", 1)), "units, epochs": lambda r: f"{r['hidden']}, {r['epochs']}",
            "T": lambda r: f"{r['settings']['temperature']:g}",
            "minibatch weights": lambda r: r["settings"]["minibatch_weights"],
            "prior": lambda r: prior_text(r["settings"], r["method"] == "gaussian"),
            "noise in": lambda r: r["settings"]["weight_noise"], "rho from": lambda r: f"{r['settings']['rho_init']:g}",
            "inputs left out": lambda r: f"{mnist.completed(r['settings'])['input_dropout']:g}"}),
        "", f"{_result(found, 'moonshot')} {target}."])


def uncertainty(results):
    """How much to believe each method, as Markdown: the scores by method, and where Bayes by Backprop is worse."""
    result = read(results, "mnist_uncertainty")
    if not result:
        return ""
    of = {}
    for record in result["records"]:
        of.setdefault((record["hidden"], record["method"]), []).append(record)
    trained = " or ".join(map(str, sorted({r["epochs"] for r in result["records"]})))
    text = [f"**How much to believe it**, after {trained} epochs; of several seeds mean ± standard error", "",
            "| | " + " | ".join(f"{NAMES[method]}, {hidden}" for hidden, method in of) + " |",
            "|---" * (1 + len(of)) + "|"]
    for name, form, _, value in study.columns(result):
        cells = [[value(record) for record in records] for records in of.values()]
        text.append(f"| {name} | " + " | ".join(
            "none" if None in cell else " ± ".join(
                form.format(part) for part in mean_error(cell) if part is not None) for cell in cells) + " |")
    text += ["", "The best of each family is named. Means over several seeds are told apart where 0 is outside the "
             "95 % interval of their difference, by Student's t, which is wide for so few.", "",
             *study.comment(result).splitlines(), ""]
    text += [f"{name} is left out: its files were not there." for name in result["left_out"]]
    return "\n".join([*text, f"{result['note']} ([all numbers](pictures/mnist_uncertainty.json))"])


def questions(results):
    """The four questions and their answers."""
    result = read(results, "mnist_questions")
    if not result:
        return ""
    return (f"Two layers of {result['hidden']} units, {result['epochs']} epochs, {len(result['seeds'])} seeds: means ± "
            "standard errors; two numbers are told apart where 0 is outside the 95 % interval of their difference, by "
            "Student's t: wide where seeds are few ([all numbers](pictures/mnist_questions.json)).\n\n"
            f"{questions_text.comment(result)}")


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
            f"| paper, {paper.TABLE_2_UNITS} units | snr | not said | {there} |", "",
            f"`averaged` are {records[0]['draws']} draws. A pruned weight is gone: no noise, no KL, no gradient ([all "
            "numbers](pictures/mnist_table2.json), those of validation images too).", "",
            "What removing 95 % adds to the error of averaged draws, in points, and which criterion leaves less error, "
            f"by two standard errors of the errors among {IMAGES:,} images:", "",
            "| network | by signal-to-noise | by size | less error |", "|---|---|---|---|"]
    for (network, criterion, prediction), found in rows.items():
        if (criterion, prediction) == ("snr", "averaged"):
            size = rows[network, "magnitude", prediction]
            text.append(f"| {network} | {found[0.95] - found[0.0]:+.2f} | {size[0.95] - size[0.0]:+.2f} | "
                        f"{_better(found[0.95], size[0.95])} |")
    return "\n".join([*text, *deviations(read(results, "mnist_weights") or [])])


def _better(by_ratio, by_size):
    """Which of two percentages of errors is less, if that is more than noise."""
    noise = 2 * sum(error * (100 - error) / IMAGES for error in (by_ratio, by_size))**0.5
    return ("not told apart" if abs(by_ratio - by_size) <= noise
            else "by signal-to-noise" if by_ratio < by_size else "by size")


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
