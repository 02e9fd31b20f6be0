"""How many threads a call uses: what was asked for, within what there is, as long as it pays."""

from __future__ import annotations

import math
import os
import threading
import time
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastnn import checks
from fastnn_ext import engine

# Two threads meet twice a step, each finding half of its numbers in the other's cache. Measured on
# two cores, one thread against two, of steps that are so many operations (Plan.flops_per_row): 0.25
# million take 3.4 and 3.3 us (4-32-32-1, batch 24), 0.33 million 4.3 and 3.7 (batch 32) or 7.2 and
# 6.2 (64-64-64-1, batch 8), 0.37 million 7.4 and 4.8 (4-16-3, batch 150), 1.4 million 17 and 11.
FLOPS_PER_THREAD = 1.5e5

_forked = False


@dataclass
class Crew:
    """Threads of Python that share the processors of one call; see `workers`."""

    n_threads: int
    deadline: float  # by time.monotonic()
    parent: Crew | None  # of whoever called
    working: int = 1
    cancelled: bool = False


_local = threading.local()


def join(crew: Crew | None) -> None:
    """Make the calling thread one of a crew, or of none."""
    _local.crew = crew


def crew() -> Crew | None:
    """That of the calling thread."""
    found: Crew | None = getattr(_local, "crew", None)
    return found


def share(n_threads: int) -> int:
    """Of so many threads those that are free for the caller just now: in a crew, each that works
    has its part, and who is left at the end has all."""
    own = crew()
    return n_threads if own is None else max(1, min(n_threads, own.n_threads // own.working))


def deadline() -> float:
    """When the time of the caller's crew is up."""
    own = crew()
    return math.inf if own is None else own.deadline


def check_cancelled() -> None:
    """Where the main thread caught a KeyboardInterrupt, raise it in the crew that works for it."""
    own = crew()
    while own is not None:
        if own.cancelled:
            raise KeyboardInterrupt
        own = own.parent


def _after_fork() -> None:
    """The threads of the parent's OpenMP do not exist in a child; entering a parallel region there
    waits for them for ever. One thread never enters one."""
    global _forked  # noqa: PLW0603
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@cache
def _cgroup_quota() -> int | None:
    """Processors that a container may use, rounded up; to read it takes as long as predicting some
    hundred rows."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, -(-int(quota) // int(period)))


def limit() -> int:
    """The most threads that a call uses when none is named: FASTNN_NUM_THREADS, otherwise what
    OpenMP (OMP_NUM_THREADS, threadpoolctl), the process's affinity and its container allow; in a
    crew, all that it has."""
    own = crew()
    if own is not None:
        return own.n_threads
    named = os.environ.get("FASTNN_NUM_THREADS")
    if named:
        if not named.isdigit() or int(named) < 1:
            raise ValueError(f"FASTNN_NUM_THREADS: expected a whole number above 0; got {named!r}")
        return int(named)
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(n for n in (engine.max_threads(), affinity, _cgroup_quota()) if n is not None)


# A trial of one number of threads takes this long (or one unit of work), and trials come round so
# seldom that they take this share of the time.
TRIAL_SECONDS = 0.001
SHARE_OF_TRIALS = 0.01

# One thread does at least so many operations a second. A team that is slower is not what it should
# be: another busy program, or the threads of a BLAS, which go on spinning for a tenth of a second
# after a product, keep one of its threads waiting for a processor, and all others wait for that.
FLOPS_ALONE = 2e10

# After a team that was slower, whoever begins takes one thread for so long: a fit of 0.6 ms between
# two products by NumPy took 9 ms on two threads, each time anew.
SECONDS_ALONE = 0.5

_alone_until = 0.0  # by time.perf_counter()


class Team:
    """How many threads repeated work uses, by trying: as many as may pay, or one.

    What a second thread gains depends on the machine, and that changes. Beside a busy process, a
    step that takes 25 us on two free cores took 397 on two threads and 32 on one. Where a virtual
    machine's host had moved its two processors apart (a message between them took 170 ns instead of
    30), one of 20 us took 40, and 29 on one thread. Results do not depend on the number, so it may
    change with every unit of the work.
    """

    def __init__(self, flops: float) -> None:
        """`flops`: the arithmetic of one unit of the work."""
        self.alone = False
        self._expected = flops / FLOPS_ALONE
        self._next_trial: float | None = None  # None: nothing is known yet
        self._spent = {True: 0.0, False: 0.0}
        self._made = {True: 0, False: 0}

    def size(self, most: int) -> tuple[int, float]:
        """Threads for the next call, of `most` that may pay, and how long it may take at most."""
        if most == 1:
            return 1, math.inf
        if self._next_trial is None:
            return 1 if time.perf_counter() < _alone_until else most, TRIAL_SECONDS
        if time.perf_counter() >= self._next_trial:
            for alone in (True, False):
                if self._spent[alone] < TRIAL_SECONDS:
                    return 1 if alone else most, TRIAL_SECONDS
            self.alone = min((True, False), key=lambda way: self._spent[way] / self._made[way])
            self._wait(sum(self._spent.values()))
        return 1 if self.alone else most, math.inf

    def record(self, n_threads: int, units: int, seconds: float) -> None:
        """What a call on so many threads has made."""
        global _alone_until  # noqa: PLW0603
        if self._next_trial is None and n_threads > 1 and units:
            self._wait(2 * self._expected)
            if seconds > self._expected * units:
                self._next_trial = 0.0
                _alone_until = time.perf_counter() + SECONDS_ALONE
        elif self._next_trial is not None and time.perf_counter() >= self._next_trial:
            self._spent[n_threads == 1] += seconds
            self._made[n_threads == 1] += units

    def _wait(self, cost: float) -> None:
        """Until a trial that costs so many seconds is a small share of the time."""
        self._next_trial = time.perf_counter() + cost / SHARE_OF_TRIALS
        self._spent, self._made = {True: 0.0, False: 0.0}, {True: 0, False: 0}


def choose(n_threads: int | None, flops: float, rows: int) -> int:
    """Threads for work of this much arithmetic on this many rows between two meetings; `share` says
    how many of them are free."""
    asked = checks.whole("n_threads", n_threads, at_least=1) if n_threads is not None else None
    if _forked or not engine.has_openmp():
        if asked is not None and asked > 1:
            why = "after a fork" if _forked else "in a build without OpenMP"
            warnings.warn(f"n_threads: one thread is used {why}", RuntimeWarning, stacklevel=4)
        return 1
    wanted = asked if asked is not None else min(limit(), max(1, int(flops / FLOPS_PER_THREAD)))
    return max(1, min(wanted, rows))
