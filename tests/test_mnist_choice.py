"""Settings for MNIST and what became of them: search, contests and Table 1, on small data in its place."""

import json

import numpy as np
import pytest

from bbbnp import cli, metrics, paper, training
from bbbnp.experiments import mnist, mnist_finals, mnist_grid, mnist_table

pytestmark = pytest.mark.usefixtures("small_mnist")


def test_the_grid_is_the_papers_with_both_minibatch_weights():
    for weights in ("geometric", "uniform"):
        points = [p for p in mnist_grid.grid("mixture") if p["minibatch_weights"] == weights]
        assert len(points) == 324 == len({json.dumps(p) for p in points})
    assert {p["learning_rate"] for p in mnist_grid.grid("sgd")} == {1e-3, 1e-4, 1e-5}
    assert {round(-np.log(p["sigma2"])) for p in mnist_grid.grid("mixture")} == {6, 7, 8}
    for method in mnist.METHODS:
        for point in mnist_grid.grid(method):
            mnist.network(mnist.settings_of(method, **point))._checked()


def test_rungs_cost_the_same_and_together_the_budget():
    found = mnist_grid.rungs(648, 800)
    assert [n for n, _ in found] == [648, 162, 41, 11, 3]
    np.testing.assert_allclose([n * passes for n, passes in found], 160)


@pytest.fixture
def trials(monkeypatch):
    """Trials whose error is known, better at higher learning rates and worse for more draws; and a count of them."""
    ran = []

    def train(method, hidden, seed, point, passes, data_dir):
        ran.append(point)
        if point["learning_rate"] == 1e-5:
            raise training.DivergenceError("too large")
        error = 50 - 1e4 * point["learning_rate"] + point.get("draws", 1) + 0.1 / passes
        return {"error_mean_network": error, "error_averaged": error, "nll": 1.0, "cpu_s": 0.5}

    monkeypatch.setattr(mnist_grid, "_train", train)
    return ran


def test_the_search_keeps_the_best_and_does_not_run_trials_twice(trials, tmp_path):
    found = mnist_grid.run(tmp_path, "gaussian", jobs=1, budget=40, progress=False)
    assert len(trials) == 72 + 18 + 5 + 3 and [t["rung"] for t in found] == [3] * 3
    assert found[0]["point"]["learning_rate"] == 1e-3 and found[0]["point"]["draws"] == 1
    assert mnist_grid.run(tmp_path, "gaussian", jobs=1, budget=40, progress=False) == found and len(trials) == 98
    path = tmp_path / "gaussian_400_0_40.jsonl"
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines()[:80]))  # it was stopped in rung 1
    assert mnist_grid.run(tmp_path, "gaussian", jobs=1, budget=40, progress=False) == found and len(trials) == 98 + 18
    summary = mnist_grid.summary(tmp_path, "gaussian", budget=40)
    assert summary["best"] == found[0] and summary["trials"] == 98 and summary["cpu_s"] == pytest.approx(49 - 12, abs=1)
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines()[:-1]))  # one finalist is missing
    for method in ("gaussian", "sgd"):
        with pytest.raises(FileNotFoundError, match=f"holds no finished search: .* --method {method}"):
            mnist_grid.summary(tmp_path, method, budget=40)


@pytest.mark.parametrize("passes, rows, epochs", [(0.5, 150, 1), (3.0, 300, 3)])
def test_a_trial_below_one_pass_sees_part_of_the_images_at_a_temperature_of_that_part(
        passes, rows, epochs, monkeypatch):
    monkeypatch.setattr(mnist_grid, "_held", [])
    seen, network = {}, mnist.network

    def watched(chosen, **more):
        seen.update(chosen)
        model = network(chosen, **more)
        fit = model.fit
        model.fit = lambda x, y: seen.update(rows=len(x)) or fit(x, y)
        return model

    monkeypatch.setattr(mnist, "network", watched)
    found = mnist_grid.trial(("mixture", 5, 0, {"learning_rate": 1e-2, "draws": 1}, passes, None))
    assert (seen["rows"], seen["epochs"], seen["temperature"]) == (rows, epochs, rows / 300)
    assert 0 <= found["error_mean_network"] < 60 and found["cpu_s"] >= 0


def test_a_trial_that_ctrl_c_stopped_is_no_trial(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist_grid, "_held", [])
    run, calls = training.run, iter(range(100))
    monkeypatch.setattr(training, "run", lambda *a, **k: run(*a, **k) or next(calls) == 2)
    with pytest.raises(KeyboardInterrupt):
        mnist_grid.run(tmp_path, "sgd", hidden=5, jobs=1, budget=2, progress=False)
    assert len((tmp_path / "sgd_5_0_2.jsonl").read_text().splitlines()) == 2


