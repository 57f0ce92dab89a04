"""How much to believe a network: each number by hand, on networks that fit into a line."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from bbbnp import data
from bbbnp.experiments import mnist, uncertainty
from bbbnp.prediction import ClassDistribution

COLOURS = ("sgd", "dropout", "gaussian", "mixture")


class Scripted:
    """Two classes; two draws of the weights that agree on dark images and differ on others."""

    posterior, classes_ = "diagonal", np.array([3, 8])

    def __init__(self):
        self.rows, self.draws = [], []

    def predict_distribution(self, x, *, draws):
        self.rows.append(len(x))
        self.draws.append(draws)
        bright = x.mean(axis=1)
        sure = np.stack([np.full_like(bright, 5), -5 + bright])
        return ClassDistribution(np.stack([sure.T, np.where(bright > 0, sure[::-1], sure).T]), "categorical")


def images(levels):
    """Images of 2 x 2 pixels, all of one grey level."""
    return np.multiply.outer(np.array(levels, np.uint8), np.ones((2, 2), np.uint8))


def test_most_doubtful_examples_are_rejected_first():
    p = np.tile([0.9, 0.1], (10, 1))
    labels = np.array([0, 1, 0, 0, 1, 0, 0, 0, 0, 1])
    doubt = np.array([5, 0, 4, 3, 9, 6, 1, 2, 7, 8.0])  # the errors are the two most doubtful and the least
    expected = [30, 30, 30, 30, 100 * 2 / 9, 100 / 8, 100 / 5]
    np.testing.assert_allclose(uncertainty.rejection(p, labels, doubt), expected)
    assert uncertainty.rejection(p, labels, -doubt)[-1] == 40


def test_of_equally_doubtful_examples_the_later_goes_first():
    p, labels = np.tile([0.9, 0.1], (4, 1)), np.array([0, 0, 1, 1])
    assert uncertainty.rejection(p, labels, np.zeros(4))[-1] == 0
    assert uncertainty.rejection(p, labels[::-1], np.zeros(4))[-1] == 100


def test_spread_is_mean_and_quantiles():
    assert uncertainty.spread(np.arange(101.0)) == {"mean": 50, "quantiles": [5, 25, 50, 75, 95]}


def test_doubt_outside_is_an_area_above_a_half():
    dark, bright = images([0, 0, 0]), images([200, 250, 255, 255])
    far = uncertainty.assess(Scripted(), dark, np.array([3, 3, 8]), {"bright": bright}, 2)
    assert far["auroc"] == {"bright": {"entropy": 1, "mutual_information": 1}}
    assert far["error"] == pytest.approx(100 / 3)  # labels 3 and 8 are classes 0 and 1
    near = uncertainty.assess(Scripted(), bright, np.array([3] * 4), {"dark": dark}, 2)
    assert near["auroc"] == {"dark": {"entropy": 0, "mutual_information": 0}}
    assert far["mutual_information"]["mnist"]["mean"] == pytest.approx(0, abs=1e-12)
    assert far["mutual_information"]["bright"] == near["mutual_information"]["mnist"]
    assert far["entropy"]["bright"]["mean"] > 0.5 > 0.01 > far["entropy"]["mnist"]["mean"]


def test_images_are_taken_so_many_at_a_time(monkeypatch, classifier):
    x, y = np.random.default_rng(0).integers(0, 255, (12, 3, 2), np.uint8), np.arange(12) % 3
    model = classifier(standardize=False).fit(mnist.pixels(x), y)
    whole, scripted = uncertainty.doubts(model, x, 4), Scripted()
    monkeypatch.setattr(uncertainty, "ROWS_AT_ONCE", 5)
    for one, other in zip(whole, uncertainty.doubts(model, x, 4)):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-7)
    uncertainty.doubts(scripted, x, 4)
    assert scripted.rows == [5, 5, 2] and scripted.draws == [4] * 3
    scripted.posterior = "point"
    uncertainty.doubts(scripted, x[:1], 4)
    assert scripted.draws[-1] == 0  # the same answer four times would be a waste
    p, entropy, mutual = whole
    np.testing.assert_allclose(entropy, -(p * np.log(p)).sum(axis=1))
    assert (mutual > 0).all() and (mutual < entropy).all()


def test_a_point_network_has_no_mutual_information(classifier):
    x, y = np.random.default_rng(1).integers(0, 255, (12, 3, 2), np.uint8), np.arange(12) % 3
    model = classifier(standardize=False, posterior="point").fit(mnist.pixels(x), y)
    record = uncertainty.assess(model, x, y, {"negative": 255 - x}, 4)
    for name in ("mnist", "negative"):
        assert record["mutual_information"][name] == {"mean": 0, "quantiles": [0] * 5}
        assert record["entropy"][name]["mean"] > 0
    assert record["auroc"]["negative"]["mutual_information"] is None
    assert 0 <= record["auroc"]["negative"]["entropy"] <= 1
    turned = uncertainty.turned(model, x[0], 2, 4)
    assert turned["mutual_information"] == [0] * len(uncertainty.ANGLES)
    p = model.predict_distribution(mnist.pixels(x[:1]), draws=0).mean[0]
    assert turned["p_true"][0] == pytest.approx(p[2]) and turned["p_winner"][0] == pytest.approx(p.max())
    assert turned["winner"][0] == p.argmax()
    json.dumps([record, turned], allow_nan=False)


def test_empty_bins_of_the_reliability_diagram_are_none():
    p = np.array([[0.99, 0.01], [0.99, 0.01], [0.45, 0.55]])
    record = uncertainty.judged(p, np.zeros(3), np.array([0, 1, 1]))
    bins = record["reliability"]
    assert bins["count"][-1] == 2 and bins["accuracy"][-1] == 0.5 and bins["confidence"][-1] == pytest.approx(0.99)
    assert bins["count"][8] == 1 and bins["accuracy"][8] == 1 and bins["accuracy"][:8] == [None] * 8
    assert record["error"] == pytest.approx(100 / 3)
    assert record["ece"] == pytest.approx((2 * 0.49 + 0.45) / 3)


def test_an_image_is_turned_anticlockwise_and_at_first_not_at_all():
    image = np.random.default_rng(2).integers(0, 255, (6, 6), np.uint8)
    turned = uncertainty.turn(image, (0, 90, 180))
    for quarter, found in enumerate(turned):
        np.testing.assert_allclose(found, np.rot90(image, quarter), atol=1e-9)
    between = uncertainty.turn(image, (45,))[0]
    assert between.shape == image.shape and between[0, 0] == 0  # the corner comes from outside the frame
    assert uncertainty.ANGLES[0] == 0 and uncertainty.ANGLES[-1] == 180 and set(uncertainty.SHOWN) < set(
        uncertainty.ANGLES)


def test_missing_data_sets_are_reported(tmp_path, monkeypatch):
    found, left_out = uncertainty.load_outside(tmp_path)
    assert found == {} and list(left_out) == ["fashion-mnist", "notmnist"]
    for name, reason in left_out.items():
        assert name in reason and str(tmp_path) in reason
    monkeypatch.setitem(uncertainty.OUTSIDE, "notmnist", lambda split, data_dir: (images([7]), np.array([0])))
    found, left_out = uncertainty.load_outside(tmp_path)
    assert list(found) == ["notmnist"] and found["notmnist"][0, 0, 0] == 7 and list(left_out) == ["fashion-mnist"]


def test_the_comment_says_where_bayes_by_backprop_is_worse(uncertainty_result):
    result = uncertainty_result(*((method, 5) for method in COLOURS))
    sgd, dropout, gaussian, mixture = result["records"]
    gaussian["error"], dropout["nll"], mixture["brier"], sgd["brier"] = 1.5, 0.08, 0.06, 0.04
    dropout["auroc"]["notmnist"]["entropy"], mixture["auroc"]["notmnist"]["mutual_information"] = 0.95, 0.85
    gaussian["auroc"]["notmnist"]["mutual_information"] = 0.91
    (text,) = uncertainty.comment(result).splitlines()
    worse, better, equal = text.split("; ")
    assert "worse" in worse and "NLL (gaussian 0.1000, dropout 0.0800)" in worse
    assert "Brier (gaussian 0.0500, sgd 0.0400)" in worse
    assert "AUROC of entropy, notmnist (gaussian 0.8000, dropout 0.9500)" in worse
    assert "better" in better and "error (gaussian 1.50 %, sgd 2.00 %)" in better
    assert "AUROC of MI, notmnist (gaussian 0.9100, dropout 0.9000)" in better
    assert "not told apart from" in equal and "ECE (gaussian 1.00 %, sgd 1.00 %)" in equal and "fashion" not in text
    gaussian["error"] = 2.5
    mixture["error"] = 2.2
    worse = uncertainty.comment(result).split("; ")[0]
    assert "error (mixture 2.20 %, sgd 2.00 %)" in worse


def test_the_comment_is_of_means_and_of_each_width_alone(uncertainty_result):
    result = uncertainty_result(("sgd", 5), ("sgd", 5), ("mixture", 5), ("mixture", 9))
    result["records"][1]["error"] = 3.0
    result["records"][0]["turned"]["p_winner"][1] = 0.89  # one angle of the other run remains
    result["records"][2]["turned"]["winner"] = [1, 7, 7]
    first, second = uncertainty.comment(result).splitlines()
    text = uncertainty.comment(result)
    assert "One seed a method settles nothing" in text and "better than the best baseline in error" in text
    result["records"].append({**result["records"][2], "error": 2.2})  # errors of 0.1, and of 0.5 and then 0.04 beside
    assert "not told apart from the best baseline in error (mixture 2.10 %, sgd 2.50 %)" in uncertainty.comment(result)
    result["records"][0]["error"], result["records"][1]["error"] = 2.60, 2.68  # 5.0 standard errors, and then 4.1
    assert "better than the best baseline in error (mixture 2.10 %, sgd 2.64 %)" in uncertainty.comment(result)
    assert "settles" not in uncertainty.comment(result).splitlines()[0]
    result["records"][0]["error"], result["records"][1]["error"] = 2.50, 2.58
    assert "not told apart from the best baseline in error (mixture 2.10 %, sgd 2.54 %)" in uncertainty.comment(result)
    del result["records"][-1]
    result["records"][0]["error"], result["records"][1]["error"] = 2.0, 3.0
    assert "(sgd 2, mixture 1)" in first and "worse than the best baseline in nothing" in first
    assert "error (mixture 2.00 %, sgd 2.50 %)" in first and "turned 1" in first
    assert first.endswith("sgd 0.5, mixture 1.")
    assert second.startswith("9 units") and "there is nothing to compare" in second and "worse" not in second


def test_the_table_has_what_is_missing_too(uncertainty_result):
    text = uncertainty.table(uncertainty_result(("sgd", 5), ("mixture", 5)))
    rows = {line[:25].strip(): line[25:].split() for line in text.splitlines()}
    assert rows["AUROC of MI, notmnist"] == ["-", "0.9000"] and rows["error, 10 % rejected"] == ["1.00", "%"] * 2
    assert "fashion-mnist is left out: it is not there" in text and text.endswith("A point.")


@pytest.fixture
def tiny_mnist(monkeypatch):
    """MNIST of 20 images and notMNIST of 7, each of 4 x 4 pixels; no Fashion-MNIST."""
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 256, (20, 4, 4), np.uint8), np.uint8([7, 2, 0, 1, 3, 4, 5, 6, 8, 9] * 2)

    def missing(split, data_dir=None):
        raise data.DataError("not there")

    monkeypatch.setattr(data, "load_mnist", lambda split, data_dir=None: (x, y))
    monkeypatch.setitem(uncertainty.OUTSIDE, "fashion-mnist", missing)
    monkeypatch.setitem(uncertainty.OUTSIDE, "notmnist", lambda split, data_dir=None: (255 - x[:7], y[:7]))
    monkeypatch.setattr(mnist, "REPORTED_DRAWS", 3)
    return x


def test_run_folders_are_assessed_written_and_drawn(tiny_mnist, tmp_path, capsys):
    folders = [tmp_path / method for method in COLOURS]
    for folder in folders:
        settings = mnist.settings_of(folder.name, hidden=3, epochs=1)
        mnist.run(folder, settings, threads=1, progress=False)
    parser = argparse.ArgumentParser()
    uncertainty._arguments(parser)
    options = parser.parse_args([*map(str, folders), "--draws", "3", "--out", str(tmp_path / "new")])
    assert uncertainty._run(options) == 0
    result = json.loads((tmp_path / "new" / "mnist_uncertainty.json").read_text())
    assert result["settings"] == {"draws": 3, "digit": 1, "runs": list(COLOURS)} and result["seed"] == [0]
    assert result["left_out"] == {"fashion-mnist": "its files were not there"} and result["digit"]["index"] == 3
    assert bytes.fromhex(result["digit"]["pictures"][0]) == tiny_mnist[3].tobytes()
    for folder, record in zip(folders, result["records"], strict=True):
        reported = json.loads((folder / "result.json").read_text())
        assert (record["method"], record["draws"]) == (folder.name, reported["draws"])
        for name in ("nll", "brier", "ece"):  # of the same draws of the weights, or of the units
            assert record[name] == pytest.approx(reported[f"test_{name}"])
        assert record["error"] == reported["test_error_averaged"] and record["epochs"] == 1
        assert set(record["entropy"]) == {"mnist", "notmnist"} and len(record["turned"]["entropy"]) == 19
    for name in ("reliability", "doubt", "turned"):
        assert (tmp_path / "new" / f"mnist_{name}.png").read_bytes().startswith(b"\x89PNG")
    text = capsys.readouterr().out
    assert uncertainty.POINT_NOTE in text and "3 units a layer" in text
    with pytest.raises(ValueError, match="hold the same network: leave one out"):
        uncertainty.run([folders[0], folders[1], folders[0]])


def test_a_folder_without_a_run_is_an_error_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load_mnist", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(FileNotFoundError, match="holds no trained run"):
        uncertainty.run([Path(tmp_path)])
    for wrong in ({"draws": 0}, {"digit": 10}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            uncertainty.run([tmp_path], **wrong)
