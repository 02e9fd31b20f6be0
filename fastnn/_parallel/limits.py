"""How many threads a call may use, and how many are worthwhile for it."""

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

# FLOPs per training step and thread below which another thread is not worthwhile. Two threads
# synchronize twice per step, and each reads half of its data from the other's cache. Microseconds
# per step measured on two cores, one thread / two threads, by the FLOPs of a step
# (Plan.flops_per_row): 0.25 million 3.4 / 3.3 (4-32-32-1, batch 24), 0.33 million 4.3 / 3.7
# (batch 32) and 7.2 / 6.2 (64-64-64-1, batch 8), 0.37 million 7.4 / 4.8 (4-16-3, batch 150),
# 1.4 million 17 / 11.
FLOPS_PER_THREAD = 1.5e5

# The kernels use up to 33 KB of a thread's stack, in addition to what the C library needs.
MIN_STACK_BYTES = 64 * 1024


@dataclass(kw_only=True)
class WorkerPool:
    """The state of a running `pool.run_tasks` that its worker threads share."""

    n_threads: int
    """Threads available to the pool."""
    deadline: float
    """When no further task starts, by time.monotonic()."""
    parent: WorkerPool | None
    """The pool whose worker made the call, if any."""
    n_active: int = 1
    """Workers that still have tasks."""
    cancelled: bool = False


_local = threading.local()


def set_current_pool(pool: WorkerPool | None) -> None:
    """Set the pool that the calling thread works for; None if it works for none."""
    _local.pool = pool


def get_current_pool() -> WorkerPool | None:
    """The pool that the calling thread works for."""
    pool: WorkerPool | None = getattr(_local, "pool", None)
    return pool


def get_available_threads(n_threads: int) -> int:
    """Threads available to the caller, at most `n_threads`. Inside a worker pool these are the
    pool's threads divided by its active workers, so that the last task uses all of them."""
    pool = get_current_pool()
    return n_threads if pool is None else max(1, min(n_threads, pool.n_threads // pool.n_active))


def get_deadline() -> float:
    """The deadline of the current pool, by time.monotonic(); infinity outside of pools."""
    pool = get_current_pool()
    return math.inf if pool is None else pool.deadline


def check_cancelled() -> None:
    """Raise KeyboardInterrupt in a worker whose pool, or any pool above it, was cancelled because
    the main thread received one."""
    pool = get_current_pool()
    while pool is not None:
        if pool.cancelled:
            raise KeyboardInterrupt
        pool = pool.parent


@cache
def _read_cgroup_quota() -> int | None:
    """Processors that the container may use, rounded up; None without a quota. Cached, because
    reading the file costs as much as predicting some hundred rows."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, -(-int(quota) // int(period)))


def _find_reason_for_one() -> str | None:
    """Why OpenMP threads cannot be used; None if they can."""
    if engine.is_child():
        return "after a fork"
    if not engine.has_openmp():
        return "in a build without OpenMP"
    if _read_stack_bytes() < MIN_STACK_BYTES:
        return f"as OMP_STACKSIZE leaves its threads less than {MIN_STACK_BYTES // 1024} KB"
    return None


@cache
def _read_stack_bytes() -> float:
    """Stack size of an OpenMP thread, from the environment; infinity if it is not set there."""
    text = os.environ.get("OMP_STACKSIZE") or os.environ.get("GOMP_STACKSIZE") or ""
    match = re.fullmatch(r"\s*(\d+)\s*([bkmg]?)\s*", text.lower())
    if match is None:
        return math.inf
    return int(match[1]) * {"b": 1, "k": 2**10, "": 2**10, "m": 2**20, "g": 2**30}[match[2]]


def count_processors() -> int:
    """Processors that the process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_thread_limit() -> int:
    """The maximum number of threads of a call without `n_threads`.

    This is FASTNN_NUM_THREADS if it is set, otherwise the minimum of OpenMP's limit
    (OMP_NUM_THREADS, threadpoolctl) and the container's quota; in both cases at most
    `count_processors()`. Inside a worker pool it is the pool's number of threads.
    """
    pool = get_current_pool()
    if pool is not None:
        return pool.n_threads
    variable = os.environ.get("FASTNN_NUM_THREADS")
    if variable:
        if not variable.isdigit() or int(variable) < 1:
            expected = "FASTNN_NUM_THREADS: expected a whole number above 0"
            raise ValueError(f"{expected}; got {variable!r}")
        return min(int(variable), count_processors())
    return min(
        int(engine.get_max_threads()), count_processors(), _read_cgroup_quota() or sys.maxsize
    )


def choose_n_threads(n_threads: int | None, flops: float, rows: int) -> int:
    """Maximum number of threads for a call: the user's `n_threads`, or as many as are worthwhile.

    Parameters
    ----------
    n_threads : int or None
        The user's choice; a RuntimeWarning is emitted if it has to be reduced to 1.
    flops, rows : float, int
        FLOPs and rows between two barriers.
    """
    requested = checks.whole("n_threads", n_threads, at_least=1) if n_threads is not None else None
    worthwhile = int(flops / FLOPS_PER_THREAD)
    if (worthwhile if requested is None else requested) <= 1:
        return 1
    reason = _find_reason_for_one()
    if reason is not None:
        if requested is not None:
            warnings.warn(f"n_threads: one thread is used {reason}", RuntimeWarning, stacklevel=4)
        return 1
    most = requested if requested is not None else min(get_thread_limit(), worthwhile)
    return max(1, min(most, count_processors(), rows))
