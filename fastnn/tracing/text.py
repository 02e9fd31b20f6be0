"""The text of a trace: formulas at the left, numbers at the right, in 80 columns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.activations import resolve
from fastnn.layers import Dense, Layer, Residual, get_output_activation
from fastnn.losses import Loss
from fastnn.tracing.formulas import get_formula

Array = NDArray[Any]
Record = dict[str, Any]
Line = tuple[str, Any]  # a formula and its numbers; without numbers, it is not printed

WIDTH = 80
COLUMN = 30  # of the first number
INDENT = "  "


# ---- numbers -------------------------------------------------------------------------------------


def format_numbers(values: Any, digits: int) -> list[str]:
    """Right-aligned columns of numbers with the given number of significant digits, a line per
    row."""
    matrix = np.atleast_2d(values) + 0.0  # -0 becomes 0
    rows = [[f"{value:.{digits}g}" for value in row] for row in matrix]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    gap = " " if sum(widths) + 2 * len(widths) > WIDTH else "  "
    return [gap.join(map(str.rjust, row, widths)) for row in rows]


def format_line(label: str, values: Any, digits: int) -> Iterator[str]:
    """A formula and its numbers. The numbers begin below the formula if that is too long, and
    further left if they are too wide."""
    label, numbers = INDENT + label, format_numbers(values, digits)
    start = min(COLUMN, WIDTH - len(numbers[0]))
    if len(label) >= start:
        yield label
        label = ""
    for line in numbers:
        yield label.ljust(start) + line
        label = ""


def format_lines(entries: list[Line], digits: int) -> Iterator[str]:
    """The lines of formulas and numbers, without those whose numbers are None."""
    for label, values in entries:
        if values is not None:
            yield from format_line(label, values, digits)


# ---- layers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A title, and the lines below it in the forward and in the backward pass."""

    title: str
    forward: list[Line]
    backward: list[Line]


def is_fused(record: Record) -> bool:
    """Whether a layer and the loss are differentiated as one function."""
    return record["dL/dy"] is None


def list_derivatives(f: str, record: Record) -> list[Line]:
    """From dL/dy to dL/dz through the activation f. In the last layer, the part of the loss may
    have dL/dz already."""
    if is_fused(record):
        return []
    if f == "linear":
        return [("dL/dz = dL/dy", record["dL/dz"])]
    return [
        ("dL/dy", record["dL/dy"]),
        (f"{f}'(z)", record["f'(z)"]),
        (f"dL/dz = dL/dy * {f}'(z)", record["dL/dz"]),
    ]


def describe_dense(number: int, record: Record) -> Part:
    """The part of a Dense layer. `number` is its index in `weights`."""
    layer: Dense = record["layer"]
    activation = resolve(layer.activation)
    f, parameter = activation.name, activation.parameter
    n_in, n_out = record["W"].shape
    bias = "" if record["b"] is None else " + b"
    penalty = (" + l1 * sign(W)" if layer.l1 else "") + (" + l2 * W" if layer.l2 else "")
    total = "" if len(record["x"]) == 1 else ".sum(axis=0)"
    return Part(
        f"Dense {number}: {n_in} -> {n_out}, {f}{'' if parameter is None else f'({parameter:g})'}",
        [
            ("W", record["W"]),
            ("b", record["b"]),
            (f"z = x @ W{bias}", record["z"]),
            ("y = z" if f == "linear" else f"y = {f}(z)", record["y"]),
        ],
        [
            *list_derivatives(f, record),
            (f"dL/dW = x.T @ dL/dz{penalty}", record["dL/dW"]),
            (f"dL/db = dL/dz{total}", record["dL/db"]),
            ("dL/dx = dL/dz @ W.T", record["dL/dx"]),
        ],
    )


def make_parts(records: list[Record], numbers: Iterator[int]) -> Iterator[Part]:
    """The parts of all layers in the order of the forward pass. A residual block has two, around
    those of its inner layers."""
    for record in records:
        layer = record["layer"]
        if isinstance(layer, Dense):
            yield describe_dense(next(numbers), record)
        elif isinstance(layer, Residual):
            yield Part(
                "Residual block, input",
                [("x", record["x"])],
                [("dL/dx = dL/dy + dL/dx of F", record["dL/dx"])],
            )
            yield from make_parts(record["layers"], numbers)
            yield Part(
                "Residual block, output",
                [("F(x)", record["F(x)"]), ("y = x + F(x)", record["y"])],
                [("dL/dy", record["dL/dy"])],
            )
        else:
            yield Part("Dropout: inactive, y = x and dL/dx = dL/dy", [], [])


# ---- the loss ------------------------------------------------------------------------------------


def describe_loss(layers: tuple[Layer, ...], loss: Loss, record: Record) -> Part:
    """The part of the loss."""
    last = record["layers"][-1]
    argument = "z" if is_fused(last) else "y"
    formula = get_formula(loss, get_output_activation(layers).name, argument)
    n_rows, n_targets = record["t"].shape
    n_averaged = n_targets if formula.is_mean else 1  # losses in the loss of a row
    value = f"mean({formula.value})" if n_averaged > 1 else formula.value
    divisor = "" if n_rows * n_averaged == 1 else f" / {n_rows * n_averaged}"
    average = "mean(row loss)" if n_rows > 1 else "row loss"
    penalty = " + penalty" if record["penalty"] else ""
    return Part(
        f"Loss: {loss}, where {formula.definition}",
        [
            ("t", record["t"]),
            (f"row loss = {value}", record["row losses"][:, np.newaxis]),
            ("penalty = sum(l1 * abs(w) + l2 / 2 * w**2)", record["penalty"] or None),
            (f"L = {average}{penalty}", record["L"]),
        ],
        [(f"dL/d{argument} = {formula.derivative}{divisor}", last[f"dL/d{argument}"])],
    )


def format_trace(record: Record, layers: tuple[Layer, ...], loss: Loss, digits: int) -> str:
    """The text of a record of `fastnn.reference.tracing.trace`."""
    parts = [*make_parts(record["layers"], itertools.count()), describe_loss(layers, loss, record)]
    lines = [*make_heading("Forward pass"), *format_lines([("x", record["x"])], digits)]
    for part in parts:
        lines += [part.title, *format_lines(part.forward, digits)]
    lines += make_heading("Backward pass")
    for part in reversed(parts):
        lines += [part.title, *format_lines(part.backward, digits)]
    return "\n".join(lines)


def make_heading(text: str) -> list[str]:
    """A line and the line under it."""
    return [text, "=" * len(text)]
