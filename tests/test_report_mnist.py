"""The README's MNIST part from result files, sentence by sentence."""

import json

import pytest

from bbbnp import paper
from bbbnp.experiments import mnist, mnist_table, report_mnist


def record(method="mixture", hidden=400, seed=0, mean=1.30, averaged=1.40, by="search"):
    return {"method": method, "hidden": hidden, "seed": seed, "epochs": 7, "settings": mnist.settings_of(method),
            "chosen_by": by, "selected_on": "validation", "test_error_mean_network": mean,
            "test_error_averaged": averaged, "draws": 50,
            "test_nll": 0.05, "test_ece": 0.004, "wall_time_s": 1800.0, "machine": "a machine"}


def test_table_1_has_mean_and_standard_error_and_the_papers_number(tmp_path):
    records = [record("sgd", 800, mean=1.9, averaged=1.9), record(), record(seed=1, mean=1.40)]
    (tmp_path / "mnist_table1.json").write_text(json.dumps(records))
    text = report_mnist.table1(tmp_path)
    assert "| ordinary network (paper: SGD) | 800 | 1 | 7 | search | 1.90 | 1.90 | 1.84 | 0.0500 | 0.40 |" in text
    assert "| Bayes by Backprop, scale mixture | 400 | 2 | 7 | search | **1.35 ± 0.05** | 1.40 ± 0.00 | 1.36 |" in text
    assert "1.5 hours by the clock" in text and "shorter runs" not in text and "nobody" not in text
    assert "| ordinary network (paper: SGD) | search | sgd, 0.001 |  |  |  |  |  |" in text
    assert "mixture | search | adam, 0.001 | pi 0.5, sigma1 1, sigma2 0.0025 | geometric | 1 | weights | -5 |" in text
    (tmp_path / "mnist_table1.json").write_text(json.dumps([*records, record("gaussian", by="nobody")]))
    assert "Where nobody chose them, settings were given." in report_mnist.table1(tmp_path)
    records += [{**record(mean=1.36, averaged=1.20), "epochs": mnist_table.EPOCHS}]
    (tmp_path / "mnist_table1.json").write_text(json.dumps(records))
    text = report_mnist.table1(tmp_path)  # the short ones of its cell are in the file
    assert "scale mixture | 400 | 1 | 80 | search | **1.36** | **1.20** | 1.36 |" in text and "SGD) | 800 |" in text
    assert text.count("scale mixture | 400") == 1 and "of shorter runs too" in text
    assert "2.0 hours by the clock" in text


@pytest.fixture
def contest():
    """What a contest of two candidates leaves."""
    tried = {name: {**record(), "settings": mnist.settings_of("mixture", temperature=0.1),
                    **{f"validation_{score}": 1.2 for score in ("error_mean_network", "error_averaged", "nll")}}
             for name in ("first", "second")}
    return {"candidates": tried, "chosen": "second", "result": {**record(), "settings": tried["first"]["settings"]}}


def test_the_moonshot_names_its_temperature_and_target(contest, tmp_path):
    (tmp_path / "mnist_moonshot.json").write_text(json.dumps({**contest, "rule": "validation_nll"}))
    text = report_mnist.moonshot(tmp_path)
    row = "| first | 1 | 400, 7 | 0.1 | geometric | pi 0.5, sigma1 1, sigma2 0.0025 | weights | -5 | 0 | 1.20 | 1.20 |"
    assert row in text and "seeds from 0 on" in text
    assert 'By the NLL of averaged draws, "second" is chosen. Trained again on all 60,000 images' in text
    assert "The runs of every row and the last took 90 minutes in all" in text
    assert "Earlier contests" not in text
    earlier = {**contest["result"], "hidden": 300, "test_nll": 0.07}
    (tmp_path / "mnist_moonshot.json").write_text(json.dumps({**contest, "earlier": [earlier]}))
    text = report_mnist.moonshot(tmp_path)
    assert "NLL: by the error of the mean network, 300 units and 7 epochs (1.30 %, 1.40 %, 0.0700). The runs" in text
    assert "By the error of the mean network, \"second\"" in text and "test error 1.30 % of the mean network, " in text
    contest["result"]["networks"] = contest["candidates"]["first"]["networks"] = 5
    (tmp_path / "mnist_moonshot.json").write_text(json.dumps(contest))
    text = report_mnist.moonshot(tmp_path)
    assert "1.30 % of the averaged mean networks of 5, " in text and "| first | 5 | 400, 7 |" in text
    assert r"It has T = 0.1: it targets $P(\mathcal{D} \mid w)^{10} P(w)$, not the posterior." in text
    contest["result"]["settings"] = mnist.settings_of("gaussian", input_dropout=0.3)
    del contest["candidates"]["first"]["settings"]["input_dropout"]  # as in files of before
    (tmp_path / "mnist_moonshot.json").write_text(json.dumps(contest))
    text = report_mnist.moonshot(tmp_path)
    assert "It has T = 1, and each input was left out in training with chance 0.3, not in prediction." in text


