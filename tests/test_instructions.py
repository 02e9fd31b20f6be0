"""The check of instruction counts in tools/instructions.py."""

import importlib.util
import json
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[1] / "tools" / "instructions.py"
pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="needs the folder tools/")


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location("instructions", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_deviations_beyond_the_tolerance_are_found(tool):
    find, recorded = tool.find_deviations, {"a": 1000, "b": 1000, "c": 1000, "d": 1000}
    assert find({"a": 1000, "b": 1029, "c": 971, "d": 1001}, recorded) == []
    assert find({"a": 1000, "b": 1032, "c": 968, "d": 1001}, recorded) == ["b", "c"]
    assert find({"a": 1000, "b": 1000, "c": 1000, "new": 1}, recorded) == ["d", "new"]


def test_the_record_contains_every_run(tool):
    recorded = json.loads(tool.RECORD.read_text())["counts"]
    assert list(recorded) == [*tool.TRAINING, *tool.PREDICTION]
    assert len(list(tool.format_table(recorded, {}))) == len(recorded) + 1
