"""The benchmark: what it counts and divides, by a clock of ours; nothing here depends on how long anything takes."""

import contextlib
import itertools
import json
import math
import subprocess
import types

import numba
import numpy as np
import pytest

from bbbnp import plots, reference
from bbbnp.architecture import Architecture
from bbbnp.cli import main
from bbbnp.experiments import bench, peers, phases, report, story, timing

JIT = not numba.config.DISABLE_JIT
ROUNDS, INPUTS, BATCH, CLASSES, HIDDEN, WIDTHS = (3, 5, 6, 10, (3, 4), (2, 3, 4)) if JIT else (1, 2, 2, 2, (2,), (2,))


@pytest.fixture(autouse=True)
def small_and_by_our_clock(monkeypatch):
    """Small networks, and a clock that moves by a millisecond whenever it is read."""
    for name, value in (("INPUTS", INPUTS), ("BATCH", BATCH), ("CLASSES", CLASSES), ("MINIBATCHES", 10),
                        ("SECONDS", 1e-3), ("SMALL", {"1-2-1": ((1, 2, 1), 4, 4)})):
        monkeypatch.setattr(timing, name, value)
    monkeypatch.setattr(bench, "HIDDEN", HIDDEN)
    monkeypatch.setattr(bench, "WIDTHS", WIDTHS)
    ticks = itertools.count()
    for module in (bench, timing):
        monkeypatch.setattr(module, "time", types.SimpleNamespace(
            perf_counter=lambda: next(ticks) * 1e-3, sleep=lambda _: None))


def plain(widths, batch, x, y, prior):
    """A peer that takes no time."""
    return lambda steps: None, "1.0"


@contextlib.contextmanager
def in_this_process(peer, network, prior, threads):
    assert threads == (1 if network in timing.SMALL else numba.config.NUMBA_NUM_THREADS)
    run, version = peers.PEERS[peer](*peers.problem(network), prior)
    yield version, run


@pytest.fixture
def result(monkeypatch):
    monkeypatch.setattr(bench, "cold_record", lambda: dict.fromkeys(
        ("import_s", "compile_s", "cached_s", "regression_first_s", "regression_again_s"), 1.0))
    monkeypatch.setattr(bench, "noise_record", lambda rounds: {"ns": 1.0, "numpy_ns": 8.0, "ratio_spread": [7, 9]})
    monkeypatch.setattr(peers, "CASES", (("1-2-1", "mixture"), (str(HIDDEN[0]), "gaussian")))
    monkeypatch.setattr(peers, "PEERS", {"torch": plain, "jax": plain})
    monkeypatch.setattr(peers, "process_of", in_this_process)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: types.SimpleNamespace(returncode=0))
    return bench.run(rounds=ROUNDS, peers=True)


def test_a_trainer_takes_the_steps_it_is_divided_by():
    trainer = timing.Trainer((5, 3, 10), timing.PRIORS["mixture"], batch=6, examples=20)
    trainer.run(2)
    trainer.run(1)
    assert trainer.steps == 4 and trainer.state.step == 12 and trainer.size == Architecture((5, 3, 10)).size
    assert trainer.state.history.shape == (3, 2) and np.isfinite(trainer.state.history).all()


def test_products_are_those_of_a_step():
    calls = []
    original = np.matmul

    class Counted:
        def __getattr__(self, name):
            return getattr(np, name)

        def matmul(self, a, b, out):
            calls.append((a.shape, b.shape))
            return original(a, b, out=out)

    timing.np, saved = Counted(), timing.np
    try:
        timing.products((5, 4, 3), 6, 1)(1)
    finally:
        timing.np = saved
    assert calls == [((6, 5), (5, 4)), ((6, 4), (4, 3)), ((4, 6), (6, 3)), ((6, 3), (3, 4)), ((5, 6), (6, 4))]


def test_contestants_run_in_turn_and_equally_often_and_each_first_without_the_clock(monkeypatch):
    order = []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: order.append("|") or 1e-3 * order.count("|"))
    times = timing.in_turn({name: lambda times, name=name: order.append(name) for name in "ab"}, ROUNDS)
    assert "".join(order).endswith("a|a|b|b|" * ROUNDS)
    assert times == {name: pytest.approx([1e-3] * ROUNDS) for name in "ab"}


