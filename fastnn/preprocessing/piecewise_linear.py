"""Piecewise-linear encoding of numerical features."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn.preprocessing.numeric_input import read_numbers
from fastnn.preprocessing.transformer import Names, Transformer, get_float_type

Floats = NDArray[np.float64]

# A value that is repeated very often is counted less until no value fills more than one bin; each
# round brings the counts closer to that.
CAPPING_ROUNDS = 20

CHUNK_ROWS = 4096  # that are encoded at a time, in float64, whatever the dtype of the result


class PiecewiseLinearEncoder(Transformer):
    """Encode each feature by its position in bins: a network then learns any piecewise-linear
    function of a feature in its first layer.

    For the bin edges b₀ < b₁ < ... < b_T of a feature, its columns are::

        eₜ = min(1, max(0, (x - bₜ₋₁) / (bₜ - bₜ₋₁)))        t = 1, ..., T

    so that columns of bins below x are 1, those above it 0, and that of its own bin says where in
    the bin x lies. Y. Gorishniy, I. Rubachev, A. Babenko, "On embeddings for numerical features in
    tabular deep learning", NeurIPS 2022, section 3.2.

    Bins have about equal numbers of rows. Unlike in the paper, a value that many rows share (such
    as 0) fills at most one bin, so that enough bins are left for the other values.

    Parameters
    ----------
    n_bins : int, default 32
        Largest number of bins of a feature, at least 1. A feature with fewer different values has
        one bin less than values, and a constant one no column.

    Attributes
    ----------
    edges_ : list of ndarray of float64
        The bin edges of each feature.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str, shape (n_features,)
        Column names, if X is a data frame whose column names are all strings.

    Examples
    --------
    >>> import fastnn as fn
    >>> encoder = fn.preprocessing.PiecewiseLinearEncoder(n_bins=3)
    >>> encoder.fit([[0.0], [1.0], [2.0], [3.0]]).transform([[-1.0], [0.5], [2.25], [9.0]])
    array([[0.  , 0.  , 0.  ],
           [0.5 , 0.  , 0.  ],
           [1.  , 1.  , 0.25],
           [1.  , 1.  , 1.  ]])
    """

    _parameters: ClassVar[tuple[str, ...]] = ("n_bins",)

    edges_: list[Floats]

    def __init__(self, n_bins: int = 32) -> None:
        self.n_bins = n_bins

    def fit(self, X: Any, y: Any = None) -> Self:
        """Compute the bin edges of each column of X.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Numbers; NaN are ignored.
        y : None
            Ignored.

        Returns
        -------
        PiecewiseLinearEncoder
            The fitted object itself.

        Raises
        ------
        ValueError, TypeError
            If `n_bins` is not a whole number of at least 1, or X is empty or has values that are
            not finite numbers or NaN.
        """
        n_bins = checks.whole("n_bins", self.n_bins, at_least=1)
        values = read_numbers(X, allow_nan=True).astype(np.float64)
        edges = [compute_edges(column, n_bins) for column in values.T]
        self._set_fitted(X, values.shape[1], edges_=edges)
        return self

    def transform(self, X: Any) -> Any:
        """Return the encoded X.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Columns as in `fit`.

        Returns
        -------
        ndarray or data frame, shape (n, total number of bins)
            float32 if X is float32, otherwise float64. All columns of a NaN are 0. See `set_output`
            for data frames.

        Raises
        ------
        ValueError
            If `fit` has not been called, or X has other columns than in `fit`.
        """
        self._check_fitted()
        values = self._check_numbers(X, (self.n_features_in_,), allow_nan=True)
        ends = np.cumsum([0, *map(_count_bins, self.edges_)])
        result = np.empty((len(values), ends[-1]), get_float_type(values))
        for i, edges in enumerate(self.edges_):
            if len(edges) > 1:
                encode(values[:, i], edges, result[:, ends[i] : ends[i + 1]])
        return self._in_container(result, X)

    def get_feature_names_out(self, input_features: Any = None) -> Names:
        """Return the names of the columns: age_bin0, age_bin1, ... for a feature "age"."""
        names = self._resolve_names(input_features)
        return np.array([
            f"{name}_bin{t}"
            for name, edges in zip(names, self.edges_, strict=True) for t in range(len(edges) - 1)
        ], object)  # fmt: skip

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def compute_edges(column: Floats, n_bins: int) -> Floats:
    """The sorted edges of at most `n_bins` bins with about equal numbers of rows."""
    values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    if len(values) <= n_bins + 1:
        return values
    weights = counts.astype(np.float64)
    for _ in range(CAPPING_ROUNDS):
        most = weights.sum() / n_bins
        if weights.max() <= most:
            break
        weights = np.minimum(weights, most)
    positions = np.cumsum(weights) - weights / 2
    edges = np.interp(np.linspace(0, weights.sum(), n_bins + 1), positions, values)
    edges[0], edges[-1] = values[0], values[-1]
    return np.unique(edges)


def encode(column: NDArray[Any], edges: Floats, out: NDArray[Any]) -> None:
    """Write the encoding of a column (n,) to out (n, n_bins)."""
    n_bins = len(edges) - 1
    bins = np.arange(n_bins, dtype=np.float64)
    for start in range(0, len(column), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        # 2.25 for a value a quarter into the third bin.
        position = np.interp(column[rows], edges, np.arange(n_bins + 1))
        encoded = position[:, np.newaxis] - bins
        np.clip(encoded, 0, 1, out=encoded)
        encoded[np.isnan(position)] = 0
        out[rows] = encoded


def _count_bins(edges: Floats) -> int:
    return max(0, len(edges) - 1)
