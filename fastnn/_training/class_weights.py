"""Class weights, and stratified splits into training and validation rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import losses
from fastnn._training.arrays import CLASSIFICATION_LOSSES
from fastnn._util import checks
from fastnn._util.checks.arrays import check_strata, check_test_size
from fastnn.losses import Loss
from fastnn.preprocessing.splitting import split_rows

Array = NDArray[Any]
Rows = NDArray[np.intp]


def get_labels(y: Array, loss: Loss) -> NDArray[np.int64] | None:
    """The class of each row of checked targets (n, n_targets); None for a regression loss, for
    probabilities and for multilabel targets."""
    title = losses.get_name(loss)
    if title not in CLASSIFICATION_LOSSES:
        return None
    if y.shape[1] > 1:
        one_hot = title == "cross_entropy" and bool(((y == 0) | (y == 1)).all())
        return y.argmax(axis=1) if one_hot else None
    column = y[:, 0]
    return column.astype(np.int64) if (column == np.floor(column)).all() else None


def draw_validation_rows(
    y: Array, loss: Loss, validation_split: float, seed: int
) -> tuple[Rows, Rows]:
    """Indices of training and validation rows, both in ascending order. They are drawn at random,
    stratified by class if each row has a single one."""
    name, n = "validation_split", len(y)
    n_validation = check_test_size(validation_split, n, name)
    labels = get_labels(y, loss)
    strata = np.zeros(n, np.int64)
    if labels is not None:
        strata = check_strata(labels, n, n_validation, name, name)
    training, validation = split_rows(strata, n_validation, np.random.default_rng(seed))
    return np.sort(training).astype(np.intp), np.sort(validation).astype(np.intp)


def balance_classes(codes: NDArray[np.integer[Any]], weights: Array | None, n: int) -> Array:
    """Factors (n,) for n classes that give each class that occurs the same total weight, and
    preserve the total weight. `codes` are the classes of rows, `weights` their weights or None."""
    totals = np.bincount(codes, weights, minlength=n)
    present = totals > 0
    factors = np.ones(n)
    factors[present] = totals.sum() / (present.sum() * totals[present])
    return factors


def compute_row_weights(
    class_weight: Any, y: Array, loss: Loss, n_outputs: int, weights: Array | None,
    rows: Rows | None,
) -> Array:  # fmt: skip
    """Weights (n,) of all rows: the weights of their classes, times `weights` if given. For
    "balanced", classes are counted in the training rows `rows` (None: all)."""
    labels = get_labels(y, loss)
    if labels is None:
        raise ValueError(
            "class_weight: expected None unless each row of y has a single class; got "
            f"{checks.describe(class_weight)}"
        )
    binary = [-1, 1] if labels.min() < 0 else [0, 1]
    classes = np.array(binary if n_outputs == 1 else range(n_outputs))
    codes = np.searchsorted(classes, labels)
    training = slice(None) if rows is None else rows
    if isinstance(class_weight, str):
        checks.choice("class_weight", class_weight, ("balanced",))
        counted = None if weights is None else weights[training]
        factors = balance_classes(codes[training], counted, len(classes))
    else:
        factors = _read_factors(class_weight, classes.tolist())
    result: Array = factors[codes].astype(y.dtype)
    if weights is not None:
        result *= weights
    if not result[training].any():
        raise ValueError(
            f"class_weight: expected a weight above 0 for a class in y; got {class_weight}"
        )
    return result


def _read_factors(class_weight: Any, classes: list[int]) -> Array:
    expected = "a dictionary from classes to weights, 'balanced' or None"
    checks.instance("class_weight", class_weight, dict, expected)
    factors = np.ones(len(classes))
    for label, factor in class_weight.items():
        if label not in classes:
            raise ValueError(f"class_weight: expected classes of {classes}; got {label!r}")
        factors[classes.index(label)] = checks.number("class_weight", factor, at_least=0)
    return factors
