"""The ledger has no hole: every equation has its functions, its tests and, once there are lectures, its section."""

import ast
import configparser
import importlib
import inspect
from pathlib import Path
import re

import pytest

from bbbnp import reference

ROOT = Path(__file__).parents[1]
COLUMNS = ("id", "equation", "formula", "kernel", "reference", "test", "notebook")


def ledger():
    """Rows of the table in notebooks/EQUATIONS.md, as dicts."""
    lines = (ROOT / "notebooks/EQUATIONS.md").read_text().splitlines()
    cells = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines if line.startswith("| E")]
    return [dict(zip(COLUMNS, row, strict=True)) for row in cells]


def names(cell):
    return re.findall(r"`([\w.]+)`", cell)


def function(name):
    """The function that a ledger cell names."""
    module, _, attribute = name.rpartition(".")
    module = module if module.startswith("bbbnp") else f"bbbnp.kernels.{module}"
    found = getattr(importlib.import_module(module), attribute)
    return getattr(found, "py_func", found)


def marked_tests():
    """For each mark E1, E2, ...: the test functions that carry it, by decorator or for their whole module."""
    found = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text())
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                everywhere = re.findall(r"mark\.(E\d+)", ast.unparse(node))
                tests = [n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]
                for mark in everywhere:
                    found.setdefault(mark, []).extend(f"{path.name}::{test}" for test in tests)
            elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for mark in re.findall(r"\bE\d+\b", " ".join(map(ast.unparse, node.decorator_list))):
                    found.setdefault(mark, []).append(f"{path.name}::{node.name}")
    return found


ROWS, TESTS = ledger(), marked_tests()


def test_ids_are_those_of_the_marks_and_each_stands_once():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    marks = re.findall(r"^(E\d+):", config["tool:pytest"]["markers"], re.MULTILINE)
    assert [row["id"] for row in ROWS] == marks
    assert len(set(marks)) == len(marks) >= 18


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_functions_of_an_equation_exist_and_say_so(row):
    assert names(row["kernel"])
    for name in names(row["kernel"]):
        first = inspect.getdoc(function(name)).split("\n\n")[0]
        assert re.search(rf"\b{row['id']}\b", first), f"{name} does not name {row['id']} in its first line"
    for name in names(row["reference"]):
        assert re.search(rf"\b{row['id']}\b", inspect.getdoc(getattr(reference, name))), f"reference.{name}"
    assert names(row["reference"]) or row["id"] in ("E21", "E26")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_id_stands_at_the_line_that_computes_it(row):
    sources = "".join(inspect.getsource(function(name)) for name in names(row["kernel"]))
    assert re.search(rf"# .*\b{row['id']}\b", sources)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_an_equation_has_tests_among_them_the_named_one(row):
    named = re.findall(r"`(test_\w+\.py::test_\w+)`", row["test"])
    assert len(named) == 1 and named[0] in TESTS[row["id"]]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_once_there_are_lectures_an_equation_has_its_section(row):
    lectures = {path.name[:2]: path for path in (ROOT / "notebooks/source").glob("*.py")}
    number, = re.findall(r"^\[?(\d\d)\b", row["notebook"])
    if number in lectures:
        assert row["notebook"] == f"[{number}]({lectures[number].stem}.ipynb)"
        assert re.search(rf"\b{row['id']}\b", lectures[number].read_text())
    else:
        assert row["notebook"] == number


def test_github_renders_the_formulas():
    for row in ROWS:
        assert not re.search(r"[\s(]\$ \S", row["formula"]) and row["formula"].count("$") % 2 == 0
        assert "\\;" not in row["formula"] and "\\," not in row["formula"]  # Markdown would eat the backslash


def test_every_function_of_reference_that_names_an_equation_is_in_the_ledger():
    listed = {name for row in ROWS for name in names(row["reference"])}
    defined = {name for name, value in vars(reference).items() if inspect.isfunction(value) and value.__doc__
               and re.search(r"\(E\d+", value.__doc__)}
    assert defined == listed
