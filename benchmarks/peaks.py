"""What this machine can do, measured: `python peaks.py [--quick]` prints one line of JSON.

Arithmetic is the fastest of several float32 products of large matrices by NumPy's BLAS, which
comes within some percent of the units' peak; bandwidth is the fastest of several copies, reads and
writes counted. Both are the best of many short tries: others on the machine only make them slower.
A meeting of two threads is one of the two barriers of a training step, as fastnn makes them; it is
the least and the most of those tries, because a virtual machine's host may move its cores apart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SIZE = 1536
COPIED = 2**28  # bytes: far beyond the caches
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def _best(run: Callable[[], Any], tries: int) -> float:
    seconds = []
    for _ in range(tries):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def flops_per_second(tries: int) -> float:
    """Of one float32 product, with the threads that the environment gives."""
    import numpy as np

    a = np.random.default_rng(0).standard_normal((SIZE, SIZE), np.float32)
    out = np.empty_like(a)
    return 2 * SIZE**3 / _best(lambda: np.matmul(a, a, out=out), tries + 1)


def bytes_per_second(threads: int, tries: int) -> float:
    """Of copies by several threads at once."""
    import numpy as np

    pairs = [(np.ones(COPIED // threads // 8), np.ones(COPIED // threads // 8))] * threads
    pairs = [(a.copy(), b.copy()) for a, b in pairs]
    with ThreadPoolExecutor(threads) as pool:
        seconds = _best(lambda: list(pool.map(lambda p: np.copyto(*p), pairs)), tries)
    return 2 * COPIED / seconds


def meetings(tries: int) -> tuple[float, float]:
    """The fewest and the most seconds that two threads take to meet: half of what a second thread
    adds to a step with next to no work."""
    import numpy as np

    import fastnn as fn

    rows, epochs = 2000, 20
    X = np.ones((rows, 1), np.float32)

    def seconds(threads: int) -> float:
        net = fn.Sequential(fn.Dense(1), random_state=0)
        began = time.perf_counter()
        net.fit(X, X[:, 0], epochs=epochs, batch_size=2, n_threads=threads)
        return (time.perf_counter() - began) / (epochs * rows / 2)

    alone = min(seconds(1) for _ in range(tries))
    found = sorted((seconds(2) - alone) / 2 for _ in range(tries + 1))
    return found[0], found[-2]  # the slowest one started a thread


def measure(quick: bool) -> dict[str, float]:
    """All figures: a process for each number of threads, because BLAS reads it when it loads."""
    n = len(os.sched_getaffinity(0))
    results = {}
    for name, threads in (("one", 1), ("all", n)):
        command = [sys.executable, __file__, "--threads", str(threads)]
        environment = os.environ | dict.fromkeys(VARIABLES, str(threads))
        done = subprocess.run(
            command + ["--quick"] * quick, env=environment, check=True, text=True,
            capture_output=True,
        )  # fmt: skip
        results[name] = json.loads(done.stdout)
    return {
        "cores": n,
        "flops_1": results["one"]["flops"],
        "flops_all": max(r["flops"] for r in results.values()),
        "bandwidth_1": results["one"]["bandwidth"],
        "bandwidth_all": max(r["bandwidth"] for r in results.values()),
        "meeting_least": results["all"]["meetings"][0],
        "meeting_most": results["all"]["meetings"][1],
    }


def better(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The better of each figure, for a machine that was busy at one time or the other."""
    return {name: (min if name == "meeting_least" else max)(one[name], other[name]) for name in one}


def _main() -> None:
    if "--threads" not in sys.argv:
        print(json.dumps(measure("--quick" in sys.argv)))
        return
    threads = int(sys.argv[sys.argv.index("--threads") + 1])
    tries = 3 if "--quick" in sys.argv else 15
    print(json.dumps({
        "flops": flops_per_second(tries), "bandwidth": bytes_per_second(threads, tries),
        "meetings": meetings(tries) if threads > 1 else (0.0, 0.0),
    }))  # fmt: skip


if __name__ == "__main__":
    _main()
