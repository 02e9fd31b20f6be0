"""How good predictions are: for classes, for probabilities, for numbers.

A metric with `sample_weight` is `sum(w * row) / sum(w)`; several outputs are averaged uniformly.
Everything is computed in float64.
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
    """Share of the rows whose class is right.

    Parameters
    ----------
    y_true : (n,) labels, numbers or text; or (n, k) rows of 0 and 1, one column per label.
    y_pred : (n,) labels; or (n, k) scores for labels 0 to k - 1, k >= 2, of which the largest
        counts (the first of equal ones); for rows of 0 and 1, (n, k) rows of 0 and 1, where a
        row is right if all of it is.
    sample_weight : (n,) weights; default: equal.

    Raises
    ------
    ValueError, TypeError : shapes that do not fit, labels outside the scores' columns.

    >>> accuracy([0, 1, 1, 2], [0, 1, 2, 2])
    0.75
    >>> accuracy([1, 0], [[0.2, 0.8], [0.4, 0.6]])
    0.5
    """
    true, predicted = check_classes("y_true", y_true), check_classes("y_pred", y_pred)
    if true.ndim == 1 and predicted.ndim == 2:
        true, predicted = _from_scores(true, predicted)
    check_like(true, predicted)
    right = true == predicted
    if true.ndim == 2:
        check_indicator("y_true", true)
        check_indicator("y_pred", predicted)
        right = right.all(axis=1)
    return _average(right, sample_weight)


def _from_scores(
    true: NDArray[Any], scores: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if scores.shape[1] == 1:
        expected = "labels (n,) or scores of at least 2 columns"
        raise ValueError(f"y_pred: expected {expected}; got shape {scores.shape}")
    return check_labels("y_true", true, scores.shape[1]), scores.argmax(axis=1)


def _average(rows: NDArray[Any], sample_weight: ArrayLike | None) -> float:
    """Weighted mean over rows, then the mean over outputs, if there are several."""
    weight = check_weight(sample_weight, len(rows))
    return float(np.average(rows, axis=0, weights=weight).mean())


def confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, n_classes: int | None = None
) -> NDArray[np.int64]:
    """Counts of rows by true class and predicted class (K. Pearson, 1904: contingency table).

    Returned as (n_classes, n_classes) int64: a row per true class, a column per predicted class.

    Parameters
    ----------
    y_true, y_pred : (n,) whole numbers from 0.
    n_classes : default: the largest label of both + 1.

    Raises
    ------
    ValueError, TypeError : labels that are no class numbers, unequal lengths.

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
    """Mean of -log(probability given to the true class): I. J. Good, "Rational decisions", 1952.

    Parameters
    ----------
    y_true : (n,) labels from 0, or (n, k) one-hot rows (or rows of probabilities).
    probabilities : (n, k), rows that sum to 1; or (n,) or (n, 1), the probability of class 1.
        They are clipped to [eps, 1 - eps], eps being that of their type, to stay finite.
    sample_weight : (n,) weights; default: equal.

    Raises
    ------
    ValueError, TypeError : numbers that are no probabilities, shapes that do not fit.

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


def _columns(y_true: ArrayLike, y_pred: ArrayLike) -> list[NDArray[np.float64]]:
    """Both as (n, m): a prediction (n, 1) for a target (n,) must not be broadcast to (n, n)."""
    pair = [check_numbers("y_true", y_true), check_numbers("y_pred", y_pred)]
    true, predicted = [a[:, 0] if a.ndim == 2 and a.shape[1] == 1 else a for a in pair]
    check_like(true, predicted)
    return [a.astype(np.float64).reshape(len(a), -1) for a in (true, predicted)]


def r2(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """1 - squared error / squared error of the mean of y_true (S. Wright, 1921).

    The best value is 1; the mean predicts with 0; worse than the mean is negative. A constant
    output counts 1 if predicted exactly and 0 otherwise.

    Parameters
    ----------
    y_true, y_pred : (n,) or (n, outputs), n >= 2.
    sample_weight : (n,) weights; default: equal.

    Raises
    ------
    ValueError, TypeError : shapes that do not fit, a single row.

    >>> r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    true, predicted = _columns(y_true, y_pred)
    if len(true) < 2:
        raise ValueError(f"y_true: expected at least 2 rows; got {len(true)}")
    weight = check_weight(sample_weight, len(true))
    weight = np.ones(len(true)) if weight is None else weight
    # Relative to a row that counts, so that rounding cannot give a constant output a spread.
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
    """Mean of (y_pred - y_true)**2 over rows and outputs, (n,) or (n, outputs).

    Weights, errors as for `r2`, but one row will do.

    >>> mean_squared_error([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    true, predicted = _columns(y_true, y_pred)
    return _average((predicted - true) ** 2, sample_weight)


def mean_absolute_error(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Mean of |y_pred - y_true| over rows and outputs, (n,) or (n, outputs).

    Weights, errors as for `r2`, but one row will do.

    >>> mean_absolute_error([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    true, predicted = _columns(y_true, y_pred)
    return _average(np.abs(predicted - true), sample_weight)
