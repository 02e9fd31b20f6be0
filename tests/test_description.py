"""Layers, losses, optimizers, schedules and initializers are converted to JSON data and back."""

import dataclasses
import inspect
import itertools
import json

import pytest

import fastnn as fn
from fastnn import activations, initializers, layers, losses, optimizers, schedules
from fastnn._io.description import from_data, to_data
from fastnn.schedules import LinearDecay, Schedule, Warmup

MODULES = [activations, initializers, layers, losses, optimizers, schedules]
CLASSES = [
    kind
    for module in MODULES
    for kind in vars(module).values()
    if inspect.isclass(kind) and dataclasses.is_dataclass(kind)
    and kind.__module__ == module.__name__
]  # fmt: skip

# Candidate values of fields; those that a class refuses are skipped.
VALUES = [
    0.25, 3, 7, 0, 1.5, -0.5, True, False, None, LinearDecay(0.1), Warmup(LinearDecay(0.5), 2),
    fn.activations.elu(0.3), initializers.Normal(0.1, 0.2), *activations.NAMES,
    *initializers.BY_NAME, "auto", "glorot", "he", "normal", "triangular", "triangular2",
    "bayesian",
]  # fmt: skip


def try_to_make(kind, **arguments):
    try:
        return kind(**arguments)
    except (TypeError, ValueError):
        return None


def examples(kind):
    """An object with defaults, and one for each value that a field accepts."""
    if kind is layers.Residual:
        return [
            fn.Residual(fn.Dense(3)),
            fn.Residual(fn.Dropout(0.5), fn.Dense(2, "elu"), fn.Residual(fn.Dense(2))),
        ]
    fields = dataclasses.fields(kind)
    needed = [field.name for field in fields if field.default is dataclasses.MISSING]
    candidates = (
        dict(zip(needed, values, strict=True))
        for values in itertools.product(VALUES, repeat=len(needed))
    )
    base = next(arguments for arguments in candidates if try_to_make(kind, **arguments) is not None)
    varied = [
        try_to_make(kind, **base | {field.name: value}) for field in fields for value in VALUES
    ]
    return [kind(**base), *(one for one in varied if one is not None)]


def test_all_classes_are_found():
    names = {kind.__name__ for kind in CLASSES}
    assert {"Dense", "Residual", "Adam", "Hinge", "Warmup", "Scaled", "Activation"} <= names
    assert set(schedules.CLASSES) | set(losses.CLASSES.values()) <= set(CLASSES)
    assert set(optimizers.ALL_CLASSES.values()) <= set(CLASSES)
    assert Schedule not in CLASSES


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_round_trip(kind):
    objects = examples(kind)
    for field in dataclasses.fields(kind):
        assert len({repr(getattr(one, field.name)) for one in objects}) > 1, field.name
    for one in objects:
        text = json.dumps(to_data(one), allow_nan=False)
        same = from_data(json.loads(text), (kind,))
        assert same == one
        assert type(same) is kind
        assert to_data(same) == json.loads(text)
