"""Conversion of plain values to JSON and back: numbers, text, lists, tuples, dictionaries, arrays,
and schedules and activations.

JSON has no tuples, dates or arrays, so the type of a container is stored: `{"tuple": [...]}`,
`{"dict": [[key, value], ...]}`, `{"array": dtype, "values": [...]}`. No other types are read. The
width of a text dtype is computed from the values; the width in the file is ignored.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._io.description import from_data, to_data
from fastnn.activations import Activation
from fastnn.schedules import CLASSES, Schedule

Array = NDArray[Any]

_NUMBERS = re.compile(r"[<|](b1|[iu][1248]|f[248])")
_DATES = re.compile(r"<[mM]8\[([1-9][0-9]{0,5})?(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\]")
_TEXT = re.compile(r"<U[0-9]+|\|O")

# NumPy pads text to the longest element. Without a limit, one long and many short elements in a
# small file would need excessive memory.
MAX_CHARACTERS = 2**24


def to_json(name: str, value: Any) -> Any:
    """Convert a plain value to JSON data.

    Raises
    ------
    ValueError
        If the value has another type; `name` is the name in the message.

    Examples
    --------
    >>> to_json("x", (1, "a"))
    {'tuple': [1, 'a']}
    >>> to_json("x", np.array([0.5, 2.0]))
    {'array': '<f8', 'values': [0.5, 2.0]}
    """
    if isinstance(value, Schedule | Activation):
        return to_data(value)
    if isinstance(value, np.datetime64 | np.timedelta64):
        array = to_json(name, np.array([value]))
        return {"date": array["array"], "value": array["values"][0]}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        pairs = [[to_json(name, key), to_json(name, item)] for key, item in value.items()]
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [to_json(name, item) for item in value]}
    if isinstance(value, np.ndarray) and value.ndim == 1:
        array = _array_to_json(value)
        if array is not None:
            return array
    raise ValueError(
        f"{name}: expected a number, text, list, schedule or activation to save in a file; got "
        f"{value!r:.60} ({type(value).__name__}): use pickle for other objects"
    )


def _array_to_json(array: Array) -> dict[str, Any] | None:
    """JSON data for an array (n,); None if files do not support its dtype."""
    dtype = array.dtype.newbyteorder("<").str
    if _DATES.fullmatch(dtype):
        return {"array": dtype, "values": array.astype(np.int64).tolist()}
    values = array.tolist()
    is_text = _TEXT.fullmatch(dtype) and all(isinstance(item, str) for item in values)
    return {"array": dtype, "values": values} if is_text or _NUMBERS.fullmatch(dtype) else None


def from_json(value: Any) -> Any:
    """The inverse of `to_json`.

    Raises
    ------
    ValueError, TypeError, OverflowError
        If the data cannot be a result of `to_json`.
    """
    if not isinstance(value, dict):
        if isinstance(value, list):
            raise ValueError(f"expected a value; got the list {value!r:.60}")
        return value
    if "type" in value:
        return from_data(value, (*CLASSES, Activation))
    if set(value) == {"array", "values"}:
        return _read_array(value["array"], value["values"])
    if set(value) == {"date", "value"}:
        return _read_array(value["date"], [value["value"]])[0]
    if len(value) != 1:
        raise ValueError(f"expected a value; got {value!r:.60}")
    ((kind, items),) = value.items()
    if not isinstance(items, list):
        raise ValueError(f"expected a list of values; got {items!r:.60}")
    if kind == "dict":
        return {from_json(key): from_json(item) for key, item in items}
    if kind not in ("list", "tuple"):
        raise ValueError(f"expected a list, tuple, dict or array; got {kind!r:.60}")
    values = [from_json(item) for item in items]
    return values if kind == "list" else tuple(values)


_ITEMS: dict[str, tuple[type, ...]] = {
    "b": (bool,), "i": (int,), "u": (int,), "f": (int, float), "m": (int,), "M": (int,),
}  # fmt: skip


def _read_array(dtype: Any, values: Any) -> Array:
    """An array whose dtype is in a fixed list and whose values have the matching type."""
    if not isinstance(dtype, str) or not isinstance(values, list):
        raise ValueError(f"expected the dtype and the values of an array; got {dtype!r:.60}")
    if _TEXT.fullmatch(dtype):
        if not all(type(item) is str for item in values):
            raise ValueError("expected an array of text; got other values")
        if dtype == "|O":
            return np.array(values, dtype=object)
        if len(values) * max(map(len, values), default=0) > MAX_CHARACTERS:
            raise ValueError(f"expected an array of at most {MAX_CHARACTERS} characters")
        return np.array(values, dtype=np.str_)
    if not (_NUMBERS.fullmatch(dtype) or _DATES.fullmatch(dtype)):
        raise ValueError(f"expected an array of numbers, text or dates; got dtype {dtype!r:.60}")
    kinds = _ITEMS[dtype[1]]
    if not all(type(item) in kinds for item in values):
        raise ValueError(f"expected values of dtype {dtype}; got others")
    if dtype[1] in "mM":
        return np.array(values, dtype=np.int64).view(dtype)
    return np.array(values, dtype=dtype)
