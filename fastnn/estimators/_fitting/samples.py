"""The rows of a fit: as the user gave them, and as the network reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils import column_or_1d
from sklearn.utils.validation import validate_data

from fastnn._training.source import Arrays

Array = NDArray[Any]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Sample:
    """Checked data in the user's terms: X (n, n_features), y as given, weights (n,) or None; and
    which of these rows are meant, None for all, so that parts of them need no copy."""

    X: Any
    y: Array
    weights: Array | None
    index: Index | None = None

    def __len__(self) -> int:
        return int(self.X.shape[0]) if self.index is None else len(self.index)

    def part(self, index: Index) -> Sample:
        """Some of the rows meant, by their positions among them."""
        return replace(self, index=index if self.index is None else self.index[index])

    def gathered(self) -> Sample:
        """A copy of the rows meant alone."""
        return Sample(*(picked(part, self.index) for part in (self.X, self.y, self.weights)))


@dataclass(frozen=True)
class Rows:
    """Encoded data: C-contiguous, of the network's dtype; y is (n, n_targets). `index` as in a
    `Sample`."""

    X: Array
    y: Array
    weights: Array | None
    index: Index | None = None

    def __len__(self) -> int:
        return len(self.X if self.index is None else self.index)

    @property
    def arrays(self) -> Arrays:
        """The same for an engine."""
        return Arrays(self.X, self.y, self.weights, self.index)

    @property
    def targets(self) -> Array:
        """Those of the rows meant."""
        return np.asarray(picked(self.y, self.index))

    @property
    def shares(self) -> Array | None:
        """Weights of the rows meant."""
        weights: Array | None = picked(self.weights, self.index)
        return weights

    def gathered(self) -> Rows:
        """A copy of the rows meant alone."""
        return Rows(np.asarray(picked(self.X, self.index)), self.targets, self.shares)


def picked(values: Any, index: Index | None) -> Any:
    """Some of the values, all where there is no index."""
    return values if values is None or index is None else values[index]


def dense(values: Any) -> Array:
    """An array, of a sparse matrix too."""
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)


def checked(estimator: Any, X: Any, y: Any, reset: bool, y_numeric: bool) -> tuple[Any, Array]:
    """X and y, checked by scikit-learn's rules; a single column of targets becomes (n,)."""
    X, y = validate_data(
        estimator, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=y_numeric,
        dtype=(np.float64, np.float32), reset=reset,
    )  # fmt: skip
    y = dense(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return X, y


def split(
    sample: Sample, fraction: float, seed: int, stratify: Array | None
) -> tuple[Sample, Sample]:
    """Training rows and validation rows."""
    try:
        training, held_out = train_test_split(
            np.arange(len(sample)), random_state=seed, test_size=fraction, stratify=stratify
        )
    except ValueError as error:
        if stratify is None:
            raise
        classes, counts = np.unique(picked(sample.y, sample.index), return_counts=True)
        members = dict(zip(classes.tolist(), counts.tolist(), strict=True))
        raise ValueError(f"{error} (rows of each class in y: {members})") from None
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of "
            "your dataset."
        )
    return sample.part(training), sample.part(held_out)


def encoded(sample: Sample, y: Array, weights: Array | None) -> Rows:
    """Rows with the targets of all, and with weights for those that are meant."""
    if weights is not None and not weights.any():
        raise ValueError(
            "sample_weight: expected weights above 0, times those of class_weight, among the rows "
            "to train on and among those to validate on; got none"
        )
    if weights is not None and sample.index is not None:
        spread = np.zeros(len(y), weights.dtype)
        spread[sample.index] = weights
        weights = spread
    X = np.require(dense(sample.X), requirements=("C", "A"))
    return Rows(X, y, weights, sample.index)


def without_weightless(rows: Rows) -> Rows:
    """Without rows of weight 0, which would make batches smaller than they look."""
    shares = rows.shares
    if shares is None or shares.all():
        return rows
    kept = np.flatnonzero(shares)
    return replace(rows, index=kept if rows.index is None else rows.index[kept])
