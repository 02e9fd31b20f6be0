"""The rows of a fit: as the user passed them, and as the network reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils import column_or_1d
from sklearn.utils.validation import validate_data

from fastnn._training.source import Arrays
from fastnn._util.sparse_rows import SparseRows, convert_sparse, is_sparse, take_rows

Array = NDArray[Any]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Sample:
    """Checked data as the user passed them: X (n, n_features), y, and weights (n,) or None. `index`
    selects rows without a copy; None selects all."""

    X: Any
    y: Array
    weights: Array | None
    index: Index | None = None

    def __len__(self) -> int:
        return int(self.X.shape[0]) if self.index is None else len(self.index)

    def select(self, index: Index) -> Sample:
        """A subset, by positions among the selected rows."""
        return replace(self, index=index if self.index is None else self.index[index])

    def gather(self) -> Sample:
        """A copy of the selected rows."""
        return Sample(*(take(part, self.index) for part in (self.X, self.y, self.weights)))


@dataclass(frozen=True)
class EncodedRows:
    """Encoded data: C-contiguous arrays of the network's dtype, with y (n, n_targets). X may be
    sparse. `index` selects rows as in `Sample`."""

    X: Array | SparseRows
    y: Array
    weights: Array | None
    index: Index | None = None

    def __len__(self) -> int:
        return len(self.X if self.index is None else self.index)

    @property
    def arrays(self) -> Arrays:
        """These rows as the engine's arrays."""
        return Arrays(self.X, self.y, self.weights, self.index)

    @property
    def targets(self) -> Array:
        """Targets of the selected rows."""
        return np.asarray(take(self.y, self.index))

    @property
    def sample_weight(self) -> Array | None:
        """Weights of the selected rows."""
        weights: Array | None = take(self.weights, self.index)
        return weights

    def gather(self) -> EncodedRows:
        """A copy of the selected rows."""
        return EncodedRows(take(self.X, self.index), self.targets, self.sample_weight)


def take(values: Any, index: Index | None) -> Any:
    """The values at an index; all of them without an index."""
    if values is None or index is None:
        return values
    return take_rows(values, index) if isinstance(values, SparseRows) else values[index]


def to_dense(values: Any) -> Array:
    """Convert an array-like or a sparse matrix to an array."""
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)


def share(X: Any) -> Any:
    """Features that several fits read: a C-contiguous array, or a matrix in CSR format."""
    return X.tocsr() if is_sparse(X) else np.require(X, requirements=("C", "A"))


def check_data(estimator: Any, X: Any, y: Any, reset: bool, y_numeric: bool) -> tuple[Any, Array]:
    """Check X and y by scikit-learn's rules; a single column of targets becomes (n,)."""
    X, y = validate_data(
        estimator, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=y_numeric,
        dtype=(np.float64, np.float32), reset=reset,
    )  # fmt: skip
    y = to_dense(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return X, y


def split(
    sample: Sample, fraction: float, seed: int, stratify: Array | None
) -> tuple[Sample, Sample]:
    """Split a sample into training and validation rows."""
    try:
        training, validation = train_test_split(
            np.arange(len(sample)), random_state=seed, test_size=fraction, stratify=stratify
        )
    except ValueError as error:
        if stratify is None:
            raise
        classes, counts = np.unique(take(sample.y, sample.index), return_counts=True)
        class_counts = dict(zip(classes.tolist(), counts.tolist(), strict=True))
        raise ValueError(f"{error} (rows of each class in y: {class_counts})") from None
    if len(validation) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of "
            "your dataset."
        )
    return sample.select(training), sample.select(validation)


def encode(sample: Sample, y: Array, weights: Array | None) -> EncodedRows:
    """Encode a sample, given the targets of all rows and the weights of the selected rows."""
    if weights is not None and not weights.any():
        raise ValueError(
            "sample_weight: expected weights above 0, multiplied by class_weight, among the "
            "training rows and among the validation rows; got none"
        )
    if weights is not None and sample.index is not None:
        all_weights = np.zeros(len(y), weights.dtype)
        all_weights[sample.index] = weights
        weights = all_weights
    X = share(sample.X)
    if is_sparse(X):
        X = convert_sparse(X, X.dtype, finite=False)
    return EncodedRows(X, y, weights, sample.index)


def drop_zero_weights(rows: EncodedRows) -> EncodedRows:
    """Drop rows with weight 0: batches that contain them would be smaller than `batch_size`."""
    sample_weight = rows.sample_weight
    if sample_weight is None or sample_weight.all():
        return rows
    kept = np.flatnonzero(sample_weight)
    return replace(rows, index=kept if rows.index is None else rows.index[kept])
