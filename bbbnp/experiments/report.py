"""``bbbnp report``: the parts of README.md and of pages in notebooks/ that hold results, from result files and ledger.

A part stands between ``<!-- report: name -->`` and ``<!-- end: name -->``. No number in it is typed by hand.
"""

from pathlib import Path
import re
import statistics
import sys

from bbbnp.experiments import report_bandit, report_mnist, temperature
from bbbnp.experiments.results import read


def regression(results):
    """Results and comments of Figure 5 as Markdown."""
    text = []
    for name, title in (("regression", "points as in the paper's figure"),
                        ("regression_paper_text", "noise as in the paper's text")):
        result = read(results, name)
        if result is None:
            continue
        if "width_95" not in result.get("bayes", {}):
            raise ValueError(f"{results / name}.json is not a result of this version: run bbbnp regression again")
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
    return (f"At x = 1.5, far from the data, which end at 0.5, the Bayesian band is {growth:.1f} times as wide as at "
            f"x = 0.25, that of the ordinary network {plain:.1f} times. {inside}{noise}")


def speed(results):
    """What `bbbnp bench --peers` measured, as Markdown."""
    result = read(results, "bench")
    if result is None:
        return ""
    steps = [r for r in result["steps"] if r["threads"] == max(r["threads"] for r in result["steps"])]
    peers = {(r.get("hidden", r.get("network")), r["prior"], r["peer"]): r for r in result["peers"]}

    def cost(key, unit):
        if key not in peers:
            return "not timed"
        times, (least, most) = 1 / peers[key]["ratio"], peers[key]["ratio_spread"]
        return f"{peers[key][unit]:.0f} ({times:.1f}: {1 / most:.1f} .. {1 / least:.1f})"

    text = ["| training step, batch 128 | ns a weight | products alone | ratio (rounds from .. to) | JAX | PyTorch |",
            "|---|---|---|---|---|---|"]
    text += [f"| 784-{r['hidden']}-{r['hidden']}-10, {r['prior']} prior | {r['ns_per_weight']:.1f} | "
             f"{r['floor_ns_per_weight']:.1f} | {r['ratio']:.2f} "
             f"({r['ratio_spread'][0]:.2f} .. {r['ratio_spread'][1]:.2f}) | "
             + " | ".join(cost((r["hidden"], r["prior"], peer), "ns_per_weight") for peer in ("jax", "torch")) + " |"
             for r in steps]
    text += ["", "| small network, one core | µs a step | JAX | PyTorch |", "|---|---|---|---|"]
    text += [f"| {r['network']} | {r['us_per_step']:.1f} | "
             + " | ".join(cost((r["network"], "mixture", peer), "us_per_step") for peer in ("jax", "torch")) + " |"
             for r in result["small"]]
    n, cold, widths = result["noise"], result["cold"], [r["ns_per_weight"] for r in result["widths"]]
    best = [r["ns_spread"][0] for r in result["widths"]]
    text += ["", "In brackets: how many times our step fits into theirs, and the range of the rounds. Medians of "
             f"{result['settings']['rounds']} rounds in turn on {result['machine']}, {steps[0]['threads']} threads, "
             f"with the free energy's value in every step ([all numbers](pictures/bench.json)). From H = "
             f"{result['widths'][0]['hidden']} to {result['widths'][-1]['hidden']} the cost of a weight stays within "
             f"{max(widths) / min(widths):.2f} times its best ({max(best) / min(best):.2f} by the best round of each). "
             f"A normal takes {n['ns']:.2f} ns where NumPy's generator takes {n['numpy_ns']:.1f}. `import bbbnp` adds "
             f"{cold['import_s']:.2f} s to NumPy and Numba; the first step comes after "
             f"{cold['compile_s']:.0f} s when nothing is compiled yet, and later after {cold['cached_s']:.1f} s."]
    return "\n".join(text)


