"""Each test run uses the build that it expects, also in the processes that it starts."""

import os
import subprocess
import sys

import pytest

import fastnn_ext
from fastnn_ext import cpu, engine

pytestmark = pytest.mark.process


def collect(**environment):
    """The result of collecting this file with other expectations in the environment."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "--collect-only", __file__],
        env=os.environ | environment, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_expected_build_is_tested():
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


def test_a_build_with_other_bounds_checks_is_refused():
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
