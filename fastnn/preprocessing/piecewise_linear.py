"""Piecewise-linear encoding of numerical features."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn.preprocessing.bin_edges import (
    compute_quantile_edges,
    compute_tree_edges,
    merge_close_edges,
)
from fastnn.preprocessing.numeric_input import read_numbers
from fastnn.preprocessing.targets import read_targets
from fastnn.preprocessing.transformer import Names, Transformer, get_float_type

Floats = NDArray[np.float64]

STRATEGIES = ("quantile", "tree")
BASES = ("ramps", "hats")
TASKS = ("auto", "classification", "regression")

CHUNK_ROWS = 4096  # that are encoded at a time, in float64, whatever the dtype of the result


class PiecewiseLinearEncoder(Transformer):
    """Encode each feature by its position in bins: a network then learns any piecewise-linear
    function of a feature in its first layer.

    For the bin edges b₀ < b₁ < ... < b_T of a feature, its columns are "ramps"::

        eₜ = min(1, max(0, (x - bₜ₋₁) / (bₜ - bₜ₋₁)))        t = 1, ..., T

    so that columns of bins below x are 1, those above it 0, and that of its own bin says where in
    the bin x lies. Y. Gorishniy, I. Rubachev, A. Babenko, "On embeddings for numerical features in
    tabular deep learning", NeurIPS 2022, section 3.2.

    Or they are "hats", one for each edge. With r the place of x in its bin, from 0 to 1, the column
    of the left edge is 1 - r, that of the right edge r, and all others are 0. Together with a bias,
    both make the same functions possible. With hats at most two columns of a feature are not 0:
    from a sparse matrix, a network's first layer reads two rows of weights for each feature,
    whatever the number of bins.

    Bins have about equal numbers of rows. Unlike in the paper, a value that many rows share (such
    as 0) fills at most one bin, so that enough bins are left for the other values. With
    strategy="tree", the edges are the thresholds of a decision tree that predicts y from this
    feature alone (section 3.2.2), chosen between 256 groups of rows.

    Parameters
    ----------
    n_bins : int, default 32
        Largest number of bins of a feature, at least 1. By default, a feature with fewer different
        values has one bin less than values. A constant one has no column.
    strategy : {"quantile", "tree"}, default "quantile"
        How the edges are found; "tree" needs y in `fit`.
    basis : {"ramps", "hats"}, default "ramps"
        The columns, as above.
    min_samples_leaf : int, default 64
        Smallest number of rows of a bin, for "tree".
    task : {"auto", "classification", "regression"}, default "auto"
        Whether y are classes, for "tree". "auto": floats are numbers, and all else are classes.
    sparse_output : bool, default False
        Whether `transform` returns a sparse matrix, possible with basis="hats".

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
    >>> X, new = [[0.0], [1.0], [2.0], [3.0]], [[-1.0], [0.5], [2.25], [9.0]]
    >>> fn.preprocessing.PiecewiseLinearEncoder(n_bins=3).fit(X).transform(new)
    array([[0.  , 0.  , 0.  ],
           [0.5 , 0.  , 0.  ],
           [1.  , 1.  , 0.25],
           [1.  , 1.  , 1.  ]])
    >>> fn.preprocessing.PiecewiseLinearEncoder(n_bins=3, basis="hats").fit(X).transform(new)
    array([[1.  , 0.  , 0.  , 0.  ],
           [0.5 , 0.5 , 0.  , 0.  ],
           [0.  , 0.  , 0.75, 0.25],
           [0.  , 0.  , 0.  , 1.  ]])
    """

    _parameters: ClassVar[tuple[str, ...]] = (
        "n_bins", "strategy", "basis", "min_samples_leaf", "task", "sparse_output",
    )  # fmt: skip

    edges_: list[Floats]

    def __init__(
        self,
        n_bins: int = 32,
        *,
        strategy: str = "quantile",
        basis: str = "ramps",
        min_samples_leaf: int = 64,
        task: str = "auto",
        sparse_output: bool = False,
    ) -> None:
        self.n_bins = n_bins
        self.strategy = strategy
        self.basis = basis
        self.min_samples_leaf = min_samples_leaf
        self.task = task
        self.sparse_output = sparse_output

    def fit(self, X: Any, y: Any = None) -> Self:
        """Compute the bin edges of each column of X.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Numbers; NaN are ignored.
        y : array-like, shape (n,) or (n, n_targets), optional
            Classes or numbers, for strategy="tree"; otherwise ignored.

        Returns
        -------
        PiecewiseLinearEncoder
            The fitted object itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter is not as described, X is empty or has values that are not finite numbers
            or NaN, or y is needed and missing, has gaps, or has another number of rows.
        """
        n_bins = checks.whole("n_bins", self.n_bins, at_least=1)
        checks.choice("strategy", self.strategy, STRATEGIES)
        checks.choice("basis", self.basis, BASES)
        checks.choice("task", self.task, TASKS)
        n_leaf = checks.whole("min_samples_leaf", self.min_samples_leaf, at_least=1)
        if checks.flag("sparse_output", self.sparse_output) and self.basis != "hats":
            raise ValueError("sparse_output: expected False, or basis='hats', because most ramps "
                             f"are not 0; got True with basis={self.basis!r}")  # fmt: skip
        values = read_numbers(X, allow_nan=True).astype(np.float64)
        if self.strategy == "quantile":
            edges = [compute_quantile_edges(column, n_bins) for column in values.T]
        else:
            if y is None:
                raise ValueError("y: expected the targets, for strategy='tree'; got None: "
                                 f"{type(self).__name__} requires y to be passed, but the target y "
                                 "is None")  # fmt: skip
            targets = read_targets(y, len(values), self.task)
            edges = [compute_tree_edges(column, targets, n_bins, n_leaf) for column in values.T]
        self._set_fitted(X, values.shape[1], edges_=list(map(merge_close_edges, edges)))
        return self

    def transform(self, X: Any) -> Any:
        """Return the encoded X.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Columns as in `fit`.

        Returns
        -------
        ndarray, scipy.sparse.csr_array or data frame, shape (n, n_outputs)
            float32 if X is float32, otherwise float64. n_outputs is the total number of bins, or of
            edges for "hats". All columns of a NaN are 0. See `set_output` for data frames.

        Raises
        ------
        ValueError
            If `fit` has not been called, X has other columns than in `fit`, or sparse_output=True
            and the output of `set_output` is a data frame.
        """
        self._check_fitted()
        values = self._check_numbers(X, (self.n_features_in_,), allow_nan=True)
        dtype = get_float_type(values)
        if self.basis == "ramps":
            return self._in_container(encode_ramps(values, self.edges_, dtype), X)
        hats = encode_hats(values, self.edges_, dtype)
        return self._in_container(hats if self.sparse_output else hats.toarray(), X)

    def get_feature_names_out(self, input_features: Any = None) -> Names:
        """Return the names of the columns: age_bin0, age_bin1, ... for a feature "age", and
        age_edge0, age_edge1, ... for "hats"."""
        names = self._resolve_names(input_features)
        word = "bin" if self.basis == "ramps" else "edge"
        counts = count_outputs(self.edges_, self.basis)
        return np.array([
            f"{name}_{word}{t}" for name, n in zip(names, counts, strict=True) for t in range(n)
        ], object)  # fmt: skip

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = self.strategy == "tree"
        return tags


def count_outputs(edges: list[Floats], basis: str) -> list[int]:
    """The number of columns of each feature."""
    extra = 0 if basis == "hats" else 1
    return [len(one) - extra if len(one) > 1 else 0 for one in edges]


def encode_ramps(
    values: NDArray[Any], edges: list[Floats], dtype: type[np.floating[Any]]
) -> NDArray[Any]:
    """The ramps of all features, (n, total number of bins)."""
    ends = np.cumsum([0, *count_outputs(edges, "ramps")])
    result = np.empty((len(values), ends[-1]), dtype)
    for i, one in enumerate(edges):
        if len(one) > 1:
            _write_ramps(values[:, i], one, result[:, ends[i] : ends[i + 1]])
    return result


def encode_hats(values: NDArray[Any], edges: list[Floats], dtype: type[np.floating[Any]]) -> Any:
    """The hats of all features, (n, total number of edges), without entries that are 0."""
    counts = count_outputs(edges, "hats")
    ends = np.cumsum([0, *counts])
    varying = [i for i, count in enumerate(counts) if count]
    # Per row, the entries of the left and the right edge of each feature.
    weights = np.empty((len(values), len(varying), 2), dtype)
    columns = np.empty(weights.shape, np.int32)
    for k, i in enumerate(varying):
        position = _find_position(values[:, i], edges[i])
        known = np.nan_to_num(position)
        left = np.minimum(known.astype(np.int32), counts[i] - 2)
        weights[:, k, 1] = position - left
        weights[:, k, 0] = 1 - weights[:, k, 1]
        columns[:, k, 0] = ends[i] + left
    columns[:, :, 1] = columns[:, :, 0] + 1
    kept = weights > 0  # not where the position is NaN
    starts = np.append(0, np.count_nonzero(kept, axis=(1, 2)).cumsum())
    shape = len(values), int(ends[-1])
    from scipy import sparse  # which `import fastnn` does not load

    return sparse.csr_array((weights[kept], columns[kept], starts), shape=shape)


def _find_position(column: NDArray[Any], edges: Floats) -> Floats:
    """Where in the bins values lie: 2.25 for a value a quarter into the third bin."""
    # Of halves, because the distance of two edges may be out of range.
    return np.interp(column.astype(np.float64) / 2, edges / 2, np.arange(len(edges)))


def _write_ramps(column: NDArray[Any], edges: Floats, out: NDArray[Any]) -> None:
    """Write the encoding of a column (n,) to out (n, n_bins)."""
    bins = np.arange(len(edges) - 1, dtype=np.float64)
    for start in range(0, len(column), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        position = _find_position(column[rows], edges)
        encoded = position[:, np.newaxis] - bins
        np.clip(encoded, 0, 1, out=encoded)
        encoded[np.isnan(position)] = 0
        out[rows] = encoded
