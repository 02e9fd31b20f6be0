"""Measure the speed of this machine: `python peaks.py [--quick]` prints one line of JSON.

The peak of arithmetic is the fastest of several float32 multiplications of large matrices by
NumPy's BLAS, which comes within some percent of the peak of the hardware. Bandwidth is the fastest
of several copies, counting reads and writes. Both are the best of many short runs, because other
programs only make them slower. The time of a barrier between two of fastnn's threads (a training
step has two) is given as a range, because the host of a virtual machine may move its cores apart.
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


def _time_best(run: Callable[[], Any], tries: int) -> float:
    seconds = []
    for _ in range(tries):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def measure_flops(tries: int) -> float:
    """FLOP/s of float32 matrix multiplication, with the threads set in the environment."""
    import numpy as np

    a = np.random.default_rng(0).standard_normal((SIZE, SIZE), np.float32)
    out = np.empty_like(a)
    return 2 * SIZE**3 / _time_best(lambda: np.matmul(a, a, out=out), tries + 1)


def measure_bandwidth(threads: int, tries: int) -> float:
    """Bandwidth of copies by several threads at the same time."""
    import numpy as np

    pairs = [(np.ones(COPIED // threads // 8), np.ones(COPIED // threads // 8))] * threads
    pairs = [(a.copy(), b.copy()) for a, b in pairs]
    with ThreadPoolExecutor(threads) as pool:
        seconds = _time_best(lambda: list(pool.map(lambda p: np.copyto(*p), pairs)), tries)
    return 2 * COPIED / seconds


def measure_barrier(tries: int) -> tuple[float, float]:
    """The shortest and the longest time of a barrier of two threads, in seconds: half of what a
    second thread adds to a training step with very little work."""
    import numpy as np

    import fastnn as fn

    rows, epochs = 2000, 20
    X = np.ones((rows, 1), np.float32)

    def seconds(threads: int) -> float:
        net = fn.Sequential(fn.Dense(1), random_state=0)
        began = time.perf_counter()
        net.fit(X, X[:, 0], epochs=epochs, batch_size=2, n_threads=threads)
        return (time.perf_counter() - began) / (epochs * rows / 2)

    one_thread = min(seconds(1) for _ in range(tries))
    barriers = sorted((seconds(2) - one_thread) / 2 for _ in range(tries + 1))
    return barriers[0], barriers[-2]  # the slowest run included starting a thread


def measure(quick: bool) -> dict[str, float]:
    """Measure everything, in one process per number of threads, which BLAS reads when loaded."""
    n = len(os.sched_getaffinity(0))
    results = {}
    for name, threads in (("one", 1), ("all", n)):
        command = [sys.executable, __file__, "--threads", str(threads)]
        environment = os.environ | dict.fromkeys(VARIABLES, str(threads))
        process = subprocess.run(
            command + ["--quick"] * quick, env=environment, check=True, text=True,
            capture_output=True,
        )  # fmt: skip
        results[name] = json.loads(process.stdout)
    return {
        "cores": n,
        "flops_1": results["one"]["flops"],
        "flops_all": max(r["flops"] for r in results.values()),
        "bandwidth_1": results["one"]["bandwidth"],
        "bandwidth_all": max(r["bandwidth"] for r in results.values()),
        "barrier_least": results["all"]["barrier"][0],
        "barrier_most": results["all"]["barrier"][1],
    }


def select_better(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The better of each of two measurements, as the machine may have been busy during one."""
    return {name: (min if name == "barrier_least" else max)(one[name], other[name]) for name in one}


def _main() -> None:
    if "--threads" not in sys.argv:
        print(json.dumps(measure("--quick" in sys.argv)))
        return
    threads = int(sys.argv[sys.argv.index("--threads") + 1])
    tries = 3 if "--quick" in sys.argv else 15
    print(json.dumps({
        "flops": measure_flops(tries), "bandwidth": measure_bandwidth(threads, tries),
        "barrier": measure_barrier(tries) if threads > 1 else (0.0, 0.0),
    }))  # fmt: skip


if __name__ == "__main__":
    _main()
