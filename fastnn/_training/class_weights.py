"""The classes of a network's targets: weights for them, and rows held out in their proportions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import losses
from fastnn._training.arrays import CLASSIFYING
from fastnn._util import checks
from fastnn._util.checks.arrays import check_strata, check_test_size
from fastnn.losses import Loss
from fastnn.preprocessing import split_rows

Array = NDArray[Any]
Rows = NDArray[np.intp]


def labels_of(y: Array, loss: Loss) -> NDArray[np.int64] | None:
    """The class of each row of checked targets (n, n_targets); None where rows have no single
    class: numbers, probabilities, several labels."""
    title = losses.get_name(loss)
    if title not in CLASSIFYING:
        return None
    if y.shape[1] > 1:
        one_hot = title == "cross_entropy" and bool(((y == 0) | (y == 1)).all())
        return y.argmax(axis=1) if one_hot else None
    column = y[:, 0]
    return column.astype(np.int64) if (column == np.floor(column)).all() else None


def split(y: Array, loss: Loss, held_out: float, seed: int) -> tuple[Rows, Rows]:
    """Positions of the rows to train on and of those held out, both in ascending order. They are
    drawn by the seed, in the proportions of the classes where rows have one."""
    name, n = "validation_split", len(y)
    n_held_out = check_test_size(held_out, n, name)
    labels = labels_of(y, loss)
    strata = np.zeros(n, np.int64)
    if labels is not None:
        strata = check_strata(labels, n, n_held_out, name, name)
    training, apart = split_rows(strata, n_held_out, np.random.default_rng(seed))
    return np.sort(training).astype(np.intp), np.sort(apart).astype(np.intp)


def balanced(codes: NDArray[np.integer[Any]], weights: Array | None, n: int) -> Array:
    """Factors (n,) that give each class that occurs the same total weight, and leave the total as
    it is."""
    totals = np.bincount(codes, weights, minlength=n)
    present = totals > 0
    factors = np.ones(n)
    factors[present] = totals.sum() / (present.sum() * totals[present])
    return factors


def weighted(
    class_weight: Any, y: Array, loss: Loss, n_outputs: int, weights: Array | None,
    rows: Rows | None,
) -> Array:  # fmt: skip
    """Weights (n,) of all rows, multiplied by those of their classes; "balanced" counts `rows`,
    which are trained on (None: all)."""
    labels = labels_of(y, loss)
    if labels is None:
        raise ValueError(
            "class_weight: expected None without one class for each row of y; got "
            f"{checks.describe(class_weight)}"
        )
    binary = [-1, 1] if labels.min() < 0 else [0, 1]
    classes = np.array(binary if n_outputs == 1 else range(n_outputs))
    codes = np.searchsorted(classes, labels)
    part = slice(None) if rows is None else rows
    if isinstance(class_weight, str):
        checks.choice("class_weight", class_weight, ("balanced",))
        factors = balanced(codes[part], None if weights is None else weights[part], len(classes))
    else:
        factors = _factors(class_weight, classes.tolist())
    result: Array = factors[codes].astype(y.dtype)
    if weights is not None:
        result *= weights
    if not result[part].any():
        raise ValueError(
            f"class_weight: expected a weight above 0 of a class in y; got {class_weight}"
        )
    return result


def _factors(class_weight: Any, classes: list[int]) -> Array:
    expected = "a dictionary from classes to weights, 'balanced' or None"
    checks.instance("class_weight", class_weight, dict, expected)
    factors = np.ones(len(classes))
    for label, factor in class_weight.items():
        if label not in classes:
            raise ValueError(f"class_weight: expected classes of {classes}; got {label!r}")
        factors[classes.index(label)] = checks.number("class_weight", factor, at_least=0)
    return factors
