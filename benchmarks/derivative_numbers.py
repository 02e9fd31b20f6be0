"""Compare derivatives with JAX and PyTorch.

`python benchmarks/run.py --only derivatives` runs the comparison and writes DERIVATIVES.md.

Each library runs in a process of its own, which answers requests on standard input; the processes
are measured alternately, and the others are blocked in a read meanwhile. The networks have the
same weights, in float32, and the results are compared before anything is timed. JAX runs
`vmap(jacrev)`, `vmap(jacfwd)` and `vmap(hessian)` under `jit`, PyTorch the same functions of
`torch.func`; the faster of the two modes counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = ("fastnn", "JAX", "PyTorch")
ROUNDS = 15
SECONDS = 0.3  # of calls per measurement


@dataclass(frozen=True)
class Task:
    """Derivatives of a kind at n rows."""

    kind: str
    widths: tuple[int, ...]
    rows: int

    @property
    def name(self) -> str:
        """Its name in the table."""
        rows = f"{self.rows:,} rows" if self.rows > 1 else "one row"
        return f"{self.kind}, {'-'.join(map(str, self.widths))}, {rows}"


TASKS = (
    Task("Jacobian", (8, 64, 64, 3), 10_000),
    Task("Jacobian", (4, 32, 32, 1), 1),
    Task("Jacobian", (3, 64, 64, 100), 1_000),
    Task("Jacobian", (100, 100, 100, 10), 1_000),
    Task("Hessian", (8, 64, 64, 1), 1_000),
    Task("Hessian", (30, 128, 64, 1), 200),
    Task("gradients of single rows", (8, 64, 64, 3), 10_000),
)


def make_arrays(task: Task) -> tuple[list[np.ndarray[Any, Any]], np.ndarray[Any, Any], Any]:
    """Weights and biases in turn, X and y."""
    rng = np.random.default_rng(0)
    parameters = []
    for n_in, n_out in zip(task.widths, task.widths[1:], strict=False):
        parameters.append((rng.normal(size=(n_in, n_out)) / np.sqrt(n_in)).astype("f4"))
        parameters.append(rng.normal(size=n_out).astype("f4"))
    X = rng.normal(size=(task.rows, task.widths[0])).astype("f4")
    return parameters, X, rng.normal(size=(task.rows, task.widths[-1])).astype("f4")


# The cost of the two modes: networks of two hidden layers of 64 units, for 1,000 rows.
MODE_ROWS = 1_000
MODE_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


# ---- the libraries -------------------------------------------------------------------------------


def make_fastnn(task: Task) -> dict[str, Callable[[], Any]]:
    """Calls that return the derivatives as NumPy arrays, by the name of the mode."""
    import fastnn as fn

    parameters, X, y = make_arrays(task)
    hidden = [fn.Dense(width, "tanh") for width in task.widths[1:-1]]
    net = fn.Sequential(*hidden, fn.Dense(task.widths[-1])).build(task.widths[0])
    net.weights[:], net.biases[:] = parameters[::2], parameters[1::2]
    if task.kind == "Jacobian":
        return {"auto": lambda: net.jacobian(X)}
    if task.kind == "Hessian":
        return {"Hessian": lambda: net.hessian(X)}
    return {"gradients": lambda: net.sample_gradients(X, y)}


def make_jax(task: Task) -> dict[str, Callable[[], Any]]:
    """As `make_fastnn`."""
    import jax
    import jax.numpy as jnp

    arrays, X, y = make_arrays(task)
    parameters, X, y = [jnp.asarray(p) for p in arrays], jnp.asarray(X), jnp.asarray(y)

    def apply(parameters: Any, x: Any) -> Any:
        for i in range(0, len(parameters) - 2, 2):
            x = jnp.tanh(x @ parameters[i] + parameters[i + 1])
        return x @ parameters[-2] + parameters[-1]

    def loss(parameters: Any, x: Any, t: Any) -> Any:
        return jnp.mean((apply(parameters, x) - t) ** 2)

    def ready(compiled: Any, *arguments: Any) -> Callable[[], Any]:
        return lambda: jax.block_until_ready(compiled(*arguments))

    def bound(x: Any) -> Any:
        return apply(parameters, x)

    if task.kind == "Jacobian":
        modes = {"forward": jax.jacfwd, "reverse": jax.jacrev}
        return {n: ready(jax.jit(jax.vmap(mode(bound))), X) for n, mode in modes.items()}
    if task.kind == "Hessian":
        second = jax.hessian(lambda x: bound(x)[0])
        return {"Hessian": ready(jax.jit(jax.vmap(second)), X)}

    def flat(x: Any, t: Any) -> Any:
        return jnp.concatenate([g.ravel() for g in jax.grad(loss)(parameters, x, t)])

    return {"gradients": ready(jax.jit(jax.vmap(flat)), X, y)}


def make_pytorch(task: Task) -> dict[str, Callable[[], Any]]:
    """As `make_fastnn`."""
    import torch
    from torch.func import grad, hessian, jacfwd, jacrev, vmap

    arrays, *data = make_arrays(task)
    parameters = tuple(torch.from_numpy(p) for p in arrays)
    X, y = map(torch.from_numpy, data)

    def apply(parameters: Any, x: Any) -> Any:
        for i in range(0, len(parameters) - 2, 2):
            x = torch.tanh(x @ parameters[i] + parameters[i + 1])
        return x @ parameters[-2] + parameters[-1]

    def bound(x: Any) -> Any:
        return apply(parameters, x)

    if task.kind == "Jacobian":
        modes = {"forward": jacfwd, "reverse": jacrev}
        return {n: (lambda m=m: vmap(m(bound))(X)) for n, m in modes.items()}
    if task.kind == "Hessian":
        return {"Hessian": lambda: vmap(hessian(lambda x: bound(x)[0]))(X)}

    def loss(parameters: Any, x: Any, t: Any) -> Any:
        return ((apply(parameters, x) - t) ** 2).mean()

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))
    return {"gradients": lambda: torch.cat([g.flatten(1) for g in gradients(parameters, X, y)], 1)}


MAKERS = {"fastnn": make_fastnn, "JAX": make_jax, "PyTorch": make_pytorch}


# ---- the measured process ------------------------------------------------------------------------


def serve(library: str) -> None:
    """Answer requests, one JSON object per line, until standard input ends."""
    calls: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "task" in request:
            calls = MAKERS[library](Task(*map(_as_tuple, request["task"])))
            for name, call in calls.items():
                np.save(f"{request['folder']}/{library}-{name}.npy", np.asarray(call()))
            answer: Any = list(calls)
        else:
            call, n = calls[request["mode"]], request["n"]
            began = time.perf_counter()
            for _ in range(n):
                call()
            answer = (time.perf_counter() - began) / n
        print(json.dumps(answer), flush=True)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class _Process:
    def __init__(self, library: str, task: Task, folder: str) -> None:
        self.library = library
        self._process = subprocess.Popen(
            [sys.executable, __file__, library], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.modes = self._ask(task=[task.kind, task.widths, task.rows], folder=folder)

    def _ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def seconds(self, mode: str, n: int) -> float:
        """Seconds of one of n calls."""
        return float(self._ask(mode=mode, n=n))

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


# ---- measuring -----------------------------------------------------------------------------------


def measure(task: Task, libraries: tuple[str, ...], rounds: int) -> dict[str, list[float]]:
    """Seconds per call in each round, with each library's faster mode."""
    processes: list[_Process] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            processes = [_Process(library, task, folder) for library in libraries]
            _check_equal(Path(folder))
        chosen = {}
        for process in processes:
            times = {
                mode: min(process.seconds(mode, 1) for _ in range(3)) for mode in process.modes
            }
            mode = min(times, key=times.__getitem__)
            chosen[process] = mode, max(1, round(SECONDS / times[mode] / (1 + 2 * (rounds < 5))))
        taken: dict[str, list[float]] = {library: [] for library in libraries}
        for i in range(rounds):
            for k in range(len(processes)):
                process = processes[(i + k) % len(processes)]
                taken[process.library].append(process.seconds(*chosen[process]))
        return taken
    finally:
        for process in processes:
            process.stop()


