"""``bbbnp report``: the parts of README.md that hold results, written from the result files and the ledger.

A part stands between ``<!-- report: name -->`` and ``<!-- end: name -->``. No number in it is typed by hand.
"""

import json
from pathlib import Path
import re
import sys


def regression(results):
    """Results and comments of Figure 5 as Markdown."""
    text = []
    for name, title in (("regression", "points as in the paper's figure"),
                        ("regression_paper_text", "noise as in the paper's text")):
        path = results / f"{name}.json"
        if not path.exists():
            continue
        result = json.loads(path.read_text())
        if "width_95" not in result.get("bayes", {}):
            raise ValueError(f"{path} is not a result of this version: run bbbnp regression again")
        rows = [("held-out log-likelihood, nats a point", "held_out_log_likelihood", "{:.3f}"),
                ("coverage of the 50 % interval", "coverage_50", "{:.1%}"),
                ("coverage of the 95 % interval", "coverage_95", "{:.1%}"),
                (f"noise of the likelihood ({result['settings']['noise']})", "noise", "{:.4f}")]
        text += [f"**Figure 5, {title}** ({result['settings']['n']} training points, "
                 f"{result['settings']['held_out']} held out, seed {result['seed']}, "
                 f"{result['bayes']['steps']} steps, {result['wall_time_s']:.0f} s in all on {result['machine']}; "
                 f"[settings](pictures/{name}.json))", "",
                 "| | Bayes by Backprop | ordinary network |", "|---|---|---|"]
        text += [f"| {label} | " + " | ".join(
            "depends on x" if result[m][key] is None else form.format(result[m][key])
            for m in ("bayes", "ordinary")) + " |" for label, key, form in rows]
        for x in result["bayes"]["width_95"]:
            widths = " | ".join(f"{result[m]['width_95'][x]:.2f}" for m in ("bayes", "ordinary"))
            text.append(f"| width of the 95 % band at x = {x} | {widths} |")
        text += ["", comment(result), ""]
    return "\n".join(text).rstrip()


def comment(result):
    """What the numbers of one regression say, the unwelcome part included."""
    bayes, ordinary = result["bayes"], result["ordinary"]
    growth, plain = (model["width_95"]["1.5"] / model["width_95"]["0.25"] for model in (bayes, ordinary))
    gain = bayes["held_out_log_likelihood"] - ordinary["held_out_log_likelihood"]
    inside = (f"Inside the data Bayes by Backprop is better by {gain:.3f} nats a point." if gain > 0 else
              f"Inside the data doubt about the weights is no help: it costs {-gain:.3f} nats a point.")
    noise = (" These data have noise inside the sines, which is larger where the curve is steep; the likelihood has "
             "one deviation for all (`--noise input` would not), so the 50 % interval holds too many points."
             if result["settings"]["data"] == "paper_text" and result["settings"]["noise"] == "learned"
             and bayes["coverage_50"] > 0.55 else "")
    return ("Away from the data, which end at x = 0.5, the Bayesian band is at x = 1.5 "
            f"{growth:.1f} times as wide as inside; that of the ordinary network is {plain:.1f} times as wide, over a "
            f"curve that it has never seen. {inside}{noise}")


def equations(readme):
    """The ledger's equations, functions and lectures in short, from notebooks/EQUATIONS.md beside the README."""
    lines = (readme.parent / "notebooks" / "EQUATIONS.md").read_text().splitlines()
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines if line.startswith("| E")]
    return "\n".join(["| id | equation | function |", "|---|---|---|"] + [
        f"| {row[0]} | {row[1]}: {row[2]} | {row[3].split(', ')[0]} |" for row in rows])


def run(readme, results, *, check):
    """Write the parts into `readme`, or with `check` only say whether they are up to date.

    Returns
    -------
    int
        Exit code: 0, or 1 when `check` finds the README stale.

    Raises
    ------
    ValueError
        If the README lacks a mark.
    OSError
        If a file cannot be read or written.
    """
    readme = Path(readme)
    old = text = readme.read_text()
    for name, part in (("equations", equations(readme)), ("results", regression(Path(results)))):
        begin, end = f"<!-- report: {name} -->", f"<!-- end: {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{readme} must hold the marks {begin} and {end} once each")
        text = text[:text.index(begin) + len(begin)] + f"\n{part}\n" + text[text.index(end):]
    if check:
        if text != old:
            print(f"{readme} is stale: run bbbnp report", file=sys.stderr)
        return int(text != old)
    readme.write_text(text)
    return 0
