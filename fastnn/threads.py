"""How many threads a call uses: what was asked for, within what there is, as long as it pays."""

from __future__ import annotations

import math
import os
import time
import warnings
from functools import cache
from pathlib import Path

from fastnn import checks
from fastnn_ext import engine

# Two threads meet twice a step, each finding half of its numbers in the other's cache. Measured on
# two cores, one thread against two: 1.3 million operations a step (64-64-64-1, batch 32) take 22 us
# either way, 2.1 million (10-45-45-10, batch 128) 30 and 23 us, 8.4 million 98 and 65 us.
FLOPS_PER_THREAD = 1e6

_forked = False


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
    OpenMP (OMP_NUM_THREADS, threadpoolctl), the process's affinity and its container allow."""
    named = os.environ.get("FASTNN_NUM_THREADS")
    if named:
        if not named.isdigit() or int(named) < 1:
            raise ValueError(f"FASTNN_NUM_THREADS: expected a whole number above 0; got {named!r}")
        return int(named)
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(n for n in (engine.max_threads(), affinity, _cgroup_quota()) if n is not None)


# A trial of one number of threads takes this long (or one step), and trials come round this often,
# or so seldom that they take this share of the time.
TRIAL_SECONDS = 0.003
SECONDS_BETWEEN_TRIALS = 1.0
SHARE_OF_TRIALS = 0.01


class Team:
    """How many threads a long run uses, by trying: as many as were chosen, or one.

    What a second thread gains depends on what else runs on the machine, and that changes: beside a
    busy process, a step that takes 25 us on two free cores took 397 on two threads and 32 on one.
    Results do not depend on the number, so it may change at any step.
    """

    def __init__(self, most: int, fixed: bool) -> None:
        self.candidates = [most] if fixed or most == 1 else [1, most]
        self.best = most
        self._spent: dict[int, float] = {}
        self._made: dict[int, int] = {}
        self._next_trial = 0.0

    def size(self) -> tuple[int, float]:
        """Threads for the next call, and how long it may take at most."""
        if len(self.candidates) == 1:
            return self.best, math.inf
        if time.perf_counter() >= self._next_trial:
            for n in self.candidates:
                if self._spent.get(n, 0.0) < TRIAL_SECONDS:
                    return n, TRIAL_SECONDS
            self.best = min(self.candidates, key=lambda n: self._spent[n] / self._made[n])
            pause = max(SECONDS_BETWEEN_TRIALS, sum(self._spent.values()) / SHARE_OF_TRIALS)
            self._spent, self._made = {}, {}
            self._next_trial = time.perf_counter() + pause
        return self.best, math.inf

    def record(self, n: int, steps: int, seconds: float) -> None:
        """What a call of `size` n has made."""
        if steps and time.perf_counter() >= self._next_trial:
            self._spent[n] = self._spent.get(n, 0.0) + seconds
            self._made[n] = self._made.get(n, 0) + steps


def choose(n_threads: int | None, flops: float, rows: int) -> int:
    """Threads for work of this much arithmetic on this many rows between two meetings."""
    asked = checks.whole("n_threads", n_threads, at_least=1) if n_threads is not None else None
    if _forked or not engine.has_openmp():
        if asked is not None and asked > 1:
            why = "after a fork" if _forked else "in a build without OpenMP"
            warnings.warn(f"n_threads: one thread is used {why}", RuntimeWarning, stacklevel=4)
        return 1
    wanted = asked if asked is not None else min(limit(), max(1, int(flops / FLOPS_PER_THREAD)))
    return max(1, min(wanted, rows))
