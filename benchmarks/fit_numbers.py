"""Measure what two options of `Sequential.fit` cost and bring: diagnostics, and derivatives as
targets.

`python benchmarks/run.py --only fit` runs the measurements and writes FIT.md.

Fits with and without diagnostics alternate within one process, from the same weights. Trained on
values and derivatives, an epoch takes longer than on values alone; both networks train for the same
time, each with a learning rate that decays over its own number of epochs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import machine
import numpy as np
import surrogates
from surrogates import Array

import fastnn as fn

# Widths and epochs of 10,000 rows.
SHAPES = (
    ((64, 64, 64, 1), 20), ((64, 64, 64, 1), 100), ((784, 128, 10), 10), ((784, 128, 10), 50),
)  # fmt: skip
ROWS = 10_000
ROUNDS = 11
SEEDS = 5
SURROGATE_ROWS = 100
SECONDS = 5.0
WEIGHTS = (0.01, 0.03, 0.1)


# ---- diagnostics ---------------------------------------------------------------------------------


def measure_diagnostics(widths: tuple[int, ...], epochs: int, rounds: int) -> str:
    """A row of the table."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, widths[0])).astype("f4")
    y = rng.normal(size=(ROWS, widths[-1])).astype("f4")
    layers = [*(fn.Dense(units, "relu") for units in widths[1:-1]), fn.Dense(widths[-1])]
    taken: dict[bool, list[float]] = {False: [], True: []}
    results = {}
    for i in range(rounds + 1):
        for diagnostics in (False, True) if i % 2 else (True, False):
            net = fn.Sequential(*layers, random_state=0).build(widths[0])
            began = time.perf_counter()
            net.fit(X, y, epochs=epochs, diagnostics=diagnostics, n_threads=1)
            taken[diagnostics].append(time.perf_counter() - began)
            results[diagnostics] = net.parameters
    assert (results[False] == results[True]).all()
    plain, measured = (np.array(seconds[1:]) for seconds in taken.values())
    return (
        f"| {'-'.join(map(str, widths))} | {epochs} | {statistics.median(plain):.3g} s | "
        f"{statistics.median(measured):.3g} s | {np.median(measured / plain):.3f} |"
    )


# ---- derivatives as targets ----------------------------------------------------------------------


def train_surrogate(seed: int, seconds: float, arguments: dict[str, Any]) -> fn.Sequential:
    """A network trained for that time on the Styblinski-Tang function; `arguments` are further
    arguments of `fit`."""
    X = np.random.default_rng(seed).uniform(-1, 1, size=(SURROGATE_ROWS, 2))
    y, gradients = surrogates.evaluate_styblinski_tang(X)
    if "gradient_weight" in arguments:
        arguments = arguments | {"gradient_targets": gradients}
    layers = (fn.Dense(32, "tanh"), fn.Dense(32, "tanh"), fn.Dense(1))

    def train(epochs: int) -> tuple[fn.Sequential, float]:
        net = fn.Sequential(*layers, random_state=seed, dtype="float64")
        schedule = fn.schedules.CosineDecay(0.01)
        began = time.perf_counter()
        net.fit(X, y, epochs=epochs, optimizer=fn.optimizers.Adam(schedule), **arguments)
        return net, time.perf_counter() - began

    train(100)
    pilot = 1000
    return train(max(1, round(pilot * seconds / train(pilot)[1])))[0]


def compute_errors(net: fn.Sequential) -> tuple[float, float]:
    """The root mean squared errors of values and of derivatives on a grid."""
    axis = np.linspace(-1, 1, 60)
    X: Array = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    y, gradients = surrogates.evaluate_styblinski_tang(X)
    return (
        float(np.sqrt(np.mean((net.predict(X) - y) ** 2))),
        float(np.sqrt(np.mean((net.jacobian(X) - gradients) ** 2))),
    )


# ---- the report ----------------------------------------------------------------------------------


def compare(quick: bool, log: Callable[[str], None]) -> str:
    """Measure everything, and return the report in Markdown."""
    seconds, seeds = (0.2, 2) if quick else (SECONDS, SEEDS)
    lines = [
        machine.describe_cores(),
        "", "## Diagnostics", "",
        f"relu, float32, {ROWS:,} rows, batches of 32, one thread. Medians of the times "
        "of a fit, and of their ratios within rounds. The weights are the same in both.", "",
        "| network | epochs | without | with | ratio |", "| --- | --: | --: | --: | --: |",
    ]  # fmt: skip
    for widths, epochs in SHAPES[:: 2 if quick else 1]:
        lines.append(measure_diagnostics(widths, epochs, 3 if quick else ROUNDS))
        log(lines[-1])
    lines += [
        "", "## Derivatives as targets", "",
        f"Styblinski-Tang function, {SURROGATE_ROWS} random rows, 2-32-32-1 tanh in float64, Adam "
        f"with a cosine schedule from 0.01, {seconds:g} s each. Medians over {seeds} seeds of the "
        "root mean squared errors on a grid, and of their ratios for the same seed.", "",
        "| trained on | error of values | of derivatives | smaller by the factor |",
        "| --- | --: | --: | --: |",
    ]  # fmt: skip
    settings: dict[str, dict[str, Any]] = {"values": {}}
    settings |= {f"both, gradient_weight={w}": {"gradient_weight": w} for w in WEIGHTS}
    base = np.empty((0, 2))
    for name, arguments in settings.items():
        errors = np.array(
            [compute_errors(train_surrogate(seed, seconds, arguments)) for seed in range(seeds)]
        )
        base = base if len(base) else errors
        value, derivative = np.median(errors, axis=0)
        lines.append(
            f"| {name} | {value:.2g} | {derivative:.2g} | "
            f"{np.median(base[:, 1] / errors[:, 1]):.1f} |"
        )
        log(lines[-1])
    return "\n".join(lines)
