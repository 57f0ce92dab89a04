"""References to arrays are not counted in the hot loop, and none is lost or kept by that."""

import sys

import numba
import numpy as np
import pytest

from bbbnp import BayesRegressor, GaussianPrior, ThompsonSampler
from bbbnp.experiments.timing import Trainer
from bbbnp.kernels import _jit
from bbbnp.kernels._jit import kernel

compiled_only = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="only compiled code counts references itself")


@kernel(borrows=True)
def sum_of_firsts(a):
    total = a[0, 0] - a[0, 0]
    for i in range(a.shape[0]):
        row = a[i]
        total += row[0]
    return total


@kernel
def rest(a):
    return a[1:]


@kernel(borrows=True)
def wrong(a):
    return rest(a).size


@kernel
def calls_wrong(a):
    return wrong(a)


@compiled_only
def test_a_kernel_that_borrows_counts_nothing(monkeypatch):
    monkeypatch.setattr(_jit, "CACHE_FOLDER", None)  # code that was loaded cannot be looked at
    borrows, counts = kernel(borrows=True)(sum_of_firsts.py_func), kernel(rest.py_func)
    assert borrows(np.arange(6.0).reshape(2, 3)) == 3 and counts(np.arange(2.0)) == 1
    assert "NRT_" not in next(iter(borrows.inspect_llvm().values()))
    assert "NRT_" in next(iter(counts.inspect_llvm().values()))


@compiled_only
def test_a_kernel_that_borrows_and_is_given_an_array_back_keeps_it_for_ever():
    a = np.arange(4.0)
    before = sys.getrefcount(a)
    assert calls_wrong(a) == 3 and sys.getrefcount(a) == before + 1


@pytest.mark.parametrize("threads", (1, 2))
def test_training_gives_every_reference_back(threads):
    trainer = Trainer((3, 4, 1), GaussianPrior(), batch=20, examples=60, likelihood="gaussian", threads=threads)
    holders = vars(trainer.state).values(), trainer.problem.network, trainer.problem.ws, trainer.problem.data
    arrays = [value for holder in holders for value in holder if isinstance(value, np.ndarray)]
    trainer.run(1)
    before = [sys.getrefcount(array) for array in arrays]
    trainer.run(3)
    assert [sys.getrefcount(array) for array in arrays] == before and len(arrays) > 15


def test_a_sampler_that_trains_inside_compiled_code_gives_every_reference_back():
    sampler = ThompsonSampler(BayesRegressor(hidden=(3,), standardize=False, schedule="constant", batch_size=4), 2)
    sampler.update([1.0, 2.0], 0, 1.0)
    arrays = [value for holder in (sampler.learner_.state, sampler.learner_.ws, sampler.learner_.data, sampler.memory_)
              for value in holder if isinstance(value, np.ndarray)]
    before = [sys.getrefcount(array) for array in arrays]
    for reward in range(5):
        sampler.update([1.0, 2.0], sampler.choose([1.0, 2.0]), float(reward))
    assert [sys.getrefcount(array) for array in arrays] == before and len(arrays) > 15
