"""Imports point one way, and importing is light."""

import ast
from pathlib import Path
import subprocess
import sys

import pytest

import bbbnp

PACKAGE = Path(bbbnp.__file__).parent
KERNELS = ["_jit", "stack", "vectormath", "noise", "posterior", "prior", "divergence", "likelihood", "activation",
           "microkernel", "product", "dense", "draw", "pruning", "dropout", "second_product", "placement", "optimizer",
           "elbo", "tiles", "fused", "hotloop", "predictive", "thompson"]
ALSO = {"_jit": {"contextlib", "hashlib", "pathlib", "tempfile"}, "microkernel": {"llvmlite"}, "stack": {"llvmlite"}}
TOP = ("bbbnp.experiments", "bbbnp.cli", "bbbnp.__main__", "bbbnp.course")


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """Full names of what a file imports anywhere, with the submodule where one is taken from a package."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                inner = PACKAGE.parent / Path(*node.module.split(".")) / f"{alias.name}.py"
                yield f"{node.module}.{alias.name}" if inner.exists() else node.module


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_one_way(path):
    name = module_name(path)
    for target in imports(path):
        if name.startswith("bbbnp.kernels."):
            allowed = {"numpy", "numba", "math", "typing"} | ALSO.get(name.split(".")[-1], set())
            assert target.split(".")[0] in allowed or target.startswith("bbbnp.kernels"), f"{name} imports {target}"
            if target.startswith("bbbnp.kernels."):
                assert KERNELS.index(target.split(".")[-1]) < KERNELS.index(name.split(".")[-1])
        elif not name.startswith(TOP):
            assert not target.startswith(TOP), f"{name} imports {target}"
        if target.split(".")[0] in ("sklearn", "matplotlib"):
            assert name in ("bbbnp.estimator", "bbbnp.plots", "bbbnp.plots_course", "bbbnp.plots_mnist",
                            "bbbnp.experiments.variance")


def test_every_kernel_module_is_in_the_reading_order():
    assert {f"bbbnp.kernels.{name}" for name in KERNELS} | {"bbbnp.kernels"} == {
        module_name(path) for path in FILES if "kernels" in path.parts}
    for name in KERNELS[1:]:
        assert name in bbbnp.__doc__


def test_importing_is_light():
    code = ("import sys, bbbnp.data; "
            "sys.exit(any(name in sys.modules for name in ('matplotlib', 'sklearn', 'pooch', 'requests')))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_file_hides_a_second_concept_and_no_function_is_too_long():
    for path in FILES:
        source = path.read_text()
        assert source.count("\n") <= 300, path
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                docstring = node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0
                excepted = path.name == "reference.py" or (path.name, node.name) == ("hotloop.py", "_train")
                assert node.end_lineno - node.lineno + 1 - docstring <= 40 or excepted, f"{path}: {node.name}"
                assert len(node.args.args) <= 8 or excepted, f"{path}: {node.name}"
