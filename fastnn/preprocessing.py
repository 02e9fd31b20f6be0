"""Preprocessing: one-hot encoding, random train-test splits, standardization."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnn._util import checks
from fastnn._util.checks.arrays import (
    check_labels,
    check_n_rows,
    check_numbers,
    check_seed,
    check_strata,
    check_test_size,
)
from fastnn._util.conversion import read_feature_names

__all__ = ["Standardizer", "one_hot", "train_test_split"]


def __dir__() -> list[str]:
    return __all__


Integers = NDArray[np.int64]


def one_hot(
    labels: ArrayLike, n_classes: int | None = None, dtype: DTypeLike = np.float64
) -> NDArray[Any]:
    """One-hot encoding: 1 in the column of the label, 0 in all others.

    Parameters
    ----------
    labels : array-like of int, shape (n,)
        Labels from 0 to n_classes - 1.
    n_classes : int, optional
        Number of columns; by default the largest label plus 1.
    dtype : dtype, default float64
        A boolean, integer or floating-point dtype.

    Returns
    -------
    ndarray, shape (n, n_classes)

    Raises
    ------
    ValueError, TypeError
        If a label is not an integer from 0 to n_classes - 1, or `dtype` is not a real dtype.

    Examples
    --------
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


def _count_test_rows(counts: Integers, n_test: int, rng: np.random.Generator) -> Integers:
    """Return the number of test rows of each class, in proportion to its size.

    Rounded by the method of largest remainders (A. Hamilton, 1792). Ties are broken at random, so
    that no class is favoured.
    """
    n_rows, remainder = np.divmod(counts * n_test, counts.sum())
    permutation = rng.permutation(len(counts))
    permutation = permutation[np.argsort(-remainder[permutation], kind="stable")]
    n_rows[permutation[: n_test - n_rows.sum()]] += 1
    return n_rows


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
    """Split arrays at random into training and test rows, the same rows for every array.

    Parameters
    ----------
    *arrays : arrays of shape (n, ...), lists, tuples or pandas objects
        Data with n rows each.
    test_size : float or int, default 0.25
        Fraction of the rows in the test set, between 0 and 1, rounded up; or number of rows.
    random_state : int or numpy.random.Generator, optional
        An int gives the same split at each call; by default each call gives another split.
    stratify : array-like, shape (n,), optional
        Labels whose proportions are preserved in both sets, up to rounding (J. Neyman, Journal of
        the Royal Statistical Society 97, 1934).

    Returns
    -------
    list
        a_train, a_test, b_train, b_test, ...: shuffled copies. Lists and tuples become lists.

    Raises
    ------
    ValueError, TypeError
        If the arrays differ in length, a set would be empty, a class has a single row, or there
        are more classes than rows in a set.

    Examples
    --------
    >>> [len(rows) for rows in train_test_split(np.arange(8), list("abcdefgh"), random_state=0)]
    [6, 2, 6, 2]
    """
    n = check_n_rows(arrays)
    n_test = check_test_size(test_size, n)
    rng = check_seed(random_state)
    strata = np.zeros(n, np.int64) if stratify is None else check_strata(stratify, n, n_test)
    sides = split_rows(strata, n_test, rng)
    return [_take(array, rows) for array in arrays for rows in sides]


