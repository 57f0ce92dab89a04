"""One cell of Table 1 (Blundell et al. 2015, section 5.1): a network on MNIST, in a run folder that can be resumed.

Two hidden ReLU layers, pixels divided by 126, batch 128. What the paper leaves open and is chosen here: optimiser
(each cell's setting; cosine decay, so that the last epoch is the one to keep), means as He et al. (2015) and rho = -5
at the start, validation on the last 10,000 training images, both kinds of prediction reported.

A run folder holds settings.json, log.jsonl (a line for every look at the data that are watched), model.npz, the
checkpoint, and once all epochs are done result.json. A run with `held_out` trains on 50,000 images and watches and
reports the other 10,000; one without trains on all 60,000, and watches and reports the test images, for Figure 2 and
Table 1: nothing is chosen by them.
"""

import json
from pathlib import Path
import time

import numpy as np
from tqdm import tqdm

import bbbnp
from bbbnp import _check, data, metrics
from bbbnp.experiments import results
from bbbnp.model import BayesClassifier
from bbbnp.objective import GaussianPrior, ScaleMixture

METHODS = {  # what each method changes of DEFAULTS
    "sgd": {"optimizer": "sgd"}, "dropout": {"optimizer": "sgd"}, "gaussian": {"sigma1": float(np.exp(-1))},
    "mixture": {}}
DEFAULTS = {
    "method": "mixture", "hidden": 400, "epochs": 100, "learning_rate": 1e-3, "draws": 1, "pi": 0.5, "sigma1": 1.0,
    "sigma2": float(np.exp(-6)), "optimizer": "adam", "schedule": "cosine", "minibatch_weights": "geometric",
    "temperature": 1.0, "weight_noise": "weights", "input_dropout": 0.0, "rho_init": -5.0, "seed": 0, "held_out": False}
DROPOUT = 0.2, 0.5  # chances of inputs and hidden units, of the method of that name
BATCH, TRAINED_ON, WATCHED_DRAWS, REPORTED_DRAWS = 128, 50_000, 5, 50
LOOKS = 50  # at most this many at the watched data in a run, each with a checkpoint


def settings_of(method, **changed):
    """All settings of a cell: those given, the method's own, the defaults."""
    _check.one_of("method", method, METHODS)
    for name in changed:
        _check.one_of("setting", name, DEFAULTS)
    return {**DEFAULTS, **METHODS[method], **changed, "method": method}


def completed(settings):
    """Settings of a file, which may be from before there was one of them: it had the default then."""
    return {**DEFAULTS, **settings}


def read_settings(folder):
    """The settings of a run folder."""
    return completed(json.loads((Path(folder) / "settings.json").read_text()))


def network(settings, **more):
    """The untrained network of a cell."""
    own = ("draws", "minibatch_weights", "temperature", "weight_noise")
    shared = ("epochs", "learning_rate", "optimizer", "schedule", "rho_init", "seed")
    params = {name: settings[name] for name in shared} | {
        "hidden": (settings["hidden"],) * 2, "standardize": False, "batch_size": BATCH, "progress": False, **more}
    if settings["method"] in ("sgd", "dropout"):
        return BayesClassifier(posterior={"sgd": "point"}.get(settings["method"], "dropout"), dropout=DROPOUT, **params)
    if settings["input_dropout"] != 0:
        params |= {"posterior": "diagonal_dropout", "dropout": (settings["input_dropout"], 0.0)}
    prior = (GaussianPrior(settings["sigma1"]) if settings["method"] == "gaussian"
             else ScaleMixture(settings["pi"], settings["sigma1"], settings["sigma2"]))
    return BayesClassifier(prior=prior, **params, **{name: settings[name] for name in own})


