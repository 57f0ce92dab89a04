"""Threads: the right build for the work, callers that thread or fork, and settings put back."""

import subprocess
import sys
import threading

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from bbbnp import BayesRegressor, threads
from bbbnp.architecture import Architecture
from bbbnp.kernels import hotloop
from bbbnp.kernels.draw import DROPOUT, WEIGHTS, Draw
from bbbnp.kernels.elbo import Parameters

COMPILED = pytest.mark.skipif(
    numba.config.NUMBA_NUM_THREADS < 2 or numba.config.DISABLE_JIT, reason="needs two threads and the compiler")

FORK = """
import multiprocessing
import numpy as np
from bbbnp import BayesRegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 2))


def fit(threads):
    return BayesRegressor(hidden=(3,), epochs=3, threads=threads).fit(X, X[:, 0]).mu_


if __name__ == "__main__":
    parent = fit(2)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        children = pool.map(fit, [2, 2])
    print(all(np.array_equal(parent, child) for child in children))
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
def test_a_forked_child_trains_to_the_same_bits():
    done = subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK], capture_output=True,
                          text=True, timeout=300, check=False)
    assert done.stdout.strip() == "True", done.stderr


@COMPILED
def test_callers_in_several_threads_get_the_bits_of_one(small):
    def fit(seed):
        models[seed] = BayesRegressor(hidden=(3,), epochs=4, batch_size=5, threads=2, seed=seed).fit(small.X, small.y)

    models, callers = {}, [threading.Thread(target=fit, args=(seed,)) for seed in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for seed, model in models.items():
        alone = BayesRegressor(hidden=(3,), epochs=4, batch_size=5, threads=1, seed=seed).fit(small.X, small.y)
        np.testing.assert_array_equal(model.mu_, alone.mu_)
    assert len(models) == 4


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
