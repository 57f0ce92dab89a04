"""Runs on MNIST, on small data in its place."""

import json

import numpy as np
import pytest

from bbbnp import cli, training
from bbbnp.datafiles import DataError
from bbbnp.experiments import mnist, mnist_table

pytestmark = pytest.mark.usefixtures("small_mnist")


def test_pixels_are_divided_by_126():
    images = np.array([[[0, 126], [252, 255]]], np.uint8)
    np.testing.assert_array_equal(mnist.pixels(images), np.float32([[0, 1, 2, 255 / 126]]))
    assert mnist.pixels(images).dtype == np.float32


def test_the_last_10000_training_images_are_held_out(monkeypatch):
    monkeypatch.undo()
    images = {split: np.arange(n)[:, None, None] for split, n in (("train", 60_000), ("test", 10_000))}
    monkeypatch.setattr(mnist.data, "load_mnist", lambda split, data_dir: (images[split], images[split][:, 0, 0]))
    x, y, watched, labels = mnist.load_split(True)
    assert (y[0], y[-1], labels[0], labels[-1]) == (0, 49_999, 50_000, 59_999) and len(x) == len(y)
    np.testing.assert_array_equal(watched[:, 0], (labels / np.float32(126)).astype(np.float32))
    x, y, watched, labels = mnist.load_split(False)
    assert len(x) == 60_000 and len(watched) == 10_000 and labels[-1] == 9_999


def test_each_method_is_its_network(settings):
    networks = {method: mnist.network(settings(method)) for method in mnist.METHODS}
    assert [net.posterior for net in networks.values()] == ["point", "dropout", "diagonal", "diagonal"]
    assert networks["mixture"].prior.sigma2 == np.exp(-6) and networks["gaussian"].prior.sigma == np.exp(-1)
    assert all(net.hidden == (5, 5) and not net.standardize and net.batch_size == 128 for net in networks.values())
    both = mnist.network(settings("mixture", input_dropout=0.3))
    assert (both.posterior, both.dropout) == ("diagonal_dropout", (0.3, 0.0))
    with pytest.raises(ValueError, match="method='adam' is unknown"):
        mnist.settings_of("adam")
    with pytest.raises(ValueError, match="setting='width' is unknown"):
        mnist.settings_of("sgd", width=3)


@pytest.mark.parametrize("method", mnist.METHODS)
def test_a_run_leaves_its_record(method, tmp_path, settings):
    record = mnist.run(tmp_path / "run", settings(method), progress=False)
    assert json.loads((tmp_path / "run/result.json").read_text()) == record
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2, 3, 4, 5, 6]
    assert record["test_error_mean_network"] == log[-1]["error_mean_network"]
    assert log[-1]["misfit"] < log[0]["misfit"]
    assert {"method", "hidden", "seed", "epochs", "settings", "draws", "test_error_averaged", "test_nll", "test_brier",
            "test_ece", "wall_time_s", "version"} < set(record)
    assert (record["test_error_averaged"] == record["test_error_mean_network"]) or method != "sgd"
    assert all(line["complexity"] == 0 for line in log) == (method in ("sgd", "dropout"))
    assert mnist.load_run(tmp_path / "run")[1].posterior == mnist.network(settings(method)).posterior


def test_a_held_out_run_says_validation_and_nothing_of_the_test(tmp_path, settings):
    record = mnist.run(tmp_path / "run", settings(held_out=True), progress=False)
    assert "validation_nll" in record and not any(name.startswith("test") for name in record)
    assert mnist_table.collect(tmp_path) == []


