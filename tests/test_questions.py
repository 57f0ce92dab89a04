"""Four questions about Table 1: idle weights, what minibatch weights do to Adam, and text that follows the numbers."""

import argparse
import copy
import json
from pathlib import Path

import numpy as np
import pytest

from bbbnp import Architecture, GaussianPrior, Key, minibatch_weights, plots_questions, reference, weight_noise
from bbbnp.experiments import mnist, questions, questions_adam, questions_text
from bbbnp.experiments.questions_adam import Moments


@pytest.fixture
def few_images(monkeypatch):
    """Twelve examples of five inputs, the third of which is always zero, and a conjugate model of as few."""
    rng = np.random.default_rng(3)
    x = rng.uniform(size=(12, 5)).astype(np.float32)
    x[:, 2] = 0
    y = np.arange(12) % 3
    monkeypatch.setattr(mnist, "load_split", lambda held_out, data_dir=None: (x, y, x[:6], y[:6]))
    monkeypatch.setattr(mnist, "REPORTED_DRAWS", 2)
    monkeypatch.setattr(questions_adam, "EXAMPLES", 8)
    monkeypatch.setattr(questions_adam, "MEMORY", 50)
    return x, y


def made(folder, **more):
    return questions.run(folder, **{
        "epochs": 2, "hidden": 3, "seeds": (0, 1), "jobs": 1, "progress": False, "batches": 2,
        "conjugate": {"steps": 4, "long": 12, "minibatches": (2, 4)}, **more})


def test_idle_weights_are_those_of_inputs_that_are_always_zero():
    architecture = Architecture((3, 4, 2))
    mask = questions.idle_weights(architecture, np.array([[0.0, 0, 1], [0, 2, 1]]))
    assert mask.tolist() == [True] * 4 + [False] * (architecture.size - 4)
    assert not questions.idle_weights(architecture, np.ones((2, 3))).any()


def test_adam_divides_a_force_that_is_alone_by_its_own_size():
    assert questions_adam.alone([2 / 3, 1 / 3]) == pytest.approx(0.5 / np.sqrt(5 / 18))
    for m in (1, 4, 391):
        geometric = minibatch_weights("geometric", [1] * m)
        assert questions_adam.alone(geometric) == pytest.approx(np.sqrt(3 / m * (1 - 0.5**m) / (1 + 0.5**m)))
        assert questions_adam.alone([1 / m] * m) == pytest.approx(1)
    assert questions_adam.alone(geometric) == pytest.approx(np.sqrt(3 / 391), rel=1e-12)


def test_effective_weight_of_an_example_by_hand():
    """Four weights: KL alone; likelihood's noise far larger; as large; and one that goes along with the KL."""
    found = Moments(np.array([0, 1e12, 1, 1]), np.array([0, 0, 0, 1.0]), np.ones(4), np.ones(4))
    weights = [2 / 3, 1 / 3]  # mean square 5/18; of uniform ones 1/4
    np.testing.assert_allclose(found.square(weights), [5 / 18, 1e12, 23 / 18, 41 / 18])
    np.testing.assert_allclose(found.effective(weights), np.sqrt([18 / 20, 1, 1.25 * 18 / 23, 2.25 * 18 / 41]))
    np.testing.assert_allclose(found.share(weights), [1, 5 / 18e12, 5 / 23, 5 / 41])
    assert found.effective([0.5, 0.5]).tolist() == [1, 1, 1, 1]


