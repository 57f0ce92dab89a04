"""Settings chosen by runs of full length on held-out images: Table 1's mixture, and the best posterior at any price.

The search (`mnist_grid`) ranks settings by short runs, which favours those that learn fast. Here each candidate is
trained on 50,000 images for as long as it will be; the one that is best on the other 10,000 is trained again on all
60,000, and only it, or the networks it is a mixture of, see the test images. Table 1 is decided by the error of the
mean network, the moonshot by the NLL of averaged draws, the harder test of a posterior.

Most of the moonshot's candidates go beyond the paper, so its result stands beside Table 1, not in it. Some have a low
temperature: they target not the posterior but P(D | w)^(1/T) P(w) (E26). Some leave inputs out in training (E25). Some
are a mixture of K posteriors that were trained apart, from a seed each, q = 1/K sum_k q_k. The misfit is linear in q,
and the KL is convex: the mixture's free energy is the mean of theirs less T times the Jensen-Shannon divergence of the
q_k, which is between 0 and log K.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from bbbnp.experiments import mnist

SPIKES, SLABS = ({size: {name: float(np.exp(-size))} for size in sizes} for name, sizes in (
    ("sigma2", (3, 7, 8)), ("sigma1", (0, 1, 2))))  # by -log of the deviation
NARROW_LOCAL = {**SLABS[1], **SPIKES[7], "weight_noise": "local"}
AS_TABLE_1 = {"epochs": 80, **{
    name: mnist.DEFAULTS[name] for name in ("minibatch_weights", "temperature", "rho_init")}}
INPUTS_OUT = {**AS_TABLE_1, "input_dropout": 0.3}
LOCAL, OUT = "narrow spike, local", "Gaussian prior, inputs left out"
OUT_400 = f"{OUT}, 400 units"
NETWORKS = {f"five posteriors, {LOCAL}": 5, f"five posteriors, {OUT}": 5, f"ten posteriors, {OUT_400}": 10}
CONTESTS = {  # what all candidates of a contest share, and what each has of its own beside the method's own
    "finals": ({"hidden": 400, "epochs": 80, "pi": 0.5, **SLABS[1], **SPIKES[7]}, {
        "slab e^-1, spike e^-7": ("mixture", {}),
        "slab 1": ("mixture", SLABS[0]),
        "slab e^-2": ("mixture", SLABS[2]),
        "spike e^-8": ("mixture", SPIKES[8]),
        "pi 0.25": ("mixture", {"pi": 0.25}),
        "of the search": ("mixture", {"pi": 0.75, **SPIKES[8]}),
        "of the search, local": ("mixture", {"pi": 0.75, **SPIKES[8], "weight_noise": "local"}),
        "local": ("mixture", {"weight_noise": "local"}),
        "rho from -4": ("mixture", {"rho_init": -4.0}),
        "rho from -4, local": ("mixture", {"rho_init": -4.0, "weight_noise": "local"}),
        "2 draws": ("mixture", {"draws": 2}),
        "160 epochs": ("mixture", {"epochs": 160}),
        "300 epochs": ("mixture", {"epochs": 300}),
        "spike e^-8, 300 epochs": ("mixture", {**SPIKES[8], "epochs": 300})}),
    "moonshot": ({"hidden": 400, "epochs": 100, "minibatch_weights": "uniform", "temperature": 0.1, "rho_init": -4.0}, {
        "narrow spike": ("mixture", {**SLABS[1], **SPIKES[7]}),
        "wide spike": ("mixture", {**SLABS[0], **SPIKES[3]}),
        "Gaussian prior": ("gaussian", SLABS[2]),
        LOCAL: ("mixture", NARROW_LOCAL),
        f"{LOCAL}, 1200 units": ("mixture", {**NARROW_LOCAL, "hidden": 1200, "epochs": 80}),
        f"five posteriors, {LOCAL}": ("mixture", NARROW_LOCAL),
        OUT: ("gaussian", {**INPUTS_OUT, "hidden": 800}),
        f"five posteriors, {OUT}": ("gaussian", {**INPUTS_OUT, "hidden": 800}),
        "Gaussian prior, nothing left out, 400 units": ("gaussian", AS_TABLE_1),
        OUT_400: ("gaussian", INPUTS_OUT),
        f"ten posteriors, {OUT_400}": ("gaussian", INPUTS_OUT)})}
RULES = {"finals": "validation_error_mean_network", "moonshot": "validation_nll"}  # lowest of this wins


def candidates(contest, **changed):
    """Settings of every candidate of a contest, by the name of its recipe: a list of one, or, of a mixture, with as
    many seeds as it has posteriors. One that what is `changed` makes the same as another is left out."""
    common, recipes = CONTESTS[contest]
    found = {}
    for name, (method, own) in recipes.items():
        cell = mnist.settings_of(method, **{**common, **own, **changed})
        cells = [{**cell, "seed": cell["seed"] + k} for k in range(NETWORKS.get(name, 1))]
        if cells not in found.values():
            found[name] = cells
    return found


def _recorded(records, name, cells):
    """What earlier records have of a recipe with these settings and as many networks, or None."""
    record = records.get(name)
    same = record and record.get("networks", 1) == len(cells) and mnist.completed(record["settings"]) == cells[0]
    return record if same else None


def run(folder, contest, *, earlier=None, data_dir=None, threads=None, **changed):
    """Train the candidates in folders of `folder`, then the best of them on all images; finished ones are kept.

    Parameters
    ----------
    folder : path
    contest : str
        One of `CONTESTS`.
    earlier : dict, optional
        What this returned before: what it has a record of is not trained again.
    data_dir, threads
        As in `mnist.run`.
    **changed
        Settings that all candidates have in place of their own.

    Returns
    -------
    dict or None
        The candidates' records, the name of the best, and its record on the test images; None after Ctrl-C.

    Raises
    ------
    ValueError
        If a folder holds a run with other settings.
    """
    cells, rule, records, folders = candidates(contest, **changed), RULES[contest], {}, {}
    earlier = earlier or {"candidates": {}, "chosen": None, "result": None}

    def trained(name, held_out):
        known = earlier["candidates"] if held_out else {earlier["chosen"]: earlier["result"]}
        own = [{**cell, "held_out": held_out} for cell in cells[name]]
        record = _recorded(known, name, own)
        if record is not None:
            return record
        end, runs = ", held out" if held_out else "", []
        for settings in own:
            seed = f", seed {settings['seed']}" if len(own) > 1 else ""
            # a network of a mixture may be a candidate too, and has one folder
            runs.append(folders.setdefault(tuple(settings.values()), Path(folder) / f"{name}{seed}{end}"))
            record = mnist.finished((runs[-1], settings, data_dir), threads=threads, progress=None)
            if record is None:
                return None
        return record if len(runs) == 1 else mnist.together(Path(folder) / f"{name}{end}", runs, data_dir)

    for name in cells:
        record = trained(name, True)
        if record is None:
            return None
        records[name] = record
        tqdm.write(f"{name}: {rule.replace('_', ' ')} {record[rule]:.4g}")
    best = min(records, key=lambda name: records[name][rule])
    record = trained(best, False)
    return record and {"rule": rule, "candidates": records, "chosen": best, "result": record}
