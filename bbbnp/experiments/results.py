"""Results files: a folder that can be written before anything runs, and JSON that says how it was made."""

import json
import os
from pathlib import Path
import platform
import statistics
import tempfile

from llvmlite.binding import get_host_cpu_name

import bbbnp


def writable_folder(path):
    """`path` as a folder that exists and can be written, made if missing.

    Raises
    ------
    OSError
        If that cannot be: found out before training, not after.
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=path).close()
    return path


def write_text(path, text):
    """Write a text file, whole or not at all."""
    path = Path(path)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text)
    os.replace(temporary, path)


def write(path, result, *, seed, settings, wall_time_s):
    """Write `result` (JSON types) to `path`, whole, with version, seed, settings, machine and wall time before it."""
    head = {"version": bbbnp.__version__, "seed": seed, "settings": settings, "machine": machine(),
            "wall_time_s": round(wall_time_s, 2)}
    write_text(path, json.dumps({**head, **result}, indent=1) + "\n")


def read(folder, name):
    """The result file `name`.json of a folder, or None where there is none."""
    path = Path(folder) / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def mean_error(values):
    """Mean and standard error; the error is None for one value."""
    values = list(values)
    return statistics.mean(values), statistics.stdev(values) / len(values)**0.5 if len(values) > 1 else None


def half_interval(error, freedom):
    """Half of the 95 % interval around a mean with this standard error, by Student's t: wide where values are few."""
    from scipy import stats  # not above: it takes a second to import
    return error * float(stats.t.ppf(0.975, freedom))


def mean_text(values, digits, sign="±"):
    """Mean and, where there are several values, standard error as text."""
    mean, error = mean_error(values)
    return f"{mean:.{digits}f}" + (f" {sign} {error:.{digits}f}" if error is not None else "")


def machine():
    """Cores, processor, as LLVM calls it, and Python, in a few words.

    Ratios of times depend on the processor, and so do the last bits of every sum.
    """
    return f"{os.cpu_count()} cores, {platform.machine()} ({get_host_cpu_name()}), Python {platform.python_version()}"
