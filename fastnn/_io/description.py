"""Frozen descriptions (layers, losses, optimizers, schedules, ...) into JSON data and back.

A description becomes {"type": class name, field: value, ...}. Reading looks names up in closed
lists and builds objects through their own checks: a file can name nothing else, and run nothing.
"""

from __future__ import annotations

import numbers
from dataclasses import fields
from typing import Any

from fastnn import initializers, layers, losses, optimizers, schedules
from fastnn.activations import Activation

_CLASSES: dict[str, type] = {
    kind.__name__: kind
    for kind in (Activation, layers.Dense, layers.Dropout, layers.Residual)
} | {
    f"{group}.{kind.__name__}": kind
    for group, kinds in {
        "initializers": (
            initializers.Constant, initializers.Uniform, initializers.Normal,
            initializers.Orthogonal, initializers.Scaled,
        ),
        "losses": tuple(losses.CLASSES.values()),
        "optimizers": tuple(optimizers.CLASSES.values()),
        "schedules": schedules.CLASSES,
    }.items()
    for kind in kinds
}  # fmt: skip
_NAMES = {kind: name for name, kind in _CLASSES.items()}


def to_data(value: Any) -> Any:
    """Plain data for JSON.

    >>> to_data(layers.Dropout(0.5))
    {'type': 'Dropout', 'rate': 0.5}
    """
    if isinstance(value, tuple):
        return [to_data(item) for item in value]
    if type(value) not in _NAMES:
        return _plain(value)
    named = {item.name: to_data(getattr(value, item.name)) for item in fields(value)}
    return {"type": _NAMES[type(value)]} | named


def _plain(value: Any) -> Any:
    """Python's own number for one of NumPy's, or a fraction; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def from_data(value: Any, expected: tuple[type, ...]) -> Any:
    """The object that `to_data` was given, one of the expected classes.

    Raises
    ------
    ValueError, TypeError
        If the data names anything else, or a field does not pass its class's checks.
    """
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise ValueError(f"expected a description with a type; got {value!r:.80}")
    kind = _CLASSES.get(value["type"])
    if kind is None or kind not in expected:
        names = sorted(_NAMES[one] for one in expected)
        raise ValueError(f"expected one of {names}; got {value['type']!r:.80}")
    given = {name: _field(item) for name, item in value.items() if name != "type"}
    known = {item.name for item in fields(kind)}
    if set(given) != known:
        raise ValueError(f"{value['type']}: expected fields {sorted(known)}; got {sorted(given)}")
    if kind is layers.Residual:
        if not isinstance(given["layers"], tuple):
            raise ValueError("Residual: expected a list of layers")
        return layers.Residual(*given["layers"])
    return kind(**given)


def _field(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_field(item) for item in value)
    return from_data(value, tuple(_NAMES)) if isinstance(value, dict) else value
