"""What `questions.run` found, as a table and as a paragraph for each question: all from its numbers."""

import statistics

from bbbnp.experiments import results

LABELS = {
    "mixture_uniform": "wide mixture, uniform", "mixture_geometric": "wide mixture, geometric",
    "searched_uniform": "mixture, uniform", "searched_geometric": "mixture, geometric",
    "mixture_t0.3": "wide mixture, uniform, T = 0.3", "mixture_t0.1": "wide mixture, uniform, T = 0.1",
    "gaussian_uniform": "Gaussian, uniform", "gaussian_geometric": "Gaussian, geometric",
    "sgd_rho-3": "plain SGD from rho = -3", "sgd_rho-5": "plain SGD from rho = -5"}
ERROR, NLL = "error_mean_network", "nll"
MEDIAN = 2  # its place among the quantiles
SAME = 0.1  # parts by which two numbers may differ and still be called the same


def of(result, case, value):
    """`value` (a key, or a function of the run) of every seed of a case that did not diverge, by seed."""
    read = value if callable(value) else lambda run: run[value]
    return {run["seed"]: read(run) for run in result["runs"] if run["case"] == case and "diverged" not in run}


def shown(values, digits=2):
    """Mean ± standard error as text."""
    if not values:
        return "diverged"
    return results.mean_text(values, digits)


def difference(result, a, b, key):
    """Mean over seeds of a's value less b's with the same seed, its standard error, and half of its 95 % interval.

    By Student's t, since a standard error of few seeds says too little. The last two are None for one seed; None is
    returned if no seed is left.
    """
    left, right = of(result, a, key), of(result, b, key)
    apart = [left[seed] - right[seed] for seed in left if seed in right]
    if not apart:
        return None
    mean, error = results.mean_error(apart)
    return mean, error, error if error is None else results.half_interval(error, len(apart) - 1)


def sign(apart):
    """-1, 1, or 0 where a difference is within its 95 % interval, or has none."""
    if apart is None or apart[2] is None or abs(apart[0]) <= apart[2]:
        return 0
    return 1 if apart[0] > 0 else -1


def compared(result, a, b, key, *, what, unit="", digits=2):
    """"error 1.50 ± 0.02 % against 1.60 ± 0.03 %: lower by 0.10 ± 0.03", and nothing that the errors do not allow."""
    left, right = (list(of(result, case, key).values()) for case in (a, b))
    apart = difference(result, a, b, key)
    text = f"{what} {shown(left, digits)}{unit} against {shown(right, digits)}{unit}"
    if apart is None:
        return text
    if apart[1] is None:
        return text + " (one seed: no standard error, nothing is settled)"
    word = {-1: "lower by", 1: "higher by", 0: "not told apart, a difference of"}[sign(apart)]
    amount = apart[0] if sign(apart) == 0 else abs(apart[0])
    return f"{text}: {word} {amount:.{digits}f} ± {apart[1]:.{digits}f}"


def both(result, a, b):
    """Error and NLL of two cases compared."""
    return (compared(result, a, b, ERROR, what="error", unit=" %") + "; "
            + compared(result, a, b, NLL, what="NLL", digits=4))


def answer(question, verdict, *points):
    """A question, what is to be said first, and a list of points, each a sentence or several; as Markdown."""
    return "\n".join([f"**{question}** {verdict}".rstrip(), "", *(f"- {point}" for point in points)])


def prior_question(result):
    """Question 1."""
    kinds = "uniform", "geometric"
    signs = {sign(difference(result, f"searched_{kind}", f"gaussian_{kind}", ERROR)) for kind in kinds}
    if len(signs) == 1:
        verdict = {-1: "Yes, in error, with both minibatch weights.",
                   0: "These runs do not tell their errors apart.",
                   1: "No: the Gaussian has the lower error, with both minibatch weights.",
                   }[signs.pop()]
    elif signs == {-1, 1}:
        verdict = "It depends on the minibatch weights."
    else:
        verdict = (f"{'The mixture' if -1 in signs else 'The Gaussian'} has the lower error with one of the two "
                   "minibatch weights; with the other, these runs do not tell them apart.")
    parts = [f"With {kind} weights, {name} against Gaussian: {both(result, f'{case}_{kind}', f'gaussian_{kind}')}."
             for case, name in (("searched", "mixture"), ("mixture", "wide mixture")) for kind in kinds]
    return answer("Is the mixture better than the Gaussian prior?", verdict,
                  "Each prior stands at one setting, which was not tuned here: the one that Table 1's search chose for "
                  "it, with geometric weights. The wide mixture, whose slab is the widest of the paper's grid, is that "
                  "of the other questions.",
                  *parts, *idle_sentences(result))