def pixels(images):
    """Images as the network takes them: flat, float32, divided by 126 (paper, section 5.1)."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(126)


def load_split(held_out, data_dir=None):
    """Training and watched data as (X, y, X, y): 50,000 and 10,000 of the training images, or all and the test's."""
    images, labels = data.load_mnist("train", data_dir=data_dir)
    if held_out:
        return (pixels(images[:TRAINED_ON]), labels[:TRAINED_ON], pixels(images[TRAINED_ON:]), labels[TRAINED_ON:])
    test_images, test_labels = data.load_mnist("test", data_dir=data_dir)
    return pixels(images), labels, pixels(test_images), test_labels


def scores(models, x, y, *, draws):
    """Percentages of errors and, of the averaged draws, nats and calibration; a point network has one prediction.

    Of one network, or of several whose predictions are averaged, with `draws`, a multiple of their number, of all.
    """
    of_means = [model.predict_distribution(x, draws=0).mean for model in models]
    of_draws = of_means if models[0].posterior == "point" else [
        model.predict_distribution(x, draws=draws // len(models)).mean for model in models]
    mean, averaged = np.mean(of_means, axis=0), np.mean(of_draws, axis=0)
    labels = np.searchsorted(models[0].classes_, y)
    return {"error_mean_network": metrics.error_rate(mean, labels),
            "error_averaged": metrics.error_rate(averaged, labels), "nll": metrics.nll(averaged, labels),
            "nll_mean_network": metrics.nll(mean, labels), "brier": metrics.brier(averaged, labels),
            "ece": metrics.ece(averaged, labels)}


def _open(folder, settings, resume, threads):
    """The settings, the model and the log of a new or resumed run; nothing is written yet."""
    path, checkpoint, log = (folder / name for name in ("settings.json", "model.npz", "log.jsonl"))
    if path.exists() and not resume:
        raise ValueError(f"{folder} holds a run already: go on with --resume, or name another folder")
    if not path.exists() and resume:
        raise ValueError(f"{folder} holds no run to resume: leave --resume out, or name the folder of the run")
    settings = read_settings(folder) if resume else settings
    model = bbbnp.load(checkpoint) if checkpoint.exists() else network(settings)
    model.set_params(threads=threads)._checked()
    epoch = model.state_.epoch if checkpoint.exists() else 0
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return settings, model, [line for line in lines if line["epoch"] <= epoch]


def run(folder, settings=None, *, resume=False, data_dir=None, threads=None, progress=None):
    """Train one cell in `folder`, from its checkpoint with `resume`, until all epochs are done or Ctrl-C.

    Parameters
    ----------
    folder : path
    settings : dict, optional
        What `settings_of` returns; not needed to resume.
    resume : bool
        Go on where the folder's checkpoint is; the network will be the same bits as that of a run in one go.
    data_dir : path, optional
        See `bbbnp.data.load_mnist`.
    threads, progress
        As in `BayesClassifier`.

    Returns
    -------
    dict or None
        The record in result.json; None if Ctrl-C stopped the run.

    Raises
    ------
    ValueError
        For settings that cannot be, a folder that holds a run already, or nothing to resume.
    DataError, OSError, DivergenceError
        As the loaders, the files and training.
    """
    folder = Path(folder)
    settings, model, lines = _open(folder, settings, resume, threads)
    x, y, watched_x, watched_y = load_split(settings["held_out"], data_dir)
    results.writable_folder(folder)
    results.write_text(folder / "settings.json", json.dumps(settings, indent=1) + "\n")
    epochs, every = settings["epochs"], -(-settings["epochs"] // LOOKS)
    done = model.state_.epoch if hasattr(model, "state_") else 0
    seen, seconds = (lines[-1]["epoch"], lines[-1]["seconds"]) if lines else (0, 0.0)
    with tqdm(total=epochs, initial=done, unit="epoch", disable=None if progress is None else not progress) as bar:
        for look in [epoch for epoch in (*range(every, epochs, every), epochs) if epoch > seen]:
            if done < look:
                begun = time.perf_counter()
                model.partial_fit(x, y, epochs=look - done)
                seconds += time.perf_counter() - begun
                model.save(folder / "model.npz")
                bar.update(model.state_.epoch - done)
                done = model.state_.epoch
                if model.interrupted_:
                    return None
            complexity, misfit = (float(model.free_energy_[part][-1]) for part in ("complexity", "misfit"))
            found = scores([model], watched_x, watched_y, draws=WATCHED_DRAWS)
            lines.append({"epoch": done, "complexity": complexity, "misfit": misfit, **found, "seconds": seconds})
            results.write_text(folder / "log.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
            bar.set_postfix_str(f"complexity {complexity:.4g}, misfit {misfit:.4g}, "
                                f"{'validation' if settings['held_out'] else 'test'} error "
                                f"{found['error_mean_network']:.2f} %")
    return _record(folder, settings, [model], (watched_x, watched_y), seconds)


def finished(arguments, *, threads=1, progress=False):
    """Make, finish or find a run; on one thread and silently, for a pool of processes, unless told otherwise.

    Parameters
    ----------
    arguments : tuple
        folder, settings and data_dir of `run`.
    threads, progress
        As `run`.

    Returns
    -------
    dict or None
        As `run`.

    Raises
    ------
    ValueError
        As `run`, and if the folder holds a run with other settings.
    """
    folder, settings, data_dir = arguments
    begun, result = (folder / "settings.json").exists(), folder / "result.json"
    if begun and read_settings(folder) != settings:
        raise ValueError(f"{folder} holds a run with other settings: name another folder")
    if result.exists():
        return json.loads(result.read_text())
    return run(folder, settings, resume=begun, data_dir=data_dir, threads=threads, progress=progress)


def together(folder, runs, data_dir=None):
    """Make or find the record of finished runs that differ in their seeds, as one network whose predictions are theirs.

    Parameters
    ----------
    folder : Path
        Gets a result.json, and nothing else.
    runs : sequence of Path
        Folders; their number divides `REPORTED_DRAWS`, which are the draws of all together.
    data_dir : path, optional
        See `bbbnp.data.load_mnist`.

    Returns
    -------
    dict
        The first run's record, with scores of the averaged predictions, and the time of all.

    Raises
    ------
    ValueError
        If the folder holds a result of other settings.
    """
    settings = read_settings(runs[0])
    if (folder / "result.json").exists():
        found = json.loads((folder / "result.json").read_text())
        if completed(found["settings"]) != settings or found["networks"] != len(runs):
            raise ValueError(f"{folder} holds a result of other settings: name another folder")
        return found
    models = [load_run(run)[1] for run in runs]
    seconds = sum(json.loads((run / "result.json").read_text())["wall_time_s"] for run in runs)
    results.writable_folder(folder)
    return _record(folder, settings, models, load_split(settings["held_out"], data_dir)[2:], seconds)


def _record(folder, settings, models, watched, seconds):
    """Write and return the record of a finished run: of Table 1 if trained on all images, of a search otherwise."""
    found = scores(models, *watched, draws=REPORTED_DRAWS)
    which = "validation" if settings["held_out"] else "test"
    named = {f"{which}_{name}": value for name, value in found.items()}
    named |= {"draws": 0 if settings["method"] == "sgd" else REPORTED_DRAWS}
    record = {"method": settings["method"], "hidden": settings["hidden"], "seed": settings["seed"],
              "epochs": settings["epochs"], "settings": settings, "networks": len(models), **named,
              "wall_time_s": round(seconds, 1), "machine": results.machine(), "version": bbbnp.__version__}
    results.write_text(folder / "result.json", json.dumps(record, indent=1) + "\n")
    return record


def load_run(folder):
    """Settings and trained network of a run folder.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    """
    folder = Path(folder)
    if not (folder / "model.npz").exists():
        raise FileNotFoundError(f"{folder} holds no trained run: make one with bbbnp mnist --run {folder}")
    return read_settings(folder), bbbnp.load(folder / "model.npz")
