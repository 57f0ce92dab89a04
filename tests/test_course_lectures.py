"""The lectures' texts: the shape that was agreed, links that lead somewhere, pictures with words, ids of the ledger."""

from pathlib import Path
import re

import pytest

from bbbnp.course import check

ROOT = Path(__file__).parents[1]
LECTURES = sorted((ROOT / "notebooks/source").glob("*.py"))
PARTS = ("A question", "By hand on the smallest case", "Derivation", "The same in code", "Proof", "Play", "Exercises",
         "What goes wrong", "Key points")
EACH = pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
PAGES = [ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.md")), *LECTURES]


def cells(path):
    """Kind and text of each cell; the comment signs of Markdown are taken off."""
    found = []
    for part in re.split(r"^# %%", path.read_text(), flags=re.MULTILINE)[1:]:
        head, _, text = part.partition("\n")
        markdown = "[markdown]" in head
        text = re.sub(r"^# ?", "", text, flags=re.MULTILINE) if markdown else text
        found.append(("markdown" if markdown else "code", text.strip()))
    return found


def markdown(path):
    return "\n\n".join(text for kind, text in cells(path) if kind == "markdown") if path.suffix == ".py" else (
        path.read_text())


@EACH
def test_a_lecture_has_the_agreed_shape(path):
    text, parts = markdown(path), cells(path)
    assert re.findall(r"^## \d (.+)$", text, re.MULTILINE) == list(PARTS)
    for word in ("You will be able to", "You need", "Minutes", "Equations", "The one idea", "Glossary",
                 "Eight questions", "Further reading"):
        assert word in text, word
    assert text.index("pictures/lecture_") < text.index("## 1 ")
    assert len(parts) <= 60
    for kind, code in parts:
        if kind == "code":
            lines = [line for line in code.splitlines() if line.strip()]
            assert len(lines) <= 15 and max(map(len, lines)) <= 112, code
            assert "matplotlib" not in code and "pip" not in code
    question = re.search(r"## 1 A question\n(.*?)## 2", text, re.DOTALL)[1]
    assert len(question.split()) <= 75 and "$" not in question


@EACH
def test_a_lecture_proves_plays_and_asks(path):
    code = "\n".join(text for kind, text in cells(path) if kind == "code")
    assert code.count("assert ") >= 5 and "show.source(" in code and "show.slider(" in code
    assert code.count("main=True") == 1
    asked = set(re.findall(r"check\.(\w+)\(", code))
    assert asked == {exercise.name for exercise in check.LECTURES[path.stem[:2]]} and len(asked) >= 3
    assert code.count("### BEGIN SOLUTION") == code.count("### END SOLUTION") == len(asked)
    assert markdown(path).count("<details>") == markdown(path).count("</details>") == len(asked)
    assert len(re.findall(r"Exhibit \d+", markdown(path))) >= 3
    assert f"solutions/{path.stem}.ipynb" in markdown(path)


@EACH
def test_a_lecture_names_only_equations_of_the_ledger(path):
    ledger = set(re.findall(r"^\| (E\d+) ", (ROOT / "notebooks/EQUATIONS.md").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bE\d+\b", markdown(path))) <= ledger


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    folder = ROOT / "notebooks" if path in LECTURES else path.parent
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"\$[^$]*\$", "", markdown(path))):
        if not target.startswith(("http", "#")):
            assert (folder / target.partition("#")[0]).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_picture_has_words(path):
    for alt in re.findall(r"!\[([^\]]*)\]\(", markdown(path)):
        assert len(alt) >= 20, f"{path.name}: a picture without words"
    assert "<img" not in markdown(path)


def test_the_readme_links_every_lecture():
    text = (ROOT / "README.md").read_text()
    for path in LECTURES:
        assert f"(notebooks/{path.stem}.ipynb)" in text


@EACH
def test_every_greek_letter_is_in_the_notation(path):
    greek = (r"\\(alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|phi|"
             r"psi|omega|Delta|Lambda|Sigma|Phi|Omega)(?![a-zA-Z])")
    explained = re.findall(greek, (ROOT / "notebooks/NOTATION.md").read_text())
    assert set(re.findall(greek, markdown(path))) <= set(explained)


@EACH
def test_a_lecture_is_in_the_teaching_notes(path):
    title = re.search(r"^# (\d\d .+)$", markdown(path), re.MULTILINE)[1]
    section = (ROOT / "notebooks/TEACHING.md").read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    assert re.search(r"\*\*Plan, \d+ minutes\.\*\*", section) and "**Opening question.**" in section
    misconceptions, board, exam = re.search(
        r"\*\*Misconceptions\.\*\*(.*)\*\*Board.*?\*\*(.*)\*\*Exam.*?\*\*(.*)", section, re.DOTALL).groups()
    assert len(re.findall(r"\b[123]\b[.)]", misconceptions)) == 3
    assert len(board.split()) > 20 and exam.count("?") >= 2