def idle_sentences(result):
    """Which part of the mixture the idle weights are in."""
    sigma = median_of(result, "mixture_uniform", "idle", "sigma")
    if sigma is not None:
        prior = next(iter(of(result, "mixture_uniform", "prior").values()))
        spike, slab = prior["sigma2"], prior["sigma1"]
        where = ("in the spike" if sigma < 2 * spike else "in the slab" if sigma > slab / 2 else "in neither")
        yield (f"With uniform weights idle weights end {where} of the wide mixture: their median sigma is {sigma:.4f}, "
               f"the spike's {spike:.4f}, the slab's {slab:.2f}.")


def median_of(result, case, group, key):
    """Mean over seeds of the median over a group's weights; None if there is none."""
    values = list(of(result, case, lambda run: run["posterior"].get(group, {key: [None] * 5})[key][MEDIAN]).values())
    return statistics.mean(values) if values and None not in values else None


def temperature_question(result):
    """Question 2."""
    cold, middle, one = "mixture_t0.1", "mixture_t0.3", "mixture_uniform"
    error, nll = (sign(difference(result, cold, one, key)) for key in (ERROR, NLL))
    verdict = {
        (-1, -1): "Less KL gives less error and a better NLL.", (1, 1): "Less KL gives more error and a worse NLL.",
        (-1, 1): "Less KL gives less error but a worse NLL.", (1, -1): "Less KL gives more error but a better NLL.",
        (-1, 0): "Less KL gives less error; the NLL is not told apart.",
        (1, 0): "Less KL gives more error; the NLL is not told apart.",
        (0, -1): "Less KL gives a better NLL; the error is not told apart.",
        (0, 1): "Less KL gives a worse NLL; the error is not told apart.",
        (0, 0): "From temperature 1 to 0.1 neither error nor NLL is told apart."}[error, nll]
    parts = [f"Temperature {t} against 1: {both(result, case, one)}." for t, case in (("0.3", middle), ("0.1", cold))]
    moved = {t: median_of(result, case, "idle", "moved") for t, case in (("1", one), ("0.3", middle), ("0.1", cold))}
    if None not in moved.values():
        spread = max(moved.values()) - min(moved.values())
        same = spread <= SAME * max(map(abs, moved.values()))
        parts.append(
            "Where the KL is alone, on idle weights, rho moved by "
            + ", ".join(f"{value:+.3f}" for value in moved.values()) + " (medians at temperatures 1, 0.3, 0.1): "
            + ("Adam divides the temperature out, and a lower one only changes the weights that the data use."
               if same else "the temperature matters there too."))
    return answer("What does the temperature do?", verdict, *parts)


def record_of(result, **wanted):
    """The first record of the measured forces with these entries, or None."""
    return next((r for r in result["forces"] if all(r[k] == v for k, v in wanted.items())), None)


def reached(result, kind, long):
    """Adam's runs of the conjugate model with these minibatch weights, by M: the long ones, or the others."""
    runs = [r for r in result["conjugate"] if r["optimizer"] == "adam"]
    least = min(r["steps"] for r in runs)
    return {r["minibatches"]: r for r in runs
            if r["minibatch_weights"] == kind and (r["steps"] >= 2 * least) == long}


def ratios(runs):
    """sigma of idle weights over the prior's for each M, as text."""
    return ", ".join(f"{r['sigma_idle']:.2f}" for r in runs.values())


