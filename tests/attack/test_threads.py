"""If the system refuses to start threads, a call uses fewer, with the same result."""

import subprocess
import sys
import textwrap
import threading
import warnings

import numpy as np
import pytest

import fastnn as fn
from fastnn._parallel import pool
from fastnn._parallel.pool import Task

X = np.random.default_rng(0).standard_normal((60, 3))
Y = np.arange(60) % 2


def parameters_of_many():
    nets = [
        fn.Sequential(fn.Dense(4, "tanh"), fn.Dense(1, "sigmoid"), random_state=seed)
        for seed in range(6)
    ]
    runs = fn.fit_many(nets, X, Y, epochs=3, n_threads=4)
    assert all(run.stop_reason is None for run in runs)
    return np.concatenate([net.parameters for net in nets])


@pytest.fixture
def refusing(monkeypatch):
    """Make the system refuse to start threads: the k-th one if `which(k)` is true."""
    start = threading.Thread.start

    def refuse(which, error=RuntimeError):
        count = 0

        def start_or_refuse(thread):
            nonlocal count
            count += 1
            if which(count):
                raise error("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", start_or_refuse)

    yield refuse
    monkeypatch.undo()


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_each_thread_is_refused(refusing, error, rounds):
    expected = parameters_of_many()
    before = threading.active_count()
    for k in range(1, rounds(5, 8)):
        refusing(lambda count, k=k: count == k, error)
        assert np.array_equal(parameters_of_many(), expected)
        refusing(lambda count, k=k: count >= k, error)
        assert np.array_equal(parameters_of_many(), expected)
    assert threading.active_count() == before


def test_no_memory_for_a_thread(monkeypatch):
    expected = parameters_of_many()

    def refuse(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr(threading, "Thread", refuse)
    assert np.array_equal(parameters_of_many(), expected)


@pytest.mark.usefixtures("recwarn")
def test_estimators_without_threads(refusing):
    pytest.importorskip("sklearn")
    base = fn.MLPClassifier((4,), max_iter=3, random_state=0, tol=0)
    calls = [
        lambda: fn.MLPEnsemble(base, n_estimators=3).fit(X, Y).predict_proba(X),
        lambda: fn.MLPSearchCV(base, {"width": [2, 3]}, cv=2).fit(X, Y).scores_,
        lambda: fn.MLPClassifier((4,), max_iter=3, n_init=3, random_state=0).fit(X, Y).restarts_,
    ]
    warnings.simplefilter("ignore")  # ConvergenceWarning
    expected = [call() for call in calls]
    refusing(lambda _: True)
    for call, values in zip(calls, expected, strict=True):
        assert np.array_equal(call(), values)


def test_ctrl_c_if_the_caller_runs_the_tasks(refusing):
    refusing(lambda _: True)

    def work():
        raise KeyboardInterrupt

    done = pool.run_tasks([Task(work)] * 3, n_threads=2)
    assert [one.stop_reason for one in done] == [pool.INTERRUPTED] * 3


LIMITED = """
    import os, resource, sys
    import numpy as np
    import fastnn as fn

    X, Y = np.random.default_rng(0).standard_normal((60, 3)), np.arange(60) % 2

    def train():
        nets = [fn.Sequential(fn.Dense(1, "sigmoid"), random_state=seed) for seed in range(3)]
        fn.fit_many(nets, X, Y, epochs=3, n_threads=1)
        return np.concatenate([net.parameters for net in nets])

    expected = train()
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    if os.getuid() == 0:
        os.setuid(65534)  # the limit does not apply to root
    print(np.array_equal(train(), expected))
"""


@pytest.mark.process
def test_limit_on_the_number_of_processes():
    command = [sys.executable, "-c", textwrap.dedent(LIMITED)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, KeyError])
def test_error_of_a_callback_ends_only_its_network(error):
    def callback(epoch):
        if epoch.network.seed == 1:
            raise error("in a callback")

    nets = [fn.Sequential(fn.Dense(1, "sigmoid"), random_state=seed) for seed in range(5)]
    with pytest.warns(RuntimeWarning, match="networks failed"):
        runs = fn.fit_many(nets, X, Y, epochs=3, callbacks=[callback], n_threads=2)
    assert [run.error is None for run in runs] == [True, False, True, True, True]
    assert isinstance(runs[1].error, error)
    assert [len(run.history or ()) for run in runs] == [3, 0, 3, 3, 3]
