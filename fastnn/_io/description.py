"""Conversion of layers, losses, optimizers, schedules and so on to JSON data and back.

An object becomes {"type": class name, field: value, ...}. When reading, class names are looked up
in a fixed list, and constructors check their arguments; a file cannot name other classes or run
code.
"""

from __future__ import annotations

import numbers
from dataclasses import fields
from typing import Any

from fastnn import initializers, layers, losses, optimizers, schedules
from fastnn.activations import Activation

_CLASSES: dict[str, type] = {
    kind.__name__: kind
    for kind in (Activation, layers.Dense, layers.Dropout, layers.Residual, layers.Scale)
} | {
    f"{group}.{kind.__name__}": kind
    for group, kinds in {
        "initializers": (
            initializers.Constant, initializers.Uniform, initializers.Normal,
            initializers.Orthogonal, initializers.Scaled,
        ),
        "losses": tuple(losses.CLASSES.values()),
        "optimizers": tuple(optimizers.ALL_CLASSES.values()),
        "schedules": schedules.CLASSES,
    }.items()
    for kind in kinds
}  # fmt: skip
_NAMES = {kind: name for name, kind in _CLASSES.items()}

# Fields that older files lack; they have their default then.
_LATER_FIELDS: dict[type, frozenset[str]] = {
    layers.Dense: frozenset({"learning_rate_factor", "bias_learning_rate_factor"}),
    optimizers.Adam: frozenset({"lazy"}),
}


def to_data(value: Any) -> Any:
    """Convert an object, a tuple of objects or a plain value to JSON data.

    >>> to_data(layers.Dropout(0.5))
    {'type': 'Dropout', 'rate': 0.5}
    """
    if isinstance(value, tuple):
        return [to_data(item) for item in value]
    if type(value) not in _NAMES:
        return _convert_number(value)
    values = {item.name: to_data(getattr(value, item.name)) for item in fields(value)}
    return {"type": _NAMES[type(value)]} | values


def _convert_number(value: Any) -> Any:
    """A Python int or float for a NumPy scalar, a fraction and so on; other values unchanged."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def from_data(value: Any, expected: tuple[type, ...]) -> Any:
    """The inverse of `to_data`, for an object of one of the expected classes.

    Raises
    ------
    ValueError, TypeError
        If the data describes an object of another class, or its constructor refuses a field.
    """
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise ValueError(f"expected a description with a type; got {value!r:.80}")
    kind = _CLASSES.get(value["type"])
    if kind is None or kind not in expected:
        allowed = sorted(_NAMES[one] for one in expected)
        raise ValueError(f"expected one of {allowed}; got {value['type']!r:.80}")
    values = {name: _read_field(item) for name, item in value.items() if name != "type"}
    names = {item.name for item in fields(kind)}
    if not names - _LATER_FIELDS.get(kind, frozenset()) <= set(values) <= names:
        raise ValueError(f"{value['type']}: expected fields {sorted(names)}; got {sorted(values)}")
    if kind is layers.Residual:
        if not isinstance(values["layers"], tuple):
            raise ValueError("Residual: expected a list of layers")
        return layers.Residual(*values["layers"])
    return kind(**values)


def _read_field(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_read_field(item) for item in value)
    return from_data(value, tuple(_NAMES)) if isinstance(value, dict) else value
