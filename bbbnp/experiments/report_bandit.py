"""The part of README.md on the bandit, from the files that ``bbbnp bandit`` wrote."""

import numpy as np

from bbbnp import paper
from bbbnp.experiments import bandit as games
from bbbnp.experiments.report_mnist import prior_text
from bbbnp.experiments.results import mean_error, mean_text, read
from bbbnp.plots_bandit import LINES


def _end(records):
    """Expected regret at the end, as text."""
    return mean_text((record["curve"]["expected"][-1] for record in records), 0)


def _settings(agent, s):
    """The settings of a network that the paper does not state, in words."""
    rate = f"{s['optimizer'].capitalize()} with rate {s['learning_rate']:g}" + (
        f"/(1 + t/{s['halved_after']}) at interaction t" if s["halved_after"] else ", constant")
    if agent == "greedy":
        return f"greedy agents: {rate}"
    if agent == "linear-thompson":
        return f"linear control: noise {s['line_noise']:g}, prior deviation {s['line_sigma']:g}"
    return (f"Bayes by Backprop: {prior_text(s, s['prior'] == 'gaussian')}, noise of the likelihood {s['noise']:g}, "
            f"{rate}, rho from {s['rho_init']:g}, temperature {s['temperature']:g}, one weight draw a training step")


def bandit(results):
    """Figure 6 as a table in Markdown, what it says, and what of the unstated settings decides."""
    records = read(results, "bandit")
    if not records:
        return ""
    of = games.rows(records)
    whole = next(iter(of.values()))[0]
    steps, marks = whole["settings"]["steps"], [str(mark) for mark in paper.STEPS if str(mark) in whole["realised"]]
    text = [f"**Figure 6**, cumulative regret of {steps:,} mushrooms", "",
            "| agent | games | " + " | ".join(f"{int(mark):,}" for mark in marks) + " | expected, at the end |",
            "|---" * (3 + len(marks)) + "|"]
    for agent, group in of.items():
        cells = [mean_text([record["realised"][mark] for record in group], 0) for mark in marks]
        text.append(f"| {LINES[agent][0]} | {len(group)} | " + " | ".join(cells)
                    + f" | {_end(group)} |")
        if agent in paper.FIGURE_6:
            there = dict(zip(map(str, paper.STEPS), paper.FIGURE_6[agent]))
            text.append(f"| {LINES[agent][0]}, paper | 5 | " + " | ".join(str(there[mark]) for mark in marks) + " | |")
    minutes = sorted(record["wall_time_s"] / 60 for record in of.get("bbb", ()))
    took = (f"A game of Bayes by Backprop took {minutes[0]:.0f} to {minutes[-1]:.0f} minutes on one core, beside "
            "others " if minutes else "")
    text += ["", "Realised regret, mean ± standard error; seeds from 0. Settings, after [short games of other seeds]"
             "(pictures/bandit_trials.json): "
             + "; ".join(_settings(agent, of[agent][0]["settings"])
                         for agent in ("bbb", "greedy", "linear-thompson") if agent in of) + ". "
             f"{took}([all numbers](pictures/bandit.json), {records[0]['machine']}).", "",
             *games.diverged(records), comment(of)]
    return "\n".join([*text, *sensitivity(results)])


def comment(of):
    """Whether Bayes by Backprop beats the others, by two standard errors and seed by seed, and the paper's end."""
    ends = {agent: {record["seed"]: record["curve"]["realised"][-1] for record in group} for agent, group in of.items()}
    end = {agent: mean_error(by_seed.values()) for agent, by_seed in ends.items()}
    if "bbb" not in end:
        return ""
    (mean, error), ours, by_seed = end["bbb"], ends["bbb"], []
    found = {"less regret than": [], "more than": [], "not told apart from": []}
    for agent, (other, spread) in end.items():
        if agent != "bbb":
            apart = abs(mean - other) >= 2 * np.hypot(error or 0, spread or 0)
            found["not told apart from" if not apart else "less regret than" if mean < other else "more than"].append(
                LINES[agent][0])
            both = [(ours[seed], theirs) for seed, theirs in ends[agent].items() if seed in ours]
            by_seed.append(f"{LINES[agent][0]} in {sum(a < b for a, b in both)} of {len(both)} (whose games end at "
                           f"{min(ends[agent].values()):.0f} to {max(ends[agent].values()):.0f})")
    said = "; ".join(f"{what} {', '.join(names) or 'none'}" for what, names in found.items())
    at_end = of["bbb"][0]["curve"]["steps"][-1] == paper.STEPS[-1]
    there = f" The paper's own ends at {paper.FIGURE_6['bbb'][-1]}, ours at {mean:.0f}." if at_end else ""
    paired = f" On the same mushrooms, less than {'; '.join(by_seed)}." if by_seed else ""
    return f"Bayes by Backprop, by two standard errors: {said}.{paired}{there}"


def sensitivity(results):
    """What other settings come to, as lines of Markdown."""
    records = read(results, "bandit_variants")
    if not records:
        return []
    of = games.rows(records)
    first = next(iter(of.values()))
    lines = ["", f"What decides? Settings changed from the table's, {first[0]['settings']['steps']:,} steps, "
             f"{len(first)} game(s) each; expected regret ([all numbers](pictures/bandit_variants.json)):", ""]
    best = sorted(of, key=lambda name: mean_error(r["curve"]["expected"][-1] for r in of[name])[0])
    lines += [f"- {name}: {_end(of[name])}" for name in best]
    return lines + (["", *games.diverged(records)] if games.diverged(records) else [])


PARTS = (bandit,)