def test_the_plan_has_every_cell_with_the_settings_of_its_search(trials, tmp_path, settings):
    for method, budget in mnist_grid.BUDGETS.items():
        mnist_grid.run(tmp_path, method, jobs=1, budget=budget, progress=False)
    cells = mnist_table.plan(tmp_path)
    assert len(cells) == 4 * (3 + 3 + 2) + 2 and next(iter(cells)) == "mixture_1200_0"
    assert [cells[f"mixture_400_{seed}"]["seed"] for seed in range(5)] == [0, 1, 2, 3, 4]
    assert cells["sgd_800_0"]["learning_rate"] == 1e-3 and not any(c["held_out"] for c in cells.values())
    assert {c["epochs"] for c in cells.values()} == {mnist_table.EPOCHS}
    finals = {"result": {"method": "mixture", "settings": settings(epochs=7, draws=2, seed=3)}}
    cells = mnist_table.plan(tmp_path, finals)  # what they chose is the mixture's, at every width and seed
    assert {c["epochs"] for c in cells.values() if c["method"] != "mixture"} == {mnist_table.EPOCHS}
    assert cells["mixture_800_0"] == {**settings(epochs=7, draws=2), "hidden": 800}
    assert [cells[f"mixture_400_{seed}"]["seed"] for seed in range(5)] == [0, 1, 2, 3, 4]


def test_runs_of_other_lengths_are_rows_of_their_own(tmp_path, settings):
    for name, epochs in (("short", 4), ("long", 6)):
        mnist.run(tmp_path / name, settings(epochs=epochs), progress=False)
    records = mnist_table.collect(tmp_path)
    assert len(mnist_table.collect(tmp_path, earlier=[{**records[0], "epochs": 9}, records[1]])) == 3
    cells = mnist_table.cells_of(records)
    assert list(cells) == [("mixture", 5, 4, "nobody"), ("mixture", 5, 6, "nobody")]
    assert all(len(of) == 1 for of in cells.values())


def test_a_record_says_who_chose_its_settings(tmp_path, settings):
    for name, changed in (("final", {"draws": 2}), ("search", {"seed": 1}), ("given", {"draws": 3})):
        mnist.run(tmp_path / name, settings(epochs=2, **changed), progress=False)
    mnist.run(tmp_path / "placed", settings(epochs=2, weight_noise="local"), progress=False)  # not what was searched
    search = {"mixture": {"best": {"point": {"draws": 1, "learning_rate": 1e-2}}}}
    finals = {"result": {"method": "mixture", "settings": settings(epochs=2, draws=2, seed=9)}}
    records = mnist_table.collect(tmp_path, search, finals=finals)
    assert [(r["settings"]["draws"], r["chosen_by"]) for r in records] == [
        (2, "finals"), (3, "nobody"), (1, "nobody"), (1, "search")]
    assert [r["chosen_by"] for r in mnist_table.preferred(records)] == ["finals"]
    assert mnist_table.preferred(records[1:]) == records[3:] and mnist_table.preferred(records[1:3]) == records[1:3]
    assert all(r["selected_on"] == mnist_table.SELECTED_ON[r["chosen_by"]] for r in records)
    for old in (finals["result"], *records):
        del old["settings"]["input_dropout"]  # as in files of before
    assert mnist_table.collect(tmp_path / "nothing", search, records, finals) == records
    records[0]["settings"]["input_dropout"] = 0.3
    assert mnist_table.collect(tmp_path / "nothing", search, records[:1], finals)[0]["chosen_by"] == "nobody"
    later = mnist_table.collect(tmp_path / "nothing", search, earlier=records)  # without the finals
    assert [r["chosen_by"] for r in later] == ["nobody", "nobody", "nobody", "search"]


