"""Compiled code is cached, and never stale; functions that vector loops call are inlined; loops get their threads."""

import ast
import inspect
import os
from pathlib import Path
import shutil
import subprocess
import sys
import warnings

import numba
import numpy as np
import pytest

import bbbnp
from bbbnp.kernels import _jit, microkernel

SCRIPT = """
import numpy as np
from bbbnp.kernels import noise
eps = np.empty(8)
noise.normals(eps, 1, 0, 0, 0)
hits = sum(noise.normals.stats.cache_hits.values())
print(repr(eps.sum()), hits)
"""


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="there is no compiled code without the compiler")
def test_an_edit_of_another_kernel_file_is_never_answered_by_old_code(tmp_path):
    shutil.copytree(Path(bbbnp.__file__).parent, tmp_path / "bbbnp", ignore=shutil.ignore_patterns("__pycache__"))

    def run():
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("NUMBA_CACHE_DIR", None)
        done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, cwd=tmp_path, check=True, text=True,
                              capture_output=True)
        value, hits = done.stdout.split(" ")
        return value, int(hits)

    (first, cold), (second, warm) = run(), run()
    assert first == second and cold == 0 and warm == 1
    source = tmp_path / "bbbnp" / "kernels" / "vectormath.py"
    text = source.read_text()
    assert text.count("3.3333950234e-1") == 1
    source.write_text(text.replace("3.3333950234e-1", "3.4e-1"))  # a coefficient of log, which normals call
    edited, hits = run()
    assert edited != first and hits == 0


RECORD = """
import sys
from numba import types
import numpy as np
from bbbnp import BayesRegressor, GaussianPrior
from bbbnp.kernels import draw, noise
X = np.random.default_rng(0).normal(size=(200, 3))
net = BayesRegressor(hidden=(20,), epochs=5, prior=GaussianPrior(1.0)).fit(X, X[:, 0])
print(net.mu_.tobytes().hex(), net.free_energy_.tobytes().hex())
print(*(len(f.signatures) for f in (noise.normals, draw.unit_normals, draw.unit_signs, draw.unit_kept)))


def has_array(kind):
    return isinstance(kind, types.Array) or isinstance(kind, types.BaseTuple) and any(map(has_array, kind))


print(*{name for key, module in sys.modules.items() if key.startswith("bbbnp.kernels.")
        for name, value in vars(module).items()
        if any(has_array(signature.return_type) for signature in getattr(value, "nopython_signatures", ()))})
"""


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="there is no compiled code without the compiler")
def test_code_that_was_loaded_has_the_bits_of_code_just_compiled_and_noise_of_units_is_not_compiled(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    compiled, loaded = (subprocess.run([sys.executable, "-c", RECORD], env=environment, check=True, text=True,
                                       capture_output=True).stdout for _ in range(2))
    bits, compiled_functions, returning = compiled.splitlines()
    assert bits == loaded.splitlines()[0] != "" and compiled_functions == "1 0 0 0"
    check_those_that_borrow(set(returning.split(" ")))


def check_those_that_borrow(returning):
    """None calls one that returns an array: it would have counted a reference, which nobody would give back."""
    sources = [ast.parse(path.read_text()) for path in Path(_jit.__file__).parent.glob("[!_]*.py")]
    nodes = [node for source in sources for node in source.body]
    builds = {node.value.args[0].id for node in nodes
              if isinstance(node, ast.Assign) and "borrows=True" in ast.unparse(node)}
    calls = {node.name: called(node) for node in nodes if isinstance(node, ast.FunctionDef) and (
        node.name in builds or "borrows=True" in " ".join(map(ast.unparse, node.decorator_list)))}
    assert returning >= {"block", "layer", "unpack", "piece_of", "unit_weights"} and len(calls) > 10
    assert "_train" in calls and not {name for name, names in calls.items() if names & returning}


def test_the_cache_goes_to_the_first_place_that_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("x = 1")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    first = _jit._cache_folder(tmp_path)
    assert first.startswith(str(tmp_path / "__pycache__" / "compiled-"))
    (tmp_path / "a.py").write_text("x = 2")
    assert _jit._cache_folder(tmp_path) != first
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "chosen"))
    assert Path(_jit._cache_folder(tmp_path)).parent == tmp_path / "chosen"
    (tmp_path / "blocked").write_text("a file where a folder should be")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "blocked"))
    assert Path(_jit._cache_folder(tmp_path)).parent == tmp_path / "__pycache__"
    shutil.rmtree(tmp_path / "__pycache__")
    (tmp_path / "__pycache__").write_text("another")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Path(_jit._cache_folder(tmp_path)).parent == tmp_path / ".cache" / "bbbnp"
    monkeypatch.setenv("HOME", str(tmp_path / "blocked"))
    assert _jit._cache_folder(tmp_path) is None

    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    assert _jit._cache_folder(tmp_path) is None


