"""Many independent pieces of work side by side, one to a thread.

The kernels release the GIL, so threads are enough: the work shares its arrays, and nothing is
pickled. The thread that calls only waits, and so can handle a signal at any time.
"""

from __future__ import annotations

import contextvars
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastnn import checks, threads
from fastnn.progress import Progress
from fastnn.threads import Crew

# The thread that waits looks up this often: where a library has put a handler of its own before
# Python's (Polars does), a signal does not end the wait for a lock.
SECONDS_PER_LOOK = 0.05

INTERRUPTED = "interrupted by the user"
TIME_IS_UP = "the time was up before it began"


@dataclass(frozen=True)
class Task:
    """A piece of work."""

    work: Callable[[], Any]
    flops: float = 0.0
    """How much arithmetic it is, roughly: the longest begin first, so that all end together."""
    wide: bool = False
    """Whether it is faster on all threads, alone, than beside others; such tasks come first."""


@dataclass
class Done:
    """What came of a task."""

    value: Any = None
    error: Exception | None = None
    seconds: float = 0.0
    stop_reason: str | None = None
    """Why it was not done to its end."""

    @property
    def interrupted(self) -> bool:
        """By Ctrl-C; or the time was up before it began."""
        return self.stop_reason is not None


def check(n_threads: int | None, max_time: float | None, verbose: int) -> None:
    """An error if `run` cannot do with these."""
    if n_threads is not None:
        checks.whole("n_threads", n_threads, at_least=1)
    if max_time is not None:
        checks.number("max_time", max_time, above=0)
    checks.verbosity(verbose)


def run(
    tasks: Sequence[Task],
    n_threads: int | None = None,
    max_time: float | None = None,
    verbose: int = 0,
) -> list[Done]:
    """Do all tasks on so many threads, by default as many as the process may use; returns what
    came of each, in their order.

    An exception of a task is its own matter and is returned. On Ctrl-C, or when `max_time` seconds
    have passed, no other task begins, and fits in progress stop, each with a usable network.
    """
    most = threads.share(threads.limit()) if n_threads is None else n_threads
    deadline = math.inf if max_time is None else time.monotonic() + max_time
    crew = Crew(most, min(deadline, threads.deadline()), threads.crew())
    done = [Done(stop_reason=TIME_IS_UP) for _ in tasks]
    order = sorted(range(len(tasks)), key=lambda i: -tasks[i].flops)
    with Progress(len(tasks), verbose, "network") as progress:
        for wide in (True, False):
            waiting = deque(i for i in order if tasks[i].wide is wide)
            crew.working = min(1 if wide else most, len(waiting))
            _work_off(crew, waiting, tasks, done, progress)
            for i in waiting if crew.cancelled else ():
                done[i].stop_reason = INTERRUPTED
    return done


def _work_off(
    crew: Crew, waiting: deque[int], tasks: Sequence[Task], done: list[Done], progress: Progress
) -> None:
    """Do the waiting tasks on `crew.working` threads."""
    lock, all_done = threading.Lock(), threading.Event()

    def work() -> None:
        threads.join(crew)
        try:
            while not crew.cancelled and time.monotonic() < crew.deadline:
                with lock:
                    i = waiting.popleft() if waiting else None
                if i is None:
                    break
                _do(tasks[i], done[i])
                with lock:
                    progress.update({})
        finally:
            with lock:
                crew.working -= 1
                if not crew.working:
                    all_done.set()

    if not waiting:
        return
    members = [
        threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
        for _ in range(crew.working)
    ]
    for member in members:
        member.start()
    # Thread.join would not do: interrupted by a signal, it takes the thread for dead (Python 3.11).
    while not all_done.is_set():
        try:
            all_done.wait(SECONDS_PER_LOOK)
        except KeyboardInterrupt:
            crew.cancelled = True


def _do(task: Task, done: Done) -> None:
    began = time.perf_counter()
    try:
        done.value, done.stop_reason = task.work(), None
    except KeyboardInterrupt:  # see threads.check_cancelled
        done.stop_reason = INTERRUPTED
    except Exception as error:
        done.error, done.stop_reason = error, None
    done.seconds = time.perf_counter() - began
