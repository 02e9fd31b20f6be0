"""Targets for transformers that learn from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util.checks.arrays import check_array, check_numbers


def read_targets(y: Any, n: int, task: str) -> NDArray[Any]:
    """Targets as numbers (n, n_targets) with mean 0 and standard deviation 1, or as the numbers of
    their classes (n,).

    Parameters
    ----------
    task : {"auto", "classification", "regression"}
        "auto": floats are numbers, all else are classes.

    Raises
    ------
    ValueError, TypeError
        If y has another shape, numbers that are not finite, or classes that cannot be sorted.
    """
    array = check_array("y", y)
    if array.shape[:1] != (n,):
        raise ValueError(f"y: expected {n} rows, as many as X; got shape {array.shape}")
    if task == "regression" or (task == "auto" and array.dtype.kind == "f"):
        values = check_numbers("y", y).astype(np.float64).reshape(n, -1)
        # Each target has the same influence, and squares stay in range.
        values /= np.abs(values).max(axis=0).clip(np.finfo(np.float64).tiny)
        values -= values.mean(axis=0)
        deviation = values.std(axis=0)
        return np.asarray(values / np.where(deviation > 0, deviation, 1))
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"y: expected one class per row, ({n},); got shape {array.shape}")
    if array.dtype.kind == "f":
        array = check_numbers("y", array)
    try:
        codes: NDArray[np.intp] = np.unique(array, return_inverse=True)[1]
    except TypeError:
        kinds = sorted({type(value).__name__ for value in array})
        raise TypeError(f"y: expected classes of one kind; got {', '.join(kinds)}") from None
    return codes
