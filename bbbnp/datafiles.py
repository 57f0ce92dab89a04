"""The files of the data sets: where each is found, or downloaded from, and how it is known to be the right one.

A file is looked for in a local folder, where one is named (`data_dir`, or the environment variable BBBNP_DATA), and
which is only read; otherwise in a cache folder (that of the user, or BBBNP_CACHE), which is filled from the mirrors.
Copies of a file are compressed in different ways, so every sum is that of the uncompressed content, and a plain file is
as good as a gzip file. Every failure is a `DataError` of one line.
"""

import gzip
import hashlib
import math
import os
from pathlib import Path
import struct
import tempfile
from typing import NamedTuple
import zlib

TIMEOUT = 5.0, 20.0  # seconds to connect, and of silence; then the next mirror has its turn
CHUNK = 1 << 14  # bytes


class DataError(OSError):
    """A data file is missing, damaged, another one, or cannot be had; one line says which and what to do."""


class File(NamedTuple):
    """One file: its name when uncompressed, the SHA-256 sum of its uncompressed content, the shape of its array."""

    name: str
    sha256: str
    shape: tuple


class DataSet(NamedTuple):
    """Where a data set comes from, the folders that serve it, its files by split, and what their names end in there."""

    source: str
    mirrors: tuple
    files: dict
    suffix: str = ".gz"


