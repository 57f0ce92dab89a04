"""Model files: one .npz of plain arrays and a JSON text, no pickles, written whole or not at all."""

import json
import os
from pathlib import Path
import secrets

import numpy as np

from bbbnp import _check
from bbbnp.architecture import Architecture
from bbbnp.objective import GaussianPrior, ScaleMixture
from bbbnp.training import State

FORMAT = "bbbnp model 1"
STATE_ARRAYS = ("theta", "first", "second", "average", "history")
PRIORS = {prior.__name__: prior for prior in (GaussianPrior, ScaleMixture)}


class ModelFileError(ValueError):
    """The file is not a whole model file of bbbnp."""


def write(path, settings, arrays):
    """Write `settings` (JSON types) and `arrays` (by name) to `path` atomically: a file that is there is whole.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent} is not a folder: make it first, to save {path.name} there")
    text = json.dumps({"format": FORMAT, **settings}, default=lambda number: number.tolist())  # NumPy's own
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        with open(temporary, "xb") as file:
            np.savez(file, settings=np.array(text), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read(path):
    """Settings and arrays that `write` wrote.

    Returns
    -------
    settings : dict
    arrays : dict of ndarray

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the file is truncated, damaged, or something else.
    """
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        settings = json.loads(str(arrays.pop("settings")))
        found = settings.pop("format")
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged archive raises nearly anything: zipfile's, struct's, zlib's, NumPy's errors
        raise ModelFileError(f"{path} is not a whole model file of bbbnp ({error}); it may be truncated, damaged or "
                             "another program's: save the model again, or take another copy") from error
    if found != FORMAT:
        raise ModelFileError(f"{path} has the format {found!r}; this version reads {FORMAT!r}")
    return settings, arrays


def _check_sizes(model, arrays, counters):
    """ValueErrors for arrays of a file that do not fit its architecture: training would write past their ends."""
    size, inputs, dtype = 2 * model.architecture_.size + model._noises(arrays), model.n_features_in_, model.dtype
    shapes = {"theta": ((size,), dtype), "first": ((size,), dtype), "second": ((size,), dtype),
              "average": ((size if model.average_last > 0 else 0,), dtype),
              "history": ((len(arrays["history"]), 2), "float64"),
              "x_shift_": ((inputs,), "float64"), "x_scale_": ((inputs,), "float64")}
    for name, (shape, dtype) in shapes.items():
        if arrays[name].shape != shape or arrays[name].dtype != dtype:
            raise ValueError(f"{name} has shape {arrays[name].shape} and dtype {arrays[name].dtype} in place of "
                             f"{shape} and {dtype}")
    for name, count in counters.items():
        _check.integer(name, count, least=0)
    mu, rho = np.split(arrays["theta"][:2 * model.architecture_.size], 2)
    _check.pruned(mu, rho)
    if np.isneginf(rho).any() and arrays["average"].size > 0:
        raise ValueError("average is there beside pruned weights, rho = -inf, of which there is no average")


class Saved:
    """Into a file with all that training needs to go on to the same bits, and back."""

    def save(self, path):
        """Write the model to one .npz file, whole or not at all.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        OSError
            If the folder is missing or cannot be written; a file that was there stays as it was.
        """
        state, params = self._fitted(), self.get_params()
        params["prior"] = {"kind": type(self.prior).__name__, **vars(self.prior)}
        settings = {"model": type(self).__name__, "params": params, "step": state.step, "epoch": state.epoch,
                    "batch": state.batch, "validation": self.validation_, "widths": self.architecture_.widths,
                    "started": self.started_}
        own = {name: getattr(self, name) for name in self._own_arrays}
        write(path, settings, dict(zip(STATE_ARRAYS, state.arrays)) | own)

    @classmethod
    def restore(cls, settings, arrays):
        """The model that `save` wrote, from what `read` gives (see `bbbnp.load`)."""
        params = settings["params"]
        prior = dict(params.pop("prior"))
        tuples = {name: tuple(params[name]) for name in ("hidden", "dropout") if name in params}  # JSON has lists
        model = cls(**params | tuples | {"prior": PRIORS[prior.pop("kind")](**prior)})
        model._checked()
        model.architecture_ = Architecture(settings["widths"], model.activation)
        model.n_features_in_ = model.architecture_.widths[0]
        counters = {name: settings[name] for name in ("step", "epoch", "batch")}
        _check_sizes(model, arrays, counters)
        theta, first, second, average, history = (arrays[name] for name in STATE_ARRAYS)
        model.state_ = State(theta, first, second, average, *counters.values(), history)
        model.validation_, model.interrupted_, model.started_ = settings["validation"], False, settings["started"]
        for name in cls._own_arrays:
            setattr(model, name, arrays[name])
        return model
