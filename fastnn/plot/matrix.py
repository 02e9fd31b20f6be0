"""Confusion matrices: predicted classes compared with the true ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn._util.checks.arrays import check_array, check_classes
from fastnn._util.plotting import check_axes, get_axes
from fastnn.metrics import confusion_matrix
from fastnn.plot.response import check_model, compute_response

Array = NDArray[Any]

CONFUSION_COLORS = "Blues"  # the larger, the darker

# The sum by which counts are divided, as the axis of the matrix.
SUM_AXES: dict[str, Any] = {"true": 1, "pred": 0, "all": None}


def confusion(
    y_true: Any,
    y_pred: Any,
    X: Any = None,
    *,
    labels: Any = None,
    normalize: str | None = None,
    display_labels: Any = None,
    include_values: bool = True,
    colorbar: bool = True,
    ax: Any = None,
) -> Any:
    """Plot a confusion matrix: the number of rows for each pair of true and predicted class.

    Parameters are named as those of scikit-learn's `ConfusionMatrixDisplay`, which is not needed.

    Parameters
    ----------
    y_true : array-like, shape (n,)
        Labels, numbers or text.
    y_pred : array-like, shape (n,) or (n, k), or a model
        Predicted labels; or scores of the labels 0 to k - 1 with k ≥ 2, of which the largest is
        the prediction. Or a classifier that predicts the rows of X: a `Sequential`, an `Ensemble`
        or an estimator.
    X : array-like, shape (n, n_features), optional
        Features for the model.
    labels : sequence, optional
        Classes to show, in this order; by default all labels of `y_true` and `y_pred`, sorted.
        Rows with other labels are left out.
    normalize : "true", "pred" or "all", optional
        Show fractions of the rows of the true class, of those of the predicted class, or of all
        rows; by default counts.
    display_labels : sequence of str, optional
        Names of the classes.
    include_values : bool, default True
        Whether to write the values into the cells.
    colorbar : bool, default True
        Whether to draw a color bar.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        If a parameter or an array is invalid, or the model is not a classifier.

    Examples
    --------
    >>> import fastnn as fn
    >>> ax = fn.plot.confusion(["cat", "dog", "dog"], ["cat", "cat", "dog"])
    >>> [text.get_text() for text in ax.texts]
    ['1', '0', '1', '1']
    """
    check_axes(ax, "plot.confusion")
    checks.flag("include_values", include_values)
    checks.flag("colorbar", colorbar)
    if normalize is not None:
        checks.choice("normalize", normalize, SUM_AXES)
    true = check_classes("y_true", y_true)
    if true.ndim != 1:
        raise ValueError(f"y_true: expected shape (n,); got shape {true.shape}")
    predicted = _get_predictions(y_pred, X, len(true))
    if (true.dtype.kind == "U") != (predicted.dtype.kind == "U"):
        kinds = ["text" if a.dtype.kind == "U" else "numbers" for a in (true, predicted)]
        raise TypeError(f"y_pred: expected {kinds[0]}, as y_true; got {kinds[1]}")
    classes = _check_labels(labels, true, predicted)
    names = _check_names(display_labels, classes)
    matrix = _count(true, predicted, classes)
    if normalize is not None:
        total = matrix.sum(axis=SUM_AXES[normalize], keepdims=True)
        matrix = matrix / np.maximum(total, 1)
    ax = get_axes(ax, "plot.confusion")
    cells = _draw_matrix(ax, matrix, names)
    if include_values:
        _write_values(ax, matrix)
    if colorbar:
        label = "number of rows" if normalize is None else "fraction of rows"
        ax.figure.colorbar(cells, ax=ax, label=label)
    return ax


def _get_predictions(y_pred: Any, X: Any, n: int) -> Array:
    """Predicted labels (n,)."""
    if X is not None:
        check_model(y_pred)
        response = compute_response(y_pred, X)
        if response.classes is None:
            raise ValueError("y_pred: expected a classifier; got a model that predicts numbers")
        predicted = response.predict()
    elif hasattr(y_pred, "predict"):
        raise ValueError("X: expected the rows that the model is to predict; got None")
    else:
        predicted = check_classes("y_pred", y_pred)
        if predicted.ndim == 2 and predicted.shape[1] > 1:
            predicted = predicted.argmax(axis=1)
    if predicted.shape != (n,):
        raise ValueError(f"y_pred: expected one label per row, ({n},); got {predicted.shape}")
    return predicted


def _check_labels(labels: Any, true: Array, predicted: Array) -> Array:
    if labels is None:
        return np.union1d(true, predicted)
    classes = check_array("labels", labels)
    if classes.ndim != 1 or not len(classes) or len(set(classes.tolist())) < len(classes):
        raise ValueError(f"labels: expected different labels; got {checks.describe(labels)}")
    if not np.isin(true, classes).any():
        raise ValueError(f"labels: expected some labels of y_true; got {checks.describe(labels)}")
    return classes


def _check_names(display_labels: Any, classes: Array) -> list[str]:
    names = classes.tolist() if display_labels is None else list(display_labels)
    if len(names) != len(classes):
        raise ValueError(f"display_labels: expected {len(classes)} names; got {len(names)}")
    return [str(name) for name in names]


def _count(true: Array, predicted: Array, classes: Array) -> Array:
    codes = {label: k for k, label in enumerate(classes.tolist())}
    pairs = [
        (codes[t], codes[p]) for t, p in zip(true.tolist(), predicted.tolist(), strict=True)
        if t in codes and p in codes
    ]  # fmt: skip
    if not pairs:
        return np.zeros((len(classes), len(classes)), np.int64)
    rows, columns = np.transpose(pairs)
    return confusion_matrix(rows, columns, n_classes=len(classes))


def _draw_matrix(ax: Any, matrix: Array, names: list[str]) -> Any:
    ticks = np.arange(len(names))
    cells = ax.pcolormesh(ticks, ticks, matrix, cmap=CONFUSION_COLORS, vmin=0)
    ax.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5))  # the first class on top
    ax.set_yticks(ticks, names)
    tilted = max(map(len, names)) * len(names) > 40  # characters: they would overlap
    slope = {"rotation": 45, "ha": "right"} if tilted else {}
    ax.set_xticks(ticks, names, **slope)
    ax.set(xlabel="Predicted label", ylabel="True label")
    return cells


def _write_values(ax: Any, matrix: Array) -> None:
    form = "{}" if matrix.dtype.kind == "i" else "{:.2f}"
    size = "medium" if len(matrix) <= 6 else "small"
    for (i, j), value in np.ndenumerate(matrix):
        color = "white" if value > matrix.max() / 2 else "black"
        ax.text(j, i, form.format(value), ha="center", va="center", color=color, fontsize=size)
