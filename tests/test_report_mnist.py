"""The README's MNIST part from result files, sentence by sentence."""

import json

import pytest

from bbbnp.experiments import mnist, report_mnist


def record(method="mixture", hidden=400, seed=0, mean=1.30, averaged=1.40):
    return {"method": method, "hidden": hidden, "seed": seed, "epochs": 7, "settings": mnist.settings_of(method),
            "selected_on": "validation", "test_error_mean_network": mean, "test_error_averaged": averaged, "draws": 50,
            "test_nll": 0.05, "test_ece": 0.004, "wall_time_s": 1800.0, "machine": "a machine"}


def test_table_1_has_mean_and_standard_error_and_the_papers_number(tmp_path):
    records = [record("sgd", 800, mean=1.9, averaged=1.9), record(), record(seed=1, mean=1.40)]
    (tmp_path / "mnist_table1.json").write_text(json.dumps(records))
    text = report_mnist.table1(tmp_path)
    assert "| SGD | 800 | 1 | 7 | 1.90 | 1.90 | 1.84 | 0.0500 | 0.0040 |" in text
    assert "| Bayes by Backprop, scale mixture | 400 | 2 | 7 | 1.35 ± 0.05 | 1.40 ± 0.00 | 1.36 |" in text
    assert "1.5 hours of training" in text and "pi 0.5, sigma1 1, sigma2 0.0025, geometric minibatch weights" in text
    assert "at or below the paper's number: Bayes by Backprop, scale mixture at 400 (1.35 against 1.36)." in text
    assert "Above it: SGD at 800 (1.90 against 1.84)." in text


def test_table_2_says_what_removing_costs(tmp_path):
    errors = {0.0: 1.30, 0.95: 1.34, 0.98: 1.29}
    records = [{"method": "mixture", "hidden": 1200, "minibatch_weights": "geometric", "seed": 0,
                "criterion": criterion, "removed": part,
                "prediction": "mean", "test_error": error + (criterion == "random"), "draws": 10}
               for criterion in ("snr", "random") for part, error in errors.items()]
    (tmp_path / "mnist_table2.json").write_text(json.dumps(records))
    text = report_mnist.table2(tmp_path)
    assert "1200 units, geometric weights, seed 0 | snr | mean | 1.30 | 1.34 | 1.29 |" in text
    assert "| paper, 1200 units | snr | not said | 1.24 | 1.29 | 1.39 |" in text
    assert "by signal-to-noise changes the error by +0.04 points, 98 % by -0.01." in text
    assert text.count("changes the error") == 1


@pytest.mark.parametrize("part", ["table1", "table2"])
def test_without_results_the_part_is_empty(part, tmp_path):
    assert getattr(report_mnist, part)(tmp_path) == ""
