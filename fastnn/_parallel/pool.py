"""Independent tasks on a pool of Python threads.

The kernels release the GIL, so threads are sufficient: tasks share arrays, and nothing is pickled.
The calling thread only waits, and so can handle a signal at any time.
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
from fastnn._parallel.limits import WorkerPool
from fastnn._util import checks
from fastnn._util.progress_bar import ProgressBar

# The waiting thread wakes up at this interval. If a library installed a signal handler before
# Python's (Polars does), a signal does not end the wait for a lock.
POLL_SECONDS = 0.05

INTERRUPTED = "interrupted by the user"
NOT_STARTED = "time limit reached before it started"


@dataclass(frozen=True)
class Task:
    """A function to call, and what is known of its cost."""

    work: Callable[[], Any]
    flops: float = 0.0
    """Estimated FLOPs. The longest tasks start first, so that all workers finish together."""
    wide: bool = False
    """Whether the task is faster on all threads than next to another task. Such tasks run one
    after another, before the others."""


@dataclass
class TaskResult:
    """The outcome of a task."""

    value: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    stop_reason: str | None = None
    """Why the task did not finish; None if it did, or raised `error`."""

    @property
    def interrupted(self) -> bool:
        """Whether the task was interrupted by Ctrl-C, or did not start within the time limit."""
        return self.stop_reason is not None


def check_limits(n_threads: int | None, max_time: float | None, verbose: int) -> None:
    """Check the arguments of `run_tasks`."""
    if n_threads is not None:
        checks.whole("n_threads", n_threads, at_least=1)
    if max_time is not None:
        checks.number("max_time", max_time, above=0)
    checks.verbosity(verbose)


def run_tasks(
    tasks: Sequence[Task],
    n_threads: int | None = None,
    max_time: float | None = None,
    verbose: int = 0,
) -> list[TaskResult]:
    """Run independent tasks on a pool of worker threads.

    After Ctrl-C, or when `max_time` has passed, no other task starts, and fits in progress stop,
    each with a usable network.

    Parameters
    ----------
    tasks : sequence of Task
    n_threads : int, optional
        Number of threads; by default all that the process may use.
    max_time : float, optional
        Time limit in seconds.
    verbose : int, default 0
        Show a progress bar if above 0.

    Returns
    -------
    list of TaskResult
        In the order of the tasks. Exceptions of tasks are returned, not raised.

    Raises
    ------
    BaseException
        What a signal handler raised, except KeyboardInterrupt; after all tasks have stopped.
    """
    if n_threads is None:
        most = limits.get_available_threads(limits.get_thread_limit())
    else:
        most = min(n_threads, limits.count_processors())
    deadline = math.inf if max_time is None else time.monotonic() + max_time
    pool = WorkerPool(
        n_threads=most, deadline=min(deadline, limits.get_deadline()),
        parent=limits.get_current_pool(),
    )  # fmt: skip
    results = [TaskResult(stop_reason=NOT_STARTED) for _ in tasks]
    longest_first = sorted(range(len(tasks)), key=lambda i: -tasks[i].flops)
    with ProgressBar(len(tasks), verbose, "network") as progress_bar:
        for wide in (True, False):
            queue = deque(i for i in longest_first if tasks[i].wide is wide)
            pool.n_active = min(1 if wide else most, len(queue))
            if queue and not pool.cancelled:
                _Executor(pool, queue, tasks, results, progress_bar).run()
            for i in queue if pool.cancelled else ():
                results[i].stop_reason = INTERRUPTED
    return results


class _Executor:
    """Worker threads that run the queued tasks. No thread outlives the call of `run`.

    Signals are handled in the calling thread, where a handler may raise an exception at any
    moment, even inside `threading.Thread.start` and `threading.Event.wait`, which then leave their
    locks in a wrong state. The calling thread therefore only starts one other thread, in a single
    call to C, and waits for a plain lock; the other thread starts the workers.
    """

    def __init__(
        self, pool: WorkerPool, queue: deque[int], tasks: Sequence[Task],
        results: list[TaskResult], progress_bar: ProgressBar,
    ) -> None:  # fmt: skip
        self.pool = pool
        self.queue = queue
        self.tasks = tasks
        self.results = results
        self.progress_bar = progress_bar
        self.caller = threading.get_ident()
        self.errors: list[BaseException] = []  # raised in threads, outside of tasks
        self.lock = threading.Lock()
        self.active: set[object] = set()  # a token for each running thread
        self.ended = False
        self.all_done = threading.Lock()  # released when the last thread ends
        self.all_done.acquire()

    def run(self) -> None:
        """Run all tasks, or after Ctrl-C those that have already started.

        Raises
        ------
        BaseException
            What a signal handler raised, except KeyboardInterrupt, or an error of a thread outside
            of tasks.
        """
        caught: tuple[BaseException, ...] = ()
        started = over = False
        # Python checks for signals after calls and at the end of a loop's body. The handlers
        # therefore make no call, and the outer loop catches a second signal that arrives
        # immediately after the first.
        while not over:
            try:
                while not over:
                    try:
                        if not started:
                            started = True
                            self.start()
                        self.wait()
                        over = True
                    except BaseException as error:
                        self.pool.cancelled = True
                        caught += (error,)
            except BaseException as error:
                self.pool.cancelled = True
                caught += (error,)
        for exception in (*self.errors, *caught):
            if not isinstance(exception, KeyboardInterrupt):
                raise exception

    def start(self) -> None:
        """Start all threads; run the tasks in the calling thread if no thread can be started."""
        try:
            _thread.start_new_thread(contextvars.copy_context().run, (self.start_workers,))
        except (RuntimeError, MemoryError):
            token = object()
            self.active.add(token)
            self.work(token)

    def wait(self) -> None:
        """Wait for the last thread to end. A thread that was started just before a signal, and
        only begins after it, then finds that the pool was cancelled."""
        while not self.ended:
            self.all_done.acquire(timeout=POLL_SECONDS)
            if self.pool.cancelled and not self.active:
                return

    def start_workers(self) -> None:
        """Start the workers, or fewer if the system refuses; without any, work in this thread."""
        token = object()
        with self.lock:
            if self.pool.cancelled:
                return
            self.active.add(token)
        n_workers = self.pool.n_active
        n_started = next((n for n in range(n_workers) if not self.start_worker()), n_workers)
        if n_started:
            self.leave(token, n_workers=n_workers - n_started)
        else:
            self.work(token)

    def start_worker(self) -> bool:
        """Start another worker; returns whether this was possible."""
        token = object()
        with self.lock:
            self.active.add(token)
        try:
            run = contextvars.copy_context().run
            threading.Thread(
                target=run, args=(self.work, token), daemon=True, name="fastnn worker"
            ).start()
        except (RuntimeError, MemoryError):
            self.leave(token)
            return False
        return True

    def work(self, token: object) -> None:
        """Run queued tasks in the calling thread until the queue is empty or the pool stops."""
        with self.lock:
            if token not in self.active:
                return
        limits.set_current_pool(self.pool)
        try:
            self.run_queued()
        except BaseException as error:
            self.pool.cancelled = True
            self.errors.append(error)
        finally:
            limits.set_current_pool(self.pool.parent)
            self.leave(token, n_workers=1)

    def run_queued(self) -> None:
        by_caller = threading.get_ident() == self.caller
        while not self.pool.cancelled and time.monotonic() < self.pool.deadline:
            with self.lock:
                i = self.queue.popleft() if self.queue else None
            if i is None:
                return
            _run_task(self.tasks[i], self.results[i])
            if by_caller and self.results[i].interrupted:  # by Ctrl-C
                self.pool.cancelled = True
            with self.lock:
                self.progress_bar.update({})

    def leave(self, token: object, n_workers: int = 0) -> None:
        """End a thread, and reduce the number of active workers; the last thread ends the wait."""
        with self.lock:
            self.pool.n_active = max(1, self.pool.n_active - n_workers)
            self.active.discard(token)
            if not self.active and not self.ended:
                self.ended = True
                self.all_done.release()


def _run_task(task: Task, result: TaskResult) -> None:
    start = time.perf_counter()
    try:
        result.value, result.stop_reason = task.work(), None
    except KeyboardInterrupt:  # see limits.check_cancelled
        result.stop_reason = INTERRUPTED
    except BaseException as error:  # SystemExit of a callback ends only this task, as other errors
        result.error, result.stop_reason = error, None
    result.seconds = time.perf_counter() - start
