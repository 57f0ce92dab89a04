"""Lectures from their text: ``python -m bbbnp.course build [--check] [NN ...]``.

``notebooks/source/NN_name.py`` (py:percent) becomes ``notebooks/NN_name.ipynb``, executed, its exercises open, and
``notebooks/solutions/NN_name.ipynb``, executed with their solutions; the picture that a lecture marks as its main one
becomes ``pictures/lecture_NN.png``. With --check nothing is written: it fails, with a line for each file, where a
committed notebook is not what its source gives, shows code that the package no longer has, or does not run.
"""

import argparse
import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
import copy
import hashlib
import os
from pathlib import Path
import re

AT_ONCE = 2
SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n.*?### END SOLUTION$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(\]\()(?!https?://|#)([^)\s]+\))")
SECONDS = 600


class BuildError(Exception):
    """A lecture that does not run, or shows what it must not."""


def is_exercise(cell):
    """Whether a cell is one that a reader completes."""
    return cell.cell_type == "code" and ("### BEGIN SOLUTION" in cell.source or "NotImplementedError" in cell.source)


def lecture(path, solved):
    """The notebook of a source, not executed.

    Parameters
    ----------
    path : Path
    solved : bool
        Whether solutions stay; their links then start from the folder of solutions.

    Returns
    -------
    nbformat.NotebookNode
    """
    import jupytext
    import nbformat
    notebook = nbformat.v4.new_notebook(metadata={
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"}})
    for number, cell in enumerate(jupytext.read(path, fmt="py:percent").cells):
        make = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
        text = cell.source
        if cell.cell_type == "markdown" and solved:
            text = LINK.sub(r"\1../\2", text).replace("](../solutions/", "](")
        if cell.cell_type == "code" and not solved:
            text = SOLUTION.sub(r"\1raise NotImplementedError", text)
        notebook.cells.append(make(text, id=f"cell-{number:02d}"))
    notebook.metadata["fingerprint"] = fingerprint(notebook)
    return notebook


def fingerprint(notebook):
    """Hash of what a source gives: the kinds and texts of all cells. An edited notebook has another one."""
    text = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in notebook.cells)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def execute(notebook, folder, solved):
    """Run a notebook in place; a BuildError for any error but NotImplementedError in an open exercise."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    allowed = [] if solved else ["NotImplementedError"]
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", allow_error_names=allowed,
                            record_timing=False, coalesce_streams=True, extra_arguments=["--log-level=ERROR"],
                            resources={"metadata": {"path": str(folder)}})
    try:
        asyncio.run(client.async_execute(env={**os.environ, "BBBNP_STATIC": "1", "PYTHONPATH": os.pathsep.join(
            [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])}))
    except CellExecutionError as error:
        raise BuildError(str(error)) from error
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        if is_exercise(cell) and not solved:
            cell.outputs, cell.execution_count = [], None  # the error that says "not written yet"
        for output in cell.get("outputs", ()):
            refuse(output)


def refuse(output):
    """A BuildError for an output that must not be committed: error, warning, a machine's path, a silent picture."""
    text = "".join(str(output.get("text", ""))) + str({
        kind: data for kind, data in output.get("data", {}).items() if kind not in ("image/png", "text/html")})
    if output.output_type == "error" or output.get("name") == "stderr":
        raise BuildError(f"a cell shows an error or a warning: {text or output.get('evalue')}")
    for path in (str(Path(__file__).parents[2]), str(Path.home()), "/tmp/", "/var/folders/"):
        if path in text:
            raise BuildError(f"a cell shows the path {path}")
    if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt"):
        raise BuildError("a picture has no text: show it with bbbnp.course.show.picture")


def shown_code(notebook):
    """The outputs of the cells that show code of the package."""
    return [output["data"]["text/plain"] for cell in notebook.cells if "show.source(" in cell.source
            for output in cell.get("outputs", ())]


def main_picture(notebook):
    """The PNG that the lecture marks as its one figure."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.get("metadata", {}).get("image/png", {}).get("main"):
                return base64.b64decode(output["data"]["image/png"])
    raise BuildError("no picture is marked main=True")


def built(source, solved):
    """Where the notebook of a source is."""
    folder = source.parents[1]
    return (folder / "solutions" if solved else folder) / f"{source.stem}.ipynb"


def picture_of(source):
    """Where the main picture of a source is."""
    return source.parents[2] / "pictures" / f"lecture_{source.stem[:2]}.png"


def problems(source, solved):
    """What is wrong with a committed notebook before it is run: a list of sentences."""
    import nbformat
    path = built(source, solved)
    if not path.exists():
        return [f"{path} is missing"]
    committed, expected = nbformat.read(path, 4), lecture(source, solved)
    if not fingerprint(committed) == committed.metadata.get("fingerprint") == fingerprint(expected):
        return [f"{path} is stale: it is not what {source} gives"]
    picture = picture_of(source)
    if solved and not (picture.exists() and picture.read_bytes() == main_picture(committed)):
        return [f"{picture} is stale: it is not the main picture of {path}"]
    return []


def one(source, solved, check):
    """Build or check one notebook: a list of what is wrong."""
    import nbformat
    path, wrong = built(source, solved), problems(source, solved) if check else []
    notebook = lecture(source, solved)
    try:
        execute(notebook, source.parents[1], solved)
        picture = main_picture(notebook)
    except BuildError as error:
        return [*wrong, f"{path}: {error}"]
    if not check:
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, path)
        if solved:
            picture_of(source).write_bytes(picture)
    elif not wrong and shown_code(nbformat.read(path, 4)) != shown_code(copy.deepcopy(notebook)):
        wrong.append(f"{path} is stale: it shows code that has changed since")
    return wrong


def build(folder, numbers=(), check=False):
    """Build or check lectures, two notebooks at a time.

    Parameters
    ----------
    folder : Path
        The folder `notebooks`, which has `source`; `pictures` lies beside it.
    numbers : sequence of str
        Such as "06"; left out, all.
    check : bool

    Returns
    -------
    list of str
        What is wrong, empty if nothing is.
    """
    sources = [path for path in sorted(folder.glob("source/[0-9][0-9]_*.py"))
               if not numbers or path.name[:2] in numbers]
    if not sources or set(numbers) - {path.name[:2] for path in sources}:
        raise SystemExit(f"{folder / 'source'} has no lecture {' '.join(numbers)}: run this where `notebooks` is")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(one, source, solved, check) for source in sources for solved in (True, False)]
        return [sentence for job in jobs for sentence in job.result()]


def main(arguments=None):
    """The command line; returns 0, or 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bbbnp.course", description=__doc__.split("\n\n")[0])
    parser.add_argument("command", choices=["build"])
    parser.add_argument("--check", action="store_true", help="write nothing: fail for what is stale or does not run")
    parser.add_argument("numbers", nargs="*", metavar="NN", help="lectures, such as 06; left out, all")
    chosen = parser.parse_intermixed_args(arguments)
    wrong = build(Path("notebooks").resolve(), chosen.numbers, chosen.check)
    print("\n".join(wrong) or "every lecture runs")
    return 1 if wrong else 0
