"""Standardization of features and targets."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastnn.preprocessing.numeric_input import read_numbers
from fastnn.preprocessing.transformer import Transformer, get_float_type


class Standardizer(Transformer):
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
        values = read_numbers(X, (1, 2)).astype(np.float64)
        # Relative to the first row, so that the deviation of a constant column is exactly zero in
        # spite of rounding.
        shifted = values - values[0]
        scale = shifted.std(axis=0)
        mean = np.asarray(values[0] + shifted.mean(axis=0))
        n_features = values.shape[1] if values.ndim == 2 else None
        self._set_fitted(X, n_features, mean_=mean, scale_=np.where(scale > 0, scale, 1.0))
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
        self._check_fitted()
        values = self._check_numbers(X, self.mean_.shape)
        result = ((values - self.mean_) / self.scale_).astype(get_float_type(values), copy=False)
        return self._in_container(result, X)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Return `X * scale_ + mean_`, the inverse of `transform`. Also available as `inverse`.

        Dtypes and errors are those of `transform`; the result is always an array.
        """
        self._check_fitted()
        values = self._check_numbers(X, self.mean_.shape)
        return (values * self.scale_ + self.mean_).astype(get_float_type(values), copy=False)

    inverse = inverse_transform