def test_moments_tell_the_likelihood_from_the_kl():
    """On an idle weight the likelihood's gradient is zero, and the KL's is known; both parts scale as they must."""
    architecture, prior = Architecture((2, 3, 2)), GaussianPrior(0.7)
    x, y = np.array([[0.0, 1.0], [0.0, -2.0], [0.0, 0.5]]), np.array([0, 1, 1])
    rng = np.random.default_rng(0)
    mu, rho = rng.normal(size=(2, architecture.size))
    found = questions_adam.moments(architecture, (mu, rho), [(x, y)], prior, seed=4)
    eps, sigma = weight_noise(Key(4, 0), 0, architecture.size).astype(float), reference.softplus(rho)
    k = (mu + sigma * eps) / prior.sigma**2
    np.testing.assert_allclose(found["mu"].kl, k, rtol=1e-10)
    np.testing.assert_allclose(found["rho"].kl, reference.logistic(rho) * (eps * k - 1 / sigma), rtol=1e-9)
    idle = questions.idle_weights(architecture, x)
    for part in found.values():
        assert (part.likelihood_square[idle] == 0).all() and (part.likelihood_square[-2:] > 0).all()
        np.testing.assert_allclose(part.kl_square, part.kl**2)  # of one minibatch
        np.testing.assert_allclose(part.cross**2, part.likelihood_square * part.kl**2)
    records = list(questions_adam.force_records(found, idle, 4))
    assert [(r["parameter"], r["group"], r["weights"]) for r in records] == [
        (name, group, n) for name in ("mu", "rho") for group, n in (("idle", 3), ("used", architecture.size - 3))]
    assert records[0]["effective"] == pytest.approx([records[0]["predicted_alone"]] * len(questions_adam.LEVELS))
    assert records[0]["kl_share_geometric"] == pytest.approx([1] * 5) and records[0]["slowed"] == 0


def test_pace_is_that_of_the_rule_itself(monkeypatch):
    monkeypatch.setattr(questions_adam, "MEMORY", 400)
    assert questions_adam.pace([0.25] * 4) == pytest.approx(1, rel=1e-6)
    assert questions_adam.pace([0.7, 0.2, 0.1], "sgd") == pytest.approx(1 / 3)
    weights = minibatch_weights("geometric", [1] * 4)
    assert questions_adam.pace(weights) == pytest.approx(questions_adam.alone(weights), rel=0.02)


def test_travel_sums_the_rates_and_stops_at_the_most():
    rates = 0.01 * (0.01 + 0.99 * (1 + np.cos(np.pi * np.arange(6) / 6)) / 2)
    assert questions_adam.travel([0.5, 0.5], "sgd", 0.01, 6) == pytest.approx(rates.sum() / 2)
    assert questions_adam.travel([0.5, 0.5], "adam", 0.01, 6) == pytest.approx(rates.sum(), rel=1e-5)
    assert questions_adam.travel([0.5, 0.5], "adam", 0.01, 6, 0.02) == 0.02
    assert questions_adam.travel([0.1, 0.9], "sgd", 0.01, 2) == pytest.approx(0.01 * (0.1 + 0.9 * 0.505))


def test_design_has_idle_inputs_whose_posterior_is_the_prior():
    X, y, truth = questions_adam.design()
    m, sigma = truth.mean_field
    idle = slice(questions_adam.USED, -1)
    assert not X[:, questions_adam.USED:].any() and len(y) == questions_adam.EXAMPLES
    np.testing.assert_allclose(m[idle], 0, atol=1e-12)
    np.testing.assert_allclose(sigma[idle], questions_adam.PRIOR_SIGMA)
    assert sigma[:questions_adam.USED].max() < 0.1 * questions_adam.PRIOR_SIGMA


@pytest.mark.parametrize("rule", ["adam", "sgd"])
@pytest.mark.parametrize("kind", ["uniform", "geometric"])
def test_rho_of_idle_weights_goes_as_predicted(rule, kind, few_images):
    found = questions_adam.conjugate_run(rule, kind, 4, 40)
    moved, predicted = found["rho_idle"] + 5, found["rho_idle_predicted"] + 5
    assert found["steps"] == 40 and found["track"][0] == [0, -5] and found["track"][-1] == [40, found["rho_idle"]]
    assert predicted > 0.003 and moved == pytest.approx(predicted, rel=0.03)


