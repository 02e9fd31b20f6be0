"""Compare Levenberg-Marquardt with SciPy's, and with Adam at equal wall time.

`python benchmarks/run.py --only lm` runs the comparison and writes LEVENBERG_MARQUARDT.md.

SciPy's `least_squares(method="lm")` gets the residuals and the Jacobian from fastnn, and the same
initial weights. The two are measured alternately, and an iteration of each counts its linear
algebra, its Jacobian and its evaluations. Adam trains for as long as Levenberg-Marquardt took, once
with each learning rate and batch size; its best result counts.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import machine
import numpy as np
import scipy.optimize
import surrogates
from surrogates import Array

import fastnn as fn

LM = "levenberg_marquardt"
CURVE_SEEDS = 5
CURVE_ITERATIONS = 3_000
ITERATIONS = 60  # of a comparison with SciPy
ROUNDS = 7
RATES = (1e-2, 3e-3, 1e-3)
BATCH_SIZES = (32, "full")


def draw_curve() -> tuple[Array, Array]:
    """200 rows of sin(x) exp(-x / 5) over [0, 10]."""
    x = np.linspace(0, 10, 200).reshape(-1, 1)
    return x, np.sin(x) * np.exp(-x / 5)


# Name, data, units of the hidden layers, and iterations of Levenberg-Marquardt.
PROBLEMS: tuple[tuple[str, Callable[[], tuple[Array, Array]], tuple[int, ...], int], ...] = (
    ("Friedman's first function, 1,000 rows", lambda: surrogates.draw_friedman(1_000), (20,), 300),
    ("borehole, 1,000 rows", lambda: surrogates.draw_borehole(1_000), (20,), 300),
    ("concrete, 1,030 rows", fn.datasets.load_concrete, (50,), 200),
)
SCIPY_CASES: tuple[tuple[Callable[[], tuple[Array, Array]], tuple[int, ...]], ...] = (
    (draw_curve, (10,)),
    (lambda: surrogates.draw_borehole(1_000), (16,)),
    (fn.datasets.load_concrete, (20,)),
)


def make_network(hidden: tuple[int, ...], n_features: int, seed: int = 0) -> fn.Sequential:
    """A tanh network in float64."""
    layers = [fn.Dense(units, "tanh") for units in hidden]
    net = fn.Sequential(*layers, fn.Dense(1), random_state=seed, dtype="float64")
    return net.build(n_features)


def describe_widths(net: fn.Sequential) -> str:
    """The numbers of inputs and units, as 8-16-1."""
    return "-".join(map(str, [net.n_features_in, *(len(b) for b in net.biases)]))


# ---- one iteration, beside SciPy -----------------------------------------------------------------


def compare_with_scipy(
    draw: Callable[[], tuple[Array, Array]], hidden: tuple[int, ...], rounds: int
) -> str:
    """A row of the table."""
    X, y = surrogates.standardize(*draw())
    net = make_network(hidden, X.shape[1])
    initial = net.parameters.copy()

    def compute_residuals(parameters: Array) -> Any:
        net.parameters[:] = parameters
        return (net.predict(X) - y).ravel()

    def compute_jacobian(parameters: Array) -> Any:
        net.parameters[:] = parameters
        return net.parameter_jacobian(X)[:, 0]

    def run_own() -> tuple[int, float]:
        net.parameters[:] = initial
        history = net.fit(X, y, optimizer=LM, epochs=ITERATIONS)
        return history.n_epochs, history["loss"][-1]

    def run_scipy() -> tuple[int, float]:
        result = scipy.optimize.least_squares(
            compute_residuals, initial, compute_jacobian, method="lm", max_nfev=ITERATIONS
        )
        return result.njev, 2 * result.cost / len(y)

    taken: dict[Any, list[float]] = {run_own: [], run_scipy: []}
    losses = {}
    for _ in range(rounds):
        for run, seconds in taken.items():
            began = time.perf_counter()
            n_iterations, losses[run] = run()
            seconds.append((time.perf_counter() - began) / n_iterations)
    own, scipys = taken.values()
    ratio = statistics.median(b / a for a, b in zip(own, scipys, strict=True))
    return (
        f"| {describe_widths(net)}, {len(X):,} rows | {net.n_parameters} | "
        f"{1e3 * statistics.median(own):.3g} ms | {1e3 * statistics.median(scipys):.3g} ms | "
        f"{ratio:.1f} | {losses[run_own]:.2g} | {losses[run_scipy]:.2g} |"
    )


# ---- the error at equal wall time, beside Adam ---------------------------------------------------


def compare_with_adam(
    name: str, draw: Callable[[], tuple[Array, Array]], hidden: tuple[int, ...], iterations: int
) -> str:
    """A row of the table."""
    X, y = surrogates.standardize(*draw())
    net = make_network(hidden, X.shape[1])
    began = time.perf_counter()
    history = net.fit(X, y, optimizer=LM, epochs=iterations)
    allowed = time.perf_counter() - began
    best = min(
        train_adam(make_network(hidden, X.shape[1]), X, y, rate, size, allowed)
        for rate in RATES
        for size in BATCH_SIZES
    )
    own = history["loss"][-1]
    return (
        f"| {name} | {describe_widths(net)} | {history.n_epochs} | {allowed:.2f} s | "
        f"{own:.2g} | {best:.2g} | {best / own:.1f} | {math.sqrt(best / own):.1f} |"
    )


def train_adam(
    net: fn.Sequential, X: Array, y: Array, rate: float, batch_size: int | str, seconds: float
) -> float:
    """The training loss after so many seconds."""
    end = time.perf_counter() + seconds
    net.fit(
        X, y, optimizer=fn.optimizers.Adam(rate), epochs=10**6, batch_size=batch_size,
        callbacks=[lambda epoch: time.perf_counter() > end],
    )  # fmt: skip
    return float(net.evaluate(X, y)["loss"])


# ---- the report ----------------------------------------------------------------------------------


def fit_curve() -> str:
    """A sentence on the curve of `draw_curve`."""
    X, y = draw_curve()
    nets = [make_network((10,), 1, seed) for seed in range(CURVE_SEEDS)]
    began = time.perf_counter()
    runs = fn.fit_many(nets, X, y, optimizer=LM, epochs=CURVE_ITERATIONS)
    seconds = time.perf_counter() - began
    errors = sorted(math.sqrt(run.history["loss"][-1]) for run in runs)
    return (
        f"sin(x) exp(-x / 5) on [0, 10], 200 rows, 1-10-1 tanh, {CURVE_SEEDS} seeds of at most "
        f"{CURVE_ITERATIONS:,} iterations, {seconds:.1f} s together: root mean squared errors "
        f"{', '.join(f'{error:.1e}' for error in errors)}."
    )


def compare(quick: bool, log: Callable[[str], None]) -> str:
    """Measure everything, and return the report in Markdown."""
    lines = [
        f"{machine.describe_cores()} float64, tanh.",
        "", "## One iteration, beside SciPy", "",
        "Medians of the times, and of their ratios within rounds; the mean squared errors after "
        f"{ITERATIONS} iterations.", "",
        "| network | parameters | fastnn | SciPy | SciPy / fastnn | error, fastnn | error, SciPy |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]  # fmt: skip
    for draw, hidden in SCIPY_CASES:
        lines.append(compare_with_scipy(draw, hidden, 3 if quick else ROUNDS))
        log(lines[-1])
    lines += [
        "", "## Training error at equal wall time, beside Adam", "",
        f"Adam: the best of learning rates {', '.join(map(str, RATES))} with batches of 32 rows "
        "and of all rows. Mean squared errors of standardized targets.", "",
        "| data | network | iterations | time | Levenberg-Marquardt | Adam | ratio | its root |",
        "| --- | --- | --: | --: | --: | --: | --: | --: |",
    ]  # fmt: skip
    for name, draw, hidden, iterations in PROBLEMS:
        lines.append(compare_with_adam(name, draw, hidden, iterations // (10 if quick else 1)))
        log(lines[-1])
    return "\n".join([*lines, "", "## A smooth curve", "", fit_curve()])
