"""The course in `examples/course`: each script runs and ends in the number that it teaches."""

import importlib.util
import runpy
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

import fastnn as fn

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "course"
SCRIPTS = sorted(FOLDER.glob("plot_*.py"))
MOST_LINES = 70

pytestmark = pytest.mark.skipif(not SCRIPTS, reason="this copy has no folder examples/")


def read_expectations():
    """A check of the result of each script, by the script's name."""
    expected = {}
    for path in sorted((Path(__file__).parent / "gallery").glob("*.py")):
        expected |= runpy.run_path(str(path))["EXPECTED"]
    return expected


EXPECTED = read_expectations()


@pytest.fixture
def pictures(request, monkeypatch):
    """matplotlib without a screen; if it is not installed, stand-ins that draw nothing."""
    if importlib.util.find_spec("matplotlib") is not None:
        request.getfixturevalue("pyplot")
        return
    pyplot = mock.MagicMock()
    pyplot.subplots.side_effect = lambda *sizes, **_: (mock.MagicMock(), make_panels(*sizes))
    monkeypatch.setitem(sys.modules, "matplotlib", mock.MagicMock(pyplot=pyplot))
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", pyplot)
    monkeypatch.setattr(fn, "plot", mock.MagicMock(), raising=False)


def make_panels(n_rows=1, n_columns=1):
    """Stand-ins for the axes of a grid, in the shape in which matplotlib returns them."""
    panels = np.empty((n_rows, n_columns), dtype=object)
    for place in np.ndindex(panels.shape):
        panels[place] = mock.MagicMock()
    return panels if n_rows > 1 else panels[0]


@pytest.mark.long
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
@pytest.mark.usefixtures("pictures")
def test_script(script, monkeypatch):
    if "sklearn" in script.read_text():
        pytest.importorskip("sklearn")
    monkeypatch.setattr(sys, "argv", [str(script)])
    EXPECTED[script.name](runpy.run_path(str(script))["result"])


def test_every_script_has_a_check():
    assert {path.name for path in SCRIPTS} == EXPECTED.keys()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_short(script):
    assert len(script.read_text().splitlines()) <= MOST_LINES
