"""Model files: round trips, what is not a whole file, and writing all or nothing."""

import gc
import itertools
import json
import os
import stat
import warnings

import numpy as np
import pytest

from bbbnp import (
    GaussianPrior, ModelFileError, ScaleMixture, checkpoint, gradcheck_kernels, load, objective)
from bbbnp.checkpoint import FORMAT

ARRAYS = {"theta", "first", "second", "average", "history", "settings", "x_shift_", "x_scale_", "y_shift_", "y_scale_",
          "single_target_"}


@pytest.fixture
def path(regressor, small, tmp_path):
    """The file of a fitted model."""
    regressor().fit(small.X, small.y).save(tmp_path / "model.npz")
    return tmp_path / "model.npz"


def rewritten(path, settings=(), params=(), **arrays):
    """`path`, with some settings and arrays exchanged; None removes one."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files} | arrays
    changed = json.loads(str(content["settings"])) | dict(settings)
    changed["params"] |= dict(params)
    content["settings"] = np.array(json.dumps(changed))
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
    return path


def test_every_prior_can_be_read_again():
    priors = {value for value in vars(objective).values() if isinstance(value, type) and hasattr(value, "components")}
    assert set(checkpoint.PRIORS.values()) == priors == {type(prior) for prior in gradcheck_kernels.PRIORS.values()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind, prior", [*itertools.product(
    ["one target", "three targets", "noise by input", "classes", "two classes"],
    [GaussianPrior(0.3), ScaleMixture(0.2, 0.9, 0.1), ScaleMixture(1.0)]), ("dropout", ScaleMixture())], ids=str)
def test_round_trip(kind, prior, dtype, regressor, classifier, small, tmp_path, assert_same_bits):
    make, y, params = {
        "one target": (regressor, small.y, {"noise": 0.5}),
        "three targets": (regressor, small.Y, {"average_last": 0.5}),
        "noise by input": (regressor, small.y, {"noise": "input", "activation": "tanh", "standardize": False}),
        "dropout": (regressor, small.y, {"posterior": "dropout", "dropout": (0.1, 0.3)}),
        "classes": (classifier, small.labels, {"hidden": (3, 2)}),
        "two classes": (classifier, np.array(["a", "b"])[small.labels // 2], {"likelihood": "bernoulli"})}[kind]
    net = make(prior=prior, dtype=dtype, seed=5, **params).fit(small.X, y, validation=(small.X, y))
    net.save(tmp_path / "no suffix")
    twin = load(str(tmp_path / "no suffix"))
    assert type(twin) is type(net) and twin.get_params() == net.get_params()
    assert twin.validation_ == net.validation_ and twin.n_features_in_ == 2
    assert twin.architecture_ == net.architecture_
    assert_same_bits(twin, net)
    for a, b in ((net.predict(small.X), twin.predict(small.X)),
                 (net.predict_distribution(small.X).samples, twin.predict_distribution(small.X).samples)):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert_same_bits(twin.partial_fit(small.X, y), net.partial_fit(small.X, y))


def test_a_file_from_before_there_was_dropout_is_read(path, small):
    with np.load(path) as file:
        settings = json.loads(str(file["settings"]))
    del settings["params"]["dropout"]
    old = load(rewritten(path, settings={"params": settings["params"]}))
    assert old.dropout == (0.2, 0.5) and np.isfinite(old.predict(small.X)).all()


def test_a_file_holds_plain_arrays_and_a_json_text(path):
    with np.load(path, allow_pickle=False) as file:
        assert set(file.files) == ARRAYS
        settings = json.loads(str(file["settings"]))
    assert settings["format"] == FORMAT and settings["params"]["prior"]["kind"] == "ScaleMixture"


@pytest.mark.parametrize("params", [{"epochs": np.int64(2)}, {"noise": np.float32(0.5)}, {"hidden": np.array([3])},
                                    {"standardize": np.True_}, {"prior": GaussianPrior(np.float32(0.5))}], ids=str)
def test_settings_of_numpy_types_can_be_saved(params, regressor, small, tmp_path):
    net = regressor(**params).fit(small.X, small.y)
    net.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(load(tmp_path / "model.npz").predict(small.X), net.predict(small.X))


@pytest.mark.parametrize("part", [0, 1 / 1000, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, -1])
def test_truncated_file_is_refused_by_name(part, path):
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] if part < 0 else whole[:int(part * len(whole))])
    with pytest.raises(ModelFileError, match=r"model\.npz is not a whole model file of bbbnp .* truncated, damaged or"):
        load(path)


@pytest.mark.parametrize("make", [
    lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
    lambda path: path.write_text("epoch,loss\n1,2\n"), lambda path: np.savez(path, weights=np.ones(3)),
    lambda path: np.savez(path, settings=np.array("not JSON")),
    lambda path: np.savez(path, settings=np.array("[1, 2]")),
    lambda path: np.savez(path, settings=np.array("{}")), lambda path: np.savez(path, settings=np.array([{}], object)),
    lambda path: path.write_bytes(b"\x93NUMPY" + path.read_bytes())],
    ids=["noise", "text", "no settings", "no JSON", "a list", "no format", "pickle", "npy"])
def test_foreign_file_is_refused_by_name(make, path):
    make(path)
    with pytest.raises(ModelFileError, match=r"model\.npz is not a whole model file of bbbnp"):
        load(path)


@pytest.mark.parametrize("changes, message", [
    ({"settings": {"format": "bbbnp model 99"}}, "has the format 'bbbnp model 99'; this version reads 'bbbnp model 1'"),
    *(({name: None}, f"misses or holds .*{name}") for name in ("theta", "first", "history", "x_shift_", "y_scale_")),
    ({"settings": {"model": "Forest"}}, "Forest"), ({"params": {"depth": 3}}, "depth"),
    ({"params": {"activation": "swish"}}, "activation='swish' is unknown"),
    ({"params": {"prior": {"kind": "Cauchy"}}}, "Cauchy"), ({"settings": {"widths": [2, 0, 1]}}, "widths=0"),
    ({"theta": np.zeros(5, np.float32)}, "theta"),
    ({"first": np.zeros(0, np.float32)}, "first"),
    ({"theta": np.zeros(27)}, "theta"),  # float64 for dtype="float32"
    ({"settings": {"widths": [2, 9, 1]}}, "theta"),
    ({"settings": {"step": "many"}}, "step"),
], ids=str)
def test_file_with_something_missing_or_wrong_is_refused_by_name(changes, message, path):
    with pytest.raises(ModelFileError, match=rf"model\.npz.*{message}"):
        load(rewritten(path, **changes))


def test_every_damaged_byte_of_the_directory_is_refused_or_harmless(path, small):
    whole, expected, refused = path.read_bytes(), load(path).predict(small.X), 0
    for place in [*range(40), *range(whole.rindex(b"PK\1\2"), len(whole))]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1:])
        try:
            np.testing.assert_array_equal(load(path).predict(small.X), expected)
        except ModelFileError:
            refused += 1
    assert refused > 40


def test_a_refused_file_is_closed(path):
    path.write_bytes(path.read_bytes()[:-1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ModelFileError):
            load(path)
        gc.collect()
    assert not [str(warning.message) for warning in caught]


def test_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.npz"):
        load(tmp_path / "missing.npz")


def test_missing_folder_is_an_error_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(np, "savez", None)  # not reached
    with pytest.raises(OSError, match="no such folder"):
        checkpoint.write(tmp_path / "no such folder" / "model.npz", {}, {"theta": np.ones(3)})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_failure_while_writing_leaves_the_old_file_and_no_other(error, path, regressor, small, monkeypatch):
    def fail(file, **_):
        file.write(b"half a file")
        raise error

    old, net = path.read_bytes(), regressor(seed=9).fit(small.X, small.y)
    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(type(error)):
        net.save(path)
    assert path.read_bytes() == old and os.listdir(path.parent) == ["model.npz"]
    monkeypatch.undo()
    net.save(path)
    np.testing.assert_array_equal(load(path).predict(small.X), net.predict(small.X))
    assert os.listdir(path.parent) == ["model.npz"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_file_has_the_permissions_of_any_new_file(path):
    (path.parent / "other").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((path.parent / "other").stat().st_mode)