def test_runs_are_made_once_and_gone_on_with(tmp_path, few_images, monkeypatch):
    first = made(tmp_path)
    assert json.loads(json.dumps(first)) == first
    assert (first["minibatches"], first["idle_inputs"], len(first["runs"])) == (1, 1, 2 * len(questions.CASES))
    run, groups = first["runs"][0], first["runs"][0]["posterior"]
    assert groups["idle"]["weights"] == 3 and sum(groups["used"]["histogram"]) == pytest.approx(1, 1e-4)
    assert len(run["curve"]["nll"]) == 2 and groups["idle"]["moved"][2] != 0
    assert {(r["case"], r["state"]) for r in first["forces"]} == {
        *((case, "end") for case in questions.MEASURED), ("mixture_uniform", "start"), ("gaussian_uniform", "start")}
    interrupted = questions.run_folder(tmp_path, "sgd_rho-3", 3, 2, 1)
    (interrupted / "result.json").unlink()
    calls, original = [], mnist.run
    monkeypatch.setattr(mnist, "run", lambda path, *args, **more: calls.append((path, more["resume"])) or original(
        path, *args, **more))
    assert made(tmp_path)["runs"] == first["runs"]
    assert calls == [(interrupted, True)]
    (interrupted / "result.json").unlink()
    monkeypatch.setattr(mnist, "run", lambda *args, **more: None)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path)
    monkeypatch.setitem(questions.CASES, "sgd_rho-3", {"method": "mixture"})
    with pytest.raises(ValueError, match="other settings"):
        made(tmp_path)


def test_what_diverges_is_said_and_the_rest_is_kept(tmp_path, few_images, monkeypatch):
    original = mnist.run

    def run(path, settings, **more):
        if settings["optimizer"] == "sgd" or settings["method"] == "gaussian":
            raise ArithmeticError("too large a step")
        return original(path, settings, **more)

    monkeypatch.setattr(mnist, "run", run)
    result = made(tmp_path, seeds=(0,))
    assert [r["diverged"] for r in result["runs"] if r["case"].startswith("sgd")] == ["too large a step"] * 2
    assert "diverged" in questions.table(result) and "From rho = -3 it diverged" in questions.comment(result)
    assert "one seed" in questions.comment(result)
    for draw in (plots_questions.outcomes, plots_questions.mechanism):
        assert draw(result).get_size_inches()[0] == 7


def test_the_command_writes_numbers_and_figures(tmp_path, few_images, monkeypatch, capsys):
    result = made(tmp_path / "runs")
    monkeypatch.setattr(questions, "run", lambda folder, **settings: copy.deepcopy(result))
    parser = argparse.ArgumentParser()
    questions._arguments(parser)
    arguments = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "new")]
    assert questions._run(parser.parse_args(arguments)) == 0
    written = json.loads((tmp_path / "new" / "mnist_questions.json").read_text())
    assert written["runs"] == result["runs"] and written["settings"]["seeds"] == [0, 1, 2]
    for name in ("mnist_questions.png", "mnist_questions_adam.png"):
        assert (tmp_path / "new" / name).read_bytes().startswith(b"\x89PNG")
    text = capsys.readouterr().out
    assert all(label in text for label in questions_text.LABELS.values()) and text.count("?**") == 4
    with pytest.raises(ValueError, match="jobs=0"):
        questions._run(parser.parse_args([*arguments, "--jobs", "0"]))


def outcome(case, errors, nll, moved=0.1):
    """Runs of a case as far as the text reads them."""
    group = {"moved": [moved] * 5, "sigma": [0.01] * 5, "log10_snr": [0.0] * 5, "mean_abs_move": abs(moved)}
    return [{"case": case, "seed": seed, "error_mean_network": error, "error_averaged": error, "nll": nll + seed / 1000,
             "predicted_move": moved, "prior": {"sigma1": 1.0, "sigma2": 0.008},
             "posterior": {"idle": group, "used": group}} for seed, error in enumerate(errors)]


def test_each_prior_is_compared_at_the_setting_that_its_search_chose():
    search = json.loads((Path(__file__).parents[1] / "pictures/mnist_search.json").read_text())
    for method, case in (("gaussian", "gaussian"), ("mixture", "searched")):
        chosen = search[method]["best"]["point"]
        for kind in ("uniform", "geometric"):
            settings = questions.settings_of(f"{case}_{kind}", 100, 40, 0)
            assert {name: settings[name] for name in chosen} == pytest.approx(chosen | {"minibatch_weights": kind})


@pytest.mark.parametrize("uniform, geometric, said", [
    ((1.0, 1.1), (1.0, 1.1), "Yes, in error"), ((2.0, 2.1), (2.0, 2.1), "No: the Gaussian"),
    ((1.0, 1.1), (2.0, 2.1), "It depends"), ((1.0, 2.0), (1.0, 2.0), "do not tell their errors apart"),
    ((1.0, 1.1), (1.0, 2.0), "The mixture has the lower error with one"),
    ((2.0, 2.1), (1.0, 2.0), "The Gaussian has the lower error with one")])