def _check_equal(folder: Path) -> None:
    """Raise an error if two libraries or modes differ by more than rounding."""
    results = {path.stem: np.load(path).astype("f8") for path in sorted(folder.glob("*.npy"))}
    first = next(iter(results.values()))
    for name, result in results.items():
        error = np.abs(result.reshape(first.shape) - first).max() / np.abs(first).max()
        if not error < 1e-4:
            raise AssertionError(f"{name} differs from the other results by {error:.1e}")


def measure_modes(rounds: int) -> list[tuple[int, int, float, float]]:
    """(n_features, n_outputs, seconds of forward mode, seconds of reverse mode): medians, first for
    growing numbers of features, then of outputs; the other number is 8."""
    import fastnn as fn

    rng, rows = np.random.default_rng(0), []
    for n_features, n_outputs in [(n, 8) for n in MODE_SIZES] + [(8, n) for n in MODE_SIZES]:
        net = fn.Sequential(fn.Dense(64, "tanh"), fn.Dense(64, "tanh"), fn.Dense(n_outputs))
        net.build(n_features)
        X = rng.normal(size=(MODE_ROWS, n_features)).astype("f4")
        taken: dict[str, list[float]] = {"forward": [], "reverse": []}
        for _ in range(rounds + 1):
            for mode, seconds in taken.items():
                began = time.perf_counter()
                net.jacobian(X, mode=mode)
                seconds.append(time.perf_counter() - began)
        medians = [statistics.median(seconds[1:]) for seconds in taken.values()]
        rows.append((n_features, n_outputs, medians[0], medians[1]))
    return rows