# Every sum was computed from a copy: of MNIST and mushroom from files equal, bit for bit, to the official ones, of
# Fashion-MNIST from Debian's package dataset-fashion-mnist, of notMNIST from the repository that is its mirror.
DATASETS = {
    "mnist": DataSet(
        "LeCun, Cortes and Burges, The MNIST database of handwritten digits (1998); CC BY-SA 3.0",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        {"train": (File("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                        (60000, 28, 28)),
                   File("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                        (60000,))),
         "test": (File("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                       (10000, 28, 28)),
                  File("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                       (10000,)))}),
    "fashion-mnist": DataSet(
        "Xiao, Rasul and Vollgraf (Zalando), Fashion-MNIST (2017); MIT",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
         "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"),
        {"train": (File("train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                        (60000, 28, 28)),
                   File("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                        (60000,))),
         "test": (File("t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                       (10000, 28, 28)),
                  File("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                       (10000,)))}),
    "notmnist": DataSet(
        "Bulatov, notMNIST (2011), 10,000 glyphs of notMNIST_small as converted by D. Flanagan; no licence stated",
        ("https://raw.githubusercontent.com/davidflanagan/notMNIST-to-MNIST/"
         "17823f4d4a3acd8317c07866702d2eb2ac79c7a0/",),
        {"test": (File("t10k-images-idx3-ubyte", "8e7f38ae95cc8f48e0986175ffc9137e5007ebcf3d8fdf6656c904eb9dab198b",
                       (10000, 28, 28)),
                  File("t10k-labels-idx1-ubyte", "5f8e6012f2ce730700d8d05fca098bc47f71d25b890e4bec7ac5ebfd614a4001",
                       (10000,)))}),
    "mushroom": DataSet(
        "Mushroom, UCI Machine Learning Repository (1981), DOI 10.24432/C5959T; CC BY 4.0",
        ("https://archive.ics.uci.edu/ml/machine-learning-databases/mushroom/",
         "https://raw.githubusercontent.com/mschartman/Mushroom-Classifier/18bfc015f79f4f9abe75d276915f10041ff71c3d/"),
        {"all": (File("agaricus-lepiota.data", "e65d082030501a3ebcbcd7c9f7c71aa9d28fdfff463bf4cf4716a3fe13ac360e",
                      (8124, 23)),)}, suffix=""),
}


def fetch(name, file, data_dir=None):
    """A file of the data set `name`, from the local folder where one is named, otherwise from the cache.

    Parameters
    ----------
    name : str
        A key of `DATASETS`.
    file : File
    data_dir : path, optional
        The local folder, or one that holds a folder `name`; default BBBNP_DATA.

    Returns
    -------
    path : Path
    content : bytes
        Uncompressed, and with the sum that `file` has.

    Raises
    ------
    DataError
        If it is missing, damaged or another file, or cannot be downloaded.
    """
    folder = data_dir or os.environ.get("BBBNP_DATA")
    if not folder:
        return _cached(name, file)
    path = _find(Path(folder).expanduser(), name, file)
    content, problem = _read(path, file)
    if problem:
        raise DataError(f"{path} {problem}, expected {file.sha256}; replace it, or name no folder (--data-dir, "
                        "BBBNP_DATA) and it is downloaded")
    return path, content


def _find(folder, name, file):
    """The file in the data set's own folder within `folder`, else in `folder` itself; plain before .gz."""
    for place in (folder / name, folder):
        for path in (place / file.name, place / f"{file.name}.gz"):
            if os.path.isfile(path):
                return path
    raise DataError(f"{file.name} or {file.name}.gz is not in {folder} or its folder {name}; put it there (SHA-256 of "
                    f"the uncompressed content: expected {file.sha256}), or name no folder (--data-dir, BBBNP_DATA) "
                    "and it is downloaded")


def _read(path, file):
    """Uncompressed content of the file at `path`, and what is wrong with it, in words, or None."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if content[:2] == b"\x1f\x8b":  # by what is in it: some servers uncompress a .gz on the way and keep its name
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            return None, "is truncated or damaged gzip data, so that its uncompressed content has no SHA-256"
    found = hashlib.sha256(content).hexdigest()
    if found == file.sha256:
        return content, None
    return content, f"{_guess(content, found, file)}; the SHA-256 of its uncompressed content is {found}"


def _guess(content, found, file):
    """What the content with the sum `found` may be, since it is not that of `file`."""
    for name, dataset in DATASETS.items():
        for known in (known for split in dataset.files.values() for known in split):
            if known.sha256 == found:
                return f"holds {known.name} of {name}: swapped?"
    if "-idx" not in file.name:
        rows = content.count(b"\n")
        return f"has {rows} rows, not {file.shape[0]}" if rows != file.shape[0] else "has other values"
    header, magic = idx_header(file.shape), content[:4]
    if magic != header[:4]:
        kinds = {idx_header((0,))[:4]: "labels", idx_header((0, 0, 0))[:4]: "images"}
        if magic in kinds:
            return f"holds {kinds[magic]}, not {kinds[header[:4]]}: swapped?"
        return f"begins with {magic.hex() or 'nothing'}, not with the magic number {header[:4].hex()}"
    if len(content) >= len(header) and content[:len(header)] != header:
        shape = struct.unpack(f">{len(file.shape)}I", content[4:len(header)])
        return f"holds an array of shape {shape}, not {file.shape}: train and test swapped?"
    size = len(header) + math.prod(file.shape)
    if len(content) != size:
        return f"is {'truncated' if len(content) < size else 'too long'}: {len(content)} bytes, not {size}"
    return "has other values"


def idx_header(shape):
    """First 4 + 4 len(shape) bytes of an IDX file of uint8: magic number (8 is uint8; how many dimensions), shape."""
    return struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape)


def _cached(name, file):
    """Path and content of the file in the cache; one that is missing or damaged is downloaded."""
    import pooch
    folder = Path(os.environ.get("BBBNP_CACHE") or pooch.os_cache("bbbnp")).expanduser() / name
    path = folder / (file.name + DATASETS[name].suffix)
    if os.path.isfile(path):
        content, problem = _read(path, file)
        if not problem:
            return path, content
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=folder, prefix="part-")
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror}), and {file.name} (expected SHA-256 "
                        f"{file.sha256}) must be: set BBBNP_CACHE to a folder that can be") from error
    with scratch:
        part = Path(scratch.name) / path.name
        content = _download(name, file, part)
        os.replace(part, path)  # only now, with its sum known, has it the name by which it is found
    return path, content


def _download(name, file, part):
    """Write the file to `part` from the first mirror that has the right one; return its uncompressed content."""
    failures = []
    for mirror in DATASETS[name].mirrors:
        url = mirror + part.name
        try:
            return _get(url, file, part)
        except (OSError, ValueError) as error:  # ValueError: a server that sends nonsense for a length
            failures.append(f"{url} {_reason(error)}")
    names = ", ".join(known.name for split in DATASETS[name].files.values() for known in split)
    raise DataError(f"{file.name} (SHA-256 of the uncompressed content: expected {file.sha256}) could not be had: "
                    f"{'; '.join(failures)}. Without a network put {names}, plain or as .gz, into a FOLDER and name it "
                    "by --data-dir FOLDER, data_dir=FOLDER or BBBNP_DATA=FOLDER")


def _get(url, file, part):
    """The same from one address; an OSError or ValueError if that has not the right file."""
    import pooch
    from tqdm import tqdm
    # pooch asks for the truth of the bar, which is that of its total, and then puts the length of the answer there
    with tqdm(desc=part.name, total=1, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=TIMEOUT)(url, part, None)
    content, problem = _read(part, file)
    if problem:
        raise DataError(problem)
    return content


def _reason(error):
    """A few words for why a download failed, where requests has many."""
    if isinstance(error, DataError):
        return str(error)
    if getattr(error, "response", None) is not None:
        return f"answered with status {error.response.status_code}"
    if "timed out" in str(error):
        return "did not answer in time"
    kind = type(error).__name__
    known = {"ConnectionError": "cannot be reached", "ChunkedEncodingError": "broke off"}
    return known.get(kind, f"failed ({getattr(error, 'strerror', None) or kind})")
