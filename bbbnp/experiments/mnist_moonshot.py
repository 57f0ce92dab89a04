"""The lowest error that a variational network of two layers reaches here, whatever posterior it targets.

Recipes of low temperature, each trained on 50,000 images; the one with the lowest error of the mean network on the
other 10,000 is trained again on all 60,000, and only that network sees the test images. What it targets is not the
posterior but P(D | w)^(1/T) P(w) (E26), so the result stands beside Table 1, not in it.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from bbbnp.experiments import mnist

COMMON = {"hidden": 400, "epochs": 100, "minibatch_weights": "uniform", "temperature": 0.1, "rho_init": -4.0}
NARROW = {"sigma1": float(np.exp(-1)), "sigma2": float(np.exp(-7))}
RECIPES = {  # settings of each candidate, beside COMMON
    "narrow spike": ("mixture", NARROW),
    "wide spike": ("mixture", {"sigma1": 1.0, "sigma2": float(np.exp(-3))}),
    "Gaussian prior": ("gaussian", {"sigma1": float(np.exp(-2))}),
    "narrow spike, local": ("mixture", {**NARROW, "weight_noise": "local"})}


def candidates(**changed):
    """Settings of every candidate, by the name of its recipe."""
    return {name: mnist.settings_of(method, **{**COMMON, **own, **changed}) for name, (method, own) in RECIPES.items()}


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
