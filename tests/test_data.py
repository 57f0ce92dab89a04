"""The data sets as arrays, from local folders of small files: found, believed only when their sum is right."""

import errno
import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from bbbnp import data, datafiles
from bbbnp.cli import main
from bbbnp.data import DataError, load_fashion_mnist, load_mnist, load_mushroom, load_notmnist
from bbbnp.datafiles import DataSet, File, idx_header

REAL = os.environ.get("BBBNP_DATA")
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS, MUSHROOMS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "agaricus-lepiota.data"
SHAPES = {IMAGES: (7, 4, 3), LABELS: (7,), TEST_IMAGES: (5, 4, 3), TEST_LABELS: (5,), MUSHROOMS: (12, 23)}
ROWS = [[letters[i % len(letters)] for letters in data.MUSHROOM_LETTERS.values()] for i in range(12)]
ARRAYS = {name: np.random.default_rng(len(name)).integers(0, 255, shape, np.uint8)
          for name, shape in SHAPES.items() if name != MUSHROOMS}
CONTENT = {name: idx_header(array.shape) + array.tobytes() for name, array in ARRAYS.items()}
CONTENT[MUSHROOMS] = "".join(",".join(row) + "\n" for row in ROWS).encode()
REVERSED = CONTENT[IMAGES][::-1]


