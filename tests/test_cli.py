"""The command `fastnn`, called as a function and in subprocesses."""

import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
import fastnn_ext
from fastnn import cli, config
from fastnn_ext import cpu

ROOT = Path(fastnn.__file__).parents[1]


@pytest.fixture(scope="module")
def demo():
    """The output of `fastnn demo`."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.main(["demo"]) == 0
    return out.getvalue()


def found(pattern, text):
    match = re.search(pattern, text)
    assert match, f"{pattern!r} is not in {text!r}"
    return match


def test_demo_recognizes_digits(demo):
    assert float(found(r": ([\d.]+)% of the held-out digits right", demo)[1]) >= 97


def test_demo_names_its_data(demo):
    train, held = map(int, found(r"(\d+) images to train on, (\d+) held out", demo).groups())
    assert (train + held, held) == (1797, 450)


def test_demo_shows_the_network_and_its_progress(demo):
    for word in ("layer", "Dense", "Dropout", "Residual", "softmax", "26,122 parameters"):
        assert word in demo
    shown = [float(x) for x in re.findall(r"accuracy on held-out digits ([\d.]+)%", demo)]
    assert len(shown) == len(range(0, cli.EPOCHS, 5))
    assert shown[-1] > shown[0]


def test_demo_compares_the_engines(demo):
    """Weights are equal up to rounding, and the printed ratio is that of the two times."""
    assert float(found(r"largest difference of a weight (\S+)\.\n", demo)[1]) < 1e-8
    times = found(r"reference \(NumPy\) ([\d.]+) s, native ([\d.]+) s: ([\d.]+) times faster", demo)
    reference, native, ratio = map(float, times.groups())
    assert ratio == pytest.approx(reference / native, rel=0.15)


def test_info_shows_the_configuration(capsys):
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["fastnn"] == config.__version__
    assert lines["engine"].startswith(f"{fastnn_ext.ISA} of ")
    assert lines["build"] == cpu.build()
    assert lines["numpy"] == np.__version__
    assert lines["OpenMP"] in ("yes", "no")
    assert int(found(r"up to (\d+)", lines["threads"])[1]) >= 1
    assert Path(lines["path"]) == Path(fastnn_ext.__file__).parent


def test_show_config_prints_the_same(capsys):
    fastnn.show_config()
    first = capsys.readouterr().out
    cli.main(["info"])
    assert capsys.readouterr().out == first


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"fastnn {fastnn.__version__}\n"


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "demo" in out
    assert "info" in out


@pytest.mark.parametrize("arguments", [[], ["dance"], ["info", "more"]])
def test_an_unknown_command_is_an_error(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: fastnn" in capsys.readouterr().err


def run_module(*arguments, folder, **environment):
    """Run `python -m fastnn` in a folder, whose packages have precedence."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "fastnn", *arguments], cwd=folder, check=False,
        env=clean | environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.process
def test_module_runs_from_another_folder(tmp_path):
    done = run_module("--version", folder=tmp_path, PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"fastnn {fastnn.__version__}\n"


@pytest.mark.process
def test_fastnn_isa_selects_the_engine(tmp_path):
    lowest = fastnn_ext.available()[0]
    done = run_module("info", folder=tmp_path, PYTHONPATH=str(ROOT), FASTNN_ISA=lowest)
    assert done.returncode == 0
    assert f"engine   {lowest} of " in done.stdout


def test_levels_that_were_not_built_are_not_available():
    """A build with FASTNN_LEVELS=v3 works on a processor that could run v4."""
    for level in fastnn_ext.available():
        assert importlib.util.find_spec(f"fastnn_ext.engine_{level}") is not None
    assert fastnn_ext.ISA in fastnn_ext.available()


@pytest.mark.process
def test_an_unknown_engine_is_an_error(tmp_path):
    done = run_module("info", folder=tmp_path, PYTHONPATH=str(ROOT), FASTNN_ISA="v9")
    assert done.returncode == 1
    assert "FASTNN_ISA must be one of" in done.stderr
    assert "got 'v9'" in done.stderr


@pytest.mark.process
def test_sources_without_compiled_modules_raise_an_error_with_advice(tmp_path):
    """The folder of the sources has precedence over an installed fastnn."""
    for package in ("fastnn", "fastnn_ext"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.so", "*.npz")
        )
    done = run_module("--version", folder=tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: fastnn_ext was imported from ")
    assert str(tmp_path / "fastnn_ext") in last
    assert "no compiled modules" in last
    assert "leave that folder" in last
    assert "make build" in last
