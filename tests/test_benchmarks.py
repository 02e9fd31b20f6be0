"""The benchmark suite: names of its cases, a short run, and the README's table and plot."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="this copy has no folder benchmarks/")


@pytest.fixture
def cases(monkeypatch):
    spec = importlib.util.spec_from_file_location("benchmark_cases", FOLDER / "cases.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look up their module
    spec.loader.exec_module(module)
    return module


def test_names_of_cases_are_unique(cases):
    names = [case.name for group in cases.GROUPS.values() for case in group]
    assert len(names) == len(set(names)) == len(cases.BY_NAME)


def test_selection_by_group_and_by_part_of_a_name(cases):
    assert cases.select([]) == [*cases.GROUPS["training"], *cases.GROUPS["prediction"]]
    assert cases.select(["online"]) == list(cases.GROUPS["online"])
    assert [case.name for case in cases.select(["2-8-1"])] == ["2-8-1 tanh, binary, batch 32"]
    with pytest.raises(ValueError, match="--only: expected a group"):
        cases.select(["no such case"])


def test_readme_has_the_table_of_the_results(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    summary = importlib.import_module("summary")
    readme, results = (FOLDER.parent / "README.md", FOLDER / "RESULTS.md")
    assert summary.update_readme(readme.read_text(), results.read_text()) == readme.read_text()
    assert summary.format_table(results.read_text()).count("×") >= 30


def test_plots_are_drawn_from_the_results(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(FOLDER)
    plots, summary = importlib.import_module("plots"), importlib.import_module("summary")
    results = (FOLDER / "RESULTS.md").read_text()
    assert set(plots.SELECTED) <= summary.read_ratios(results, "Training").keys()
    paths = plots.draw(results, tmp_path)
    assert sorted(path.name for path in paths) == sorted(path.name for path in FOLDER.glob("*.png"))


@pytest.mark.process
def test_a_short_run(tmp_path):
    command = [sys.executable, FOLDER / "run.py", "--quick", "--only", "2-8-1"]
    command += ["--peers", "reference", "--json", tmp_path / "figures.json"]
    process = subprocess.run(
        command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 0, process.stderr
    assert "| 2-8-1 tanh, binary, batch 32 |" in process.stdout
    (case,) = json.loads((tmp_path / "figures.json").read_text())["cases"]
    (peer,) = case["peers"]
    assert peer["peer"] == "reference"
    assert len(peer["seconds"]) == 3
    # Both engines train from the same weights; the order of rows may differ.
    assert abs(peer["prepared"]["loss"] - case["prepared"]["loss"]) < 1e-3


@pytest.mark.process
def test_a_short_run_on_a_table(tmp_path):
    pytest.importorskip("sklearn")
    command = [sys.executable, FOLDER / "perceptrons.py", "--quick", "--sets", "diabetes"]
    command += ["--output", tmp_path / "table.md"]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    text = (tmp_path / "table.md").read_text()
    for contender in ("fastnn", "scikit-learn", "boosting", "pytorch"):
        assert f"| {contender} | " in text
    assert "| RMSE | fastnn | 0." in text


@pytest.mark.process
def test_short_runs_of_the_estimators_for_tables(tmp_path):
    pytest.importorskip("sklearn")
    command = [sys.executable, FOLDER / "tabular.py", "--quick", "--sets", "diabetes,breast_cancer"]
    command += ["--contenders", "fast,histogram boosting", "--output", tmp_path / "table.md"]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    text = (tmp_path / "table.md").read_text()
    assert re.search(r"\| fast \| histogram boosting \| [01]\.\d+ \| [012] of 2 \|", text)
    assert re.search(r"### Log loss\n\n\| set .*\n.*\n\| breast_cancer \| .*0\.\d{4}", text)
    command = [sys.executable, FOLDER / "ablation.py", "--sets", "diabetes", "--seeds", "1"]
    process = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    assert "| the whole recipe |  | 1.000 | 1.000 |" in process.stdout
    assert process.stdout.count("\n") == 16


def run_quickly(name, folder):
    """The report of a short run of one comparison."""
    command = [sys.executable, FOLDER / "run.py", "--quick", "--only", name]
    process = subprocess.run(
        command, check=False, cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.process
def test_a_short_comparison_of_derivatives(monkeypatch, tmp_path):
    """With fastnn and the other libraries that are installed, whose results have to be equal."""
    report = run_quickly("derivatives", tmp_path)
    assert report.count("Jacobian, ") == 4
    assert report.count("Hessian, ") == 2
    assert report.count("| 8 | ") == 16
    monkeypatch.syspath_prepend(FOLDER)
    pytest.importorskip("matplotlib")
    numbers = importlib.import_module("derivative_numbers")
    numbers.draw_modes(report, tmp_path / "modes.png")
    assert (tmp_path / "modes.png").stat().st_size > 10_000


@pytest.mark.process
def test_a_short_comparison_of_levenberg_marquardt(tmp_path):
    report = run_quickly("lm", tmp_path)
    rows = [line.strip("| ").split(" | ") for line in report.splitlines()]
    beside_scipy = [row for row in rows if len(row) == 7 and row[2].endswith(" ms")]
    assert len(beside_scipy) == 3
    for row in beside_scipy:  # both minimize the same sum of squares, along different paths
        assert float(row[5]) < 10 * float(row[6]) < 0.6
    assert len([row for row in rows if len(row) == 8 and row[3].endswith(" s")]) == 3


@pytest.mark.process
def test_short_measurements_of_fits(tmp_path):
    report = run_quickly("fit", tmp_path)
    assert report.count("| 64-64-64-1 | ") == report.count("| 784-128-10 | ") == 1
    assert report.count("| both, gradient_weight=") == 3


def test_gradients_of_the_styblinski_tang_function(monkeypatch, rng):
    monkeypatch.syspath_prepend(FOLDER)
    surrogates = importlib.import_module("surrogates")
    X, h = rng.uniform(size=(20, 2)), 1e-6
    evaluate = surrogates.evaluate_styblinski_tang
    _, gradients = evaluate(X)
    for i, shift in enumerate(h * np.eye(2)):
        numeric = evaluate(X + shift)[0] - evaluate(X - shift)[0]
        np.testing.assert_allclose(gradients[:, 0, i], numeric[:, 0] / (2 * h), atol=1e-8)
