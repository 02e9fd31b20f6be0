"""The columns of a table as NumPy arrays, and what kind of data each holds."""

from __future__ import annotations

import datetime
import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn._util.checks.arrays import check_unmasked

Array = NDArray[Any]
Floats = NDArray[np.float64]

NUMBER, CATEGORY, DATE = "number", "category", "date"

# The numbers that are made of a date, by name.
DATE_PARTS = ("day", "month", "weekday", "hour")


@dataclass(frozen=True)
class Column:
    """One column of a table, as `TableEncoder` found it."""

    name: str
    """The name in the data frame; x0, x1, ... in an array."""
    kind: str
    """"number", "category" or "date"."""
    n_gaps: int
    """Missing values in the training data."""
    levels: tuple[str, ...] = ()
    """Of a category: the levels that have a column, the most frequent ones first. "" is a gap."""
    n_rare: int = 0
    """Of a category: the number of levels that share one column, because they are rare."""


# ---- reading -------------------------------------------------------------------------------------


def read_table(X: Any) -> tuple[list[str], list[Array]]:
    """Names and values of the columns of a data frame or of a two-dimensional array.

    Raises
    ------
    ValueError, TypeError
        If X is something else, or has no rows or columns.
    """
    if hasattr(X, "toarray") or hasattr(X, "tocsr"):
        raise TypeError("X: expected a data frame or a dense array; got a sparse one")
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        names = [str(name) for name in X.columns]
        by_position = hasattr(X, "iloc")  # pandas, whose names may repeat
        series = [X.iloc[:, i] if by_position else X[:, i] for i in range(len(names))]
        values = [_convert_series(one) for one in series]
    else:
        check_unmasked("X", X)
        array = X if isinstance(X, np.ndarray) else convert_rows(X)
        if array.ndim != 2:
            hint = ": use X.reshape(1, -1) for one row" if array.ndim == 1 else ""
            raise ValueError(f"X: expected 2 dimensions, (rows, columns); got {array.shape}{hint}")
        names = [f"x{i}" for i in range(array.shape[1])]
        values = list(array.T)
    if not names or not len(values[0]):
        shape = (len(values[0]) if values else 0, len(names))
        raise ValueError(f"X: expected at least one row and column; got shape {shape}")
    return names, values


def convert_rows(rows: Any) -> Array:
    """A list of rows as an array, of dtype object if it holds anything but numbers."""
    try:
        array = np.asarray(rows)
    except ValueError:
        raise ValueError(f"X: expected rows of equal length; got {checks.describe(rows)}") from None
    return array if array.dtype.kind in "biufcO" else np.asarray(rows, object)


