"""Each run tests the build that it names, in the processes that it starts too."""

import os
import subprocess
import sys

import pytest

import fastnn_ext
from fastnn_ext import cpu, engine

pytestmark = pytest.mark.process


def collect(**environment):
    """What pytest says of this file where other expectations hold."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "--collect-only", __file__],
        env=os.environ | environment, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_what_is_expected_is_tested():
    done = collect(FASTNN_ISA=fastnn_ext.ISA, FASTNN_EXPECT_BUILD=cpu.build())
    assert done.returncode == 0, done.stderr
    assert f"tested: {cpu.build()} {engine.__file__}" in done.stdout


def test_another_folder_is_refused(tmp_path):
    done = collect(FASTNN_EXPECT_FOLDER=str(tmp_path))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    for name in ("fastnn", "fastnn_ext", cpu.__name__, engine.__name__):
        assert f"folder of {name}: expected {tmp_path}, found " in done.stderr


@pytest.mark.parametrize("missing", ["address", "thread", "undefined"])
def test_a_build_without_its_sanitizer_is_refused(missing):
    done = collect(FASTNN_EXPECT_BUILD=f"{cpu.build()},{missing}")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "build: expected " in done.stderr
    assert "build of the engine: expected " in done.stderr


def test_bounds_checks_are_looked_for():
    other = {"debug": "optimized", "optimized": "debug"}
    kind, *sanitizers = cpu.build().split(",")
    done = collect(FASTNN_EXPECT_BUILD=",".join([other[kind], *sanitizers]))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "build of the engine: expected " in done.stderr


def test_processes_import_the_build_under_test():
    done = subprocess.run(
        [sys.executable, "-c", "import fastnn_ext.engine as e; print(e.__file__)"],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == engine.__file__
