"""Threads: the right build for the work, callers that thread or fork, and settings put back."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from bbbnp import BayesRegressor, GaussianPrior, threads
from bbbnp.architecture import Architecture
from bbbnp.kernels import hotloop
from bbbnp.kernels.draw import DROPOUT, WEIGHTS, Draw
from bbbnp.kernels.elbo import Parameters
from bbbnp.objective import Objective
from bbbnp.prediction import sample_outputs
from bbbnp.study import free_energy_gradient

COMPILED = pytest.mark.skipif(
    numba.config.NUMBA_NUM_THREADS < 2 or numba.config.DISABLE_JIT, reason="needs two threads and the compiler")

TOGETHER = """
import multiprocessing, sys, threading
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits
from bbbnp import BayesRegressor, threads

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 2))


def fit(number):
    return BayesRegressor(hidden=(3,), epochs=30, batch_size=5, threads=number).fit(X, X[:, 0]).mu_


def blas_while_it_trains():
    seen, build = [], threads.hotloop.train_serial

    def spy(*arguments):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return build(*arguments)

    threads.hotloop.train_serial = spy
    threadpool_limits(2, user_api="blas")  # what a forked child may begin with, whatever its parent had
    fit(1)
    return set(seen)


def in_threads():
    found = []
    callers = [threading.Thread(target=lambda: found.append(fit(2))) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return found


def in_children():
    with threads.one_blas_thread():  # as another thread's training has it while this one forks
        pool = multiprocessing.get_context("fork").Pool(2)
    with pool:
        assert set(pool.apply(blas_while_it_trains)) == {1}
        return pool.map(fit, [2, 2, 2, 2])


if __name__ == "__main__":
    alone, found = fit(2), {"threads": in_threads, "children": in_children}[sys.argv[1]]()
    print(len(found), all(np.array_equal(alone, other) for other in [fit(1), *found]))
"""


@pytest.fixture
def builds(monkeypatch):
    """Names of the builds that run."""
    ran = []
    for name in ("train_serial", "train_parallel"):
        monkeypatch.setattr(hotloop, name, lambda *_, name=name: ran.append((name, numba.get_num_threads())))
    return ran


class Sized:
    """Stands in for a plan and a workspace."""

    def __init__(self, weights, batch_size):
        self.w, self.batch_size = np.empty(weights), batch_size


@pytest.mark.parametrize("weights, batch, number, parallel", [
    (100, 10, None, False), (100, 10, 2, True), (400_000, 128, None, True), (400_000, 128, 1, False)])
def test_large_work_gets_threads_and_a_number_is_obeyed(weights, batch, number, parallel, builds, monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", False)
    before = numba.get_num_threads()
    sized = Sized(weights, batch)
    threads.train(*[None] * 8, sized, None, sized, threads=number)
    (name, count), = builds
    usable = min(number or before, before)
    assert (name == "train_parallel") == (parallel and (number or before) > 1)
    assert count == (usable if name == "train_parallel" else before) and numba.get_num_threads() == before


def blas_threads():
    """How many threads each BLAS of this process would use."""
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_blas_has_one_thread_until_the_last_of_several_callers_is_done():
    with threadpool_limits(2, user_api="blas"):
        before, first, second = blas_threads(), threads.one_blas_thread(), threads.one_blas_thread()
        first.__enter__()
        second.__enter__()
        assert set(blas_threads()) == {1}
        first.__exit__(None, None, None)  # not in the order of a stack, as threads of a caller's are
        assert set(blas_threads()) == {1}
        second.__exit__(None, None, None)
        assert blas_threads() == before


def test_every_build_has_blas_on_one_thread():
    seen = []
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        threads._run(lambda: seen.extend(blas_threads()), None, (), False, 1)
        assert set(seen) == {1} and blas_threads() == before


@COMPILED
def test_bits_do_not_depend_on_the_threads_of_blas():
    architecture, rng = Architecture((784, 400, 10)), np.random.default_rng(0)
    mu, y = architecture.initial_mu(0, np.float32), rng.integers(10, size=12)
    x = rng.standard_normal((12, 784), dtype=np.float32)
    found = []
    for number in (1, 2):
        with threadpool_limits(number, user_api="blas"):
            outputs = sample_outputs(architecture, mu, mu - 3, x, draws=2)
            gradient = free_energy_gradient(
                architecture, mu, mu - 3, x, y, objective=Objective(GaussianPrior(), "categorical"))
            found.append((outputs, gradient.dmu, gradient.drho))
    for one, two in zip(*found):
        np.testing.assert_array_equal(one, two)


def test_training_limits_blas_and_lifts_it_after_an_error(small, monkeypatch):
    seen = []

    def failing(*arguments, **options):
        seen.append(blas_threads())
        raise MemoryError

    monkeypatch.setattr(threads, "train", failing)
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with pytest.raises(MemoryError):
            BayesRegressor(hidden=(3,), epochs=1).fit(small.X, small.y)
        assert set(seen[0]) == {1} and blas_threads() == before


@COMPILED
@pytest.mark.parametrize("layer", ["default", "workqueue"])
@pytest.mark.parametrize("callers", ["threads", "children"])
def test_callers_in_threads_and_forked_children_get_the_bits_of_one(callers, layer):
    done = subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", TOGETHER, callers],
                          env={**os.environ, "NUMBA_THREADING_LAYER": layer}, capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.stdout.strip() == "4 True", done.stderr


@pytest.mark.parametrize("number", [0, 1.5, "2", True])
def test_a_number_of_threads_that_cannot_be_is_named(number, small):
    with pytest.raises(ValueError, match=f"threads={number!r} must be an integer"):
        BayesRegressor(hidden=(3,), epochs=1, threads=number).fit(small.X, small.y)


@COMPILED
@pytest.mark.parametrize("placement", [WEIGHTS, DROPOUT], ids=["draws", "mean network"])
@pytest.mark.parametrize("pieces", [{}, {"tile": 8, "block": 2}], ids=str)
def test_predictions_of_one_and_two_threads_have_the_same_bits(pieces, placement):
    architecture, rng = Architecture((3, 6, 2)), np.random.default_rng(0)
    mu, x = architecture.initial_mu(0, np.float32), rng.normal(size=(13, 3)).astype(np.float32)
    samples = np.zeros((2, 5, 13, 2), np.float32)
    for number, out in enumerate(samples, start=1):
        ws = architecture.workspace(4, np.float32, **pieces)
        threads.predict_draws(out, Parameters(mu, mu - 2, mu[:0]), architecture.network, x,
                              Draw(placement, 7, 0, 0, 1), ws, threads=number)
    np.testing.assert_array_equal(*samples)
    assert samples.any() and (samples.std(axis=1).min() > 0) == (placement == WEIGHTS)
