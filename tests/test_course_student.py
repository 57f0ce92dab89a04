"""Grading: with --student a module's functions are tested in place of ours."""

import os
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("tests/kernels/test_prior.py", "tests/test_course_check.py")
SCORE = """
import numpy as np

def density(w, sigma):
    return np.exp(-w**2 / (2 * sigma**2)) / (np.sqrt(2 * np.pi) * sigma)

def mixture_score(w, prior):
    parts = [pi * density(w, sigma) for pi, sigma in prior]
    return sum(part / sum(parts) * -w / sigma**2 for part, (_, sigma) in zip(parts, prior))

def short_gradient(g, rho, eps, kl_weight):
    s, sigma = 1 / (1 + np.exp(-rho)), np.log1p(np.exp(rho))
    return g, (eps * g - kl_weight / sigma) * s
"""


def graded(path, *files):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "E7 or E13"]
    return subprocess.run([*command, f"--student={path}", *files], cwd=ROOT, capture_output=True, text=True,
                          check=False, env={**os.environ, "NUMBA_DISABLE_JIT": "1"})


@pytest.mark.parametrize("change, failed", [
    (("", ""), None), (("(eps * g - kl_weight", "(eps * g + kl_weight"), "sign of kl_weight/sigma"),
    (("/ sigma**2 for", "/ sigma for"), "test_density_and_score_are_those_of_the_reference")],
    ids=["right", "E13 wrong", "E7 wrong"])
def test_a_module_is_graded_by_its_functions(tmp_path, change, failed):
    path = tmp_path / "answers.py"
    path.write_text(SCORE.replace(*change) if change[0] else SCORE)
    run = graded(path, *FILES)
    assert run.returncode == (failed is not None), run.stdout + run.stderr
    assert failed is None or failed in run.stdout


@pytest.mark.parametrize("text, reason", [
    (None, "no such file"), ("def other():\n    pass\n", "none of the functions")])
def test_a_module_with_nothing_to_grade_is_refused(tmp_path, text, reason):
    path = tmp_path / "answers.py"
    if text is not None:
        path.write_text(text)
    run = graded(path)  # the whole suite would be run, as in the teaching notes, but for the reason
    assert run.returncode == 4 and reason in run.stderr
    assert "--student answers.py" in (ROOT / "notebooks/TEACHING.md").read_text()


def test_the_option_stands_before_a_file_of_this_folder_as_in_the_teaching_notes():
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "E7", "--collect-only"]
    run = subprocess.run([*command, "--student", "bbbnp/reference.py"], cwd=ROOT, capture_output=True, text=True,
                         check=False, env={**os.environ, "NUMBA_DISABLE_JIT": "1"})
    assert run.returncode == 0, run.stdout + run.stderr
    assert "mixture_score" in run.stdout and "test_prior.py" in run.stdout
