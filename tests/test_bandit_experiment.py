"""The games of Figure 6, in small, with a table of six mushrooms in place of the real one."""

import json

import numpy as np
import pytest

from bbbnp import bandit as face, cli, plots_bandit
from bbbnp.experiments import bandit, bandit_command

QUICK = ["--steps", "6", "--seeds", "1", "--jobs", "1"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Six mushrooms of three kinds, small networks, and marks that a short game reaches."""
    world = face.Bandit(np.eye(6), face.mushroom_rewards(np.array(list("eppepe"))))
    monkeypatch.setattr(bandit, "mushroom_bandit", lambda data_dir=None: world)
    monkeypatch.setitem(bandit.DEFAULTS, "hidden", [4, 3])
    monkeypatch.setattr(bandit, "BATCH", 4)
    monkeypatch.setattr(bandit, "MINIBATCHES", 2)
    monkeypatch.setattr(bandit, "MARKS", (2, 5, 100))
    monkeypatch.setattr(bandit, "SHORT", 6)


def test_the_command_plays_every_agent_and_writes_file_and_figure(tmp_path, capsys):
    arguments = ["bandit", *QUICK, "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    records = json.loads((tmp_path / "out/bandit.json").read_text())
    assert [record["agent"] for record in records] == list(bandit.AGENTS)
    for record in records:
        assert set(record["realised"]) == set(record["expected"]) == {"2", "5"}
        assert record["settings"] == bandit.settings_of(record["agent"], steps=6) and record["wall_time_s"] >= 0
        assert record["curve"]["steps"][-1] == 6 and record["diverged_at"] is None
        assert record["expected"]["5"] == record["curve"]["expected"][record["curve"]["steps"].index(5)]
    assert (tmp_path / "out/bandit.png").read_bytes()[:4] == b"\x89PNG"
    assert "linear-thompson" in capsys.readouterr().out
    before = (tmp_path / "out/bandit.json").read_bytes()
    assert cli.main([*arguments, "--collect"]) == 0
    assert (tmp_path / "out/bandit.json").read_bytes() == before


def test_variants_differ_in_what_they_say_and_share_the_rest(tmp_path):
    assert len(bandit.VARIANTS) >= 6
    assert cli.main(["bandit", "--variants", *QUICK[2:], "--runs", str(tmp_path), "--out", str(tmp_path)]) == 0
    records = json.loads((tmp_path / "bandit_variants.json").read_text())
    assert [record["variant"] for record in records] == list(bandit.VARIANTS)
    assert len({json.dumps(record["settings"]) for record in records}) == len(records)
    for record in records:
        assert record["settings"] == {**bandit.settings_of("bbb", steps=6), **bandit.VARIANTS[record["variant"]]}
    assert (tmp_path / "bandit_variants.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("agent", ["bbb", "linear-thompson"])
def test_a_stopped_game_goes_on_to_the_same_record(tmp_path, agent, monkeypatch):
    settings = bandit.settings_of(agent, steps=20)
    whole = bandit.run(tmp_path / "whole", settings, progress=False)
    monkeypatch.setattr(bandit, "SAVED_EVERY", 7)
    play = bandit.Game.play
    monkeypatch.setattr(bandit.Game, "play", lambda game, **o: play(game, **o) or game.played == 14)
    assert bandit.run(tmp_path / "stopped", settings, progress=False) is None
    monkeypatch.setattr(bandit.Game, "play", play)
    again = bandit.run(tmp_path / "stopped", settings, progress=False)
    for record in (whole, again):
        del record["wall_time_s"]
    assert whole == again
    assert bandit.run(tmp_path / "stopped", settings)["agent"] == agent  # not played again
    with pytest.raises(ValueError, match="holds a game with other settings"):
        bandit.run(tmp_path / "stopped", {**settings, "seed": 1})


def test_a_game_that_diverges_is_a_record_that_says_where(tmp_path):
    with np.errstate(all="ignore"):
        record = bandit.run(tmp_path, bandit.settings_of("greedy", steps=30, learning_rate=1e25, optimizer="sgd"),
                            progress=False)
    assert 0 < record["diverged_at"] < 30 and record["curve"]["steps"][-1] == record["diverged_at"]
    (tmp_path / "result.json").unlink()  # stopped between its checkpoint and its result
    with np.errstate(all="ignore"):
        assert bandit.run(tmp_path, record["settings"], progress=False)["diverged_at"] == record["diverged_at"]
    sound = bandit.run(tmp_path / "sound", bandit.settings_of("random", steps=6), progress=False)
    assert list(bandit.rows([record, sound])) == ["random"]
    assert f"greedy with seed 0 after interaction {record['diverged_at']}" in bandit.table([record, sound])


def test_games_that_all_diverged_are_an_error_and_nothing_is_written(tmp_path, capsys):
    arguments = ["bandit", *QUICK, "--agents", "greedy", "--learning-rate", "1e38", "--runs", str(tmp_path / "runs")]
    with np.errstate(all="ignore"):
        assert cli.main([*arguments, "--out", str(tmp_path)]) == 1
    assert "all of these games diverged" in capsys.readouterr().err and not (tmp_path / "bandit.json").exists()


def test_trials_are_what_games_of_any_settings_came_to(tmp_path):
    command = ["bandit", *QUICK, "--runs", str(tmp_path), "--out", str(tmp_path)]
    assert cli.main([*command, "--agents", "greedy", "bbb", "--noise", "3", "--first-seed", "7"]) == 0
    assert cli.main([*command, "--trials"]) == 0
    found = {trial["agent"]: trial for trial in json.loads((tmp_path / "bandit_trials.json").read_text())}
    assert found["bbb"]["changed"] == {"noise": 3.0} and found["bbb"]["seed"] == 7 and found["bbb"]["steps"] == 6
    assert found["greedy"]["changed"] == {**bandit.POINT, "noise": 3.0}


@pytest.mark.parametrize("arguments, code, message", [
    (["--seeds", "0"], 2, "seeds=0"), (["--noise", "-1"], 2, "noise=-1"), (["--line-sigma", "0"], 2, "prior_sigma=0"),
    (["--collect"], 2, "holds no game"), (["--steps", "0"], 2, "steps=0"),
    (["--variants", "--agents", "bbb"], 2, "leave --agents out")])
def test_wrong_use_is_one_line(arguments, code, message, tmp_path, capsys):
    assert cli.main(["bandit", *QUICK, "--runs", str(tmp_path), "--out", str(tmp_path), *arguments]) == code
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_help_names_every_setting():
    assert set(bandit_command.TYPES) | {"agent", "seed", "hidden", "prior", "optimizer", "fresh"} == set(
        bandit.DEFAULTS)


def test_the_figure_leaves_out_who_is_not_there():
    record = {"agent": "bbb", "settings": {"steps": 9}, "variant": "v",
              "curve": {"steps": [1, 9], "realised": [5.0, 400.0], "expected": [5.0, 390.0]}}
    names = [text.get_text() for text in plots_bandit.regret([record] * 2).legends[0].get_texts()]
    assert "Bayes by Backprop" in names and "random" not in names and sum("paper" in name for name in names) == 4
    axes = plots_bandit.sensitivity([record, {**record, "variant": "other"}]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["v", "other"]