def sha256(content):
    return hashlib.sha256(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).hexdigest()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of small files, right and plain; there is no mirror and no cache."""
    files = {name: File(name, sha256(content), SHAPES[name]) for name, content in CONTENT.items()}
    splits = {"train": (files[IMAGES], files[LABELS]), "test": (files[TEST_IMAGES], files[TEST_LABELS])}
    small = {"mnist": DataSet("digits", (), splits),
             "mushroom": DataSet("mushrooms", (), {"all": (files[MUSHROOMS],)}, suffix="")}
    for module in (data, datafiles):
        monkeypatch.setattr(module, "DATASETS", small)
    monkeypatch.delenv("BBBNP_DATA", raising=False)
    monkeypatch.setenv("BBBNP_CACHE", os.devnull)
    path = tmp_path / "files"
    path.mkdir()
    for name, content in CONTENT.items():
        (path / name).write_bytes(content)
    return path


def assert_train(pair):
    for array, name in zip(pair, (IMAGES, LABELS), strict=True):
        assert array.dtype == np.uint8 and array.flags.writeable
        np.testing.assert_array_equal(array, ARRAYS[name])


@pytest.mark.parametrize("by", ["argument", "environment"])
@pytest.mark.parametrize("inner", ["", "mnist"])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_local_folder_is_read_and_never_written(tmp_path, folder, monkeypatch, by, inner, end):
    place = tmp_path / "mine" / inner
    place.mkdir(parents=True)
    for name in (IMAGES, LABELS):
        (place / (name + end)).write_bytes(gzip.compress(CONTENT[name], 1) if end else CONTENT[name])
    before = sorted((tmp_path / "mine").rglob("*"))
    if by == "environment":
        monkeypatch.setenv("BBBNP_DATA", str(tmp_path / "mine"))
    assert_train(load_mnist("train", data_dir=tmp_path / "mine" if by == "argument" else None))
    assert sorted((tmp_path / "mine").rglob("*")) == before


def test_splits(folder):
    images, labels = load_mnist("test", data_dir=folder)
    np.testing.assert_array_equal(images, ARRAYS[TEST_IMAGES])
    np.testing.assert_array_equal(labels, ARRAYS[TEST_LABELS])
    with pytest.raises(ValueError, match="split='dev' is unknown; choose one of 'train', 'test'"):
        load_mnist("dev", data_dir=folder)


def test_the_argument_goes_before_the_environment_and_the_inner_folder_before_the_outer(folder, monkeypatch):
    monkeypatch.setenv("BBBNP_DATA", str(folder / "nowhere"))
    (folder / "mnist").mkdir()
    for name in (IMAGES, LABELS):
        (folder / name).rename(folder / "mnist" / name)
        (folder / name).write_bytes(b"of another data set")
    assert_train(load_mnist("train", data_dir=folder))
    with pytest.raises(DataError, match=f"{IMAGES}.gz is not in .*nowhere .*expected {sha256(CONTENT[IMAGES])}"):
        load_mnist("train")


@pytest.mark.parametrize("name, content, message", [
    (IMAGES, CONTENT[LABELS], f"holds {LABELS} of mnist: swapped?"),
    (LABELS, CONTENT[IMAGES], f"holds {IMAGES} of mnist: swapped?"),
    (IMAGES, gzip.compress(CONTENT[TEST_IMAGES]), f"holds {TEST_IMAGES} of mnist: swapped?"),
    (IMAGES, idx_header((7,)) + b"7654321", "holds labels, not images: swapped?"),
    (LABELS, idx_header((7, 4, 3)) + b"x" * 84, "holds images, not labels: swapped?"),
    (IMAGES, idx_header((5, 4, 3)) + b"x" * 60, "holds an array of shape (5, 4, 3), not (7, 4, 3): train and test"),
    (IMAGES, CONTENT[IMAGES][:-1], "is truncated: 99 bytes, not 100"),
    (IMAGES, CONTENT[IMAGES][:6], "is truncated: 6 bytes, not 100"),
    (IMAGES, CONTENT[IMAGES] + b"x", "is too long: 101 bytes, not 100"),
    (IMAGES, REVERSED, f"begins with {REVERSED[:4].hex()}, not with the magic number 00000803"),
    (IMAGES, b"", "begins with nothing, not with the magic number 00000803"),
    (LABELS, CONTENT[LABELS][:-1] + b"\xff", "has other values"),
    (MUSHROOMS, CONTENT[MUSHROOMS][:-10], "has 11 rows, not 12"),
    (MUSHROOMS, CONTENT[MUSHROOMS].upper(), "has other values")])
def test_a_wrong_file_is_described(folder, capsys, name, content, message):
    (folder / name).write_bytes(content)
    assert main(["data", "mushroom" if name == MUSHROOMS else "mnist", "--data-dir", str(folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{folder / name} {message}" in line
    assert f"is {sha256(content)}, expected {sha256(CONTENT[name])}; replace it" in line


@pytest.mark.parametrize("damage", [lambda whole: whole[:-1], lambda whole: whole[:40], lambda whole: whole[:2],
                                    lambda whole: whole[:30] + bytes(9) + whole[39:], lambda whole: whole + b"more",
                                    lambda whole: whole[:10] + b"\xff" * 90])
def test_damaged_gzip_data(folder, damage):
    (folder / IMAGES).write_bytes(damage(gzip.compress(CONTENT[IMAGES])))
    with pytest.raises(DataError, match=f"{IMAGES} is truncated or damaged gzip.*expected {sha256(CONTENT[IMAGES])}"):
        load_mnist("train", data_dir=folder)


def test_a_file_that_cannot_be_read(folder, monkeypatch):
    def refused(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(DataError, match=f"{IMAGES} cannot be read: Permission denied"):
        load_mnist("train", data_dir=folder)


def test_mushrooms_are_letters_with_names(folder):
    columns, letters, labels = load_mushroom(data_dir=folder)
    assert len(columns) == 22 and columns[0] == "cap-shape" and columns[-1] == "habitat"
    assert letters.shape == (12, 22) and letters.dtype == labels.dtype == "<U1"
    np.testing.assert_array_equal(np.column_stack([labels, letters]), ROWS)


def test_a_letter_that_is_not_declared(folder, monkeypatch):
    monkeypatch.setitem(data.MUSHROOM_LETTERS, "odor", "alcyfm")
    with pytest.raises(DataError, match=f"{MUSHROOMS}: column odor holds n, p, s, where only alcyfm are declared"):
        load_mushroom(data_dir=folder)


def test_command_says_where_what_and_that_the_sum_is_right(folder, capsys):
    assert main(["data", "mnist", "--data-dir", str(folder)]) == 0
    head, first, *rest = capsys.readouterr().out.splitlines()
    assert head == "digits" and first == f"{folder / IMAGES}  7 x 4 x 3  sum OK" and len(rest) == 3
    (folder / LABELS).unlink()
    assert main(["data", "mnist", "--data-dir", str(folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{LABELS} or {LABELS}.gz is not in {folder}" in line


def test_wrong_use_of_the_command(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["data", "nothing"])
    assert exit_.value.code == 2 and "invalid choice: 'nothing'" in capsys.readouterr().err


def test_every_file_that_is_offered_has_a_sum_of_its_own_and_a_mirror():
    known = [file for dataset in datafiles.DATASETS.values() for split in dataset.files.values() for file in split]
    assert len({bytes.fromhex(file.sha256) for file in known}) == len(known)
    assert all(len(file.sha256) == 64 for file in known)
    for dataset in datafiles.DATASETS.values():
        assert dataset.mirrors and all(mirror.endswith("/") for mirror in dataset.mirrors)
    with pytest.raises(ValueError, match="split='train' is unknown"):
        load_notmnist("train")


@pytest.mark.skipif(not REAL, reason="BBBNP_DATA does not name a folder with the real files")
def test_real_files():
    images, labels = load_mnist("test")
    assert images.shape == (10000, 28, 28) and list(labels[:10]) == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    images, labels = load_mnist("train")
    assert abs(images.mean() - 33.318421) < 1e-6 and np.bincount(labels)[0] == 5923
    assert set(np.bincount(load_notmnist()[1])) == {1000}
    columns, letters, labels = load_mushroom()
    assert letters.shape == (8124, 22) and (labels == "e").sum() == 4208
    assert (letters[:, columns.index("stalk-root")] == "?").sum() == 2480


@pytest.mark.skipif(not REAL or not (Path(REAL) / "fashion-mnist").is_dir(),
                    reason="BBBNP_DATA does not name a folder with a folder fashion-mnist")
def test_real_fashion_mnist():
    images, labels = load_fashion_mnist("train")
    assert images.shape == (60000, 28, 28) and set(np.bincount(labels)) == {6000}
    images, labels = load_fashion_mnist("test")
    assert images.shape == (10000, 28, 28) and set(np.bincount(labels)) == {1000}
