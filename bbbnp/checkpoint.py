"""Model files: one .npz of plain arrays and a JSON text, no pickles, written whole or not at all."""

import json
import os
from pathlib import Path
import tempfile
import zipfile

import numpy as np

FORMAT = "bbbnp model 1"


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
    text = json.dumps({"format": FORMAT, **settings})
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, settings=np.array(text), **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
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
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        settings = json.loads(str(arrays.pop("settings")))
        found = settings.pop("format")
    except FileNotFoundError:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ModelFileError(f"{path} is not a whole model file of bbbnp ({error}); it may be truncated, damaged or "
                             "another program's: save the model again, or take another copy") from error
    if found != FORMAT:
        raise ModelFileError(f"{path} has the format {found!r}; this version reads {FORMAT!r}")
    return settings, arrays
