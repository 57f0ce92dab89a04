"""Settings chosen by runs of full length on held-out images: the mixture of Table 1, and the lowest error at any price.

The search (`mnist_grid`) ranks settings by short runs, which favours those that learn fast. Here each candidate is
trained on 50,000 images for as long as it will be; the one with the lowest error of the mean network on the other
10,000 is trained again on all 60,000, and only that network sees the test images.

The moonshot's candidates have a low temperature: they target not the posterior but P(D | w)^(1/T) P(w) (E26), so their
result stands beside Table 1, not in it.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from bbbnp.experiments import mnist

SPIKES, SLABS = ({size: {name: float(np.exp(-size))} for size in sizes} for name, sizes in (
    ("sigma2", (3, 7, 8)), ("sigma1", (0, 1, 2))))  # by -log of the deviation
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
        "narrow spike, local": ("mixture", {**SLABS[1], **SPIKES[7], "weight_noise": "local"}),
        "narrow spike, local, 1200 units": ("mixture", {
            **SLABS[1], **SPIKES[7], "weight_noise": "local", "hidden": 1200, "epochs": 80})})}


def candidates(contest, **changed):
    """Settings of every candidate of a contest, by the name of its recipe."""
    common, recipes = CONTESTS[contest]
    return {name: mnist.settings_of(method, **{**common, **own, **changed}) for name, (method, own) in recipes.items()}


def run(folder, cells, *, data_dir=None, threads=None):
    """Train the candidates in folders of `folder`, then the best of them on all images; finished ones are kept.

    Returns
    -------
    dict or None
        The candidates' records, the name of the best, and its record on the test images; None after Ctrl-C.

    Raises
    ------
    ValueError
        If a folder holds a run with other settings.
    """
    def trained(name, held_out):
        where = Path(folder) / f"{name}{', held out' if held_out else ''}"
        return mnist.finished((where, {**cells[name], "held_out": held_out}, data_dir), threads=threads, progress=None)

    records = {}
    for name in cells:
        record = trained(name, True)
        if record is None:
            return None
        records[name] = record
        tqdm.write(f"{name}: validation error {record['validation_error_mean_network']:.2f} %")
    best = min(records, key=lambda name: records[name]["validation_error_mean_network"])
    record = trained(best, False)
    return record and {"candidates": records, "chosen": best, "result": record}
