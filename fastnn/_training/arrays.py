"""The user's arrays into the arrays that the engines read; every error about an array is here.

Conversion itself, which copies nothing that need not be copied, is in `_util/conversion.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import losses
from fastnn._util import checks
from fastnn._util.checks.arrays import check_unmasked
from fastnn._util.conversion import as_numeric, check_finite, convert, read_feature_names
from fastnn.losses import Loss

Array = NDArray[Any]

MOST_CLASSES = 100  # that whole numbers are taken for, in advice

ROW_SUM_TOLERANCE = 1e-3  # of rows of probabilities, which may have been rounded to float16


def convert_features(
    X: Any,
    dtype: np.dtype[Any],
    *,
    n_features: int | None = None,
    names: tuple[str, ...] | None = None,
    finite: bool = True,
    name: str = "X",
) -> Array:
    """Rows of features, shape (n, n_features), as a network of the given width reads them."""
    array = as_numeric(name, X)
    if array.ndim != 2:
        hint = ": use X.reshape(1, -1) for one row" if array.ndim == 1 else ""
        raise ValueError(
            f"{name}: expected 2 dimensions, (rows, features); got shape {array.shape}{hint}"
        )
    if 0 in array.shape:
        raise ValueError(f"{name}: expected at least one row and feature; got shape {array.shape}")
    if n_features is not None and array.shape[1] != n_features:
        raise ValueError(
            f"{name}: expected {n_features} features, as the network was built for; "
            f"got {array.shape[1]}"
        )
    given = read_feature_names(X)
    if names is not None and given is not None and given != names:
        raise ValueError(f"{name}: expected the columns {list(names)}; got {list(given)}")
    array = convert(array, dtype)
    if finite:
        check_finite(name, array)
    return array


def check_output(
    out: Any, shape: tuple[int, int], dtype: np.dtype[Any], features: Array, parameters: Array
) -> None:
    """An error unless `out` is None or predictions of this shape and dtype can be written to it."""
    if out is None:
        return
    expected = f"out: expected a C-contiguous array of shape {shape} and dtype {dtype}"
    if type(out) is not np.ndarray:
        raise TypeError(f"{expected}; got {checks.describe(out)}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"{expected}; got shape {out.shape} and dtype {out.dtype}")
    if not out.flags.carray:
        kind = "" if out.flags.writeable else ", read-only"
        raise ValueError(f"{expected}, writeable and aligned; got strides {out.strides}{kind}")
    for name, array in (("X", features), ("the network's parameters", parameters)):
        if np.may_share_memory(out, array):
            raise ValueError(f"{expected}, apart from {name}; got one that shares memory with it")


def convert_targets(
    y: Any,
    loss: Loss,
    n_rows: int,
    n_outputs: int,
    dtype: np.dtype[Any],
    *,
    finite: bool = True,
    name: str = "y",
) -> Array:
    """Targets, shape (n, n_targets), as the loss reads them: labels are one column of numbers."""
    array = as_numeric(name, y, f": number the classes, np.unique({name}, return_inverse=True)[1]")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name}: expected 1 or 2 dimensions; got shape {array.shape}")
    if len(array) != n_rows:
        raise ValueError(f"{name}: expected {n_rows} rows, as many as X; got {len(array)}")
    column = array.reshape(n_rows, -1)
    result = convert(column, dtype)
    if finite:
        check_finite(name, result)
    title = losses.get_name(loss)
    if title == "cross_entropy":
        _check_classes(column, n_outputs, name)
    else:
        _check_width(column, title, n_outputs, name)
        _check_range(column, title, name)
    return result


def _check_width(column: Array, loss: str, n_outputs: int, name: str) -> None:
    width = n_outputs
    if loss == "gaussian_nll":
        if n_outputs % 2:
            raise ValueError(
                "loss: expected an even number of outputs for gaussian_nll (means, then log "
                f"variances); got {n_outputs}"
            )
        width //= 2
    if column.shape[1] != width:
        raise ValueError(
            f"{name}: expected {width} columns for {n_outputs} outputs and {loss}; "
            f"got {column.shape[1]}{_softmax_advice(column, width)}"
        )


def _softmax_advice(column: Array, n_outputs: int) -> str:
    """What to write where targets look like labels of more classes than two."""
    if column.shape[1] != 1 or column.min() < 0 or (column != np.floor(column)).any():
        return ""
    n_classes = int(column.max()) + 1
    if not 2 < n_classes <= max(n_outputs, MOST_CLASSES):
        return ""
    return f': for class labels, end in Dense({max(n_classes, n_outputs)}, "softmax")'


def _check_range(column: Array, loss: str, name: str) -> None:
    if loss == "poisson" and column.min() < 0:
        raise ValueError(f"{name}: expected counts of at least 0; got {column.min()}")
    if loss == "binary_cross_entropy" and (column.min() < 0 or column.max() > 1):
        bad = column.min() if column.min() < 0 else column.max()
        raise ValueError(f"{name}: expected labels 0 and 1, or probabilities; got {bad}"
                         f"{_softmax_advice(column, 1)}")  # fmt: skip
    if loss in ("hinge", "perceptron"):
        found = np.unique(column)
        if not (np.isin(found, (0, 1)).all() or np.isin(found, (-1, 1)).all()):
            raise ValueError(
                f"{name}: expected labels 0 and 1, or -1 and 1; got {found[:5].tolist()}"
            )


def _check_classes(column: Array, n_classes: int, name: str) -> None:
    if n_classes < 2:
        raise ValueError(
            "loss: expected at least 2 outputs for cross_entropy; got 1: use "
            "binary_cross_entropy for a single one"
        )
    if column.shape[1] == 1:
        _check_labels(column, n_classes, name)
        return
    if column.shape[1] != n_classes:
        raise ValueError(
            f"{name}: expected labels, or rows of {n_classes} classes; got rows of "
            f"{column.shape[1]}"
        )
    off = np.abs(column.sum(axis=1, dtype=np.float64) - 1).max()
    if column.min() < 0 or not off <= ROW_SUM_TOLERANCE:
        raise ValueError(
            f"{name}: expected one-hot rows or rows of probabilities, which add up to 1; got "
            f"rows that miss it by up to {off:.3g}, smallest number {column.min():.3g}"
        )


def _check_labels(column: Array, n_classes: int, name: str) -> None:
    if column.dtype.kind == "f" and not (column == np.floor(column)).all():
        bad = column[column != np.floor(column)][0]
        raise ValueError(f"{name}: expected whole numbers as labels; got {bad}")
    if column.min() < 0 or column.max() >= n_classes:
        bad = column.min() if column.min() < 0 else column.max()
        raise ValueError(
            f"{name}: expected labels from 0 to {n_classes - 1} for {n_classes} outputs; got {bad}"
        )


def convert_weights(
    sample_weight: Any, n_rows: int, dtype: np.dtype[Any], name: str = "sample_weight"
) -> Array | None:
    """Weights of rows, shape (n,), or None."""
    if sample_weight is None:
        return None
    array = as_numeric(name, sample_weight)
    if array.shape != (n_rows,):
        raise ValueError(f"{name}: expected shape ({n_rows},); got {array.shape}")
    array = convert(array, dtype)
    check_finite(name, array)
    if array.min() < 0:
        raise ValueError(f"{name}: expected weights of at least 0; got {array.min()}")
    if not array.any():
        raise ValueError(f"{name}: expected at least one weight above 0; got none")
    return array


def convert_rows(name: str, values: Any, n_rows: int) -> NDArray[np.intp]:
    """Positions of rows of X, from their numbers or from a mask of all rows."""
    check_unmasked(name, values)
    array = np.asarray(values)
    expected = f"{name}: expected numbers of rows of X, from 0 to {n_rows - 1}, or a mask"
    if array.ndim != 1 or array.dtype.kind not in "biu":
        raise TypeError(f"{expected}; got {checks.describe(values)}")
    if array.dtype.kind == "b":
        if len(array) != n_rows:
            raise ValueError(f"{expected} of {n_rows}; got a mask of {len(array)}")
        array = np.flatnonzero(array)
    if not len(array):
        raise ValueError(f"{expected}; got none")
    if array.min() < 0 or array.max() >= n_rows:
        bad = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"{expected}; got {bad}")
    return array.astype(np.intp)


# Losses that learn to tell classes apart.
CLASSIFYING = ("binary_cross_entropy", "cross_entropy", "hinge", "perceptron")


def check_classes_of(y: Array, rows: NDArray[np.intp] | None, loss: Loss) -> None:
    """An error if a class that occurs in y is missing in these rows."""
    if losses.get_name(loss) not in CLASSIFYING:
        return
    part = y if rows is None else y[rows]
    if y.shape[1] == 1:
        if (y != np.floor(y)).any():  # probabilities
            return
        missing = np.setdiff1d(y, part).astype(int).tolist()
    else:
        missing = np.flatnonzero(y.any(axis=0) & ~part.any(axis=0)).tolist()
    if missing:
        raise ValueError(
            f"subsets: expected rows of every class in y; got none of class "
            f"{', '.join(map(str, missing[:5]))}"
        )