def test_table_1_from_runs(tmp_path, capsys, settings):
    cells = {f"mixture_5_{seed}": settings(seed=seed) for seed in range(2)} | {"sgd_5_0": settings("sgd")}
    for name, chosen in cells.items():
        record = mnist.finished((tmp_path / name, chosen, None))
        assert mnist.finished((tmp_path / name, chosen, None)) == record  # a finished run is kept
    assert cli.main(["mnist", "--collect", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    records = json.loads((tmp_path / "out/mnist_table1.json").read_text())
    assert [(r["method"], r["seed"]) for r in records] == [("sgd", 0), ("mixture", 0), ("mixture", 1)]
    assert len(records[0]["curve"]) == 6 and (tmp_path / "out/mnist_learning_curves.png").exists()
    errors = [r["test_error_mean_network"] for r in records[1:]]
    mean, error = mnist_table.spread(records[1:], "test_error_mean_network")
    assert mean == sum(errors) / 2 and error == pytest.approx(abs(errors[0] - errors[1]) / 2)
    assert f"{mean:.2f} +- {error:.2f}" in capsys.readouterr().out
    (tmp_path / "sgd_5_0/result.json").unlink()  # its record stays, beside one that is new; one run again is replaced
    again = mnist.finished((tmp_path / "mixture_5_2", settings(seed=2), None))
    (tmp_path / "mixture_5_1/result.json").write_text(json.dumps({**again, "seed": 1}))
    assert cli.main(["mnist", "--collect", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    later = json.loads((tmp_path / "out/mnist_table1.json").read_text())
    assert [(r["method"], r["seed"]) for r in later] == [("sgd", 0), ("mixture", 0), ("mixture", 1), ("mixture", 2)]
    assert later[:2] == records[:2] and later[2]["test_nll"] == again["test_nll"] != records[2]["test_nll"]
    assert cli.main(["mnist", "--collect", str(tmp_path / "out"), "--out", str(tmp_path)]) == 2


@pytest.mark.parametrize("task, option, takes", [
    ("--finals", ("--draws", "2"), "--hidden, --epochs, --temperature, --seed"), ("--table1", ("--epochs", "5"), "no"),
    ("--grid", ("--learning-rate", "1"), "--method, --hidden, --seed"),
    ("--collect", ("--method", "sgd"), "no setting"), ("--moonshot", ("--method", "mixture"), "--hidden")])
def test_a_setting_that_a_task_does_not_take_is_refused(task, option, takes, tmp_path, capsys):
    assert cli.main(["mnist", task, str(tmp_path / "runs"), *option]) == 2
    error = capsys.readouterr().err
    assert f"{task} takes {takes}" in error and f"leave {option[0]} out" in error and not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments, message", [
    (("--grid", "search", "--budget", "0"), "budget=0 must"), (("--table1", "runs", "--jobs", "0"), "jobs=0 must"),
    (("--collect", "typo"), "typo is not there")])
def test_what_cannot_be_is_refused_before_anything_is_written(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["mnist", *arguments]) == 2 and message in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_reuse_is_for_contests(tmp_path, capsys):
    assert cli.main(["mnist", "--run", str(tmp_path / "run"), "--reuse"]) == 2
    assert "--reuse is for --finals and --moonshot" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_candidate_that_another_has_become_is_left_out():
    full, short = (mnist_finals.candidates("finals", **changed) for changed in ({}, {"epochs": 2}))
    assert set(full) == set(mnist_finals.CONTESTS["finals"][1])
    assert set(full) - set(short) == {"160 epochs", "300 epochs", "spike e^-8, 300 epochs"}
    mixtures = set(mnist_finals.NETWORKS)  # of five or ten seeds, not of one
    assert len(mixtures) == 3 and mixtures < set(mnist_finals.candidates("moonshot", hidden=5, epochs=2))


@pytest.mark.parametrize("changed, kept", [
    ({}, True), ({"networks": 1}, False), ({"settings": {"held_out": False}}, False),
    ({"settings": {"seed": 1}}, False), ({"settings": {"input_dropout": 0.1}}, False)], ids=str)
def test_a_record_is_taken_again_if_its_settings_and_number_of_networks_are_the_same(changed, kept):
    name, settings = "five", mnist.settings_of("gaussian", held_out=True)
    record = {"networks": 5, **changed, "settings": {**settings, **changed.get("settings", {})}}
    if record["settings"]["input_dropout"] == 0:
        del record["settings"]["input_dropout"]  # as in files of before
    cells = [{**settings, "seed": seed} for seed in range(5)]
    assert mnist_finals._recorded({name: record}, name, cells) == (record if kept else None)
    assert mnist_finals._recorded({"other": record}, name, cells) is None


@pytest.mark.parametrize("contest", mnist_finals.CONTESTS)
def test_a_contest_is_decided_on_validation_and_sees_the_test_once(contest, tmp_path, capsys, monkeypatch):
    scored, load, of = [], mnist.load_split, mnist_finals.candidates(contest, hidden=5, epochs=2)
    monkeypatch.setattr(mnist, "load_split", lambda held_out, data_dir=None: scored.append(held_out) or load(held_out))
    command = ["mnist", f"--{contest}", str(tmp_path / "runs"), "--hidden", "5", "--epochs", "2", "--threads", "1",
               "--out", str(tmp_path)]
    assert cli.main(command) == 0 and "test error" in capsys.readouterr().out
    looks = sorted(scored, reverse=True)
    assert scored == looks  # the test images after all that is held out
    found = json.loads((tmp_path / f"mnist_{contest}.json").read_text())
    rule = {"finals": "validation_error_mean_network", "moonshot": "validation_nll"}[contest]
    scores = {name: r[rule] for name, r in found["candidates"].items()}
    assert set(scores) == set(of) and scores[found["chosen"]] == min(scores.values())
    networks = found["result"]["networks"]
    assert networks == mnist_finals.NETWORKS.get(found["chosen"], 1) and (networks > 1) == (contest == "moonshot")
    assert looks.count(False) == (networks + 1 if networks > 1 else 1)  # each when it is trained, and all together
    runs = {tuple(cell.items()) for cells in of.values() for cell in cells}  # one of two candidates is trained once
    assert looks.count(True) == len(runs) + sum(len(cells) > 1 for cells in of.values())
    assert len(list((tmp_path / "runs").glob("*held out/model.npz"))) == len(runs)
    chosen = {**found["candidates"][found["chosen"]]["settings"], "held_out": False}
    assert found["result"]["settings"] == chosen == of[found["chosen"]][0] and chosen["hidden"] == 5
    assert not any(name.startswith("test_") for r in found["candidates"].values() for name in r)
    assert cli.main(command) == 0 and len(scored) == len(looks)  # all is kept
    elsewhere = ["mnist", f"--{contest}", str(tmp_path / "none"), *command[3:]]
    assert cli.main([*elsewhere, "--reuse"]) == 0 and len(scored) == len(looks)  # what the file has is taken
    assert json.loads((tmp_path / f"mnist_{contest}.json").read_text()) == {**found, "earlier": []} == found
    other = {**found["result"], "settings": {**chosen, "seed": 7}}
    (tmp_path / f"mnist_{contest}.json").write_text(json.dumps({**found, "result": other}))
    assert cli.main(command) == 0  # a look at the test images that another choice had is not forgotten
    found["earlier"] = [{**other, "rule": rule}]
    assert json.loads((tmp_path / f"mnist_{contest}.json").read_text()) == found
    assert cli.main([*command, "--seed", "1"]) == 2 and "other settings" in capsys.readouterr().err
    monkeypatch.setattr(training, "run", lambda *_, **__: True)
    command[2] = str(tmp_path / "others")
    (tmp_path / f"mnist_{contest}.json").unlink()
    assert cli.main(command) == 1 and "the same command goes on" in capsys.readouterr().out


def test_a_mixture_of_posteriors_averages_their_predictions(tmp_path, settings):
    runs = [tmp_path / str(seed) for seed in range(5)]
    records = [mnist.finished((run, settings(seed=i, epochs=2, held_out=True), None)) for i, run in enumerate(runs)]
    record, (*_, x, y) = mnist.together(tmp_path / "all", runs), mnist.load_split(held_out=True)
    models = [mnist.load_run(run)[1] for run in runs]
    p = sum(model.predict_distribution(x, draws=10).mean for model in models) / 5
    assert record["validation_nll"] == pytest.approx(metrics.nll(p, y)) and record["networks"] == 5
    means = sum(model.predict_distribution(x, draws=0).mean for model in models) / 5
    assert record["validation_error_mean_network"] == metrics.error_rate(means, y)
    assert record["wall_time_s"] == pytest.approx(sum(r["wall_time_s"] for r in records), abs=0.1)
    assert mnist.together(tmp_path / "all", runs) == record  # it is kept
    with pytest.raises(ValueError, match="of other settings"):
        mnist.together(tmp_path / "all", runs[1:])


def test_the_table_stops_where_ctrl_c_stopped_a_run_and_goes_on(tmp_path, monkeypatch, settings):
    cells, run = {f"mixture_5_{seed}": settings(seed=seed) for seed in range(3)}, training.run
    with monkeypatch.context() as patch:
        calls = iter(range(100))
        patch.setattr(training, "run", lambda *a, **k: run(*a, **k) or next(calls) == 8)
        with pytest.raises(KeyboardInterrupt):
            mnist_table.run(tmp_path, cells, jobs=1, progress=False)
    assert not (tmp_path / "mixture_5_1/result.json").exists() and not (tmp_path / "mixture_5_2").exists()
    mnist_table.run(tmp_path, cells, jobs=1, progress=False)
    assert [r["seed"] for r in mnist_table.collect(tmp_path)] == [0, 1, 2]


def test_the_papers_tables_have_a_number_for_every_cell():
    assert set(paper.TABLE_1) == set(mnist.METHODS)
    assert all(len(row) == len(paper.WIDTHS) for row in paper.TABLE_1.values())
    assert all(len(curve) <= len(paper.EPOCHS) for curve in paper.FIGURE_2.values())
