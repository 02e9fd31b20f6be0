"""Conversion of the user's arrays, and the check that all values are finite.

A C-contiguous array of the right dtype is used without a copy. The user's arrays are never
modified.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util.checks.arrays import check_unmasked, convert_frame, describe_non_numeric

Array = NDArray[Any]

# Large arrays are processed in chunks of this size, which take some milliseconds each, because a
# signal is handled only after a call of NumPy has returned.
CHUNK_BYTES = 2**24

# Up to this size, checking each element is faster than entering `np.errstate`.
SMALL_BYTES = 2**14


def read_feature_names(X: Any) -> tuple[str, ...] | None:
    """The column names of a dataframe; None for other arrays, or if a name is not a string."""
    columns = getattr(X, "columns", None)
    if columns is None or not all(isinstance(name, str) for name in columns):
        return None
    return tuple(columns)


def as_numeric(name: str, values: Any, advice: str = "") -> Array:
    """An array of real numbers or booleans, of any dtype. The error message for an array with text
    ends with `advice`."""
    check_unmasked(name, values)
    if hasattr(values, "toarray") or hasattr(values, "tocsr"):
        raise TypeError(f"{name}: expected a dense array; got a sparse one: use {name}.toarray()")
    try:
        array = np.asarray(convert_frame(values))
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name}: expected an array of numbers; got {error}") from None
    if array.dtype.kind not in "biuf":
        got = describe_non_numeric(values, array)
        text = array.dtype.kind in "SUT" or any(isinstance(value, str) for value in array.flat)
        raise TypeError(f"{name}: expected real numbers; got {got}{advice if text else ''}")
    return array


def check_table(name: str, shape: tuple[int, ...]) -> None:
    """Raise an error for a shape other than (rows, features), or without rows or features."""
    if len(shape) != 2:
        hint = ": use X.reshape(1, -1) for one row" if len(shape) == 1 else ""
        raise ValueError(
            f"{name}: expected 2 dimensions, (rows, features); got shape {shape}{hint}"
        )
    if 0 in shape:
        raise ValueError(f"{name}: expected at least one row and feature; got shape {shape}")


def convert(array: Array, dtype: np.dtype[Any]) -> Array:
    """A C-contiguous, aligned array of the given dtype; the array itself if it is one already."""
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        return np.asarray(array)
    result = np.empty(array.shape, dtype)
    with np.errstate(over="ignore"):
        for chunk in _iterate_chunks(array):
            result[chunk] = array[chunk]
    return result


def all_finite(array: Array) -> bool:
    """Whether no element is NaN or infinite.

    The sum is computed first, in the array's dtype: 1.7 ms for 32 MB of float32 (5.9 ms in
    float64), without a temporary array. Each element is checked only if the sum is not finite.
    """
    if array.nbytes <= SMALL_BYTES:
        return bool(np.isfinite(array).all())
    with np.errstate(over="ignore", invalid="ignore"):
        for chunk in _iterate_chunks(array):
            values = array[chunk]
            if not (math.isfinite(values.sum()) or np.isfinite(values).all()):
                return False
    return True


def _iterate_chunks(array: Array) -> Iterable[Any]:
    """Indices of consecutive chunks of rows of at most CHUNK_BYTES."""
    if array.nbytes <= CHUNK_BYTES:
        return (...,)
    n_rows = max(1, CHUNK_BYTES * len(array) // array.nbytes)
    return (slice(start, start + n_rows) for start in range(0, len(array), n_rows))


def check_finite(name: str, array: Array) -> None:
    """Raise an error with the number of elements that are not finite."""
    if all_finite(array):
        return
    n_bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    raise ValueError(
        f"{name}: expected finite numbers in the range of {array.dtype}; got {n_bad} that are "
        "NaN, infinite or too large (check_finite=False turns this check off)"
    )