def estimators(results):
    """What `bbbnp variance` measured, as Markdown."""
    result = read(results, "estimators")
    if result is None:
        return ""
    rows = {(r["state"], r["estimator"]): r for r in result["variance"]
            if r["part"] == "all" and r["draws"] == 1 + (r["estimator"] == "antithetic")}
    text = ["| estimator | in mu, untrained | in mu, trained | in rho, untrained | in rho, trained | time of a step "
            "| free energy, digits | free energy, regression |", "|---|---|---|---|---|---|---|---|"]
    for name, seconds in result["step_s"].items():
        cells = [f"{rows[state, name][key] / rows[state, 'weights'][key]:.3g}"
                 for key in ("variance_mu", "variance_rho") for state in ("untrained", "trained")]
        for data in ("digits", "regression"):
            ends = {(r["estimator"], r["seed"]): r["track"][-1][1] for r in result["races"] if r["data"] == data}
            apart = [end - (ends["weights", seed] if name != "weights" else 0)
                     for (racer, seed), end in ends.items() if racer == name]
            error = f" ± {statistics.stdev(apart) / len(apart)**0.5:.0f}" if len(apart) > 1 else ""
            sign = "" if name == "weights" else "+"
            cells.append(f"{statistics.mean(apart):{sign}.0f}{error}" if apart else "not raced")
        cells.insert(4, f"{seconds / result['step_s']['weights']:.2f}")
        text.append(f"| {name} | " + " | ".join(cells) + " |")
    settings = result["settings"]
    text += ["", "Variance of the gradient at one batch of 128 digits, summed over all weights of "
             f"{'-'.join(map(str, result['network']))}, over {settings['keys']} keys of the noise, as a part of "
             "that of shared weights (one draw; antithetic has two); the time of a step likewise; free energy of all "
             f"the data after {settings['seconds']:g} s of training on one core, for shared weights, and "
             "how far from it the others end with the same seed: mean and standard error of "
             f"{settings['seeds']} seeds ([all numbers](pictures/estimators.json), {result['machine']})."]
    return "\n".join(text)


def story(results):
    """What `bbbnp bench --story` measured, as Markdown."""
    result = read(results, "bench_story")
    if result is None:
        return ""
    rows = [f"| {r['version']} | {r['what']} | {r['ns_per_weight']:.1f} | "
            f"{'' if r['gain'] is None else format(r['gain'], '.1f')} |" for r in result["steps"]]
    return "\n".join([
        "| version | what is new | ns a weight and step | times as fast |", "|---|---|---|---|", *rows, "",
        f"784-{result['hidden']}-{result['hidden']}-10, batch 128, mixture, Adam; medians of "
        f"{result['settings']['rounds']} rounds in turn on {result['machine']}; the last row has {result['threads']} "
        "threads, the others one."])


def products(results):
    """The products of a step by our blocks and by BLAS, from `bbbnp bench --story`, as Markdown."""
    result = read(results, "bench_story")
    if result is None:
        return ""
    rows = [f"| {r['piece']} | {' x '.join(map(str, r['shape']))} | {r['ns']:.2f} | {r['blas_ns']:.2f} | "
            f"{r['numpy_ns']:.2f} |" for r in result["products"]]
    return "\n".join([
        "| piece | shape | our blocks | BLAS of compiled code | NumPy's BLAS |", "|---|---|---|---|---|", *rows, "",
        "Nanoseconds an entry of W for a batch of 128, on one core of the same machine, in turn; shapes are m x k x n, "
        "the pieces of a step a little other: the last is smaller than any of this network's."])


def equations(readme):
    """The ledger's equations, functions and lectures in short, from notebooks/EQUATIONS.md beside the README."""
    lines = (readme.parent / "notebooks" / "EQUATIONS.md").read_text().splitlines()
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines if line.startswith("| E")]
    return "\n".join(["| id | equation | function |", "|---|---|---|"] + [
        f"| {row[0]} | {row[1]}: {row[2]} | {row[3].split(', ')[0]} |" for row in rows])


def run(readme, results, *, check):
    """Write the parts into `readme` and the pages beside it, or with `check` only say whether they are up to date.

    Returns
    -------
    int
        Exit code: 0, or 1 when `check` finds a page stale.

    Raises
    ------
    ValueError
        If a page lacks a mark, or would lose a part, since its results are not there.
    OSError
        If a file cannot be read or written.
    """
    readme, results = Path(readme), Path(results)
    stale = _fill(readme, check, equations=equations(readme), results=regression(results), speed=speed(results),
                  estimators=estimators(results),
                  **{part.__name__: part(results) for part in (*report_mnist.PARTS, *report_bandit.PARTS)})
    notebooks = readme.parent / "notebooks"
    if not check:
        temperature.figure(results / "temperature.png")
    stale = _fill(notebooks / "TEMPERATURE.md", check, recipes=temperature.table()) or stale
    return int(_fill(notebooks / "KERNELS.md", check, story=story(results), products=products(results)) or stale)


def _fill(path, check, **parts):
    """Put the parts between their marks; returns whether `check` found them stale."""
    old = text = path.read_text()
    for name, part in parts.items():
        begin, end = f"<!-- report: {name} -->", f"<!-- end: {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{path} must hold the marks {begin} and {end} once each")
        if not part and text[text.index(begin) + len(begin):text.index(end)].strip():
            raise ValueError(f"{path} has a part {name}, whose results are not there: name their folder by --results")
        text = text[:text.index(begin) + len(begin)] + f"\n{part}\n" + text[text.index(end):]
    if not check:
        path.write_text(text)
    elif text != old:
        print(f"{path} is stale: run bbbnp report", file=sys.stderr)
    return check and text != old
