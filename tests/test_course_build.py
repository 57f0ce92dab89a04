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


@pytest.mark.parametrize("change, reason", [
    (("assert double(2) == 4", "assert double(2) == 5"), "AssertionError"),
    (("assert double(2) == 4", "print(__import__('pathlib').Path.home())"), "path"),
    (("assert double(2) == 4", "import warnings; warnings.warn('x')"), "warning"),
    ((", main=True", ""), "main=True")], ids=["wrong", "path", "warning", "no picture"])
def test_a_lecture_that_shows_what_it_must_not_is_refused(tiny, change, reason):
    tiny.write_text(SOURCE.replace(*change))
    sentence, = build.one(tiny, True, check=False)
    assert reason in sentence and not build.built(tiny, True).exists()


def test_an_open_lecture_may_only_lack_an_answer(tiny):
    tiny.write_text(SOURCE + "\n# %%\n1 / 0\n")
    assert "ZeroDivisionError" in build.one(tiny, False, check=False)[0]


def test_a_lecture_that_is_not_there_is_said(tiny, monkeypatch):
    monkeypatch.chdir(tiny.parents[2])
    with pytest.raises(SystemExit, match="no lecture 98"):
        build.main(["build", "98"])


def test_a_picture_without_a_text_is_refused():
    output = nbformat.v4.new_output("display_data", {"image/png": "x"})
    with pytest.raises(build.BuildError, match="text"):
        build.refuse(output)


@pytest.mark.parametrize("solved", [False, True], ids=["open", "solved"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_committed_lectures_are_what_their_sources_give(source, solved):
    assert build.problems(source, solved) == []
    notebook = nbformat.read(build.built(source, solved), 4)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            build.refuse(output)
    picture = (ROOT / f"pictures/lecture_{source.stem[:2]}.png").read_bytes()
    assert build.main_picture(notebook).startswith(b"\x89PNG") and picture.startswith(b"\x89PNG")
    assert build.built(source, solved).stat().st_size < 1_000_000