def called(node):
    """Names of the functions that the code in `node` calls."""
    return {getattr(call.func, "id", getattr(call.func, "attr", "")) for call in ast.walk(node)
            if isinstance(call, ast.Call)}


def numbers_only(function):
    """Whether a function's source makes numbers of numbers: assignments and a return, nothing of an array."""
    return all(isinstance(line, (ast.Assign, ast.Return)) for line in function.body[1:]) and not any(
        isinstance(node, (ast.Subscript, ast.Attribute)) and getattr(node.value, "id", "") in {
            argument.arg for argument in function.args.args} for node in ast.walk(function))


def test_functions_of_numbers_that_loops_call_are_inlined():
    """A loop that calls one that is not becomes no vector: nothing fails, and it takes several times as long."""
    sources = [ast.parse(path.read_text()) for path in Path(_jit.__file__).parent.glob("*.py")]
    kernels = {node.name: node for source in sources for node in source.body
               if isinstance(node, ast.FunctionDef) and node.decorator_list
               and ast.unparse(node.decorator_list[0]) != "intrinsic"}  # which is emitted where it is called
    inlined = {name for name, node in kernels.items() if "inline=True" in map(ast.unparse, [
        keyword for line in node.decorator_list if isinstance(line, ast.Call) for keyword in line.keywords])}
    inner = {name for node in kernels.values() for loop in ast.walk(node) if isinstance(loop, ast.For)
             for line in loop.body for name in called(line)}
    while more := {name for caller in inner & kernels.keys() if numbers_only(kernels[caller])
                   for name in called(kernels[caller])} - inner:
        inner |= more
    needed = {name for name in inner & kernels.keys() if numbers_only(kernels[name])}
    needed |= {"horner", "philox", "mixture", "joining"}  # loops of known length, or a tuple's entries
    needed |= {"_exp32", "_exp_minus32", "_log32", "_log_positive32", "_tanh32"}  # called in place of exp ... tanh
    assert len(needed) > 30 and needed <= inlined, needed - inlined


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="there is no compiled code without the compiler")
def test_loops_take_the_widest_registers_also_where_llvm_prefers_narrower_ones(monkeypatch):
    monkeypatch.setattr(_jit, "CACHE_FOLDER", None)  # code that was loaded cannot be looked at

    @_jit.kernel
    def double(x):
        for i in range(x.size):
            x[i] += x[i]

    double(np.ones(64, np.float32))
    llvm, assembly = (next(iter(code.values())) for code in (double.inspect_llvm(), double.inspect_asm()))
    assert '"prefer-vector-width"="512"' in llvm and ("zmm" in assembly) == microkernel.AVX512


def loops_for_one_thread(source):
    """Lines of the loops over `prange` that Numba would leave to one thread: those whose argument has an if."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if ast.unparse(call.func).endswith("prange") and any(
        isinstance(node, (ast.IfExp, ast.BoolOp)) for node in ast.walk(call))]


def by_turns(n, out):
    for i in numba.prange(n if n > 0 else 0):
        out[i] = i


def together(n, out):
    n = n if n > 0 else 0
    for i in numba.prange(n):
        out[i] = i


def test_no_loop_for_threads_has_a_condition_in_its_range():
    for path in Path(bbbnp.__file__).parent.rglob("*.py"):
        assert not loops_for_one_thread(path.read_text()), path
    assert loops_for_one_thread(inspect.getsource(by_turns)) == [2]
    assert not loops_for_one_thread(inspect.getsource(together))


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="there are no threads without the compiler")
def test_numba_leaves_a_loop_with_a_condition_in_its_range_to_one_thread():
    out = np.zeros(2)
    with pytest.warns(numba.NumbaPerformanceWarning, match="no transformation for parallel execution"):
        numba.njit(parallel=True)(by_turns)(2, out)
    with warnings.catch_warnings():
        warnings.simplefilter("error", numba.NumbaPerformanceWarning)
        numba.njit(parallel=True)(together)(2, out)
