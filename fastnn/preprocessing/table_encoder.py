"""Tables with numbers, categories, dates and gaps as features of a network."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn.preprocessing.categories import (
    choose_levels,
    encode_category,
    factorize,
    find_categorical,
    list_outputs,
    make_unique,
)
from fastnn.preprocessing.piecewise_linear import PiecewiseLinearEncoder, encode_ramps
from fastnn.preprocessing.robust_scaler import RobustScaler
from fastnn.preprocessing.table_columns import (
    CATEGORY,
    DATE,
    DATE_PARTS,
    NUMBER,
    Column,
    find_kind,
    read_table,
    to_date_parts,
    to_numbers,
)
from fastnn.preprocessing.transformer import Names, Transformer

Array = NDArray[Any]
Floats = NDArray[np.float64]

ENCODINGS = ("scaled", "piecewise_linear")

# Without `min_frequency`, a level needs this share of the rows, but not more than this number.
RARE_SHARE, RARE_ROWS = 0.001, 10


class TableEncoder(Transformer):
    """Turn a table with numbers, categories, dates and missing values into features of a network.

    - Numbers are scaled by `RobustScaler`; with numeric_encoding="piecewise_linear", the columns of
      `PiecewiseLinearEncoder` are added. Columns with a single value are left out.
    - A missing number becomes 0, the median. Columns with missing values in `fit` have a second
      column, which is 1 where the value is missing.
    - A category has one column for each level with 1 where it occurs; with two levels, a single
      column with 1 and -1. Rare levels share a column. A missing value is a level, if it occurs in
      `fit`; otherwise all columns are 0. A level that did not occur in `fit` counts as rare; if
      there is no column for rare levels, all columns are 0.
    - A date becomes four numbers: the day, the month, the weekday and the hour, in UTC.

    Booleans, text and pandas' and Polars' categories are categories; timedeltas are numbers, in
    seconds.

    Parameters
    ----------
    categorical_features : "auto" or list, default "auto"
        Columns of numbers that are categories: a list of names or positions, or a mask; "auto" for
        none.
    numeric_encoding : {"scaled", "piecewise_linear"}, default "scaled"
        The encoding of numbers.
    n_bins : int, default 32
        Largest number of bins of a number, for "piecewise_linear".
    min_frequency : float, optional
        Number of rows below which a level is rare; by default 10, or one in 1,000 rows if that is
        less.
    max_levels : int, default 256
        Largest number of levels with a column of their own, at least 1.
    indicators : bool, default True
        Whether numbers with missing values have a second column.
    sparse_output : bool, default False
        Whether `transform` returns a sparse matrix, which is smaller if categories with many levels
        are most of the columns.

    Attributes
    ----------
    columns_ : tuple of Column
        Kind, levels and number of missing values of each column.
    scaler_ : RobustScaler
        The scaling of the numbers, in the order of the columns, with four numbers for a date.
    edges_ : list of ndarray
        The bin edges of these numbers; empty with numeric_encoding="scaled".
    has_gaps_ : ndarray of bool
        Which of these numbers have a column for missing values.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str, shape (n_features,)
        Column names, if X is a data frame whose column names are all strings.

    Examples
    --------
    >>> import fastnn as fn
    >>> rows = [[1.0, "red"], [2.0, "green"], [None, "red"], [3.0, "blue"], [5.0, "blue"]]
    >>> encoder = fn.preprocessing.TableEncoder().fit(rows)
    >>> encoder.get_feature_names_out().tolist()
    ['x0', 'x0_missing', 'x1_blue', 'x1_red', 'x1_green']
    >>> encoder.transform([[2.5, "blue"], [None, "black"]])
    array([[0., 0., 1., 0., 0.],
           [0., 1., 0., 0., 0.]], dtype=float32)
    """

    _parameters: ClassVar[tuple[str, ...]] = (
        "categorical_features", "numeric_encoding", "n_bins", "min_frequency", "max_levels",
        "indicators", "sparse_output",
    )  # fmt: skip

    columns_: tuple[Column, ...]
    scaler_: RobustScaler
    edges_: list[Floats]
    has_gaps_: NDArray[np.bool_]

    def __init__(
        self,
        categorical_features: Any = "auto",
        *,
        numeric_encoding: str = "scaled",
        n_bins: int = 32,
        min_frequency: float | None = None,
        max_levels: int = 256,
        indicators: bool = True,
        sparse_output: bool = False,
    ) -> None:
        self.categorical_features = categorical_features
        self.numeric_encoding = numeric_encoding
        self.n_bins = n_bins
        self.min_frequency = min_frequency
        self.max_levels = max_levels
        self.indicators = indicators
        self.sparse_output = sparse_output

    # ---- fitting ----

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the kind of each column, the scaling of numbers and the levels of categories.

        Parameters
        ----------
        X : data frame or array-like, shape (n, n_features)
            A pandas or Polars data frame, an array, or a list of rows.
        y : None
            Ignored.

        Returns
        -------
        TableEncoder
            The fitted object itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter is outside its range, X is empty or sparse, or a number is infinite.
        """
        checks.choice("numeric_encoding", self.numeric_encoding, ENCODINGS)
        checks.whole("n_bins", self.n_bins, at_least=1)
        checks.whole("max_levels", self.max_levels, at_least=1)
        if self.min_frequency is not None:
            checks.number("min_frequency", self.min_frequency, at_least=0)
        checks.flag("sparse_output", self.sparse_output)
        indicators = checks.flag("indicators", self.indicators)
        names, values = read_table(X)
        kinds = list(map(find_kind, names, values))
        is_category = find_categorical(self.categorical_features, names, kinds)
        kinds = [CATEGORY if category else kind
                 for kind, category in zip(kinds, is_category, strict=True)]  # fmt: skip
        read, columns = [], []
        for name, one, kind in zip(names, values, kinds, strict=True):
            read.append(_read_numbers(name, one, kind))
            columns.append(self._describe(name, one, kind, read[-1]))
        numbers = _stack(read, len(values[0]))
        edges = []
        if self.numeric_encoding == "piecewise_linear" and numbers.size:
            edges = PiecewiseLinearEncoder(self.n_bins).fit(numbers).edges_
        self._set_fitted(
            X, len(names), columns_=tuple(columns), scaler_=_fit_scaler(numbers), edges_=edges,
            has_gaps_=np.isnan(numbers).any(axis=0) & indicators,
        )  # fmt: skip
        return self

    def _describe(self, name: str, values: Array, kind: str, numbers: list[Floats]) -> Column:
        if kind != CATEGORY:
            return Column(name, kind, int(np.isnan(numbers[0]).sum()))
        codes, texts = factorize(name, values)
        counts = np.bincount(codes, minlength=len(texts)).tolist()
        fewest = self.min_frequency
        if fewest is None:
            fewest = min(RARE_ROWS, RARE_SHARE * len(values))
        levels = choose_levels(texts, counts, fewest, self.max_levels)
        n_gaps = dict(zip(texts, counts, strict=True)).get("", 0)
        return Column(name, kind, n_gaps, tuple(levels), len(texts) - len(levels))

    # ---- transforming ----

    def transform(self, X: Any) -> Any:
        """Return the features of a table.

        Parameters
        ----------
        X : data frame or array-like, shape (n, n_features)
            Columns as in `fit`.

        Returns
        -------
        ndarray or scipy.sparse.csr_array of float32, or data frame, shape (n, n_outputs)
            The columns of `get_feature_names_out`. See `set_output` for data frames.

        Raises
        ------
        ValueError, TypeError
            If `fit` has not been called, X has other columns than in `fit`, or a column of numbers
            or dates has values that are none. Also for data frames with sparse_output=True.
        """
        self._check_fitted()
        self._check_names(X)
        names, values = read_table(X)
        n, n_fitted = len(names), self.n_features_in_
        if n != n_fitted:
            raise ValueError(f"X: expected {n_fitted} columns, as in fit; got {n}"
                             f"{self._compare_counts((len(values[0]), n), (n_fitted,))}"
            )  # fmt: skip
        read = [_read_numbers(column.name, one, column.kind)
                for column, one in zip(self.columns_, values, strict=True)]  # fmt: skip
        numbers = _stack(read, len(values[0]))
        parts = self._make_parts(numbers, values)
        shape = len(values[0]), len(self.get_feature_names_out())
        if self.sparse_output:
            from scipy import sparse  # which `import fastnn` does not load

            blocks = [sparse.csr_array((shape[0], 0)), *map(sparse.csr_array, parts)]
            return self._in_container(sparse.hstack(blocks, "csr", np.float32), X)
        result = np.empty(shape, np.float32)
        end = 0
        for part in parts:
            result[:, end : end + part.shape[1]] = part
            end += part.shape[1]
        return self._in_container(result, X)

    def _make_parts(self, numbers: Floats, values: list[Array]) -> list[Any]:
        """The features, in groups: numbers, gaps, each category, and bins. With sparse output,
        categories are sparse."""
        varies, gaps = self._varies, np.isnan(numbers)
        parts: list[Any] = []
        if numbers.shape[1]:
            parts = [np.where(gaps, 0, self.scaler_.transform(numbers))[:, varies],
                     gaps[:, self.has_gaps_]]  # fmt: skip
        for column, one in zip(self.columns_, values, strict=True):
            if column.kind == CATEGORY:
                parts.append(encode_category(column, one, self.sparse_output))
        if self.edges_ and varies.any():
            edges = [one for one, kept in zip(self.edges_, varies, strict=True) if kept]
            parts.append(encode_ramps(numbers[:, varies].astype(np.float32), edges, np.float32))
        return parts

    # ---- names ----

    @property
    def _varies(self) -> NDArray[np.bool_]:
        """Which numbers have more than one value."""
        return np.asarray(self.scaler_.scale_ > 0)

    def get_feature_names_out(self, input_features: Any = None) -> Names:
        """Return the names of the features: that of the column, with an ending such as "_missing",
        the level of a category or the part of a date. Names that would occur twice are
        numbered."""
        names = self._resolve_names(input_features)
        numbers, categories = [], []
        for name, column in zip(names, self.columns_, strict=True):
            if column.kind == NUMBER:
                numbers.append(str(name))
            elif column.kind == DATE:
                numbers += [f"{name}_{part}" for part in DATE_PARTS]
            else:
                categories += [f"{name}_{level}" for level in list_outputs(column)]
        varying = [one for one, kept in zip(numbers, self._varies, strict=True) if kept]
        gaps = [f"{one}_missing" for one, has in zip(numbers, self.has_gaps_, strict=True) if has]
        bins = [
            f"{one}_bin{t}"
            for one, edges in zip(numbers, self.edges_, strict=bool(self.edges_))
            for t in range(len(edges) - 1)
        ]  # fmt: skip
        return np.array(make_unique([*varying, *gaps, *categories, *bins]), object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _read_numbers(name: str, values: Array, kind: str) -> list[Floats]:
    """The numbers that a column gives: one, those of `DATE_PARTS`, or none for a category."""
    if kind == NUMBER:
        return [to_numbers(name, values)]
    return to_date_parts(name, values) if kind == DATE else []


def _stack(read: list[list[Floats]], n: int) -> Floats:
    """The numbers of all columns side by side, (n, number of columns and parts of dates)."""
    numbers = [one for column in read for one in column]
    return np.column_stack(numbers) if numbers else np.empty((n, 0))


def _fit_scaler(numbers: Floats) -> RobustScaler:
    if numbers.shape[1]:
        return RobustScaler().fit(numbers)
    scaler = RobustScaler()
    vars(scaler).update(center_=np.empty(0), scale_=np.empty(0), n_features_in_=0)
    return scaler
