"""Checks of the user's arrays and their conversion to the arrays that the engines read.

The conversion of dtypes, which avoids copies, is in `_util/conversion.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import losses
from fastnn._util import checks
from fastnn._util.checks.arrays import check_unmasked
from fastnn._util.conversion import (
    as_numeric,
    check_finite,
    check_table,
    convert,
    read_feature_names,
)
from fastnn._util.sparse_rows import SparseRows, convert_sparse, is_sparse
from fastnn.losses import Loss

Array = NDArray[Any]

# Integer targets with up to this number of distinct values are taken for class labels in hints.
MAX_CLASSES = 100

ROW_SUM_TOLERANCE = 1e-3  # for rows of probabilities, which may have been rounded to float16


def convert_inputs(
    X: Any,
    dtype: np.dtype[Any],
    *,
    n_features: int | None = None,
    names: tuple[str, ...] | None = None,
    finite: bool = True,
    name: str = "X",
) -> Array | SparseRows:
    """Features in the network's dtype, dense or sparse as they are. Arguments as of
    `convert_features`."""
    if not is_sparse(X):
        return convert_features(
            X, dtype, n_features=n_features, names=names, finite=finite, name=name
        )
    rows = convert_sparse(X, dtype, finite=finite, name=name)
    _check_n_features(rows.n_features, n_features, name)
    return rows


def _check_n_features(n: int, expected: int | None, name: str) -> None:
    if expected is not None and n != expected:
        raise ValueError(
            f"{name}: expected {expected} features, as the network was built for; got {n}"
        )


def convert_features(
    X: Any,
    dtype: np.dtype[Any],
    *,
    n_features: int | None = None,
    names: tuple[str, ...] | None = None,
    finite: bool = True,
    name: str = "X",
) -> Array:
    """Features (n, n_features) in the network's dtype. The number and names of features are checked
    if given."""
    array = as_numeric(name, X)
    check_table(name, array.shape)
    _check_n_features(array.shape[1], n_features, name)
    columns = read_feature_names(X)
    if names is not None and columns is not None and columns != names:
        raise ValueError(f"{name}: expected the columns {list(names)}; got {list(columns)}")
    array = convert(array, dtype)
    if finite:
        check_finite(name, array)
    return array


def check_output(
    out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], features: Array | SparseRows,
    parameters: Array,
) -> None:  # fmt: skip
    """Check that `out` is None, or an array of the given shape and dtype that shares no memory with
    features or parameters."""
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
    read = features.values if isinstance(features, SparseRows) else features
    for name, array in (("X", read), ("the network's parameters", parameters)):
        if np.may_share_memory(out, array):
            raise ValueError(f"{expected} that shares no memory with {name}; got one that does")


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
    """Targets (n, n_targets) in the network's dtype, checked for the loss; labels as (n, 1)."""
    array = as_numeric(name, y, f": number the classes, np.unique({name}, return_inverse=True)[1]")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name}: expected 1 or 2 dimensions; got shape {array.shape}")
    if len(array) != n_rows:
        raise ValueError(f"{name}: expected {n_rows} rows, as in X; got {len(array)}")
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
            f"got {column.shape[1]}{_suggest_softmax(column, width)}"
        )


def _suggest_softmax(column: Array, n_outputs: int) -> str:
    """A hint for targets that look like labels of more than two classes; otherwise empty."""
    if column.shape[1] != 1 or column.min() < 0 or (column != np.floor(column)).any():
        return ""
    n_classes = int(column.max()) + 1
    if not 2 < n_classes <= max(n_outputs, MAX_CLASSES):
        return ""
    return f': for class labels, end in Dense({max(n_classes, n_outputs)}, "softmax")'


def _check_range(column: Array, loss: str, name: str) -> None:
    if loss == "poisson" and column.min() < 0:
        raise ValueError(f"{name}: expected counts of at least 0; got {column.min()}")
    if loss == "binary_cross_entropy" and (column.min() < 0 or column.max() > 1):
        bad = column.min() if column.min() < 0 else column.max()
        raise ValueError(f"{name}: expected labels 0 and 1, or probabilities; got {bad}"
                         f"{_suggest_softmax(column, 1)}")  # fmt: skip
    if loss in ("hinge", "perceptron"):
        labels = np.unique(column)
        if not (np.isin(labels, (0, 1)).all() or np.isin(labels, (-1, 1)).all()):
            raise ValueError(
                f"{name}: expected labels 0 and 1, or -1 and 1; got {labels[:5].tolist()}"
            )


def _check_classes(column: Array, n_classes: int, name: str) -> None:
    if n_classes < 2:
        raise ValueError(
            "loss: expected at least 2 outputs for cross_entropy; got 1: use "
            "binary_cross_entropy for a single output"
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
            f"{name}: expected one-hot rows or rows of probabilities, which sum to 1; got "
            f"sums that differ from 1 by up to {off:.3g}, smallest value {column.min():.3g}"
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


def convert_gradient_targets(
    values: Any, shape: tuple[int, int, int], dtype: np.dtype[Any], *, finite: bool = True
) -> Array:
    """Targets of the Jacobian with shape (n, n_outputs, n_features), in the network's dtype. With a
    single output, they may have the shape (n, n_features)."""
    array = as_numeric("gradient_targets", values)
    n, n_outputs, n_features = shape
    if array.shape != shape and not (n_outputs == 1 and array.shape == (n, n_features)):
        short = f" or {(n, n_features)}" if n_outputs == 1 else ""
        raise ValueError(
            f"gradient_targets: expected shape (n, n_outputs, n_features) = {shape}{short}; got "
            f"{array.shape}"
        )
    array = convert(array.reshape(shape), dtype)
    if finite:
        check_finite("gradient_targets", array)
    return array


def convert_weights(
    sample_weight: Any, n_rows: int, dtype: np.dtype[Any], name: str = "sample_weight"
) -> Array | None:
    """Sample weights (n,) in the network's dtype, or None."""
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
    """Row indices of X, from indices or from a boolean mask of all rows."""
    check_unmasked(name, values)
    array = np.asarray(values)
    expected = f"{name}: expected row indices of X, from 0 to {n_rows - 1}, or a mask"
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


# Losses for classification.
CLASSIFICATION_LOSSES = ("binary_cross_entropy", "cross_entropy", "hinge", "perceptron")


def check_class_coverage(y: Array, rows: NDArray[np.intp] | None, loss: Loss) -> None:
    """Raise an error if a class of y does not occur in the given rows."""
    if losses.get_name(loss) not in CLASSIFICATION_LOSSES:
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