def test_the_prior_that_is_better_is_named(uniform, geometric, said):
    result = {"runs": outcome("searched_uniform", uniform, 0.1) + outcome("searched_geometric", geometric, 0.1)
              + outcome("mixture_uniform", (9.0, 9.1), 0.1) + outcome("mixture_geometric", (9.0, 9.1), 0.1)
              + outcome("gaussian_uniform", (1.5, 1.6), 0.1) + outcome("gaussian_geometric", (1.5, 1.6), 0.1)}
    text = questions_text.prior_question(result)
    assert said in text and "end in the spike" in text
    for run in result["runs"]:
        run["prior"] = {"sigma1": 0.015, "sigma2": 1e-4}
    assert "end in the slab" in questions_text.prior_question(result)


@pytest.mark.parametrize("error, nll, moved, said, also", [
    (1.0, 0.05, 0.1, "less error and a better NLL", "divides the temperature out"),
    (1.0, 0.2, 0.1, "less error but a worse NLL", "divides the temperature out"),
    (3.0, 0.05, 0.5, "more error but a better NLL", "matters there too"),
    (2.0, 0.1, 0.1, "neither error nor NLL is told apart", "divides the temperature out")])
def test_what_the_temperature_does_is_said(error, nll, moved, said, also):
    cold = (error, error + 0.1) if error != 2 else (2.0, 2.1)
    result = {"runs": outcome("mixture_uniform", (2.0, 2.1), 0.1) + outcome("mixture_t0.3", (2.0, 2.1), 0.1)
              + outcome("mixture_t0.1", cold, nll, moved)}
    text = questions_text.temperature_question(result)
    assert said in text and also in text


def conjugate(kind, m, steps, idle, used=1.0, rule="adam"):
    return {"optimizer": rule, "minibatch_weights": kind, "minibatches": m, "steps": steps, "sigma_idle": idle,
            "sigma_used": [used] * 3, "rho_idle": -3.0, "rho_idle_predicted": -3.1}


@pytest.mark.parametrize("short, long, longer, said, unsaid", [
    (1.0, 1.0, 1.0, "get there in the same number", "memory"),
    (0.1, 1.0, 1.0, "do not get there in the same number of steps for M = 4", "memory"),
    (0.1, 1.1, 1.01, "late, not colder", "not reached"), (0.1, 1.1, 1.01, "a bias of Adam", "memory alone"),
    (0.1, 1.1, 1.2, "memory alone", "a bias of Adam"),
    (0.1, 0.5, 1.0, "not reached that posterior even then", "late, not colder")])
def test_which_posterior_is_reached_is_said(short, long, longer, said, unsaid):
    result = {"conjugate": [conjugate("uniform", 4, 10, 1.0), conjugate("geometric", 4, 10, short),
                            conjugate("uniform", 4, 100, 1.0), conjugate("geometric", 4, 100, long)],
              "memory": [{"sigma_idle": 1.1, "minibatches": 4}, {"sigma_idle": longer, "minibatches": 4}]}
    text = " ".join(questions_text.posterior_sentences(result))
    assert said in text and unsaid not in text


def test_idle_weights_that_start_at_the_prior_stay_there_with_uniform_weights():
    assert questions_adam.memory_run([0.5, 0.5], 0.999, 300) == pytest.approx(1, abs=0.05)
    few = questions_adam.memory(steps=8, minibatches=4)
    assert [r["beta2"] for r in few] == pytest.approx([0.999, 0.9999]) and few[0]["minibatches"] == 4


@pytest.mark.parametrize("moved, said", [(0.01, "what it was set to"), (2.0, "sigma does learn")])
def test_what_plain_sgd_does_to_rho_is_said(moved, said):
    result = {"epochs": 3, "conjugate": [conjugate("uniform", 4, 10, 0.1, rule="sgd")],
              "runs": outcome("sgd_rho-3", (1.0,), 0.1, moved) + outcome("sgd_rho-5", (1.0,), 0.1, moved)
              + outcome("mixture_uniform", (1.0,), 0.1)}
    assert said in questions_text.sgd_question(result)
