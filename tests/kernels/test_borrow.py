"""References to arrays are not counted in the hot loop, and none is lost or kept by that."""

import ast
import importlib
from pathlib import Path
import sys

import numba
from numba import types
from numba.core.dispatcher import Dispatcher
import numpy as np
import pytest

from bbbnp import BayesRegressor, GaussianPrior
from bbbnp.experiments.timing import Trainer
from bbbnp.kernels import _jit
from bbbnp.kernels._jit import kernel
from bbbnp.kernels.borrow import borrowed

compiled_only = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="only compiled code counts references itself")
FOLDER = Path(_jit.__file__).parent


@kernel
def second_of(pair):
    kept = borrowed(pair)
    return kept[0][1:].sum() + kept[1][0][:2].sum() + kept[1][1]


@kernel
def uncounted_rest(a):
    kept = borrowed((a, a.size))
    return kept[0][1:]


@kernel(borrows=True)
def sum_of_firsts(a):
    total = a[0, 0] - a[0, 0]
    for i in range(a.shape[0]):
        row = a[i]
        total += row[0]
    return total


@kernel
def borrow_text(a):
    return borrowed((a, "text"))[0].size


@kernel
def rest(a):
    return a[1:]


@kernel(borrows=True)
def wrong(a):
    return rest(a).size


@kernel
def calls_wrong(a):
    return wrong(a)


def test_what_is_borrowed_is_the_same_wherever_it_is_in_a_tuple():
    a, b = np.arange(4.0), np.arange(3, dtype=np.float32)
    before = sys.getrefcount(a), sys.getrefcount(b)
    assert second_of((a, (b, 7))) == 6 + 1 + 7
    assert (sys.getrefcount(a), sys.getrefcount(b)) == before


@compiled_only
def test_what_is_borrowed_has_no_owner_and_a_kernel_that_borrows_counts_nothing():
    a = np.arange(6.0)
    part = uncounted_rest(a)
    assert np.shares_memory(part, a) and part.base is None and rest(a).base is not None
    assert sum_of_firsts(a.reshape(2, 3)) == 3
    assert "NRT_" not in next(iter(sum_of_firsts.inspect_llvm().values()))
    assert "NRT_" in next(iter(rest.inspect_llvm().values()))


@compiled_only
def test_what_is_counted_and_no_array_cannot_be_borrowed():
    with pytest.raises(numba.TypingError, match="_without_counts"):
        borrow_text(np.arange(4.0))


@compiled_only
def test_a_kernel_that_borrows_and_is_given_an_array_back_keeps_it_for_ever():
    a = np.arange(4.0)
    before = sys.getrefcount(a)
    assert calls_wrong(a) == 3 and sys.getrefcount(a) == before + 1


def array_inside(kind):
    return isinstance(kind, types.Array) or isinstance(kind, types.BaseTuple) and any(map(array_inside, kind))


@compiled_only
def test_no_kernel_that_borrows_calls_one_that_returns_an_array():
    BayesRegressor(hidden=(3,), epochs=1).fit(np.ones((4, 1)), np.ones(4))
    returning, borrowing = set(), {}
    for path in FOLDER.glob("[!_]*.py"):
        module = importlib.import_module(f"bbbnp.kernels.{path.stem}")
        returning |= {name for name, value in vars(module).items() if isinstance(value, Dispatcher)
                      and any(array_inside(signature.return_type) for signature in value.nopython_signatures)}
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and "borrows=True" in " ".join(map(ast.unparse, node.decorator_list)):
                borrowing[node.name] = {getattr(call.func, "id", getattr(call.func, "attr", None))
                                        for call in ast.walk(node) if isinstance(call, ast.Call)}
    assert returning >= {"block", "layer", "unpack", "piece_of", "unit_weights"}
    assert len(borrowing) > 10 and not {name: calls for name, calls in borrowing.items() if calls & returning}


@pytest.mark.parametrize("threads", (1, 2))
def test_training_gives_every_reference_back(threads):
    trainer = Trainer((3, 4, 1), GaussianPrior(), batch=20, examples=60, likelihood="gaussian", threads=threads)
    holders = vars(trainer.state).values(), trainer.problem.network, trainer.problem.ws, trainer.problem.data
    arrays = [value for holder in holders for value in holder if isinstance(value, np.ndarray)]
    trainer.run(1)
    before = [sys.getrefcount(array) for array in arrays]
    trainer.run(3)
    assert [sys.getrefcount(array) for array in arrays] == before and len(arrays) > 15
