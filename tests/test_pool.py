"""Ctrl-C in a worker pool; test_many.py tests pools that train networks."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from fastnn._parallel import limits, pool
from fastnn._parallel.pool import Task


def test_no_task_runs_after_ctrl_c():
    running = []

    def work():
        running.append(True)
        try:
            while True:
                time.sleep(0.01)
                limits.check_cancelled()
        finally:
            time.sleep(0.3)  # like a long step that cannot be interrupted
            running.pop()

    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    done = pool.run_tasks([Task(work)] * 3, n_threads=2)
    assert not running
    assert [one.stop_reason for one in done] == [pool.INTERRUPTED] * 3


def test_ctrl_c_may_reach_another_thread():
    def work():
        while True:
            time.sleep(0.01)
            limits.check_cancelled()

    threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()
    (done,) = pool.run_tasks([Task(work)])
    assert done.interrupted


def test_no_tasks():
    assert pool.run_tasks([]) == []


BESIDE_POLARS = """
    import os, signal, threading
    import polars  # which installs a signal handler before Python
    from fastnn._parallel import limits, pool

    def work():
        while True:
            limits.check_cancelled()

    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    (done,) = pool.run_tasks([pool.Task(work)])
    print(done.stop_reason)
"""


@pytest.mark.process
def test_ctrl_c_if_another_library_handles_the_signal_first():
    pytest.importorskip("polars")
    command = [sys.executable, "-c", textwrap.dedent(BESIDE_POLARS)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{pool.INTERRUPTED}\n", done.stderr
