"""What `verbose` shows: lines in logs, a bar on terminals and in notebooks."""

import io
import os
import pty
import re
import subprocess
import sys
import termios
import textwrap
import types
import warnings

import numpy as np
import pytest

import fastnn as fn
from fastnn._util import progress_bar

N = 26


@pytest.fixture
def rows(rng):
    X = rng.normal(size=(N, 3))
    return X, (X[:, 0] + 0.5 * rng.normal(size=N) > 0).astype(int)


def network(random_state=0):
    layers = fn.Dense(6, "tanh"), fn.Dense(2, "softmax")
    return fn.Sequential(*layers, random_state=random_state, dtype="float64")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A function that replaces stderr by a terminal. Tests call it themselves, as pytest replaces
    stderr after the fixtures."""

    def use():
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    return use


def hide_tqdm(monkeypatch):
    for name in ("tqdm", "tqdm.auto"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def clock(monkeypatch):
    """A clock that shows `clock.now`."""
    fake = types.SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: fake.now)
    return fake


# ---- lines in logs and pipes ----


def shown(capsys, total, unit="epoch"):
    """The counts of the lines on stderr, which have the form `unit done/total ...`."""
    out, err = capsys.readouterr()
    assert out == ""
    counts = [re.match(rf"{unit} (\d+)/{total}(  loss [\d.e-]+.*)?$", line)
              for line in err.splitlines()]  # fmt: skip
    assert all(counts), err
    return [int(count[1]) for count in counts]


def test_short_fit_prints_one_line(rows, capsys):
    history = network().fit(*rows, epochs=3, validation_data=rows, verbose=1)
    loss, held = history["loss"][-1], history["val_loss"][-1]
    err = capsys.readouterr().err
    assert err.startswith(f"epoch 3/3  loss {loss:.4g}  val_loss {held:.4g}  val_accuracy ")
    assert err.count("\n") == 1
    assert err.endswith("\n")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(1.5, [2, 4, 6, 8, 10, 12]), (0.25, [8, 12]), (0.5, [4, 8, 12]), (0.0, [12])],
)
def test_at_most_one_line_per_second_and_epoch(capsys, clock, seconds, expected):
    with progress_bar.ProgressBar(12, 1) as bar:
        for _ in range(6):
            clock.now += seconds
            bar.update({"loss": 0.5, "seconds": seconds}, 2)
    assert shown(capsys, 12) == expected


def test_last_epoch_is_shown_after_early_stopping(rows, capsys):
    network().fit(*rows, epochs=10, verbose=1, callbacks=[lambda epoch: epoch.index == 5])
    assert shown(capsys, 10) == [6]


def test_epochs_are_grouped_as_without_progress(rows, capsys, monkeypatch):
    """Showing progress does not slow down short epochs."""
    calls = []
    before = progress_bar.ProgressBar.update

    def count(self, logs, n=1):
        calls.append(n)
        before(self, logs, n)

    monkeypatch.setattr(progress_bar.ProgressBar, "update", count)
    quiet, told = network(), network()
    quiet.fit(*rows, epochs=300)
    silent, calls[:] = list(calls), []
    told.fit(*rows, epochs=300, verbose=1)
    assert sum(silent) == sum(calls) == 300
    assert len(calls) < 150
    assert (quiet.parameters == told.parameters).all()


@pytest.mark.parametrize("verbose", [True, 1, 2, np.int64(1)])
def test_verbose_accepts_booleans_and_integers(rows, capsys, verbose):
    network().fit(*rows, epochs=2, verbose=verbose)
    assert shown(capsys, 2) == [2]
    fn.fit_many([network(), network(1)], *rows, epochs=2, verbose=verbose)
    assert shown(capsys, 2, "network") == [2]


@pytest.mark.parametrize("verbose", [False, 0])
def test_nothing_is_shown_without_verbose(rows, terminal, capsys, verbose):
    stream = terminal()
    network().fit(*rows, epochs=2, verbose=verbose)
    fn.fit_many([network()], *rows, epochs=2, verbose=verbose)
    assert stream.getvalue() == ""
    assert capsys.readouterr() == ("", "")


def test_nothing_is_shown_without_stderr(rows, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    network().fit(*rows, epochs=2, verbose=1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("wrong", [-1, 1.5, "yes", None])
def test_verbose_is_checked(rows, wrong):
    with pytest.raises((TypeError, ValueError), match="verbose: expected True, False or a whole"):
        network().fit(*rows, verbose=wrong)
    with pytest.raises((TypeError, ValueError), match="verbose: expected True, False or a whole"):
        fn.fit_many([network()], *rows, verbose=wrong)


# ---- a bar on terminals ----


def test_tqdm_shows_epochs_and_values(rows, terminal):
    pytest.importorskip("tqdm")
    stream = terminal()
    history = network().fit(*rows, epochs=3, validation_data=rows, verbose=1)
    text = stream.getvalue()
    assert "3/3" in text
    assert "epoch" in text
    for name in ("loss", "val_loss", "val_accuracy"):
        assert f"{name} {history[name][-1]:.4g}" in text
    assert "seconds" not in text
    assert text.endswith("\n")


def test_terminal_without_tqdm_has_a_rewritten_line(rows, terminal, monkeypatch):
    hide_tqdm(monkeypatch)
    stream = terminal()
    history = network().fit(*rows, epochs=3, validation_data=rows, verbose=1)
    start, *lines = stream.getvalue().split("\r")
    assert start == ""
    assert len(lines) == 3
    for index, line in enumerate(lines):
        loss, held = history["loss"][index], history["val_loss"][index]
        assert line.startswith(f"epoch {index + 1}/3  loss {loss:.4g}  val_loss {held:.4g}  val_")
        assert line.rstrip("\n").endswith("\x1b[K")
    assert stream.getvalue().count("\n") == 1
    assert lines[-1].endswith("\n")


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_line_is_ended_after_an_exception(rows, terminal, monkeypatch, with_tqdm):
    if with_tqdm:
        pytest.importorskip("tqdm")
    else:
        hide_tqdm(monkeypatch)

    def fail(epoch):
        if epoch.index == 1:
            raise RuntimeError("no space")

    stream = terminal()
    with pytest.raises(RuntimeError, match="no space"):
        network().fit(*rows, epochs=3, validation_data=rows, verbose=1, callbacks=[fail])
    assert stream.getvalue().endswith("\n")


# ---- notebooks ----


@pytest.fixture
def notebook(monkeypatch):
    """IPython as in the kernel of a notebook; tqdm's widget is replaced by a text bar."""
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    fake = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", fake)