def test_costs_are_per_weight_and_step_and_ratios_are_quotients(result):
    for r in result["steps"]:
        size = Architecture((INPUTS, r["hidden"], r["hidden"], CLASSES)).size
        assert r["ns_per_weight"] == pytest.approx(1e6 / 10 / size)  # a millisecond for ten steps
        assert r["floor_ns_per_weight"] == pytest.approx(1e6 / size) and r["ratio"] == pytest.approx(0.1)
    assert {(r["hidden"], r["prior"]) for r in result["steps"]} == set(itertools.product(HIDDEN, timing.PRIORS))
    assert result["small"] == [{"network": "1-2-1", "us_per_step": pytest.approx(1000), "us_spread": [1000, 1000]}]
    floors = {r["weight_noise"]: r["floor_ns_per_weight"] for r in result["estimators"]}
    assert floors["local"] == floors["flipout"] == pytest.approx(2 * floors["weights"])
    assert [r["hidden"] for r in result["widths"]] == list(WIDTHS)
    for r in result["widths"]:
        assert r["sampling"] + r["products"] + r["update"] == pytest.approx(r["ns_per_weight"])
    by_peer = {(r["peer"], r.get("hidden", r.get("network")), r["prior"]): r for r in result["peers"]}
    assert by_peer["torch", "1-2-1", "mixture"]["us_per_step"] == pytest.approx(1000)
    size = Architecture((INPUTS, HIDDEN[0], HIDDEN[0], CLASSES)).size
    of_ten_steps = by_peer["jax", HIDDEN[0], "gaussian"]
    assert of_ten_steps["ns_per_weight"] == pytest.approx(1e6 / size) and of_ten_steps["ratio"] == pytest.approx(0.1)


def test_a_peer_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: types.SimpleNamespace(returncode=1))
    assert not list(peers.records(ROUNDS))


FAKE = """
import os, sys, time
from bbbnp.experiments import peers

def torch(*problem):
    def run(steps):
        if steps == 13:
            raise SystemExit
        time.sleep(0.1)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        print(steps, cores, file=sys.stderr, flush=True)
        print(chatter, end="", flush=True)
    return run, "2.0"

chatter = "hello" if sys.argv[2] == "1-2-1" else ""
peers.timing.SMALL["1-2-1"] = (1, 2, 1), 4, 4
peers.PEERS["torch"] = torch
peers.main(*sys.argv[1:])
"""


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """The steps, and cores, that a peer in its process has been through."""
    (tmp_path / "fake.py").write_text(FAKE)
    popen = subprocess.Popen
    with open(tmp_path / "steps", "w") as err:
        monkeypatch.setattr(subprocess, "Popen", lambda command, **options: popen(
            [command[0], str(tmp_path / "fake.py"), *command[3:]], stderr=err, **options))
        yield lambda: (tmp_path / "steps").read_text().split()


def test_a_peer_has_taken_the_steps_when_its_process_answers(fake):
    with peers.process_of("torch", "1-100-1", "mixture", 1) as (version, run):
        assert version == "2.0"
        run(3)
        assert fake() == ["3", "1"]
        run(5)
        assert fake() == ["3", "1", "5", "1"]
        with pytest.raises(ChildProcessError, match="peers torch 1-100-1 mixture 1 said '' in place of '13 steps'"):
            run(13)
        with pytest.raises(ChildProcessError, match="''"):
            run(1)


def test_a_peer_that_says_something_else_is_not_timed(fake):
    with peers.process_of("torch", "1-2-1", "mixture", 1) as (_, run):
        with pytest.raises(ChildProcessError, match="said 'hello3 steps' in place of '3 steps'"):
            run(3)
    with pytest.raises(ChildProcessError, match="said '' in place of 'version'"):
        with peers.process_of("torch", "no-network", "mixture", 1):
            pass


def test_an_interrupted_round_is_not_a_short_one(monkeypatch):
    monkeypatch.setattr(timing.training, "run", lambda *_, **__: True)
    with pytest.raises(KeyboardInterrupt):
        timing.trainer("1-2-1", "mixture").run(1)


