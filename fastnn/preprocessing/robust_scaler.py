"""Scaling by quartiles, which outliers do not affect, and smooth clipping."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn.preprocessing.numeric_input import read_numbers
from fastnn.preprocessing.transformer import Transformer, get_float_type

Floats = NDArray[np.float64]

LARGEST_RATIO = 1e100  # its square is in range, and a larger one gives the same result
SMALLEST_SPREAD = 1e-307  # the inverse of a smaller one is out of range


class RobustScaler(Transformer):
    """Scale features by their median and interquartile range, and clip outliers smoothly.

    z = (x - m) s with the median m, and s = 1 / (q₇₅ - q₂₅), the inverse of the distance between
    the quartiles; if that is 0, s = 2 / (max - min), and 0 for a constant column. Then
    y = z / √(1 + (z / c)²), which is close to z for small z and lies between -c and c.

    D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS 2024, section 3.1.

    Parameters
    ----------
    clip : float, optional, default 3.0
        c > 0; None for no clipping.

    Attributes
    ----------
    center_ : ndarray of float64, shape (n_features,)
        m, the median of each column.
    scale_ : ndarray of float64, shape (n_features,)
        s.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str, shape (n_features,)
        Column names, if X is a data frame whose column names are all strings.

    Examples
    --------
    >>> import fastnn as fn
    >>> scaler = fn.preprocessing.RobustScaler()
    >>> scaler.fit_transform([[0.0], [1.0], [2.0], [3.0], [1000.0]]).ravel().round(2)
    array([-0.95, -0.49,  0.  ,  0.49,  3.  ])
    """

    _parameters: ClassVar[tuple[str, ...]] = ("clip",)

    center_: Floats
    scale_: Floats

    def __init__(self, *, clip: float | None = 3.0) -> None:
        self.clip = clip

    def fit(self, X: Any, y: Any = None) -> Self:
        """Compute median and scale of each column of X.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Numbers; NaN are ignored.
        y : None
            Ignored.

        Returns
        -------
        RobustScaler
            The fitted object itself.

        Raises
        ------
        ValueError, TypeError
            If `clip` is not positive, or X is empty or has values that are not finite numbers or
            NaN.
        """
        if self.clip is not None:
            checks.number("clip", self.clip, above=0)
        values = read_numbers(X, allow_nan=True).astype(np.float64)
        center, scale = np.array([_measure(column) for column in values.T]).T
        self._set_fitted(X, values.shape[1], center_=center, scale_=scale)
        return self

    def transform(self, X: Any) -> Any:
        """Return a scaled copy of X.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Columns as in `fit`.

        Returns
        -------
        ndarray or data frame, shape (n, n_features)
            float32 if X is float32, otherwise float64. NaN stay NaN. A result out of the range of
            this dtype, possible without clipping, becomes its largest number. See `set_output` for
            data frames.

        Raises
        ------
        ValueError
            If `fit` has not been called, or X has other columns than in `fit`.
        """
        self._check_fitted()
        values = self._check_numbers(X, self.center_.shape, allow_nan=True)
        # Halves, because the difference of two numbers may be out of range, such as that of the
        # largest number, which some tables have for missing values, and a negative one.
        z = values.astype(np.float64)
        z *= 0.5
        z -= 0.5 * self.center_
        with np.errstate(over="ignore"):
            z *= 2 * self.scale_
        if self.clip is not None:
            z = _clip_smoothly(z, self.clip)
        return self._in_container(_round(z, get_float_type(values)), X)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Return the values that `transform` maps to X, up to rounding; for a constant column, its
        value.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Scaled values, between -clip and clip.

        Returns
        -------
        ndarray, shape (n, n_features)
            float32 if X is float32, otherwise float64. NaN stay NaN.

        Raises
        ------
        ValueError
            As for `transform`, or if an absolute value is `clip` or more.
        """
        self._check_fitted()
        values = self._check_numbers(X, self.center_.shape, allow_nan=True)
        z = values.astype(np.float64)
        if self.clip is not None:
            if (np.abs(z) >= self.clip).any():
                raise ValueError(f"X: expected values between -{self.clip} and {self.clip}, the "
                                 f"limits of clip; got {np.nanmax(np.abs(z))}")  # fmt: skip
            z /= np.sqrt(1 - (z / self.clip) ** 2)
        spread = np.divide(1, self.scale_, out=np.zeros_like(z[0]), where=self.scale_ > 0)
        with np.errstate(over="ignore"):
            result = z * spread + self.center_
        return _round(result, get_float_type(values))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _clip_smoothly(z: Floats, clip: float) -> Floats:
    """z / √(1 + (z / c)²), which rounding leaves between -c and c."""
    limit = min(LARGEST_RATIO * clip, float(np.finfo(np.float64).max))
    z = np.clip(z, -limit, limit)
    return np.clip(z / np.sqrt(1 + (z / clip) ** 2), -clip, clip)


def _round(values: Floats, dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """Values in another dtype; those out of its range become its largest number."""
    limit = np.finfo(dtype).max
    return np.clip(values, -limit, limit).astype(dtype, copy=False)


def _measure(column: Floats) -> tuple[float, float]:
    """Median and scale of a column; 0 and 0 if all values are NaN."""
    known = column[~np.isnan(column)]
    if not known.size:
        return 0.0, 0.0
    # Halves, as in `transform`.
    low, first, median, third, high = map(float, np.quantile(known / 2, [0, 0.25, 0.5, 0.75, 1]))
    for spread, width in ((third - first, 0.5), (high - low, 1.0)):
        if spread > SMALLEST_SPREAD:
            return 2 * median, width / spread
    return 2 * median, 0.0
