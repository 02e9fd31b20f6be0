"""The check of arrays of numbers that transformers receive.

Errors have the types that scikit-learn's tests of estimators expect, and end with the words that
these tests look for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util.checks.arrays import check_array, check_numbers, describe_non_numeric

Array = NDArray[Any]


def read_numbers(X: Any, ndims: tuple[int, ...] = (2,), *, allow_nan: bool = False) -> Array:
    """X as an array of finite real numbers, or NaN if allowed.

    Raises
    ------
    ValueError, TypeError
        If X is sparse, complex, not numeric, empty, or has another number of dimensions.
    """
    if hasattr(X, "tocsr"):
        raise TypeError("X: expected a dense array; got a sparse one: use X.toarray()")
    array = check_array("X", X)
    if array.dtype.kind == "c":
        raise ValueError(f"X: expected real numbers; got {array.dtype}: Complex data not supported")
    if array.dtype == object:
        array = _convert_objects(X, array)
    shapes = " or ".join({1: "(n,)", 2: "(n, m)"}[ndim] for ndim in ndims)
    expected = f"X: expected shape {shapes}, not empty; got shape {array.shape}"
    if array.ndim == 1 and 1 not in ndims:
        raise ValueError(f"{expected}: Reshape your data, X.reshape(1, -1), if it is one row")
    if array.ndim == 2 and array.shape[1] == 0:
        counts = f"0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
        raise ValueError(f"{expected}: {counts}")
    if not allow_nan and array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError("X: expected finite numbers; got nan: drop or fill rows with NaN")
    # Frames are passed on as they are, because an error names their columns that are not numeric.
    return check_numbers("X", X if array.dtype.kind not in "biuf" else array, ndims=ndims,
                         allow_nan=allow_nan)  # fmt: skip


def _convert_objects(X: Any, array: Array) -> Array:
    """An array of Python's numbers as float64. Text is an error, even if it is that of a number."""
    if any(isinstance(value, str | bytes) for value in array.flat):
        raise TypeError(f"X: expected real numbers; got {describe_non_numeric(X, array)}")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        got = describe_non_numeric(X, array)
        raise TypeError(f"X: expected real numbers; got {got}: {error}") from None
