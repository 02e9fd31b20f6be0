"""Metrics for classification and regression.

With `sample_weight` w, a mean over rows is `sum(w * value) / sum(w)`. Several outputs have equal
weights. All metrics are computed in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn._util import checks
from fastnn._util.checks.arrays import (
    check_classes,
    check_indicator,
    check_labels,
    check_like,
    check_numbers,
    check_probabilities,
    check_weight,
)
from fastnn.preprocessing import one_hot

__all__ = [
    "accuracy", "confusion_matrix", "log_loss", "mean_absolute_error", "mean_squared_error",
    "r2",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


def accuracy(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Accuracy: the fraction of rows whose prediction is correct.

    Parameters
    ----------
    y_true : array-like, shape (n,) or (n, k)
        Labels, numbers or strings; or, for multilabel data, rows of 0 and 1 with a column per
        label.
    y_pred : array-like, shape (n,) or (n, k)
        Predicted labels; or scores of the labels 0 to k - 1 with k ≥ 2, of which the largest is the
        prediction (the first one in a tie). For multilabel data, rows of 0 and 1; a row is correct
        if all its labels are.
    sample_weight : array-like, shape (n,), optional
        Weights w of the rows, at least 0; by default 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If shapes do not match, or a label has no column in the scores.

    Examples
    --------
    >>> accuracy([0, 1, 1, 2], [0, 1, 2, 2])
    0.75
    >>> accuracy([1, 0], [[0.2, 0.8], [0.4, 0.6]])
    0.5
    """
    true, predicted = check_classes("y_true", y_true), check_classes("y_pred", y_pred)
    if true.ndim == 1 and predicted.ndim == 2:
        true, predicted = _predict_from_scores(true, predicted)
    check_like(true, predicted)
    correct = true == predicted
    if true.ndim == 2:
        check_indicator("y_true", true)
        check_indicator("y_pred", predicted)
        correct = correct.all(axis=1)
    return _average(correct, sample_weight)


def _predict_from_scores(
    true: NDArray[Any], scores: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if scores.shape[1] == 1:
        expected = "labels (n,) or scores of at least 2 columns"
        raise ValueError(f"y_pred: expected {expected}; got shape {scores.shape}")
    return check_labels("y_true", true, scores.shape[1]), scores.argmax(axis=1)


def _average(rows: NDArray[Any], sample_weight: ArrayLike | None) -> float:
    """Weighted mean over rows, then the mean over outputs."""
    weight = check_weight(sample_weight, len(rows))
    return float(np.average(rows, axis=0, weights=weight).mean())


def confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, n_classes: int | None = None
) -> NDArray[np.int64]:
    """Confusion matrix: the number of rows for each pair of true and predicted class.

    K. Pearson, 1904, as a contingency table.

    Parameters
    ----------
    y_true, y_pred : array-like of int, shape (n,)
        Labels from 0 to n_classes - 1.
    n_classes : int, optional
        Number of classes; by default the largest label plus 1.

    Returns
    -------
    ndarray of int64, shape (n_classes, n_classes)
        Element (i, j) counts the rows of class i that are predicted as class j.

    Raises
    ------
    ValueError, TypeError
        If a label is not an integer from 0 to n_classes - 1, or the lengths differ.

    Examples
    --------
    >>> confusion_matrix([0, 1, 1], [0, 0, 1])
    array([[1, 0],
           [1, 1]])
    """
    if n_classes is not None:
        n_classes = checks.whole("n_classes", n_classes, at_least=1)
    true = check_labels("y_true", y_true, n_classes)
    predicted = check_labels("y_pred", y_pred, n_classes)
    check_like(true, predicted)
    k = n_classes or int(max(true.max(), predicted.max())) + 1
    return np.bincount(true * k + predicted, minlength=k * k).reshape(k, k).astype(np.int64)


