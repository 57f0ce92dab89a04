"""The laboratory of gradient noise: its variances, its predictions, and what it writes."""

import json
import sys

import numpy as np
import pytest

from bbbnp import reference
from bbbnp.architecture import Architecture
from bbbnp.cli import main
from bbbnp.experiments import report, timing, variance

SMALL = {"HIDDEN": (3,), "TRAINED_EPOCHS": 2, "BATCHES": (1, 2, 4), "DRAWS": (1, 2), "BATCH": 4, "SOLVED_FROM": 2}


@pytest.fixture(autouse=True)
def few_digits(monkeypatch):
    """Twelve examples of four inputs and ten classes, and a small network."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 1, (12, 4)), np.arange(12.0) % 10
    for name, value in SMALL.items():
        monkeypatch.setattr(variance, name, value)
    monkeypatch.setattr(variance, "digits", lambda: (x, y))
    return x, y


def test_total_variance_is_summed_over_the_weights_with_the_error_of_its_groups():
    sample = np.random.default_rng(1).normal(size=(4000, 6)) * (1, 2, 3, 0.1, 0.2, 0.3)
    found = variance.total_variance(sample)
    for part, true in (("mu", 14), ("rho", 0.14)):
        assert abs(found[f"variance_{part}"] - true) < 5 * found[f"se_{part}"] < 0.2 * true


@pytest.mark.parametrize("name", ["total", "path"])
def test_closed_form_variance_of_the_kl_is_that_of_its_gradient(name):
    rng, weight, s = np.random.default_rng(2), 0.3, variance.PRIOR.sigma
    mu, rho = rng.normal(size=(2, 5))
    eps = rng.normal(size=(200_000, 5))
    sigma = reference.softplus(rho)
    g = weight * (mu + sigma * eps) / s**2  # minus the prior's score
    if name == "total":
        dmu, drho = reference.short_gradient(g, rho, eps, weight)
    else:
        dmu = g - weight * eps / sigma
        drho = dmu * eps * reference.logistic(rho)
    predicted = variance.predicted_kl(mu, rho, weight, name)
    other = variance.predicted_kl(mu, rho, weight, "path" if name == "total" else "total")
    for part, d in (("mu", dmu), ("rho", drho)):
        measured = d.var(axis=0).sum()
        assert predicted[f"predicted_{part}"] == pytest.approx(measured, rel=0.03)
        assert other[f"predicted_{part}"] != pytest.approx(measured, rel=0.03)


def test_the_batch_is_predicted_from_single_examples_and_one_covariance():
    v, c = 2.0, 0.5

    def measure(settings, *, rows, **_):
        size = len(range(12)[rows])
        floor = 0 if settings.get("weight_noise") == "local" else c
        value = v / size + (1 - 1 / size) * floor
        return {"variance_mu": value, "variance_rho": 10 * value, "se_mu": 0, "se_rho": 0}

    for record in variance.data_records(measure, keys=8):
        assert record["predicted_mu"] == pytest.approx(record["variance_mu"])
        assert record["predicted_rho"] == pytest.approx(record["variance_rho"])


def test_local_noise_falls_as_one_over_the_batch(few_digits):
    x, y = few_digits
    architecture = Architecture((4, 3, 10))
    mu = architecture.initial_mu(0)

    def measure(settings, *, rows, **options):
        return variance.total_variance(
            variance.gradients(architecture, (mu, mu * 0 - 1), (x[rows], y[rows]), settings, **options))

    records = {(r["estimator"], r["batch"]): r for r in variance.data_records(measure, keys=160)}
    local, shared = records["local", 4], records["weights", 4]
    for part in ("mu", "rho"):
        assert abs(local[f"variance_{part}"] / local[f"predicted_{part}"] - 1) < 0.25
        assert local[f"variance_{part}"] < shared[f"variance_{part}"]


def test_antithetic_pairs_leave_no_noise_in_the_kl_of_the_means(few_digits):
    x, y = few_digits
    architecture = Architecture((4, 3, 10))
    posterior = architecture.initial_mu(0), np.full(architecture.size, -1.0)

    def sample(settings, *, rows, **options):
        return variance.gradients(architecture, posterior, (x[rows], y[rows]), settings, **options)

    records = {r["estimator"]: r for r in variance.kl_records(sample, posterior, 12, 64)}
    assert records["antithetic"]["variance_mu"] < 1e-20 < records["weights"]["variance_mu"]
    assert records["antithetic"]["variance_rho"] > 1e-20 > records["closed KL"]["variance_rho"]
    for name in ("weights", "path"):
        for part in ("mu", "rho"):
            assert records[name][f"variance_{part}"] == pytest.approx(records[name][f"predicted_{part}"], rel=0.5)


def test_it_is_written_drawn_and_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(timing, "SECONDS", 0)
    monkeypatch.setattr(variance, "step_seconds", lambda: dict.fromkeys(variance.ESTIMATORS, 1e-3))
    arguments = ["variance", "--out", str(tmp_path / "new")]
    assert main([*arguments, "--keys", "16", "--seeds", "2", "--seconds", "0.001"]) == 0
    result = json.loads((tmp_path / "new" / "estimators.json").read_text())
    for name in ("estimators.png", "estimators_races.png"):
        assert (tmp_path / "new" / name).read_bytes().startswith(b"\x89PNG")
    assert {(r["state"], r["part"]) for r in result["variance"]} == {
        (state, part) for state in ("untrained", "trained") for part in ("data", "all", "kl")}
    assert {(r["data"], r["estimator"], r["seed"]) for r in result["races"]} == {
        (data, name, seed) for data in ("digits", "regression") for name in variance.RACERS for seed in (0, 1)}
    text = report.estimators(tmp_path / "new")
    assert "| weights | 1 | 1 | 1 | 1 | 1.00 |" in text and "not raced" in text and "±" in text
    assert "flipout" in capsys.readouterr().out
    assert main([*arguments, "--keys", "2"]) == 2 and main([*arguments, "--seconds", "0"]) == 2


def test_step_times_are_of_every_estimator(monkeypatch):
    monkeypatch.setattr(timing, "SECONDS", 0)
    monkeypatch.setattr(timing, "BATCH", 4)
    assert set(variance.step_seconds(rounds=1)) == set(variance.ESTIMATORS)


def test_digits_without_scikit_learn_are_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ValueError, match="pip install scikit-learn"):
        variance.digits()


def test_digits_are_scaled_and_in_an_order_of_their_own(monkeypatch):
    monkeypatch.undo()
    x, y = variance.digits()
    assert x.shape == (1797, 64) and x.min() == 0 and x.max() == 1 and set(y) == set(range(10))
    np.testing.assert_array_equal(x, variance.digits()[0])
