"""The data sets as arrays, from files whose sums were checked: MNIST, Fashion-MNIST, notMNIST, mushrooms.

Where the files come from is said in `bbbnp.datafiles`.
"""

from typing import NamedTuple

import numpy as np

from bbbnp._check import one_of
from bbbnp.datafiles import DATASETS, DataError, fetch, idx_header

# Columns of the mushroom table and the letters that its description (agaricus-lepiota.names, section 7) declares.
MUSHROOM_LETTERS = {
    "class": "ep", "cap-shape": "bcxfks", "cap-surface": "fgys", "cap-color": "nbcgrpuewy", "bruises": "tf",
    "odor": "alcyfmnps", "gill-attachment": "adfn", "gill-spacing": "cwd", "gill-size": "bn",
    "gill-color": "knbhgropuewy", "stalk-shape": "et", "stalk-root": "bcuezr?", "stalk-surface-above-ring": "fyks",
    "stalk-surface-below-ring": "fyks", "stalk-color-above-ring": "nbcgopewy", "stalk-color-below-ring": "nbcgopewy",
    "veil-type": "pu", "veil-color": "nowy", "ring-number": "not", "ring-type": "ceflnpsz",
    "spore-print-color": "knbhrouwy", "population": "acnsvy", "habitat": "glmpuwd"}


class Mushrooms(NamedTuple):
    """The mushroom table: names of 22 columns, their letters (N, 22), labels (N,), e for edible or p for poisonous."""

    columns: tuple
    letters: np.ndarray
    labels: np.ndarray


def load_mnist(split, *, data_dir=None):
    """Images and labels of MNIST.

    Parameters
    ----------
    split : "train" (N = 60,000) or "test" (N = 10,000)
    data_dir : path, optional
        Folder that holds the files, plain or as .gz, or holds a folder `mnist` that does. It is only read. Default:
        BBBNP_DATA; without it the cache folder and, if need be, a download of 12 MB.

    Returns
    -------
    images : uint8 array, shape (N, 28, 28)
        Grey levels, from 0 (background) to 255, in the official order.
    labels : uint8 array, shape (N,)
        Digits, 0 to 9.

    Raises
    ------
    DataError
        If a file is missing, damaged or another one, or cannot be downloaded.

    Source: LeCun, Cortes and Burges (1998), the data of section 5.1 of the paper.
    """
    return _images("mnist", split, data_dir)


def load_fashion_mnist(split, *, data_dir=None):
    """Images and labels of Fashion-MNIST, ten kinds of clothes in the format and the sizes of MNIST.

    As `load_mnist`, with the folder `fashion-mnist`; a download has 31 MB.

    Source: Xiao, Rasul and Vollgraf (2017).
    """
    return _images("fashion-mnist", split, data_dir)


def load_notmnist(split="test", *, data_dir=None):
    """Images and labels of notMNIST: letters A to J (labels 0 to 9) of many typefaces, no digits, so a test of doubt.

    As `load_mnist`, with the folder `notmnist`. There is a test split alone (N = 10,000, 1,000 a letter), since the
    training images have no sum that was computed from a copy. The labels were not cleaned: some may be wrong.

    Source: Bulatov (2011), in the format of MNIST by D. Flanagan.
    """
    return _images("notmnist", split, data_dir)


def load_mushroom(*, data_dir=None):
    """The mushroom table as it is published, in letters; `?` is a missing stalk-root.

    Parameters
    ----------
    data_dir : path, optional
        As for `load_mnist`, with the folder `mushroom`.

    Returns
    -------
    Mushrooms
        `columns`, 22 names; `letters`, str array (N, 22), N = 8,124; `labels`, str array (N,), "e" or "p".

    Raises
    ------
    DataError
        As `load_mnist`, and if a letter stands in a column for which it is not declared.

    Source: UCI Machine Learning Repository, the data of the contextual bandits of section 5.3 of the paper.
    """
    (file,) = DATASETS["mushroom"].files["all"]
    path, content = fetch("mushroom", file, data_dir)
    table = np.array([line.split(",") for line in content.decode("ascii").split()])
    for (column, declared), letters in zip(MUSHROOM_LETTERS.items(), table.T):
        strange = sorted(set(letters) - set(declared))
        if strange:
            raise DataError(f"{path}: column {column} holds {', '.join(strange)}, where only {declared} are declared")
    return Mushrooms(tuple(MUSHROOM_LETTERS)[1:], table[:, 1:], table[:, 0])


def files(name, *, data_dir=None):
    """Yield the path and the shape of each file of the data set `name` once it is found or downloaded, and checked."""
    for split in DATASETS[name].files.values():
        for file in split:
            yield fetch(name, file, data_dir)[0], file.shape


def _images(name, split, data_dir):
    one_of("split", split, DATASETS[name].files)
    arrays = []
    for file in DATASETS[name].files[split]:
        content = fetch(name, file, data_dir)[1]
        flat = np.frombuffer(content, np.uint8, offset=len(idx_header(file.shape)))
        arrays.append(flat.reshape(file.shape).copy())  # a buffer of bytes cannot be written into, a copy can
    return tuple(arrays)
