"""Preparing data: one-hot rows, a split into training and test rows, standardized columns."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnn import checks
from fastnn.checks.arrays import (
    check_labels,
    check_n_rows,
    check_numbers,
    check_seed,
    check_strata,
    check_test_size,
)

Integers = NDArray[np.int64]


def one_hot(
    labels: ArrayLike, n_classes: int | None = None, dtype: DTypeLike = np.float64
) -> NDArray[Any]:
    """Rows (n, n_classes) of `dtype` that are 1 in the column of their class and 0 elsewhere.

    Parameters
    ----------
    labels : (n,) whole numbers from 0.
    n_classes : the number of columns; default: the largest label + 1.
    dtype : any real number type; default: float64.

    Raises
    ------
    ValueError, TypeError : labels that are no class numbers, a type that holds no numbers.

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


def _test_counts(counts: Integers, n_test: int, rng: np.random.Generator) -> Integers:
    """Test rows per class, proportional up to whole rows: the method of largest remainders
    (A. Hamilton, 1792). Equal remainders are drawn for, so that no class number is favoured."""
    whole, remainder = np.divmod(counts * n_test, counts.sum())
    order = rng.permutation(len(counts))
    order = order[np.argsort(-remainder[order], kind="stable")]
    whole[order[: n_test - whole.sum()]] += 1
    return whole


def _take(array: Any, rows: Integers) -> Any:
    if isinstance(array, list | tuple):
        return [array[i] for i in rows]
    return array.iloc[rows] if hasattr(array, "iloc") else array[rows]


def train_test_split(
    *arrays: Any,
    test_size: float = 0.25,
    random_state: int | np.random.Generator | None = None,
    stratify: Any = None,
) -> list[Any]:
    """Split rows at random into training rows and test rows, the same rows of every array.

    Parameters
    ----------
    *arrays : arrays (n, ...), lists, tuples or pandas objects of n rows.
    test_size : a share between 0 and 1, rounded up to whole rows, or a number of rows (an int).
    random_state : the same whole number gives the same split; default: another split at each call.
    stratify : (n,) labels whose shares are the same on both sides, up to whole rows
        (J. Neyman, Journal of the Royal Statistical Society 97, 1934).

    Returns
    -------
    list : a_train, a_test, b_train, b_test, ...: shuffled copies; lists for lists and tuples.

    Raises
    ------
    ValueError, TypeError : unequal numbers of rows, a size that leaves a side empty, a class with
        one row, more classes than rows on a side.

    >>> [len(rows) for rows in train_test_split(np.arange(8), list("abcdefgh"), random_state=0)]
    [6, 2, 6, 2]
    """
    n = check_n_rows(arrays)
    n_test = check_test_size(test_size, n)
    rng = check_seed(random_state)
    strata = np.zeros(n, np.int64) if stratify is None else check_strata(stratify, n, n_test)
    shuffled = rng.permutation(n)
    codes, counts = strata[shuffled], np.bincount(strata)
    rank = np.empty(n, np.int64)  # of a row among those of its class, in shuffled order
    rank[np.argsort(codes, kind="stable")] = np.concatenate([np.arange(c) for c in counts])
    in_test = rank < _test_counts(counts, n_test, rng)[codes]
    sides = (shuffled[~in_test], shuffled[in_test])
    return [_take(array, rows) for array in arrays for rows in sides]


class Standardizer:
    """Columns shifted to mean 0 and scaled to standard deviation 1: (X - mean_) / scale_.

    Networks train faster on such inputs: Y. LeCun and others, "Efficient BackProp", 1998,
    section 4.3. A column that is constant in `fit` gets scale 1. Also for targets (n,).

    Attributes
    ----------
    mean_, scale_ : (features,) float64; scale_ is the population's formula, divided by n.

    >>> standardizer = Standardizer()
    >>> Z = standardizer.fit_transform([[1.0, 5.0], [3.0, 5.0]])
    >>> Z.tolist(), standardizer.inverse(Z).tolist()
    ([[-1.0, 0.0], [1.0, 0.0]], [[1.0, 5.0], [3.0, 5.0]])
    """

    mean_: NDArray[np.float64]
    scale_: NDArray[np.float64]

    def fit(self, X: ArrayLike) -> Self:
        """Learn mean and scale of each column of X, (n, features) or (n,), not empty, finite."""
        values = check_numbers("X", X).astype(np.float64)
        # Relative to the first row, so that rounding cannot give a constant column a spread.
        shifted = values - values[0]
        scale = shifted.std(axis=0)
        mean = np.asarray(values[0] + shifted.mean(axis=0))
        scale = np.where(scale > 0, scale, 1.0)
        # In one statement: an interrupt must not leave the mean of one X with the scale of another.
        self.mean_, self.scale_ = mean, scale
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Standardized copy of X; float32 stays float32, everything else becomes float64.
        ValueError before `fit`, or if X has other columns than in `fit`."""
        values = self._check(X)
        return ((values - self.mean_) / self.scale_).astype(_float_type(values), copy=False)

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """What `transform` made X from; types and errors as there. Also called `inverse`."""
        values = self._check(X)
        return (values * self.scale_ + self.mean_).astype(_float_type(values), copy=False)

    inverse = inverse_transform

    def fit_transform(self, X: ArrayLike) -> NDArray[Any]:
        """`fit`, then `transform`, on the same X."""
        return self.fit(X).transform(X)

    def _check(self, X: ArrayLike) -> NDArray[Any]:
        if not hasattr(self, "mean_"):
            raise ValueError("Standardizer: expected a call of fit first; got none")
        values = check_numbers("X", X)
        if values.shape[1:] != self.mean_.shape:
            expected = ", ".join(map(str, ("n", *self.mean_.shape)))
            raise ValueError(f"X: expected shape ({expected}) as in fit; got {values.shape}")
        return values


def _float_type(values: NDArray[Any]) -> type[np.floating[Any]]:
    return np.float32 if values.dtype == np.float32 else np.float64