def posterior_sentences(result):
    """What the conjugate model says: who reaches the prior on idle weights, and whose sigma is the right one."""
    short, long = ({kind: reached(result, kind, late) for kind in ("uniform", "geometric")} for late in (False, True))
    steps = next(iter(short["uniform"].values()))["steps"]
    text = [f"In the conjugate model, where the best posterior is known, {steps:,} steps with M = "
            f"{', '.join(map(str, short['uniform']))} minibatches bring sigma of the idle weights to "
            f"{ratios(short['uniform'])} of the prior's with uniform weights, to {ratios(short['geometric'])} with "
            "geometric."]
    slow = [m for m, r in short["geometric"].items() if r["sigma_idle"] < 0.95 * short["uniform"][m]["sigma_idle"]]
    text.append("So geometric weights get there in the same number of steps." if not slow else
                "So geometric weights do not get there in the same number of steps for M = "
                f"{', '.join(map(str, slow))}.")
    stopped = [r for r in result["conjugate"] if r["sigma_idle"] < 0.5]
    if stopped:
        apart = max(abs(r["rho_idle"] - r["rho_idle_predicted"]) for r in stopped)
        text.append(f"Where their rho stops on the way is predicted from the minibatch weights to {apart:.2f}.")
    if long["uniform"]:
        text += limit_sentences(long, result["memory"])
    return text


def limit_sentences(long, memory):
    """Of the long runs: whether both minibatch weights end at the same posterior, and what keeps them from it."""
    used = {kind: max(abs(runs[m]["sigma_used"][1] - 1) for m in runs) for kind, runs in long.items()}
    idle = {kind: max(abs(runs[m]["sigma_idle"] - 1) for m in runs) for kind, runs in long.items()}
    steps = next(iter(long["uniform"].values()))["steps"]
    yield (f"After {steps:,} steps the median sigma of used weights is off by at most {used['uniform']:.1%} (uniform) "
           f"and {used['geometric']:.1%} (geometric), that of idle ones by {idle['uniform']:.1%} and "
           f"{idle['geometric']:.1%}.")
    if used["geometric"] > SAME or idle["geometric"] > 2 * SAME:
        yield "Geometric weights have not reached that posterior even then."
        return
    yield "Both aim at the same posterior: geometric weights are late, not colder."
    if idle["geometric"] > 0.05 > idle["uniform"]:
        own, longer = memory
        yield (f"What is left on idle weights grows with M ({ratios(long['geometric'])} of the prior's sigma). Weights "
               f"that start at the prior itself drift to {own['sigma_idle']:.2f} of its sigma (M = "
               f"{own['minibatches']}), and to {longer['sigma_idle']:.2f} if Adam's memory of the gradient's size is "
               "ten times as long:")
        yield ("it is a bias of Adam, whose memory holds few of the minibatches that carry the KL."
               if abs(longer["sigma_idle"] - 1) < abs(own["sigma_idle"] - 1) / 2 else
               "it does not come from that memory alone.")