def find_libraries(log: Callable[[str], None]) -> tuple[str, ...]:
    """The installed libraries."""
    found = []
    for library, module in zip(LIBRARIES, ("fastnn", "jax", "torch"), strict=True):
        command = [sys.executable, "-c", f"import {module}"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            found.append(library)
        else:
            log(f"{library} is not installed")
    return tuple(found)


def compare(quick: bool, log: Callable[[str], None]) -> str:
    """Measure everything, and return the report in Markdown."""
    import machine

    libraries = find_libraries(log)
    lines = [
        f"{machine.describe_cores()} float32. Median time of a call, and "
        "the medians of the ratios within rounds.", "",
        f"| derivatives | {' | '.join(libraries)} | {' | '.join(f'{x} / fastnn' for x in libraries[1:])} |",  # noqa: E501
        "| --- |" + " --: |" * (2 * len(libraries) - 1),
    ]  # fmt: skip
    for task in TASKS:
        taken = measure(task, libraries, 3 if quick else ROUNDS)
        own = np.array(taken["fastnn"])
        cells = [_format_seconds(statistics.median(taken[library])) for library in libraries]
        cells += [f"{np.median(np.array(taken[x]) / own):.1f}" for x in libraries[1:]]
        lines.append(f"| {task.name} | {' | '.join(cells)} |")
        log(lines[-1])
    lines += [
        "", f"## The two modes, {MODE_ROWS:,} rows, n_features-64-64-n_outputs tanh", "",
        "| n_features | n_outputs | forward | reverse |", "| --: | --: | --: | --: |",
        *(f"| {n_in} | {n_out} | {1e3 * forward:.3g} ms | {1e3 * reverse:.3g} ms |"
          for n_in, n_out, forward, reverse in measure_modes(5 if quick else 31)),
    ]  # fmt: skip
    return "\n".join(lines)


def draw_modes(report: str, path: Path) -> None:
    """Draw the times of the two modes from a report in Markdown: by the number of features, and by
    the number of outputs."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    table = report.split("## The two modes")[1]
    rows = [
        [float(cell.split()[0]) for cell in line.strip("| ").split("|")]
        for line in table.splitlines()
        if line.startswith("| ") and line[2].isdigit()
    ]
    figure, panels = plt.subplots(1, 2, figsize=(7, 2.8), sharey=True, layout="constrained")
    for axes, column, label, other in zip(
        panels, (0, 1), ("number of features", "number of outputs"), ("8 outputs", "8 features"),
        strict=True,
    ):  # fmt: skip
        half = rows[: len(rows) // 2] if column == 0 else rows[len(rows) // 2 :]
        x = [row[column] for row in half]
        axes.plot(x, [row[2] for row in half], "o-", color="#0072B2", label="forward mode")
        axes.plot(x, [row[3] for row in half], "s--", color="#D55E00", label="reverse mode")
        axes.set(xscale="log", yscale="log", xlabel=f"{label} ({other})")
        axes.set_xticks(x, [f"{value:g}" for value in x], minor=False)
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("time of a Jacobian (ms)")
    panels[0].legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _format_seconds(seconds: float) -> str:
    return f"{1e6 * seconds:.3g} us" if seconds < 1e-3 else f"{1e3 * seconds:.3g} ms"


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in MAKERS:
        sys.exit(f"usage: python {Path(__file__).with_name('run.py')} --only derivatives")
    serve(sys.argv[1])