def test_notebook_has_a_bar(rows, notebook, capsys, monkeypatch):
    auto = pytest.importorskip("tqdm")
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=auto.tqdm))
    network().fit(*rows, epochs=3, verbose=1)
    err = capsys.readouterr().err
    assert "\r" in err
    assert "3/3" in err


def test_notebook_without_tqdm_has_lines(rows, notebook, capsys, monkeypatch):
    hide_tqdm(monkeypatch)
    network().fit(*rows, epochs=3, verbose=1)
    assert shown(capsys, 3) == [3]


WITHOUT_IPYWIDGETS = """
    import sys, types, warnings
    warnings.simplefilter("always")
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell, version_info=(8, 0))
    sys.modules["ipykernel.zmqshell"] = shell
    sys.modules["ipywidgets"] = None
    from fastnn._util import progress_bar
    bar = progress_bar.ProgressBar(2, 1)
    with bar:
        bar.update({"loss": 0.5}, 2)
"""


@pytest.mark.process
def test_notebook_without_ipywidgets():
    """tqdm warns there, and draws the bar with characters."""
    pytest.importorskip("tqdm")
    command = [sys.executable, "-c", textwrap.dedent(WITHOUT_IPYWIDGETS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert "2/2" in done.stderr
    assert "IProgress" not in done.stderr


def test_ipython_on_a_terminal_is_not_a_notebook(rows, notebook, capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["IPython"].get_ipython(), "config", {})
    network().fit(*rows, epochs=3, verbose=1)
    assert shown(capsys, 3) == [3]


# ---- estimators ----


def estimators():
    pytest.importorskip("sklearn")
    return fn.MLPClassifier((4,), max_iter=3, random_state=0, verbose=True)


def quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_estimator_shows_lines_of_scikit_learn_or_a_bar(rows, terminal, capsys, solver):
    model = estimators().set_params(solver=solver)
    quietly(lambda: model.fit(*rows))
    out, err = capsys.readouterr()
    assert out.count("Iteration ") == model.n_iter_
    assert err == ""
    stream = terminal()
    quietly(lambda: model.fit(*rows))
    assert capsys.readouterr().out == ""
    assert f"{model.n_iter_}/3" in stream.getvalue()


def test_searches_ensembles_and_curves_count_networks(rows, capsys):
    model = estimators().set_params(verbose=False)
    quietly(lambda: fn.MLPEnsemble(model, 3, verbose=True).fit(*rows))
    assert shown(capsys, 3, "network") == [3]
    search = fn.MLPSearchCV(model, {"alpha": [0.1, 1.0]}, cv=2, n_seeds=1, verbose=True)
    quietly(lambda: search.fit(*rows))
    assert shown(capsys, 4, "network") == [4]
    quietly(lambda: fn.learning_curve(model, *rows, cv=2, n_seeds=1, train_sizes=[1.0],
                                      verbose=True))  # fmt: skip
    assert shown(capsys, 2, "network") == [2]


# ---- real streams ----

FIT = """
import fastnn as fn, numpy as np
X = np.random.default_rng(0).normal(size=(40, 3))
fn.Sequential(fn.Dense(1), random_state=0).fit(X, X[:, 0], epochs=50, verbose=True)
"""


@pytest.mark.process
def test_pipe_gets_lines():
    done = subprocess.run(
        [sys.executable, "-c", FIT], check=True, timeout=60, capture_output=True, text=True
    )
    assert re.fullmatch(r"epoch 50/50  loss [\d.]+\n", done.stderr)
    assert done.stdout == ""


@pytest.mark.process
def test_terminal_gets_a_bar():
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    child = subprocess.Popen([sys.executable, "-c", FIT], stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 4096):
            text += part
    except OSError:  # how Linux reports that the other side is closed
        pass
    os.close(ours)
    assert child.wait(timeout=60) == 0
    assert b"50/50" in text
    assert b"\r" in text