def test_the_finals_name_what_their_candidates_differ_in(contest, tmp_path):
    assert report_mnist.finals(tmp_path) == ""
    (tmp_path / "mnist_finals.json").write_text(json.dumps(contest))
    text = report_mnist.finals(tmp_path)
    assert "| recipe | prior | rho from | noise in | draws | epochs | mean network | averaged draws | NLL |" in text
    assert "| first | pi 0.5, sigma1 1, sigma2 0.0025 | -5 | weights | 1 | 7 | 1.20 | 1.20 | 1.2000 |" in text
    assert "The runs of every row and the last took 90 minutes in all" in text and "not the posterior" not in text
    other = {**contest["result"], "test_error_mean_network": 1.5, "test_error_averaged": 1.6}
    for records, words in (([contest["result"]], False), ([contest["result"], other], True)):
        (tmp_path / "mnist_table1.json").write_text(json.dumps(records))
        assert ("the same network, trained by kernels of another day, which round otherwise: 1.50 % and 1.60 %"
                in report_mnist.finals(tmp_path)) == words


@pytest.mark.parametrize("by_size, verdict", [
    (1.70, "by signal-to-noise"), (1.00, "by size"), (1.60, "not told apart"), (1.10, "not told apart")])
def test_table_2_says_what_removing_costs_and_what_sorts_better(by_size, verdict, tmp_path):
    errors = {"snr": (1.30, 1.34), "magnitude": (1.30, by_size), "random": (1.30, 9.0)}
    records = [{"method": "mixture", "network": "mixture 1200, geometric, spike 0.05", "seed": 0,
                "criterion": criterion, "removed": part, "prediction": prediction, "test_error": error, "draws": 10}
               for criterion, both in errors.items() for part, error in zip((0.0, 0.95), both)
               for prediction in ("mean", "averaged")]
    (tmp_path / "mnist_table2.json").write_text(json.dumps(records))
    text = report_mnist.table2(tmp_path)
    assert "| mixture 1200, geometric, spike 0.05, seed 0 | snr | mean | 1.30 | 1.34 |" in text
    assert "| paper, 1200 units | snr | not said | 1.24 | 1.29 |" in text
    assert "| random | mean |" not in text and "| random | averaged |" in text
    assert text.endswith(f"seed 0 | +0.04 | {by_size - 1.30:+.2f} | {verdict} |")
    (tmp_path / "mnist_weights.json").write_text(json.dumps([
        {"network": "mixture 5, uniform, spike 0.05", "rho_init": 0.0, "rms_sigma": 0.5,
         "ratio_quantiles": {str(q): -q for q in paper.FIGURE_4}},
        {"network": "sgd 5", "rho_init": 0.0}]))
    head, _, ours, papers = report_mnist.table2(tmp_path).splitlines()[-4:]
    assert head == "| network | before | after | 5% | 25% | 50% | 75% | 90% | 95% | 98% |"
    assert ours.startswith("| mixture 5, uniform, spike 0.05 | 0.6931 | 0.5000 | -0.05 | -0.25 |")
    assert papers == "| paper |  |  | -3.08 | -2.19 | -1.77 | -0.95 | -0.61 | -0.40 | -0.05 |"


@pytest.mark.parametrize("part", [part.__name__ for part in report_mnist.PARTS])
def test_without_results_the_part_is_empty(part, tmp_path):
    assert getattr(report_mnist, part)(tmp_path) == ""
