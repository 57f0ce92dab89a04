"""The chain of the lectures: open and solved notebooks from one source, and what is stale or must not be shown."""

from pathlib import Path

import pytest

from bbbnp.course import build

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("jupytext")
pytest.importorskip("nbclient")

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "notebooks/source").glob("*.py"))
SOURCE = """# %% [markdown]
# # Title
# See [the ledger](EQUATIONS.md), [the solution](solutions/99_tiny.ipynb), [a site](https://example.org), [here](#a).

# %%
from bbbnp.course import show

class Figure:
    def savefig(self, buffer, **_):
        buffer.write(b"png")

show.picture(Figure(), "A figure of nothing in particular.", main=True)

# %%
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

assert double(2) == 4
"""


@pytest.fixture
def tiny(tmp_path):
    """A source in a folder like the repository's."""
    for folder in ("notebooks/source", "pictures"):
        (tmp_path / folder).mkdir(parents=True)
    path = tmp_path / "notebooks/source/99_tiny.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize("solved", [False, True], ids=["open", "solved"])
def test_solutions_stay_or_are_left_open_and_links_follow(tiny, solved):
    text, _, code = (cell.source for cell in build.lecture(tiny, solved).cells)
    assert ("return 2 * x" in code) == solved and ("    raise NotImplementedError" in code) == (not solved)
    links = ("../EQUATIONS.md", "99_tiny.ipynb") if solved else ("EQUATIONS.md", "solutions/99_tiny.ipynb")
    assert all(f"({link})" in text for link in (*links, "https://example.org", "#a"))
    assert build.lecture(tiny, solved) == build.lecture(tiny, solved)


def test_a_lecture_is_built_checked_and_found_stale(tiny, capsys, monkeypatch):
    monkeypatch.chdir(tiny.parents[2])
    assert build.main(["build", "--check", "99"]) == 1 and "99_tiny.ipynb is missing" in capsys.readouterr().out
    assert build.main(["build"]) == 0
    notebook = nbformat.read(build.built(tiny, False), 4)
    assert not notebook.cells[2].outputs and notebook.cells[1].outputs  # an open exercise shows nothing
    assert (tiny.parents[2] / "pictures/lecture_99.png").read_bytes() == b"png"
    assert not build.problems(tiny, True) and not build.problems(tiny, False)
    tiny.write_text(SOURCE.replace("2 * x", "x + x"))
    assert not build.problems(tiny, False)  # solutions do not stand in the open one
    assert "stale" in build.problems(tiny, True)[0]
    notebook.cells[0].source += " edited by hand"
    nbformat.write(notebook, build.built(tiny, False))
    assert "stale" in build.problems(tiny, False)[0]


def test_a_lecture_that_shows_other_code_than_the_package_has_is_stale(tiny):
    tiny.write_text(SOURCE.replace("assert double(2) == 4", "show.source(show.picture)"))
    assert build.one(tiny, True, check=False) == build.one(tiny, True, check=True) == []
    path = build.built(tiny, True)
    path.write_text(path.read_text().replace("Show a figure.", "Show a picture."))
    assert "code that has changed" in build.one(tiny, True, check=True)[0]
    build.picture_of(tiny).write_bytes(b"another")
    assert "main picture" in build.problems(tiny, True)[0]


def test_a_lecture_whose_claim_fails_is_not_written(tiny):
    tiny.write_text(SOURCE.replace("assert double(2) == 4", "assert double(2) == 5"))
    assert "AssertionError" in build.one(tiny, True, check=False)[0] and not build.built(tiny, True).exists()


def test_a_wrong_answer_shows_its_sentence_alone(monkeypatch):
    """What a notebook shows of an error is what IPython makes of it."""
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)  # IPython warns where another one is active than runs this
    shell = pytest.importorskip("IPython").core.interactiveshell.InteractiveShell()
    shown = []
    shell._showtraceback = lambda kind, value, lines: shown.extend(lines)
    shell.run_cell("from bbbnp.course import check\ncheck.E13(lambda g, rho, eps, kl: (g, -g))")
    assert len(shown) == 1 and shown[0].startswith("E13: drho ")


@pytest.mark.parametrize("kind, parts, reason", [
    ("stream", {"name": "stdout", "text": f"a file in {Path.home()}/x"}, "path"),
    ("stream", {"name": "stderr", "text": "UserWarning: x"}, "warning"),
    ("error", {"ename": "NameError", "evalue": "y", "traceback": []}, "error"),
    ("display_data", {"data": {"image/png": "x"}}, "no text"),
    ("display_data", {"data": {"text/plain": "/tmp/a"}}, "path")])
def test_an_output_that_must_not_be_committed_is_refused(kind, parts, reason):
    with pytest.raises(build.BuildError, match=reason):
        build.refuse(nbformat.v4.new_output(kind, **parts))


def test_a_lecture_needs_one_main_picture(tiny):
    with pytest.raises(build.BuildError, match="main=True"):
        build.main_picture(build.lecture(tiny, True))


def test_an_open_lecture_may_only_lack_an_answer(tiny):
    tiny.write_text(SOURCE + "\n# %%\n1 / 0\n")
    assert "ZeroDivisionError" in build.one(tiny, False, check=False)[0]


def test_a_lecture_that_is_not_there_is_said(tiny, monkeypatch):
    monkeypatch.chdir(tiny.parents[2])
    with pytest.raises(SystemExit, match="no lecture 98"):
        build.main(["build", "98"])


@pytest.mark.parametrize("solved", [False, True], ids=["open", "solved"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_committed_lectures_are_what_their_sources_give(source, solved):
    assert build.problems(source, solved) == []
    notebook = nbformat.read(build.built(source, solved), 4)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            build.refuse(output)
    assert build.main_picture(notebook).startswith(b"\x89PNG")
    assert build.built(source, solved).stat().st_size < 1_000_000
