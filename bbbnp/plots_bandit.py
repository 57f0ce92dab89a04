"""Figure 6 of the paper and what decides it, the paper's digitised curves drawn behind ours.

Both take records of `bbbnp bandit`, of games that did not diverge, and where to write a PNG; they return the figure, 7
inches wide.
"""

import numpy as np

from bbbnp import paper
from bbbnp.plots import BLUE, GREY, INK, ORANGE, drawing

LINES = {  # name, line, colour and marker of each agent: told apart in grey
    "bbb": ("Bayes by Backprop", "-", BLUE, "o"), "bbb-1": ("one-draw BBB", "--", BLUE, None),
    "greedy": ("greedy", (0, (6, 1, 1, 1)), INK, "s"), "epsilon-1": ("ε-greedy 1 %", "-", ORANGE, "D"),
    "epsilon-5": ("ε-greedy 5 %", "-", GREY, "^"), "random": ("random", ":", INK, None),
    "linear-thompson": ("exact linear", "-.", ORANGE, None)}


def _curves(records):
    """Steps, and the realised regret of every record at them; of records of one length."""
    steps = np.array(records[0]["curve"]["steps"])
    return steps, np.array([record["curve"]["realised"] for record in records])


def regret(records, path=None):
    """Draw mean cumulative regret against steps, one standard error about it; the paper's as open markers."""
    with drawing(path, 5.6) as drawn:
        axes = drawn.subplots()
        for agent, (name, line, colour, marker) in LINES.items():
            of = [record for record in records if record["agent"] == agent]
            if of:
                steps, values = _curves(of)
                mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / len(of)**0.5 if len(of) > 1 else 0
                axes.fill_between(steps, mean - error, mean + error, color=colour, alpha=0.12, linewidth=0)
                axes.plot(steps, mean, linestyle=line, color=colour, linewidth=2, label=name)
            if agent in paper.FIGURE_6:
                axes.plot(paper.STEPS, paper.FIGURE_6[agent], marker, color=colour, fillstyle="none", markersize=8,
                          mew=1.5, label=f"{name}, paper" if agent != "bbb" else "BBB, paper")
        axes.set(yscale="log", ylim=(300, 60_000), xlim=(0, 50_500), xlabel="step", ylabel="cumulative regret")
        axes.set_yticks((300, 1000, 3000, 10_000, 30_000), ("300", "1000", "3000", "10,000", "30,000"))
        axes.set_xticks((0, 10_000, 20_000, 30_000, 40_000, 50_000),
                        ("0", "10,000", "20,000", "30,000", "40,000", "50,000"))
        axes.tick_params(labelsize="small")
        drawn.legend(loc="outside upper center", ncols=3, frameon=False, fontsize="small", handlelength=1.6,
                     columnspacing=0.8)
    return drawn


def sensitivity(records, path=None):
    """Draw the expected regret of each variant, a dot a seed and a bar at the mean, the least at the top."""
    names = sorted(dict.fromkeys(record["variant"] for record in records), reverse=True, key=lambda name: np.mean(
        [record["curve"]["expected"][-1] for record in records if record["variant"] == name]))
    with drawing(path, 1.6 + 0.36 * len(names)) as drawn:
        axes = drawn.subplots()
        for place, name in enumerate(names):
            values = [r["curve"]["expected"][-1] for r in records if r["variant"] == name]
            axes.plot(values, np.full(len(values), place), "o", color=BLUE, markersize=7)
            axes.plot([np.mean(values)] * 2, [place - 0.3, place + 0.3], color=INK, linewidth=2)
        axes.set_yticks(range(len(names)), names)
        axes.set(xscale="log", xlabel=f"expected regret after {records[0]['settings']['steps']:,} steps")
        low, high = axes.get_xlim()
        ticks = [tick for power in range(6) for tick in (10**power, 3 * 10**power) if low <= tick <= high]
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.tick_params(labelsize="small")
        axes.grid(axis="y", color=GREY, linewidth=0.4)
    return drawn
