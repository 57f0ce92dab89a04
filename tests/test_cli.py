"""The command line: what it writes, what it says, how it exits."""

import json
from pathlib import Path
import re

import numba
import numpy as np
import pytest

from bbbnp.cli import COMMANDS, main
from bbbnp.experiments import report

ROOT = Path(__file__).parents[1]
QUICK = ["--n", "40", "--epochs", "3", "--hidden", "3", "--prediction-draws", "5"]


def run(*arguments):
    """Exit code of the command line."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        return exit_.code


@pytest.mark.parametrize("data, name", [("paper_figure", "regression"), ("paper_text", "regression_paper_text")])
def test_regression_writes_its_figure_and_numbers(tmp_path, capsys, data, name):
    small = QUICK if not numba.config.DISABLE_JIT else QUICK[:1] + ["12"] + QUICK[2:]
    assert run("regression", "--out", tmp_path / "new", "--data", data, "--seed", 3, *small) == 0
    assert (tmp_path / "new" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    result = json.loads((tmp_path / "new" / f"{name}.json").read_text())
    assert result["seed"] == 3 and result["settings"]["hidden"] == [3] and result["wall_time_s"] > 0
    for model in ("bayes", "ordinary"):
        assert set(result[model]["width_95"]) == {"0.25", "1.0", "1.5"}
        assert 0 <= result[model]["coverage_50"] <= result[model]["coverage_95"] <= 1
    assert "held-out log-likelihood" in capsys.readouterr().out
    assert report.comment(result)


def test_regression_by_another_estimator_beside_the_same_ordinary_network(tmp_path):
    chosen = ["--weight-noise", "local", "--antithetic", "--draws", "2", "--kl", "closed", "--prior", "gaussian"]
    results = []
    for extra in (chosen, chosen[3:5] + chosen[7:], ["--weight-noise", "flipout", "--gradient", "path"]):
        assert run("regression", "--out", tmp_path, *QUICK, *extra) == 0
        results.append(json.loads((tmp_path / "regression.json").read_text()))
    one, other, _ = results
    assert one["settings"]["weight_noise"] == "local" and one["settings"]["antithetic"] is True
    assert one["bayes"]["misfit"] != other["bayes"]["misfit"]
    assert one["ordinary"]["misfit"] == other["ordinary"]["misfit"]
    assert results[2]["settings"]["gradient"] == "path"


@pytest.mark.parametrize("arguments, message", [
    (["--kl", "closed"], "kl='closed' needs"), (["--antithetic"], "draws=1"),
    (["--hidden", "0"], "hidden=0"), (["--pi", "2"], "pi=2"), (["--sigma1", "-1"], "sigma1"), (["--n", "0"], "n=0"),
    (["--noise", "loud"], "noise='loud'"), (["--learning-rate", "0"], "learning_rate"), (["--seed", "-1"], "seed"),
    (["--hidden", "a"], "not a list of widths"), (["--optimizer", "newton"], "invalid choice")])
def test_wrong_use_is_one_line_and_exit_code_2(tmp_path, capsys, arguments, message):
    assert run("regression", "--out", tmp_path, *arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert message in error[-1] and "Traceback" not in "".join(error)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_found_out_before_training(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("bbbnp.model.BayesRegressor.fit", lambda *_: pytest.fail("trained first"))
    assert run("regression", "--out", tmp_path / "file", *QUICK) == 1
    assert "file" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")  # NumPy's words when nothing is compiled
def test_divergence_is_one_line_and_exit_code_1(tmp_path, capsys):
    wild = ["--epochs", "30", "--optimizer", "sgd", "--learning-rate", "1e6"]
    assert run("regression", "--out", tmp_path, *QUICK, *wild) == 1
    assert "not finite" in capsys.readouterr().err.strip().splitlines()[-1]


def test_ctrl_c_leaves_no_half_trained_result(tmp_path, capsys, monkeypatch):
    from bbbnp import BayesRegressor
    fit = BayesRegressor.fit

    def interrupted(self, *data):
        fit(self, *data).interrupted_ = True
        return self

    monkeypatch.setattr(BayesRegressor, "fit", interrupted)
    assert run("regression", "--out", tmp_path, *QUICK) == 1
    assert "stopped" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_report_of_noise_that_depends_on_x_and_of_a_foreign_file(tmp_path):
    assert run("regression", "--out", tmp_path, *QUICK, "--noise", "input") == 0
    assert "| noise of the likelihood (input) | depends on x | depends on x |" in report.regression(tmp_path)
    (tmp_path / "regression.json").write_text("{}")
    with pytest.raises(ValueError, match="not a result"):
        report.regression(tmp_path)


def test_gradcheck_prints_and_writes_its_table(tmp_path, capsys, monkeypatch):
    from bbbnp import gradcheck_cases
    for name in ("path_rows", "estimator_rows", "network_rows"):
        monkeypatch.setattr(gradcheck_cases, name, lambda hidden: iter(()))
    assert run("gradcheck", "--json", tmp_path / "g.json") == 0
    written = json.loads((tmp_path / "g.json").read_text())
    assert written["worst"] == max(row["worst"] for row in written["rows"]) < 1e-7
    assert set(written["rows"][0]) == {"what", "equation", "size", "worst", "entry", "build"}
    assert "softplus" in capsys.readouterr().out
    row = next(gradcheck_cases.kernel_rows())._replace(worst=1e-6)
    monkeypatch.setattr(gradcheck_cases, "kernel_rows", lambda: iter([row]))
    assert run("gradcheck") == 1
    assert run("gradcheck", "--json", tmp_path / "missing" / "g.json") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(capsys, command):
    assert run(command, "--help") == 0
    assert COMMANDS[command][3][:20] in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("which", [0, 1])
def test_the_readmes_python_runs(which, capsys):
    block = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[which]
    if numba.config.DISABLE_JIT:
        block = block.replace("epochs=2000", "epochs=2")
    names = {}
    exec(block, names)
    if "theta" in names:  # the noise was learned
        assert 0.09 < np.exp(names["theta"][-1]) < 0.13
    else:
        assert np.isfinite(names["d"].mean).all() and "[" in capsys.readouterr().out


def test_readme_says_what_the_result_files_say(tmp_path, capsys):
    assert run("report", "--check", "--readme", ROOT / "README.md", "--results", ROOT / "pictures") == 0
    copy = tmp_path / "README.md"
    copy.write_text((ROOT / "README.md").read_text().replace("1.5", "1.6", 1))
    (tmp_path / "notebooks").mkdir()
    for page in ("EQUATIONS.md", "KERNELS.md", "TEMPERATURE.md"):
        (tmp_path / "notebooks" / page).write_text((ROOT / "notebooks" / page).read_text())
    head, tail = copy.read_text().split("<!-- report: results -->")
    copy.write_text(f"{head}<!-- report: results -->{tail.replace('1', '2', 1)}")
    assert run("report", "--check", "--readme", copy, "--results", ROOT / "pictures") == 1
    assert run("report", "--readme", copy, "--results", ROOT / "pictures") == 0
    assert run("report", "--check", "--readme", copy, "--results", ROOT / "pictures") == 0
    before = copy.read_text()
    for missing in (tmp_path, tmp_path / "typo"):
        assert run("report", "--readme", copy, "--results", missing) == 2 and copy.read_text() == before
        assert "whose results are not there" in capsys.readouterr().err
    copy.write_text("no marks")
    assert run("report", "--readme", copy, "--results", ROOT / "pictures") == 2
    assert "marks" in capsys.readouterr().err


def test_regression_json_shows_a_band_that_grows_away_from_the_data():
    result = json.loads((ROOT / "pictures" / "regression.json").read_text())["bayes"]
    inside, outside, far = (result["width_95"][x] for x in ("0.25", "1.0", "1.5"))
    assert inside < outside < far