def log_loss(
    y_true: ArrayLike, probabilities: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Log loss: the mean of -Σₖ tₖ log(pₖ), where t is the one-hot row of the true class.

    I. J. Good, "Rational decisions", 1952.

    Parameters
    ----------
    y_true : array-like, shape (n,) or (n, k)
        Labels from 0 to k - 1; or t itself, one-hot rows or rows of probabilities.
    probabilities : array-like, shape (n, k), (n,) or (n, 1)
        p, rows that sum to 1; or the probability of class 1. They are clipped to [eps, 1 - eps],
        where eps is the machine epsilon of their dtype, so that the loss is finite.
    sample_weight : array-like, shape (n,), optional
        Weights w of the rows, at least 0; by default 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If values are not probabilities, or shapes do not match.

    Examples
    --------
    >>> round(log_loss([1, 0], [[0.5, 0.5], [1.0, 0.0]]), 6)
    0.346574
    """
    p = check_probabilities("probabilities", probabilities)
    true = check_numbers("y_true", y_true)
    if true.ndim == 1 or true.shape[1] == 1:
        target = one_hot(check_labels("y_true", true.ravel(), p.shape[1]), p.shape[1])
    else:
        target = check_probabilities("y_true", true)
    if target.shape != p.shape:
        expected = f"shape {target.shape} for y_true of shape {true.shape}"
        raise ValueError(f"probabilities: expected {expected}; got shape {p.shape}")
    eps = np.finfo(p.dtype).eps
    log_p = np.log(np.clip(p, eps, 1 - eps).astype(np.float64))
    return _average(-(target * log_p).sum(axis=1), sample_weight)


def _to_columns(y_true: ArrayLike, y_pred: ArrayLike) -> list[NDArray[np.float64]]:
    """Return both as (n, m): predictions (n, 1) and targets (n,) must not broadcast to (n, n)."""
    pair = [check_numbers("y_true", y_true), check_numbers("y_pred", y_pred)]
    true, predicted = [a[:, 0] if a.ndim == 2 and a.shape[1] == 1 else a for a in pair]
    check_like(true, predicted)
    return [a.astype(np.float64).reshape(len(a), -1) for a in (true, predicted)]


def r2(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Coefficient of determination R²: 1 - Σ w (y - ŷ)² / Σ w (y - ȳ)², ȳ the weighted mean of y.

    The best value is 1. Predicting ȳ for every row scores 0, and worse predictions have a negative
    score. An output with constant y scores 1 if it is predicted exactly and 0 otherwise.
    S. Wright, "Correlation and causation", 1921.

    Parameters
    ----------
    y_true : array-like, shape (n,) or (n, n_outputs)
        y, for n ≥ 2 rows.
    y_pred : array-like, of the same shape
        ŷ.
    sample_weight : array-like, shape (n,), optional
        Weights w of the rows, at least 0; by default 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If shapes do not match, or there is a single row.

    Examples
    --------
    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    true, predicted = _to_columns(y_true, y_pred)
    if len(true) < 2:
        raise ValueError(f"y_true: expected at least 2 rows; got {len(true)}")
    weight = check_weight(sample_weight, len(true))
    weight = np.ones(len(true)) if weight is None else weight
    # Relative to the row with the largest weight, so that the variance of a constant output is
    # exactly zero in spite of rounding.
    shifted = true - true[weight.argmax()]
    shifted[weight == 0] = 0
    total = weight @ (shifted - np.average(shifted, axis=0, weights=weight)) ** 2
    error = weight @ (true - predicted) ** 2
    constant = np.where(error == 0, 1.0, 0.0)
    score = 1 - np.divide(error, total, out=1 - constant, where=total > 0)
    return float(score.mean())


def mean_squared_error(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Mean squared error, the mean of (ŷ - y)², over rows and outputs.

    Parameters
    ----------
    y_true : array-like, shape (n,) or (n, n_outputs)
        y.
    y_pred : array-like, of the same shape
        ŷ.
    sample_weight : array-like, shape (n,), optional
        Weights w of the rows, at least 0; by default 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If shapes do not match.

    Examples
    --------
    >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    true, predicted = _to_columns(y_true, y_pred)
    return _average((predicted - true) ** 2, sample_weight)


def mean_absolute_error(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Mean absolute error, the mean of ``|ŷ - y|``, over rows and outputs.

    Parameters
    ----------
    y_true : array-like, shape (n,) or (n, n_outputs)
        y.
    y_pred : array-like, of the same shape
        ŷ.
    sample_weight : array-like, shape (n,), optional
        Weights w of the rows, at least 0; by default 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If shapes do not match.

    Examples
    --------
    >>> mean_absolute_error([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    true, predicted = _to_columns(y_true, y_pred)
    return _average(np.abs(predicted - true), sample_weight)
