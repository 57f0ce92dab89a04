"""Table 2 and the densities of Figures 3 and 4, on small networks in place of those on MNIST."""

import json

import numpy as np
import pytest

import bbbnp
from bbbnp import cli, metrics, paper, plots_paper
from bbbnp.experiments import mnist, pruned

REMOVED = (0.0, 0.5, 0.98)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of two trained runs, the data they were scored on, and the patch that has these in place of MNIST."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    x = (rng.normal(size=(200, 4)) + 1.5 * y[:, None]).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "load_split", lambda held_out, data_dir=None: (x[:150], y[:150], x[150:], y[150:]))
        folder = tmp_path_factory.mktemp("runs")
        for method in ("mixture", "sgd"):
            mnist.run(folder / method, mnist.settings_of(method, hidden=6, epochs=8), progress=False)
        yield folder, x[150:], y[150:]


def test_errors_are_those_of_the_pruned_network(runs):
    folder, x, y = runs
    model = mnist.load_run(folder / "mixture")[1]
    records = list(pruned.errors(model, x, y, removed=REMOVED, draws=3))
    assert len(records) == 3 * len(REMOVED) * 2
    for record in records:
        smaller = bbbnp.prune(model, record["removed"], criterion=record["criterion"])
        p = smaller.predict_distribution(x, draws=3 * (record["prediction"] == "averaged")).mean
        assert record["test_error"] == metrics.error_rate(p, y)
    untouched = {r["test_error"] for r in records if r["removed"] == 0 and r["prediction"] == "mean"}
    assert untouched == {metrics.error_rate(model.predict_distribution(x, draws=0).mean, y)}


@pytest.mark.parametrize("method, changed, words", [
    ("sgd", {}, "sgd 400, 100 epochs"),
    ("gaussian", {"input_dropout": 0.3}, "gaussian 400, geometric, inputs left out 0.3, 100 epochs"),
    ("gaussian", {"minibatch_weights": "uniform", "weight_noise": "local"}, "gaussian 400, uniform, local, 100 epochs"),
    ("mixture", {"hidden": 9, "sigma2": 0.05, "temperature": 0.1, "epochs": 80, "held_out": True},
     "mixture 9, geometric, spike 0.05, T = 0.1, 80 epochs, validation")])
def test_networks_are_told_apart_by_what_decides_their_signal_to_noise(method, changed, words):
    assert pruned.named(mnist.settings_of(method, **changed)) == words


def test_densities_count_every_weight_in_sight_once(runs):
    model = mnist.load_run(runs[0] / "mixture")[1]
    found = pruned.densities(model)
    mu = model.mu_.astype(float)
    assert sum(found["mu"]) == np.sum(np.abs(mu) <= 0.25) and found["size"] == mu.size
    assert found["deviation_mu"] == mu.std() < found["deviation_w"]
    assert found["rms_sigma"] == pytest.approx(np.sqrt(np.mean(model.sigma_**2)))
    ratio = np.log10(np.abs(mu) / model.sigma_)
    assert sum(found["ratio"]) == np.sum((ratio >= -5) & (ratio <= 2))
    assert found["ratio_quantiles"]["0.5"] == pytest.approx(np.median(ratio), abs=1e-6)
    assert "ratio" not in pruned.densities(mnist.load_run(runs[0] / "sgd")[1])


def test_other_networks_stay_and_a_run_takes_the_place_of_one_of_another_length():
    def records(network, epochs, seed=0, error=1.0):
        return [{"network": f"{network}, {epochs} epochs", "epochs": epochs, "seed": seed, "removed": part,
                 "test_error": error} for part in (0.0, 0.5)]

    first, second = records("mixture 9", 80), records("gaussian 9", 30)
    again, other, seed = records("mixture 9", 80, error=2.0), records("gaussian 9", 8), records("mixture 9", 80, 1)
    validation = [{**r, "network": r["network"] + ", validation"} for r in first]
    assert pruned.merged([], first) == first
    assert pruned.merged(first + second, again) == again + second
    assert pruned.merged(first + second, other + seed) == first + other + seed
    assert pruned.merged(first, validation) == first + validation


def test_the_papers_crosses_stand_in_panels_of_its_width_alone():
    figure = plots_paper.pruning([
        {"network": f"mixture {hidden}", "hidden": hidden, "criterion": criterion, "removed": part,
         "prediction": "averaged", "test_error": 2.0}
        for hidden in (400, 1200) for criterion in ("snr", "magnitude", "random") for part in (0.0, 0.5)])
    crosses = [[line for line in axes.lines if line.get_marker() == "x"] for axes in figure.axes]
    assert [len(lines) for lines in crosses] == [0, 1]
    assert list(crosses[1][0].get_ydata()) == list(paper.TABLE_2.values())
    (legend,) = figure.legends  # though the first panel has none
    assert [text.get_text() for text in legend.get_texts()][-1] == "paper"


def test_the_command_writes_tables_and_figures_and_saves_networks(runs, tmp_path, capsys):
    folders = [str(runs[0] / name) for name in ("mixture", "sgd")]
    assert cli.main(["prune", *folders, "--draws", "2", "--out", str(tmp_path)]) == 0
    records = json.loads((tmp_path / "mnist_table2.json").read_text())
    assert len(records) == 3 * len(pruned.REMOVED) * 2 and {r["method"] for r in records} == {"mixture"}
    assert {"hidden", "seed", "criterion", "removed", "prediction", "test_error"} < set(records[0])
    assert "98%" in capsys.readouterr().out.splitlines()[0]
    assert cli.main(["prune", folders[1], "--draws", "2", "--out", str(tmp_path)]) == 0  # the table and densities stay
    assert json.loads((tmp_path / "mnist_table2.json").read_text()) == records
    assert cli.main(["prune", folders[0], "--draws", "3", "--out", str(tmp_path)]) == 2
    assert "averages 2" in capsys.readouterr().err
    assert [r["method"] for r in json.loads((tmp_path / "mnist_weights.json").read_text())] == ["mixture", "sgd"]
    for name in ("mnist_table2", "mnist_weight_histogram", "mnist_snr"):
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert cli.main(["prune", folders[0], "--save", "0.9"]) == 0
    saved = bbbnp.load(runs[0] / "mixture/pruned.npz")
    assert np.sum(saved.sigma_ == 0) == round(0.9 * saved.mu_.size)
    assert cli.main(["prune", folders[1], "--out", str(tmp_path / "new")]) == 2
    assert "name a run of a Bayesian network" in capsys.readouterr().err
    (tmp_path / "twin").symlink_to(runs[0] / "mixture")  # of a name and seed that is in the table
    assert cli.main(["prune", folders[0], str(tmp_path / "twin"), "--draws", "2", "--out", str(tmp_path)]) == 2
    assert "share their rows" in capsys.readouterr().err
    half = tmp_path / "half"
    half.mkdir()
    (half / "model.npz").write_bytes((runs[0] / "mixture/model.npz").read_bytes())
    (half / "settings.json").write_text(json.dumps(mnist.settings_of("mixture", hidden=6, epochs=80)))
    assert cli.main(["prune", str(half), "--draws", "2", "--out", str(tmp_path)]) == 2
    assert "has done 8 of its 80 epochs" in capsys.readouterr().err
    assert json.loads((tmp_path / "mnist_table2.json").read_text()) == records
    assert cli.main(["prune", str(tmp_path)]) == 1 and "holds no trained run" in capsys.readouterr().err
