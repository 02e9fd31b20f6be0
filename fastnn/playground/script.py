"""The Python script that repeats a run of the playground."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastnn.activations import Activation
from fastnn.layers import Layer
from fastnn.optimizers import Optimizer
from fastnn.playground.settings import Settings


@dataclass(frozen=True)
class Epochs:
    """Training on all rows, in random order."""

    n: int


@dataclass(frozen=True)
class Step:
    """Training on one minibatch of the training rows from `first_row`."""

    first_row: int


@dataclass(frozen=True)
class Edit:
    """Assignment of the weight from unit i to unit j of a layer, or of the bias of j if i is -1."""

    layer: int
    i: int
    j: int
    value: float


Action = Epochs | Step | Edit


def write_script(
    settings: Settings, layers: Iterable[Layer], optimizer: Optimizer, actions: Iterable[Action]
) -> str:
    """Return a script that repeats the actions and prints the losses that the page shows.

    Rows from a table are read from data.csv.
    """
    if settings.data == "csv":
        imports = "from pathlib import Path\n\n"
        reading = 'data.read_csv(Path("data.csv").read_text())'
    else:
        imports = ""
        reading = f'data.make_data("{settings.data}", noise={settings.noise}, seed={settings.seed})'
    return f"""\
{imports}import fastnn as fn
from fastnn.playground import data

points, target = {reading}
X = data.compute_features(points, {list(settings.features)}).astype("float32")
X_train, X_test, y_train, y_test = fn.train_test_split(
    X, target, test_size={settings.test_share}, random_state={settings.seed}
)
net = fn.Sequential(
{"".join(f"    {_write_call(layer, 'fn')},{chr(10)}" for layer in layers)}\
    random_state={settings.seed},
).build(X.shape[1])
options = dict(
    optimizer={_write_call(optimizer, "fn.optimizers")},
    reset_optimizer=False,  # each call continues the one before
    n_threads=1,
)
{"".join(f"{_write_action(action, settings.batch_size)}{chr(10)}" for action in actions)}\
print("training loss", net.evaluate(X_train, y_train)["loss"])
print("test", net.evaluate(X_test, y_test))
"""


def _write_call(value: Any, module: str) -> str:
    """A layer, optimizer or schedule as a Python expression, without arguments left at defaults."""
    arguments = (
        f"{field.name}={_write_value(argument)}"
        for field in dataclasses.fields(value)
        if (argument := getattr(value, field.name)) != field.default
    )
    return f"{module}.{type(value).__name__}({', '.join(arguments)})"


def _write_value(value: Any) -> str:
    if isinstance(value, Activation):
        return f'"{value.name}"'
    return _write_call(value, "fn.schedules") if dataclasses.is_dataclass(value) else repr(value)


def _write_action(action: Action, batch_size: int) -> str:
    match action:
        case Epochs(n):
            return f"net.fit(X_train, y_train, epochs={n}, batch_size={batch_size}, **options)"
        case Step(first):
            rows = f"{first} : {first + batch_size}"
            return (
                f"net.fit(X_train[{rows}], y_train[{rows}], epochs=1, shuffle=False, "
                f'batch_size="full", **options)'
            )
        case Edit(layer, i, j, value):
            array = f"biases[{layer}][{j}]" if i < 0 else f"weights[{layer}][{i}, {j}]"
            return f"net.{array} = {value!r}"
