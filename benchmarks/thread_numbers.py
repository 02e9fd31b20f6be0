"""Compare `n_threads=None` with the better fixed number of threads.

`python benchmarks/run.py --only threads` runs the comparison and writes THREADS.md.

For each shape there are four processes with the same network and rows: one fits with
n_threads=None, two with 1 and 2 threads, and the fourth with the better of these two numbers, to
measure the noise. The processes are measured alternately; the others are blocked in a read.
Before each fit a process pauses for 20 ms, as a user's program might, so that its threads sleep.
The number of steps is chosen so that a fit with the better fixed number takes about 20 ms, 200 ms
or 2 s.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS = (None, 1, 2)
PAUSE = 0.02
ROUNDS = {0.02: 21, 0.2: 9, 2.0: 3}  # number of rounds for each length of a fit in seconds
QUICK = {0.02: 3}
PREDICTION_CALLS = {0.02: 21}
PILOT_ROUNDS = 5


@dataclass(frozen=True)
class Shape:
    """A network and the number of rows of a batch or a prediction."""

    widths: tuple[int, ...]
    activation: str
    rows: int
    predicts: bool = False

    @property
    def name(self) -> str:
        """Its name in the table."""
        what = "rows" if self.predicts else "batch"
        return f"{'-'.join(map(str, self.widths))} {self.activation}, {what} {self.rows:,}"


TRAINING = (
    Shape((2, 8, 1), "tanh", 32),
    Shape((5, 16, 1), "relu", 32),
    Shape((4, 32, 32, 1), "tanh", 32),
    Shape((64, 64, 64, 1), "relu", 32),
    Shape((24, 80, 40, 2), "relu", 64),
    Shape((10, 45, 45, 10), "relu", 128),
    Shape((100, 300, 100, 1), "tanh", 50),
    Shape((30, 128, 64, 2), "relu", 128),
    Shape((784, 128, 10), "relu", 128),
    Shape((784, 256, 128, 10), "relu", 64),
    Shape((20, 1), "linear", 2000),
    Shape((4, 32, 16, 4), "tanh", 10_000),
    Shape((28, 300, 300, 300, 1), "tanh", 100),
    Shape((784, 1024, 1024, 10), "relu", 256),
)
PREDICTION = tuple(
    Shape(widths, "relu", rows, predicts=True)
    for widths in ((4, 32, 32, 1), (30, 128, 64, 2), (784, 256, 128, 10))
    for rows in (1, 30, 300, 3000, 30_000)
)


# ---- the measured process -----------------------------------------------------------------------


def _make_work(shape: Shape, n_threads: int | None) -> Callable[[int], None]:
    """A function of n that makes n training steps or n predictions."""
    import fastnn as fn

    rng = np.random.default_rng(0)
    hidden = [fn.Dense(width, shape.activation) for width in shape.widths[1:-1]]
    net = fn.Sequential(*hidden, fn.Dense(shape.widths[-1]), random_state=0)
    batches = 1 if shape.predicts else max(1, 4096 // shape.rows)
    X = rng.normal(size=(shape.rows * batches, shape.widths[0])).astype("f4")
    y = rng.normal(size=(len(X), shape.widths[-1])).astype("f4")
    net.build(shape.widths[0])

    def fit(steps: int) -> None:
        net.fit(X, y, epochs=max(1, steps // batches), batch_size=shape.rows, n_threads=n_threads)

    def predict(calls: int) -> None:
        for _ in range(calls):
            net.predict(X, n_threads=n_threads)

    return predict if shape.predicts else fit


def serve() -> None:
    """Answer requests, one JSON object per line, until standard input ends."""
    work: Callable[[int], None] = len  # type: ignore[assignment]
    matrix = np.ones((600, 600), "f4")
    for line in sys.stdin:
        request = json.loads(line)
        if "shape" in request:
            work = _make_work(Shape(**request["shape"]), request["n_threads"])
            seconds = 0.0
        else:
            time.sleep(PAUSE)
            if request["after_matmul"]:
                matrix @ matrix
            began = time.perf_counter()
            work(request["n"])
            seconds = time.perf_counter() - began
        print(json.dumps(seconds), flush=True)


class _Process:
    def __init__(self, shape: Shape, n_threads: int | None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._ask(shape=vars(shape), n_threads=n_threads)

    def _ask(self, **request: Any) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline()))

    def seconds(self, n: int, after_matmul: bool) -> float:
        """Time of n training steps or predictions in seconds."""
        return self._ask(n=n, after_matmul=after_matmul)

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


# ---- measuring ----------------------------------------------------------------------------------


@contextmanager
def _keep_core_busy(busy: bool) -> Iterator[None]:
    """Run another program that keeps one core busy, if `busy`."""
    if not busy:
        yield
        return
    program = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        program.kill()
        program.wait()


def _choose_steps(processes: list[_Process], seconds: float) -> int:
    """The number of steps that takes about this time with the better fixed number of threads."""
    n = 1
    while True:
        taken = min(process.seconds(n, False) for process in processes[1:])
        if taken >= seconds / 4:
            return max(1, round(n * seconds / taken))
        n *= 2 if taken > seconds / 50 else 8


@dataclass(frozen=True)
class Ratios:
    """Medians of the ratios within each round: a slow phase of the machine, which lasts longer than
    a round, cancels."""

    automatic: float  # time with n_threads=None divided by that with the better fixed number
    noise: float  # the same ratio for two processes that both use the better fixed number
    speedup: float  # time with one thread divided by that with two


def measure(
    shape: Shape, rounds: dict[float, int], busy: bool = False, after_matmul: bool = False
) -> dict[float, Ratios]:
    """Measure the ratios for fits of each length."""
    processes = [_Process(shape, n_threads) for n_threads in NUMBERS]
    results = {}
    try:
        steps = {seconds: _choose_steps(processes, seconds) for seconds in rounds}
        with _keep_core_busy(busy):
            shortest = steps[min(steps)]
            pilot = np.median(
                _measure_rounds(processes, PILOT_ROUNDS, shortest, after_matmul), axis=0
            )
            better = 1 + int(pilot[1:].argmin())
            processes.append(_Process(shape, NUMBERS[better]))
            for seconds, n in rounds.items():
                taken = _measure_rounds(processes, n, steps[seconds], after_matmul)
                ratios = taken / taken[:, [better]]
                automatic, noise = np.median(ratios[:, 0]), np.median(ratios[:, -1])
                speedup = np.median(taken[:, 1] / taken[:, 2])
                results[seconds] = Ratios(float(automatic), float(noise), float(speedup))
    finally:
        for process in processes:
            process.stop()
    return results


def _measure_rounds(
    processes: list[_Process], n: int, steps: int, after_matmul: bool
) -> np.ndarray[Any, Any]:
    """Times in seconds, shape (n, n_processes); each round starts with a different process."""
    taken = np.empty((n, len(processes)))
    for i in range(n):
        for k in range(len(processes)):
            j = (i + k) % len(processes)
            taken[i, j] = processes[j].seconds(steps, after_matmul)
    return taken


SETTINGS = {
    "idle machine": {},
    "one core busy": {"busy": True},
    "after a matrix multiplication by NumPy": {"after_matmul": True},
}


def compare(quick: bool, log: Callable[[str], None]) -> str:
    """Measure everything, and return the report in Markdown."""
    lines = [
        f"{os.cpu_count()} cores. Time with n_threads=None divided by the time with the better of "
        "1 and 2 threads, medians over rounds; noise is the same ratio for two processes that "
        "both use the better number."
    ]
    for title, options in SETTINGS.items():
        short = QUICK if quick else {0.02: 15, 0.2: 5}
        usual = not options and not quick
        lines += _measure_table(title, TRAINING, ROUNDS if usual else short, options, quick, log)
    lines += _measure_table(
        "predictions, idle machine", PREDICTION, QUICK if quick else PREDICTION_CALLS, {}, quick,
        log,
    )  # fmt: skip
    return "\n".join(lines)


def _measure_table(
    title: str, shapes: tuple[Shape, ...], rounds: dict[float, int], options: dict[str, bool],
    quick: bool, log: Callable[[str], None],
) -> list[str]:  # fmt: skip
    lengths = [f"{1000 * seconds:g} ms | noise" for seconds in rounds]
    lines = ["", f"## {title}", "", f"| shape | {' | '.join(lengths)} | speedup of two threads |"]
    lines.append("| --- |" + " --: |" * (2 * len(lengths) + 1))
    automatic, noise = [], []
    for shape in shapes[: 2 if quick else None]:
        results = list(measure(shape, rounds, **options).values())
        automatic += [ratios.automatic for ratios in results]
        noise += [ratios.noise for ratios in results]
        cells = " | ".join(f"{ratios.automatic:.2f} | {ratios.noise:.2f}" for ratios in results)
        lines.append(f"| {shape.name} | {cells} | {results[-1].speedup:.2f} |")
        log(f"{title}: {lines[-1]}")
    lines += ["", f"Geometric mean {_geometric_mean(automatic):.3f}, worst {max(automatic):.2f}; "
              f"noise {_geometric_mean(noise):.3f}, worst {max(noise):.2f}."]  # fmt: skip
    log(lines[-1])
    return lines


def _geometric_mean(values: list[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(f"usage: python {Path(__file__).with_name('run.py')} --only threads")
    serve()