@pytest.mark.parametrize("stop_in_training", [True, False], ids=["in training", "while it is scored"])
@pytest.mark.parametrize("method", ["mixture", "dropout"])
def test_a_stopped_run_resumes_to_the_same_bits_and_log(method, stop_in_training, tmp_path, monkeypatch, settings):
    whole = mnist.run(tmp_path / "whole", settings(method), progress=False)
    with monkeypatch.context() as patch:
        calls = iter(range(100))
        if stop_in_training:  # as Ctrl-C does: the slice ends, then training returns
            run = training.run
            patch.setattr(training, "run", lambda *a, **k: run(*a, **k) or next(calls) == 3)
            assert mnist.run(tmp_path / "part", settings(method), progress=False) is None
        else:
            scores = mnist.scores

            def stopped(*arguments, **options):
                if next(calls) == 3:
                    raise KeyboardInterrupt
                return scores(*arguments, **options)

            patch.setattr(mnist, "scores", stopped)
            with pytest.raises(KeyboardInterrupt):
                mnist.run(tmp_path / "part", settings(method), progress=False)
    resumed = mnist.run(tmp_path / "part", resume=True, progress=False)
    ours, theirs = (mnist.load_run(tmp_path / name)[1] for name in ("part", "whole"))
    np.testing.assert_array_equal(ours.state_.theta, theirs.state_.theta)
    logs = [[{**json.loads(line), "seconds": 0} for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
            for name in ("part", "whole")]
    assert logs[0] == logs[1]
    assert {**resumed, "wall_time_s": 0} == {**whole, "wall_time_s": 0}


def test_a_finished_run_resumes_to_its_record_alone(tmp_path, settings):
    record = mnist.run(tmp_path, settings(), progress=False)
    before = (tmp_path / "model.npz").stat().st_mtime_ns
    assert mnist.run(tmp_path, resume=True, progress=False) == record
    assert (tmp_path / "model.npz").stat().st_mtime_ns == before


def test_a_folder_with_a_run_is_not_written_over_and_one_without_is_not_resumed(tmp_path, settings):
    with pytest.raises(ValueError, match="holds no run to resume"):
        mnist.run(tmp_path, resume=True)
    with pytest.raises(FileNotFoundError, match="holds no trained run"):
        mnist.load_run(tmp_path)
    mnist.run(tmp_path, settings(), progress=False)
    with pytest.raises(ValueError, match="holds a run already: go on with --resume"):
        mnist.run(tmp_path, settings())


@pytest.mark.parametrize("changed, message", [
    ({"epochs": 0}, "epochs=0 must be an integer of at least 1"), ({"learning_rate": -1.0}, "learning_rate=-1.0 must"),
    ({"sigma2": 0.0}, "sigma2=0.0 must"), ({"hidden": 0}, "hidden=0 must"),
    ({"threads": 0}, "threads=0 must")], ids=str)
def test_settings_that_cannot_be_leave_no_run_behind(changed, message, tmp_path, settings):
    own = {name: value for name, value in changed.items() if name != "threads"}
    with pytest.raises(ValueError, match=message):
        mnist.run(tmp_path / "run", settings() | own, threads=changed.get("threads"), progress=False)
    assert not (tmp_path / "run").exists()


def test_without_data_no_run_is_left_behind(tmp_path, monkeypatch, settings):
    monkeypatch.setattr(mnist, "load_split", lambda *_: (_ for _ in ()).throw(DataError("no file")))
    with pytest.raises(DataError):
        mnist.run(tmp_path / "run", settings(), progress=False)
    assert not (tmp_path / "run").exists()


def test_a_run_is_finished_with_its_own_settings_only(tmp_path, settings):
    mnist.finished((tmp_path, settings(), None))
    with pytest.raises(ValueError, match="holds a run with other settings: name another folder"):
        mnist.finished((tmp_path, settings(epochs=7), None))


def test_the_command_trains_resumes_and_refuses(tmp_path, capsys, monkeypatch):
    run = ["mnist", "--run", str(tmp_path / "run")]
    assert cli.main([*run, "--hidden", "5", "--epochs", "2", "--held-out", "--method", "gaussian"]) == 0
    assert "validation nll" in capsys.readouterr().out
    assert cli.main([*run, "--hidden", "5"]) == 2 and "go on with --resume" in capsys.readouterr().err
    other = ["mnist", "--run", str(tmp_path / "other"), "--method"]
    for method, option in (("sgd", "--temperature"), ("dropout", "--draws"), ("gaussian", "--sigma2")):
        assert cli.main([*other, method, option, "1"]) == 2
        assert f"{method} has no use for {option}" in capsys.readouterr().err and not (tmp_path / "other").exists()
    for option, value in (("--epochs", "3"), ("--weight-noise", "local"), ("--method", "sgd")):
        assert cli.main([*run, "--resume", option, value]) == 2 and f"leave {option} out" in capsys.readouterr().err
    assert cli.main([*run, "--resume"]) == 0
    monkeypatch.setattr(mnist, "load_split", lambda *_: (_ for _ in ()).throw(DataError("no file")))
    assert cli.main(["mnist", "--run", str(tmp_path / "other")]) == 1 and "no file" in capsys.readouterr().err
