"""One-hot encoding of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnn._util import checks
from fastnn._util.checks.arrays import check_labels


def one_hot(
    labels: ArrayLike, n_classes: int | None = None, dtype: DTypeLike = np.float64
) -> NDArray[Any]:
    """One-hot encoding: 1 in the column of the label, 0 in all others.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Labels from 0 to n_classes - 1.
    n_classes : int, optional
        Number of columns; by default the largest label plus 1.
    dtype : dtype, default float64
        A boolean, integer or floating-point dtype.

    Returns
    -------
    ndarray, shape (n, n_classes)

    Raises
    ------
    ValueError, TypeError
        If a label is not an integer from 0 to n_classes - 1, or `dtype` is not a real dtype.

    Examples
    --------
    >>> one_hot([0, 2], dtype="int64")
    array([[1, 0, 0],
           [0, 0, 1]])
    """
    if n_classes is not None:
        n_classes = checks.whole("n_classes", n_classes, at_least=1)
    columns = check_labels("labels", labels, n_classes)
    if np.dtype(dtype).kind not in "biuf":
        raise TypeError(f"dtype: expected a real number type; got {np.dtype(dtype)}")
    rows = np.zeros((len(columns), n_classes or int(columns.max()) + 1), dtype)
    rows[np.arange(len(columns)), columns] = 1
    return rows
