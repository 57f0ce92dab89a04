"""The museum: bugs that this field really makes, each planted in a copy of the package, and the test that sees it.

An exhibit is a file NN_name.toml: what is said about the bug, the edits that plant it, and the test that must then
fail, by an assertion, as plain Python. ``pytest -m museum`` runs them all. Run as a script, this file writes
notebooks/MUSEUM.md from the exhibits.
"""

from concurrent.futures import ThreadPoolExecutor
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
import xml.etree.ElementTree as ElementTree

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "notebooks/MUSEUM.md"
FILES = sorted(Path(__file__).parent.glob("*.toml"))
EXHIBITS = [tomllib.loads(path.read_text()) | {"name": path.stem} for path in FILES]
EACH = pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit["name"])
INTRODUCTION = """\
# The museum

Bugs that were found in published code of Bayes by Backprop, or in what its users ask. Each hides from accuracy, which
is why it lived. Each is planted here in a copy of the package, in at most ten lines, and a test must then fail:

```sh
python -m pytest -m museum            # all of them
python -m pytest -m museum -k 08      # one
```

The exhibits are the files of [tests/museum](../tests/museum); `python tests/museum/test_museum.py` writes this page
from them. Equations are those of [EQUATIONS.md](EQUATIONS.md), lectures those of the course.
"""


def planted(source, edit):
    """The source with the edit in it, or an AssertionError where the text is not there exactly once."""
    found = source.count(edit["replaced"])
    assert found == 1, f"{edit['file']} has {found} times, in place of once:\n{edit['replaced']}"
    return source.replace(edit["replaced"], edit["by"])


def copied(folder, edits=()):
    """A copy of the package in `folder`, with the edits in it."""
    shutil.copytree(ROOT / "bbbnp", folder / "bbbnp", ignore=shutil.ignore_patterns("__pycache__"))
    for edit in edits:
        path = folder / edit["file"]
        path.write_text(planted(path.read_text(), edit))
    return folder


def outcome(folder, *tests):
    """What the package in `folder` makes of the tests: "passed", "seen" where one fails by an assertion, or why not.

    Warnings of NumPy about overflow and NaN are let go: compiled code has none.
    """
    report = folder / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::RuntimeWarning",
         f"--junitxml={report}", *(str(ROOT / test) for test in tests)],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(folder), "NUMBA_DISABLE_JIT": "1"}, check=False,
        capture_output=True, text=True)
    if done.returncode == 0:
        return "passed"
    messages = [found.get("message") for kind in ("failure", "error") for found in
                ElementTree.parse(report).iter(kind)] if report.exists() else []
    if done.returncode == 1 and messages and all(re.match("assert |AssertionError", text) for text in messages):
        return "seen"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def outcomes(request, tmp_path_factory):
    """The outcome of each exhibit that was asked for, as futures: two run at a time."""
    chosen = [item.callspec.params["exhibit"] for item in request.session.items
              if item.path == Path(__file__) and "outcomes" in item.fixturenames]
    with ThreadPoolExecutor(2) as pool:
        yield {exhibit["name"]: pool.submit(outcome, copied(
            tmp_path_factory.mktemp(exhibit["name"]), exhibit["edit"]), exhibit["test"]) for exhibit in chosen}
        pool.shutdown(cancel_futures=True)


@pytest.mark.museum
@EACH
def test_the_named_test_fails_where_the_bug_is(exhibit, outcomes):
    result = outcomes[exhibit["name"]].result()
    assert result == "seen", f"{exhibit['test']} does not fail by an assertion:\n{result}"


@pytest.mark.museum
def test_all_named_tests_pass_where_no_bug_is(tmp_path):
    assert outcome(copied(tmp_path), *{exhibit["test"]: None for exhibit in EXHIBITS}) == "passed"


@pytest.mark.museum
@pytest.mark.parametrize("by, result", [
    ('    """An edit that changes nothing."""\n    return kl_weight * (log_q - log_p)  # E2\n', "passed"),
    ("    return kl_weight * (log_q - log_p) + 1 // 0  # E2\n", "ZeroDivisionError"),
    ("    return (\n", "SyntaxError")], ids=["harmless", "not an assertion", "not Python"])
def test_a_bug_that_is_not_seen_or_breaks_the_code_does_not_count(by, result, tmp_path):
    edit = {"file": "bbbnp/kernels/elbo.py", "replaced": "    return kl_weight * (log_q - log_p)  # E2\n", "by": by}
    test = "tests/test_study.py::test_value_and_parts_equal_the_reference"
    assert result in outcome(copied(tmp_path, [edit]), test)


@EACH
def test_an_exhibit_can_be_planted_and_is_small(exhibit):
    sources = {}
    for edit in exhibit["edit"]:
        source = sources.get(edit["file"]) or (ROOT / edit["file"]).read_text()
        sources[edit["file"]] = planted(source, edit)
        compile(sources[edit["file"]], edit["file"], "exec")
    for side in ("replaced", "by"):
        assert sum(edit[side].count("\n") for edit in exhibit["edit"]) <= 10


def test_an_edit_that_does_not_apply_is_loud():
    for source in ("", "x = 1\nx = 1\n"):
        with pytest.raises(AssertionError, match="in place of once"):
            planted(source, {"file": "x.py", "replaced": "x = 1\n", "by": "x = 2\n"})


def test_there_are_25_exhibits_each_with_a_test_and_an_equation_of_its_own_kind():
    assert [exhibit["number"] for exhibit in EXHIBITS] == list(range(1, 26))
    assert len({exhibit["test"] for exhibit in EXHIBITS}) == 25
    ledger = (ROOT / "notebooks/EQUATIONS.md").read_text()
    for exhibit in EXHIBITS:
        path, name = re.match(r"(tests/[\w/]+\.py)::(test_\w+)", exhibit["test"]).groups()
        assert f"def {name}(" in (ROOT / path).read_text()
        assert f"| {exhibit['equation']} |" in ledger and 0 <= int(exhibit["lecture"]) <= 12


def difference(exhibit):
    """The edits as a text in which - and + mark what is taken out and put in."""
    lines = []
    for edit in exhibit["edit"]:
        before, after = edit["replaced"].splitlines(), edit["by"].splitlines()
        kept = [line for line in before if line in after]
        lines += [f"# {edit['file']}"] * (f"# {edit['file']}" not in lines)
        for line in before + [line for line in after if line not in before]:
            lines.append(("  " if line in kept else "- " if line in before else "+ ") + line)
    return "\n".join(lines)


def paragraph(text):
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def page():
    """notebooks/MUSEUM.md, as the exhibits have it."""
    parts = [INTRODUCTION, "| | exhibit | equation | lecture |\n|---|---|---|---|\n" + "".join(
        f"| {e['number']} | {e['title']} | {e['equation']} | {e['lecture']} |\n" for e in EXHIBITS)]
    for e in EXHIBITS:
        path, _, name = e["test"].partition("::")
        said = (e["symptom"], f"**Why accuracy hides it.** {e['hidden']}", f"**Here.** {e['here']}")
        parts.append(f"## {e['number']}. {e['title']}\n\n" + "".join(f"{paragraph(text)}\n\n" for text in said) +
                     f"```diff\n{difference(e)}\n```\n\n"
                     f"Seen by [`{name}`](../{path}); {e['equation']}, lecture {e['lecture']}.\n")
    return "\n".join(parts)


def test_the_page_is_that_of_the_exhibits():
    assert PAGE.read_text() == page(), "stale: run python tests/museum/test_museum.py"


if __name__ == "__main__":
    PAGE.write_text(page())
