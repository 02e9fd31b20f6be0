"""How many threads a call uses: what was asked for, within what there is, as long as it pays."""

from __future__ import annotations

import math
import os
import re
import sys
import threading
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastnn._util import checks
from fastnn_ext import engine

# Two threads meet twice a step, each finding half of its numbers in the other's cache. Measured on
# two cores, one thread against two, of steps that are so many operations (Plan.flops_per_row): 0.25
# million take 3.4 and 3.3 us (4-32-32-1, batch 24), 0.33 million 4.3 and 3.7 (batch 32) or 7.2 and
# 6.2 (64-64-64-1, batch 8), 0.37 million 7.4 and 4.8 (4-16-3, batch 150), 1.4 million 17 and 11.
FLOPS_PER_THREAD = 1.5e5

# The kernels take up to 33 KB of a thread's stack, and the C library its own part.
SMALLEST_STACK = 64 * 1024


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


@cache
def _cgroup_quota() -> int | None:
    """Processors that a container may use, rounded up; to read it takes as long as predicting some
    hundred rows."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, -(-int(quota) // int(period)))


def _reason_for_one() -> str | None:
    """Why OpenMP's threads cannot be used at all."""
    if engine.is_child():
        return "after a fork"
    if not engine.has_openmp():
        return "in a build without OpenMP"
    if _stack_bytes() < SMALLEST_STACK:
        return f"as OMP_STACKSIZE leaves its threads less than {SMALLEST_STACK // 1024} KB"
    return None


@cache
def _stack_bytes() -> float:
    """What the environment gives each thread of OpenMP; infinity where it says nothing."""
    text = os.environ.get("OMP_STACKSIZE") or os.environ.get("GOMP_STACKSIZE") or ""
    found = re.fullmatch(r"\s*(\d+)\s*([bkmg]?)\s*", text.lower())
    if found is None:
        return math.inf
    return int(found[1]) * {"b": 1, "k": 2**10, "": 2**10, "m": 2**20, "g": 2**30}[found[2]]


def processors() -> int:
    """Processors that the process may run on; more threads than these only wait for each other."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit() -> int:
    """The most threads that a call uses when none is named: FASTNN_NUM_THREADS, otherwise what
    OpenMP (OMP_NUM_THREADS, threadpoolctl) and the process's container allow, within its
    `processors`; in a crew, all that it has."""
    own = crew()
    if own is not None:
        return own.n_threads
    named = os.environ.get("FASTNN_NUM_THREADS")
    if named:
        if not named.isdigit() or int(named) < 1:
            raise ValueError(f"FASTNN_NUM_THREADS: expected a whole number above 0; got {named!r}")
        return min(int(named), processors())
    return min(int(engine.get_max_threads()), processors(), _cgroup_quota() or sys.maxsize)


def choose(n_threads: int | None, flops: float, rows: int) -> int:
    """Threads for work of this much arithmetic on this many rows between two meetings; `share` says
    how many of them are free."""
    asked = checks.whole("n_threads", n_threads, at_least=1) if n_threads is not None else None
    if (int(flops / FLOPS_PER_THREAD) if asked is None else asked) <= 1:
        return 1
    reason = _reason_for_one()
    if reason is not None:
        if asked is not None and asked > 1:
            warnings.warn(f"n_threads: one thread is used {reason}", RuntimeWarning, stacklevel=4)
        return 1
    wanted = asked if asked is not None else min(limit(), int(flops / FLOPS_PER_THREAD))
    return max(1, min(wanted, processors(), rows))