def weights_question(result):
    """Question 3."""
    text, adam, moves = [], [], []
    text += [f"{name}, geometric against uniform: {both(result, f'{case}_geometric', f'{case}_uniform')}."
             for name, case in (("Wide mixture", "mixture"), ("Gaussian", "gaussian"))]
    idle, used = (record_of(result, case="gaussian_uniform", state="start", parameter="rho", group=group)
                  for group in ("idle", "used"))
    if used:
        adam.append("Adam divides by the root mean square of the gradient. Uniform and geometric weights have the same "
                    "mean KL force, but the geometric square is "
                    f"{1 / used['predicted_alone']**2:.0f} times as large, nearly all of it in a few minibatches.")
    if idle:
        middle = idle["effective"][len(idle["effective"]) // 2]
        adam.append(f"Where the KL is alone, theory says {idle['predicted_alone']:.3f} of the uniform pace, "
                    f"measured {middle:.3f}.")
    if used:
        in_mu = record_of(result, case="gaussian_uniform", state="start", parameter="mu", group="used")
        adam.append(f"At the start {used['slowed']:.0%} of the used weights too have less than half of their pace "
                    f"in rho, and {in_mu['slowed']:.0%} in mu (Gaussian prior): the likelihood's noise in rho is small "
                    "while sigma is.")
    for kind in ("uniform", "geometric"):
        case = f"gaussian_{kind}"
        moved = median_of(result, case, "idle", "moved")
        if moved is not None:
            predicted = statistics.mean(of(result, case, "predicted_move").values())
            moves.append(f"In the {kind} Gaussian runs rho of the idle weights moved by {moved:+.2f} (median); by its "
                         f"KL alone, far from the prior, it would by {predicted:+.2f}.")
    return answer("Why do geometric minibatch weights train another network under Adam, and to which posterior?", "",
                  *text, *(" ".join(part) for part in (adam, moves, posterior_sentences(result)) if part))


def sgd_question(result):
    """Question 4."""
    text = []
    for case, start in (("sgd_rho-3", -3), ("sgd_rho-5", -5)):
        idle, used = (median_of(result, case, group, "moved") for group in ("idle", "used"))
        if used is None:
            text.append(f"From rho = {start} it diverged.")
            continue
        size = statistics.mean(of(result, case, lambda run: run["posterior"]["used"]["mean_abs_move"]).values())
        predicted = statistics.mean(of(result, case, "predicted_move").values())
        text.append(f"From rho = {start}, in {result['epochs']} epochs, against Adam from -5: "
                    f"{both(result, case, 'mixture_uniform')}. rho of a used weight moved by {used:+.3f} (median; "
                    f"{size:.3f} in absolute mean)"
                    + (f", of an idle one by {idle:+.3f}; the KL alone would move it by {predicted:+.3f}."
                       if idle is not None else "."))
        text[-1] += (" So sigma is what it was set to at the start, not what the data say." if size < 0.25 else
                     " So sigma does learn.")
    runs = [r for r in result["conjugate"] if r["optimizer"] == "sgd" and r["minibatch_weights"] == "uniform"]
    ends = ", ".join(f"{r['rho_idle']:.2f}" for r in runs)
    text.append("An epoch's KL pushes rho by the learning rate, however many minibatches it is cut into, so that rate "
                f"and number of epochs alone decide: in the conjugate model, after {runs[0]['steps']:,} steps, rho of "
                f"idle weights ends at {ends} for M = {', '.join(str(r['minibatches']) for r in runs)}, from -5.")
    return answer("What does plain SGD do to rho?", "", *text)


def comment(result):
    """An answer to each question, generated from the numbers."""
    return "\n\n".join(question(result) for question in (
        prior_question, temperature_question, weights_question, sgd_question))


def table(result):
    """The results as lines of text."""
    lines = [f"{'validation':28}{'error, mean':>16}{'averaged':>16}{'NLL':>18}{'sigma idle':>12}{'used':>8}"
             f"{'|mu|/sigma used':>17}"]
    for case, label in LABELS.items():
        cells = [shown(list(of(result, case, key).values()), digits)
                 for key, digits in ((ERROR, 2), ("error_averaged", 2), (NLL, 4))]
        idle, used = (median_of(result, case, group, "sigma") for group in ("idle", "used"))
        snr = median_of(result, case, "used", "log10_snr")
        lines.append(f"{label:28}{cells[0]:>16}{cells[1]:>16}{cells[2]:>18}" + "".join(
            f"{'-' if value is None else format(value, '.4f'):>{width}}"
            for value, width in ((idle, 12), (used, 8), (None if snr is None else 10**snr, 17))))
    lines += ["", f"{'conjugate model':24}{'M':>5}{'steps':>9}{'idle sigma':>12}{'used, least..most':>19}"
              f"{'mu off':>8}{'rho idle':>10}{'predicted':>11}"]
    for r in result["conjugate"]:
        least, _, most = r["sigma_used"]
        lines.append(f"{r['optimizer'] + ', ' + r['minibatch_weights']:24}{r['minibatches']:5}{r['steps']:9}"
                     f"{r['sigma_idle']:12.3f}{f'{least:.3f}..{most:.3f}':>19}{r['mu_error_used']:8.3f}"
                     f"{r['rho_idle']:10.2f}{r['rho_idle_predicted']:11.2f}")
    return "\n".join(lines)