def _convert_series(series: Any) -> Array:
    """A column of a pandas or Polars data frame as an array of a NumPy dtype."""
    kind = getattr(series.dtype, "kind", "O")  # Polars has none
    is_extension = not isinstance(series.dtype, np.dtype)
    if str(series.dtype) == "category":  # as text, because its levels may be numbers
        levels = np.array([*map(to_text, series.cat.categories), None], object)
        return np.asarray(levels[series.cat.codes.to_numpy()])  # of -1, the last, for a gap
    if is_extension and kind in "iuf":
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    if is_extension and kind == "M":  # with a time zone
        return np.asarray(series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
    return np.asarray(series.to_numpy())


# ---- kinds ---------------------------------------------------------------------------------------


def find_kind(name: str, values: Array) -> str:
    """The kind of a column by its dtype; of a column of objects, by its values."""
    kind = values.dtype.kind
    if kind == "c":
        raise ValueError(f"X: expected real numbers, categories or dates; got complex data in "
                         f"column {name!r}")  # fmt: skip
    if kind in "iufm":
        return NUMBER
    if kind == "M":
        return DATE
    if kind != "O":
        return CATEGORY
    known = [value for value in values if not is_gap(value)]
    if not known:
        return NUMBER
    if all(isinstance(value, numbers.Real) and not isinstance(value, bool) for value in known):
        return NUMBER
    return DATE if all(isinstance(value, datetime.date) for value in known) else CATEGORY


def is_gap(value: Any) -> bool:
    """Whether a value is missing: None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and math.isnan(value)


def to_numbers(name: str, values: Array) -> Floats:
    """A column as float64, with NaN for gaps.

    Raises
    ------
    ValueError
        If a value is infinite or not a number.
    """
    if values.dtype.kind == "m":
        seconds = values / np.timedelta64(1, "s")
        return np.asarray(seconds, np.float64)
    if values.dtype.kind == "O":
        values = np.array([math.nan if is_gap(value) else value for value in values], object)
    try:
        result = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X: expected numbers in column {name!r}; got {error}") from None
    if np.isinf(result).any():
        raise ValueError(f"X: expected finite numbers in column {name!r}; got infinity")
    return result


def to_date_parts(name: str, values: Array) -> list[Floats]:
    """The numbers of a column of dates, in the order of `DATE_PARTS`: days since 1970 with the time
    of the day as a fraction; month from 1; weekday from 0, Monday; hour."""
    try:
        if values.dtype.kind == "O":
            values = np.array(["NaT" if is_gap(v) else _format_date(v) for v in values])
        times = values.astype("datetime64[ms]")
    except (TypeError, ValueError) as error:
        raise ValueError(f"X: expected dates in column {name!r}; got {error}") from None
    gaps = np.isnat(times)
    milliseconds = times.astype(np.int64)
    days = np.floor_divide(milliseconds, 86_400_000)
    parts = (
        milliseconds / 86_400_000,
        times.astype("datetime64[M]").astype(np.int64) % 12 + 1,
        (days + 3) % 7,
        milliseconds % 86_400_000 // 3_600_000,
    )
    return [np.where(gaps, np.nan, part) for part in parts]


def _format_date(value: Any) -> str:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return str(value.isoformat()) if isinstance(value, datetime.date) else str(value)


# ---- categories ----------------------------------------------------------------------------------


def factorize(values: Array) -> tuple[NDArray[np.intp], list[str]]:
    """The number of each value's level, and the levels as text: "" for a gap, and the same text for
    1, 1.0 and "1", because a column of whole numbers becomes one of floats where it has gaps."""
    if values.dtype.kind == "O":
        index: dict[Any, int] = {}
        numbered = [index.setdefault(value, len(index)) for value in values]
        codes, distinct = np.array(numbered, np.intp), list(index)
    else:
        unique, codes = np.unique(values, return_inverse=True)
        distinct = unique.tolist()
    texts = list(map(to_text, distinct))
    if len(set(texts)) == len(texts):
        return codes, texts
    merged = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return np.array([merged[text] for text in texts], np.intp)[codes], list(merged)


def to_text(value: Any) -> str:
    if is_gap(value):
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value)


def choose_levels(
    texts: Sequence[str], counts: Iterable[int], fewest: float, most: int
) -> list[str]:
    """The levels that get a column of their own: those with at least `fewest` rows, the most
    frequent ones first, at most `most`."""
    ranked = sorted(zip(texts, counts, strict=True), key=lambda pair: (-pair[1], pair[0]))
    return [text for text, count in ranked if count >= fewest][:most]


def find_categorical(choice: Any, names: Sequence[str], kinds: Sequence[str]) -> list[bool]:
    """Which columns are categories, by the parameter `categorical_features`.

    Raises
    ------
    ValueError
        If it names a column that does not exist, or is a mask of another length.
    """
    by_kind = [kind == CATEGORY for kind in kinds]
    if isinstance(choice, str):
        checks.choice("categorical_features", choice, ("auto",))
        return by_kind
    chosen = list(choice)
    if chosen and all(isinstance(item, bool | np.bool_) for item in chosen):
        if len(chosen) != len(names):
            raise ValueError(f"categorical_features: expected a mask of {len(names)} columns; got "
                             f"{len(chosen)}")  # fmt: skip
        return [bool(item) or known for item, known in zip(chosen, by_kind, strict=True)]
    for item in chosen:
        position = names.index(item) if isinstance(item, str) and item in names else item
        if not isinstance(position, numbers.Integral) or not 0 <= int(position) < len(names):
            raise ValueError(f"categorical_features: expected names or positions of columns; got "
                             f"{item!r}")  # fmt: skip
        by_kind[int(position)] = True
    return by_kind
