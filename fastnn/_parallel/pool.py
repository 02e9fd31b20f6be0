"""Many independent pieces of work side by side, one to a thread.

The kernels release the GIL, so threads are enough: the work shares its arrays, and nothing is
pickled. The thread that calls only waits, and so can handle a signal at any time.
"""

from __future__ import annotations

import _thread
import contextvars
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastnn._parallel import limits
from fastnn._parallel.limits import Crew
from fastnn._util import checks
from fastnn._util.progress_bar import Progress

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
    error: BaseException | None = None
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
    have passed, no other task begins, and fits in progress stop, each with a usable network. What
    any other signal handler raises, such as a time limit, is raised once they have stopped.
    """
    if n_threads is None:
        most = limits.share(limits.limit())
    else:
        most = min(n_threads, limits.processors())
    deadline = math.inf if max_time is None else time.monotonic() + max_time
    crew = Crew(most, min(deadline, limits.deadline()), limits.crew())
    done = [Done(stop_reason=TIME_IS_UP) for _ in tasks]
    order = sorted(range(len(tasks)), key=lambda i: -tasks[i].flops)
    with Progress(len(tasks), verbose, "network") as progress:
        for wide in (True, False):
            waiting = deque(i for i in order if tasks[i].wide is wide)
            crew.working = min(1 if wide else most, len(waiting))
            if waiting and not crew.cancelled:
                _Pool(crew, waiting, tasks, done, progress).run()
            for i in waiting if crew.cancelled else ():
                done[i].stop_reason = INTERRUPTED
    return done


class _Pool:
    """Threads that do the waiting tasks. None of them outlives the call of `run`.

    Signals are handled in the thread that calls, where they may raise an exception at any moment,
    also within `threading.Thread.start` and `threading.Event.wait`, whose locks are then not as
    they should be. So that thread only starts another one, in a single call to C, which starts the
    workers; and waits for a plain lock.
    """

    def __init__(
        self, crew: Crew, waiting: deque[int], tasks: Sequence[Task], done: list[Done],
        progress: Progress,
    ) -> None:  # fmt: skip
        self.crew = crew
        self.waiting = waiting
        self.tasks = tasks
        self.done = done
        self.progress = progress
        self.caller = threading.get_ident()
        self.errors: list[BaseException] = []  # of threads, outside of tasks
        self.lock = threading.Lock()
        self.active: set[object] = set()  # threads, or what stands for them
        self.ended = False
        self.wake = threading.Lock()  # released at the end
        self.wake.acquire()

    def run(self) -> None:
        """Do all tasks, or on Ctrl-C those that are finished by then.

        Raises
        ------
        BaseException
            What a signal handler raised, unless it was KeyboardInterrupt, or what went wrong in
            the threads outside of tasks.
        """
        caught: tuple[BaseException, ...] = ()
        begun = over = False
        # Python looks for signals after calls and where a loop goes back. So the handlers make no
        # call, and the outer loop is for a second signal that comes just after the first.
        while not over:
            try:
                while not over:
                    try:
                        if not begun:
                            begun = True
                            self.start()
                        self.wait()
                        over = True
                    except BaseException as error:
                        self.crew.cancelled = True
                        caught += (error,)
            except BaseException as error:
                self.crew.cancelled = True
                caught += (error,)
        for found in (*self.errors, *caught):
            if not isinstance(found, KeyboardInterrupt):
                raise found

    def start(self) -> None:
        """Start all threads, or do the work in this one if there are none to be had."""
        try:
            _thread.start_new_thread(contextvars.copy_context().run, (self.start_workers,))
        except (RuntimeError, MemoryError):
            own = object()
            self.active.add(own)
            self.work(own)

    def wait(self) -> None:
        """Wait for the end. A thread that was started just before a signal, and does not begin at
        once, finds then that the crew was cancelled."""
        while not self.ended:
            self.wake.acquire(timeout=SECONDS_PER_LOOK)
            if self.crew.cancelled and not self.active:
                return

    def start_workers(self) -> None:
        """Start as many threads as there are to be had; without any, do the work in this one."""
        own = object()
        with self.lock:
            if self.crew.cancelled:
                return
            self.active.add(own)
        wanted = self.crew.working
        started = next((n for n in range(wanted) if not self.start_worker()), wanted)
        if started:
            self.leave(own, n_working=wanted - started)
        else:
            self.work(own)

    def start_worker(self) -> bool:
        """Whether another thread could be had."""
        own = object()
        with self.lock:
            self.active.add(own)
        try:
            run = contextvars.copy_context().run
            threading.Thread(
                target=run, args=(self.work, own), daemon=True, name="fastnn worker"
            ).start()
        except (RuntimeError, MemoryError):
            self.leave(own)
            return False
        return True

    def work(self, own: object) -> None:
        """Do tasks, one after another, as long as there are any and time is left."""
        with self.lock:
            if own not in self.active:
                return
        limits.join(self.crew)
        try:
            self.do_tasks()
        except BaseException as error:
            self.crew.cancelled = True
            self.errors.append(error)
        finally:
            limits.join(self.crew.parent)
            self.leave(own, n_working=1)

    def do_tasks(self) -> None:
        by_caller = threading.get_ident() == self.caller
        while not self.crew.cancelled and time.monotonic() < self.crew.deadline:
            with self.lock:
                i = self.waiting.popleft() if self.waiting else None
            if i is None:
                return
            _do(self.tasks[i], self.done[i])
            if by_caller and self.done[i].interrupted:  # by Ctrl-C
                self.crew.cancelled = True
            with self.lock:
                self.progress.update({})

    def leave(self, own: object, n_working: int = 0) -> None:
        """A thread has nothing more to do, and the crew this many workers fewer; the last thread
        ends the wait."""
        with self.lock:
            self.crew.working = max(1, self.crew.working - n_working)
            self.active.discard(own)
            if not self.active and not self.ended:
                self.ended = True
                self.wake.release()


def _do(task: Task, done: Done) -> None:
    began = time.perf_counter()
    try:
        done.value, done.stop_reason = task.work(), None
    except KeyboardInterrupt:  # see limits.check_cancelled
        done.stop_reason = INTERRUPTED
    except BaseException as error:  # SystemExit of a callback ends this task alone, as any other
        done.error, done.stop_reason = error, None
    done.seconds = time.perf_counter() - began