def split_rows(
    strata: Integers, n_test: int, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """Return the shuffled indices of the training rows and of the `n_test` test rows.

    `strata` are class numbers from 0, shape (n,), which are not checked.
    """
    n = len(strata)
    shuffled = rng.permutation(n)
    codes, counts = strata[shuffled], np.bincount(strata)
    rank = np.empty(n, np.int64)  # of each row within its class, in shuffled order
    rank[np.argsort(codes, kind="stable")] = np.concatenate([np.arange(c) for c in counts])
    in_test = rank < _count_test_rows(counts, n_test, rng)[codes]
    return shuffled[~in_test], shuffled[in_test]


class Standardizer:
    """Standardize features to zero mean and unit standard deviation: `(X - mean_) / scale_`.

    Networks train faster on standardized inputs (Y. LeCun and others, "Efficient BackProp", 1998,
    section 4.3). It accepts features (n, n_features) as well as targets (n,). It works as a
    transformer in scikit-learn's pipelines, and does not require scikit-learn itself.

    Attributes
    ----------
    mean_ : ndarray of float64, shape (n_features,)
        Mean of each column.
    scale_ : ndarray of float64, shape (n_features,)
        Standard deviation of each column, with divisor n; 1 for a constant column.
    n_features_in_ : int
        Number of columns, if X is two-dimensional.
    feature_names_in_ : ndarray of str, shape (n_features,)
        Column names, if X is a data frame whose column names are all strings.

    Examples
    --------
    >>> standardizer = Standardizer()
    >>> Z = standardizer.fit_transform([[1.0, 5.0], [3.0, 5.0]])
    >>> Z.tolist(), standardizer.inverse(Z).tolist()
    ([[-1.0, 0.0], [1.0, 0.0]], [[1.0, 5.0], [3.0, 5.0]])
    """

    mean_: NDArray[np.float64]
    scale_: NDArray[np.float64]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def fit(self, X: Any, y: Any = None) -> Self:
        """Compute mean and scale of each column of X.

        Parameters
        ----------
        X : array-like, shape (n, n_features) or (n,)
            Finite values, at least one row.
        y : None
            Ignored.

        Returns
        -------
        Standardizer
            The fitted object itself.

        Raises
        ------
        ValueError, TypeError
            If X is empty or has values that are not finite numbers.
        """
        values = check_numbers("X", X).astype(np.float64)
        # Relative to the first row, so that the deviation of a constant column is exactly zero in
        # spite of rounding.
        shifted = values - values[0]
        scale = shifted.std(axis=0)
        mean = np.asarray(values[0] + shifted.mean(axis=0))
        fitted = {"mean_": mean, "scale_": np.where(scale > 0, scale, 1.0)}
        if values.ndim == 2:
            fitted["n_features_in_"] = values.shape[1]
        if (names := read_feature_names(X)) is not None:
            fitted["feature_names_in_"] = np.array(names, object)
        # In one call, so that after an interrupt mean and scale are of the same X.
        vars(self).update(fitted)
        for name in {"n_features_in_", "feature_names_in_"} - fitted.keys():
            vars(self).pop(name, None)
        return self

    def transform(self, X: Any) -> Any:
        """Return a standardized copy of X.

        Parameters
        ----------
        X : array-like, shape (n, n_features) or (n,)
            Columns as in `fit`.

        Returns
        -------
        ndarray or data frame, of the shape of X
            float32 if X is float32, otherwise float64. See `set_output` for data frames.

        Raises
        ------
        ValueError
            If `fit` has not been called, or X has other columns than in `fit`.
        """
        values = self._check(X)
        result = ((values - self.mean_) / self.scale_).astype(_get_float_type(values), copy=False)
        return self._in_container(result, X)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Return `X * scale_ + mean_`, the inverse of `transform`. Also available as `inverse`.

        Dtypes and errors are those of `transform`; the result is always an array.
        """
        values = self._check(X)
        return (values * self.scale_ + self.mean_).astype(_get_float_type(values), copy=False)

    inverse = inverse_transform

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit to X, then return the standardized X."""
        return self.fit(X).transform(X)

    def _check(self, X: Any) -> NDArray[Any]:
        self._check_fitted()
        values = check_numbers("X", X)
        if values.shape[1:] != self.mean_.shape:
            expected = ", ".join(map(str, ("n", *self.mean_.shape)))
            raise ValueError(f"X: expected shape ({expected}) as in fit; got {values.shape}")
        names = read_feature_names(X)
        fitted = vars(self).get("feature_names_in_")
        if names is not None and fitted is not None and names != tuple(fitted):
            raise ValueError(f"X: expected the columns {list(fitted)}; got {list(names)}")
        return values

    def _check_fitted(self) -> None:
        if not hasattr(self, "mean_"):
            raise ValueError("Standardizer: expected a call of fit first; got none")

    def __repr__(self) -> str:
        return "Standardizer()"

    # ---- scikit-learn's transformer interface ----

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return {}: there are no parameters."""
        return {}

    def set_params(self, **params: Any) -> Self:
        """Return the object itself; raise an error for any parameter, as there are none."""
        if params:
            raise ValueError(f"{next(iter(params))}: expected no parameters; got {list(params)}")
        return self

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the column names of `fit`, or x0, x1, ... if X had none."""
        self._check_fitted()
        fitted: NDArray[np.object_] | None = vars(self).get("feature_names_in_")
        if input_features is None:
            if fitted is not None:
                return fitted.copy()
            return np.array([f"x{i}" for i in range(self.mean_.size)], object)
        names = np.asarray(input_features, object)
        if fitted is not None and names.tolist() != fitted.tolist():
            raise ValueError(
                f"input_features: expected {fitted.tolist()} as in fit; got {names.tolist()}"
            )
        if len(names) != self.mean_.size:
            raise ValueError(f"input_features: expected {self.mean_.size} names; got {len(names)}")
        return names

    def set_output(self, *, transform: str | None = None) -> Self:
        """Set the output of `transform`: arrays ("default") or data frames ("pandas", "polars").

        If it is not set, scikit-learn's option `transform_output` applies.
        """
        if transform is not None:
            checks.choice("transform", transform, _CONTAINERS)
            self._sklearn_output_config = {"transform": transform}  # kept by sklearn.clone
        return self

    def _in_container(self, values: NDArray[Any], X: Any) -> Any:
        """Return the values as an array or data frame, see `set_output`."""
        sklearn = sys.modules.get("sklearn")
        kind = "default" if sklearn is None else sklearn.get_config()["transform_output"]
        kind = vars(self).get("_sklearn_output_config", {}).get("transform", kind)
        if values.ndim == 1:
            return values
        return _CONTAINERS[kind](values, self.get_feature_names_out(), X)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags, TransformerTags

        kinds = TransformerTags(preserves_dtype=["float64", "float32"])
        return Tags("transformer", TargetTags(required=False), kinds)


def _to_pandas(values: NDArray[Any], names: NDArray[np.object_], X: Any) -> Any:
    import pandas

    index = X.index if isinstance(X, pandas.DataFrame) else None
    return pandas.DataFrame(values, index=index, columns=names, copy=False)


def _to_polars(values: NDArray[Any], names: NDArray[np.object_], X: Any) -> Any:
    import polars

    return polars.DataFrame(values, schema=names.tolist(), orient="row")


_CONTAINERS: dict[str, Callable[[NDArray[Any], NDArray[np.object_], Any], Any]] = {
    "default": lambda values, names, X: values,
    "pandas": _to_pandas,
    "polars": _to_polars,
}


def _get_float_type(values: NDArray[Any]) -> type[np.floating[Any]]:
    return np.float32 if values.dtype == np.float32 else np.float64
