"""The README's bandit part from result files, sentence by sentence."""

import json
from pathlib import Path

from bbbnp.experiments import bandit, report_bandit

PICTURES = Path(__file__).parents[1] / "pictures"


def record(agent="bbb", seed=0, end=5000.0, **more):
    steps = [1, 500, 50_000]
    return {"agent": agent, "seed": seed, "realised": {"500": 900.0 + seed, "1500": 1.0, "50000": end},
            "expected": {}, "settings": bandit.settings_of(agent, seed=seed), "wall_time_s": 660.0,
            "diverged_at": None, "machine": "a machine",
            "curve": {"steps": steps, "realised": [0.0, 900.0, end], "expected": [0.0, 1.0, end - 10]}, **more}


def test_the_table_has_every_agent_beside_the_paper_and_says_who_wins(tmp_path):
    records = [record(), record(seed=1, end=5100.0, wall_time_s=720.0), record("greedy", end=6000.0),
               record("linear-thompson", end=700.0)]
    (tmp_path / "bandit.json").write_text(json.dumps(records))
    text = report_bandit.bandit(tmp_path)
    assert "| Bayes by Backprop | 2 | 900 ± 0 | 5050 ± 50 | 5040 ± 50 |" in text
    assert "| Bayes by Backprop, paper | 5 | 1149 | 5730 | |" in text and "1500" not in text
    assert "| greedy | 1 | 900 | 6000 | 5990 |" in text
    assert "less regret than greedy; more than exact linear; not told apart from none." in text
    assert "less than greedy in 1 of 1 (whose games end at 6000 to 6000); exact linear in 0 of 1 (whose" in text
    assert "ends at 5730, ours at 5050." in text
    spread = [record(), record(seed=1, end=5100.0), record("greedy", end=5050.0), record("greedy", seed=1, end=5350.0)]
    assert "not told apart from greedy" in report_bandit.comment({"bbb": spread[:2], "greedy": spread[2:]})
    settings = "Bayes by Backprop: prior deviation 1, noise of the likelihood 0.3, Adam with rate 0.0002/(1 + t/500)"
    assert settings in text
    assert "greedy agents: Adam with rate 0.001/(1 + t/500) at interaction t; linear control: noise 3, prior" in text
    assert "took 11 to 12 minutes on one core" in text
    assert "What decides?" not in text
    assert report_bandit.comment({"greedy": records[2:3]}) == "" and "Left out" not in text
    lost = {**record(seed=2, end=1.0), "diverged_at": 30, "realised": {}}
    (tmp_path / "bandit.json").write_text(json.dumps([lost, *records]))
    assert text in report_bandit.bandit(tmp_path).replace(
        "Left out, since the free energy became infinite: bbb with seed 2 after interaction 30.\n", "")


def test_variants_are_sorted_by_what_they_cost(tmp_path):
    (tmp_path / "bandit.json").write_text(json.dumps([record()]))
    (tmp_path / "bandit_variants.json").write_text(json.dumps(
        [record(end=900.0, variant="dear"), record(end=400.0, variant="cheap")]))
    text = report_bandit.bandit(tmp_path)
    assert text.index("- cheap: 390") < text.index("- dear: 890") and "50,000 steps, 1 game(s) each" in text


def test_without_results_the_part_is_empty(tmp_path):
    assert report_bandit.bandit(tmp_path) == ""


def test_what_the_readme_says_of_the_choice_is_in_the_file_of_trials():
    trials = json.loads((PICTURES / "bandit_trials.json").read_text())
    chosen = {"bbb": lambda changed: not changed, "greedy": lambda changed: "halved_after" not in changed}
    for agent, is_chosen in chosen.items():
        regret = {}
        for trial in trials:
            if (trial["agent"], trial["steps"]) == (agent, bandit.SHORT) and trial["seed"] in (100, 101):
                regret.setdefault(json.dumps(trial["changed"]), []).append(trial["at_the_end"])
        assert len(regret) > 1 and all(len(games) == 2 for games in regret.values())
        assert is_chosen(json.loads(min(regret, key=lambda changed: sum(regret[changed]))))
    constant = [trial["at_the_end"] for trial in trials
                if trial["agent"] == "greedy" and trial["steps"] == 50_000 and trial["changed"]["halved_after"] == 0]
    assert len(constant) == 3 and max(constant) < 10_000  # always to pass costs 129,000