def test_it_is_shown_drawn_and_reported(result, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "run", lambda **_: result)
    assert main(["bench", "--rounds", "2", "--json", str(tmp_path / "new" / "bench.json")]) == 0
    assert "1-2-1" in capsys.readouterr().out
    assert (tmp_path / "new" / "bench.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads((tmp_path / "new" / "bench.json").read_text())
    assert written["settings"] == {"rounds": 2, "peers": False} and written["machine"]
    text = report.speed(tmp_path / "new")
    assert f"| 784-{HIDDEN[0]}-{HIDDEN[0]}-10, mixture prior |" in text
    assert "| 1-2-1 | 1000.0 | 1000 (1.0: 1.0 .. 1.0) | 1000 (1.0: 1.0 .. 1.0) |" in text
    assert main(["bench", "--rounds", "0"]) == 2
    for wrong in ("bench.png", "new"):
        assert main(["bench", "--json", str(tmp_path / wrong)]) == 2
    without = {**result, "peers": []}
    plots.bench(without)
    assert "torch" not in bench.table(without)


def test_the_whole_of_a_cold_start_is_measured(monkeypatch):
    commands = []

    def run(command, env, **_):
        commands.append((command[1:3], env["NUMBA_CACHE_DIR"]))
        return types.SimpleNamespace(stdout="0.1 7.0")

    monkeypatch.setattr(subprocess, "run", run)
    record = bench.cold_record()
    assert record["import_s"] == 0.1 and record["compile_s"] == record["cached_s"] == 7
    assert record["regression_first_s"] == pytest.approx(1e-3)
    (a, b, c, d) = (cache for _, cache in commands)
    assert a == b != c == d and commands[2][0] == ["-m", "bbbnp"]


def test_phases_leave_what_a_step_leaves():
    trainer, stepped = (
        timing.Trainer((5, 4, 3, 10), timing.PRIORS["mixture"], batch=6, examples=6) for _ in range(2))
    parts = phases.of(trainer.problem, trainer.state, 1)
    assert list(parts) == ["_draw", "_rows", "_units"]
    for part in parts.values():
        part(1)
    stepped.run(1)
    for name in ("w", "outputs", "doutputs"):
        np.testing.assert_array_equal(getattr(trainer.problem.ws, name), getattr(stepped.problem.ws, name))
    assert trainer.problem.ws.parts[0, [0, 2]].all() and trainer.problem.ws.doutputs.any()


def test_the_plain_step_of_the_story_has_the_gradient_of_the_reference():
    trainer = timing.Trainer((4, 3, 10), timing.PRIORS["mixture"], batch=6, examples=6)
    problem, size = trainer.problem, trainer.size
    theta = trainer.state.theta.astype(float)
    ws = Architecture((4, 3, 10)).workspace(6, np.float64)
    x, y = problem.data.batch_x.astype(float), problem.data.batch_y.astype(float)
    moments, dw = np.zeros((2, theta.size)), np.empty(size)
    before = theta.copy()
    story.libm_step(theta, moments, dw, problem.network, x, y, ws)
    dmu, drho, _ = reference.free_energy_gradient(
        before[:size], before[size:2 * size], np.zeros(0), x, y, ws.eps[None], (4, 3, 10), "relu", story.SCALES,
        "categorical", 1.0)
    np.testing.assert_allclose(moments[0, :2 * size] / 0.1, np.concatenate([dmu, drho]), rtol=1e-9, atol=1e-9)
    assert np.abs(theta - before)[:2 * size].min() > 1e-3  # Adam's first step is the same for all


def test_the_story_tells_five_versions_each_with_its_gain(monkeypatch, capsys, tmp_path):
    for name, value in (("HIDDEN", HIDDEN[0]), ("BATCH", BATCH), ("INPUTS", INPUTS), ("CLASSES", CLASSES)):
        monkeypatch.setattr(story, name, value)
    assert main(["bench", "--story", "--rounds", "1", "--json", str(tmp_path / "bench_story.json")]) == 0
    written = json.loads((tmp_path / "bench_story.json").read_text())
    steps, half = written["steps"], HIDDEN[0] // 2
    assert [r["version"] for r in steps] == [name for name, _ in story.STEPS] and steps[0]["gain"] is None
    assert steps[1]["gain"] == pytest.approx(1) and steps[2]["gain"] == pytest.approx(10)  # by our clock
    assert "vectorised" in capsys.readouterr().out and "| tiled |" in report.story(tmp_path)
    assert not list(tmp_path.glob("*.png"))
    assert [(r["piece"], r["shape"]) for r in written["products"]] == [
        ("x W", [BATCH, HIDDEN[0], half]), ("dy W^T", [BATCH, HIDDEN[0], half]),
        *((name, [HIDDEN[0], BATCH, HIDDEN[0]]) for name in ("x^T dy", "x^T dy, fewer rows"))]
    for r in written["products"]:  # a millisecond each
        assert [r["ns"], r["blas_ns"], r["numpy_ns"]] == pytest.approx([1e6 * BATCH / math.prod(r["shape"])] * 3)
    assert "| x^T dy |" in report.products(tmp_path)


def test_peers_get_the_same_problem(monkeypatch):
    for network, widths in (("1-2-1", (1, 2, 1)), ("3", (5, 3, 3, CLASSES))):
        monkeypatch.setattr(timing, "INPUTS", 5)
        got, batch, x, y = peers.problem(network)
        mu, rho = peers.initial(got)
        assert got == widths and len(x) == len(y) >= batch and x.shape[1] == widths[0]
        assert sum(array.size for array in mu) == Architecture(widths).size == sum(array.size for array in rho)
    (a, wide), (b, narrow) = peers.components("mixture")
    assert (wide, narrow) == (1, pytest.approx(np.exp(-6))) and np.exp(a) + np.exp(b) == pytest.approx(1)
    assert peers.components("gaussian") == [(0.0, 1.0)]
