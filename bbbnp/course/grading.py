"""A plugin of pytest: with ``--student path.py`` the functions of a student's module are tested in place of ours.

It is named in setup.cfg, so that pytest knows the option before it looks for tests.
"""

import importlib.util
import inspect
from pathlib import Path

import pytest

from bbbnp import reference
from bbbnp.course.check import EXERCISES

STUDENT = {}


def pytest_addoption(parser):
    parser.addoption(
        "--student", metavar="PATH", help="a Python file whose functions replace those of the same name in "
        "bbbnp.reference and in the exercises, so that -m \"E7 or E13\" grades them")


def pytest_configure(config):
    """Put the student's functions in place before any test module takes ours."""
    if config.getoption("--student"):
        STUDENT.update(students_functions(Path(config.getoption("--student"))))
        for name in set(STUDENT) & set(vars(reference)):
            setattr(reference, name, STUDENT[name])


def pytest_report_header():
    return f"student: {', '.join(sorted(STUDENT))} in place of ours" if STUDENT else None


@pytest.fixture
def student():
    """The student's functions by name; empty unless --student was given."""
    return STUDENT


def students_functions(path):
    """The public functions that are defined in a file, by name.

    Parameters
    ----------
    path : Path

    Raises
    ------
    pytest.UsageError
        If there is no such file, or it defines none of the functions that are graded.
    """
    if not path.is_file():
        raise pytest.UsageError(f"--student {path}: there is no such file")
    spec = importlib.util.spec_from_file_location("student", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    known = {name for name, value in vars(reference).items() if inspect.isfunction(value)} | {
        exercise.function for exercise in EXERCISES.values()}
    found = {name: value for name, value in vars(module).items()
             if inspect.isfunction(value) and value.__module__ == "student" and name in known}
    if not found:
        raise pytest.UsageError(f"--student {path}: it defines none of the functions that are graded: "
                                f"{', '.join(sorted(known))}")
    return found
