"""The columns of a table as NumPy arrays, and what kind of data each holds."""

from __future__ import annotations

import datetime
import decimal
import math
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn._util.checks.arrays import check_unmasked

Array = NDArray[Any]
Floats = NDArray[np.float64]

NUMBER, CATEGORY, DATE = "number", "category", "date"

# What a column of objects may hold.
GAP_TYPES = ("NoneType", "NAType", "NaTType")
NUMBER_TYPES = (numbers.Real, decimal.Decimal)
DURATION_TYPES = (datetime.timedelta, np.timedelta64)
DATE_TYPES = (datetime.date, np.datetime64)

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
            is_row = array.ndim == 1
            hint = ": Reshape your data, X.reshape(1, -1), if it is one row" if is_row else ""
            raise ValueError(f"X: expected 2 dimensions, (rows, columns); got {array.shape}{hint}")
        names = [f"x{i}" for i in range(array.shape[1])]
        values = list(array.T)
    if not names or not len(values[0]):
        shape = (len(X), len(names))
        counts = f"0 feature(s) (shape={shape}) while a minimum of 1 is required."
        raise ValueError(f"X: expected at least one row and column; got shape {shape}"
                         f"{'' if names else ': ' + counts}")  # fmt: skip
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
                         f"column {name!r}: Complex data not supported")  # fmt: skip
    if kind in "iufm":
        return NUMBER
    if kind == "M":
        return DATE
    if kind != "O":
        return CATEGORY
    types = {one for one in set(map(type, values)) if one.__name__ not in GAP_TYPES}
    if _are(types, NUMBER_TYPES):
        return NUMBER
    if _are(types, (float, *DURATION_TYPES)):
        return NUMBER if _floats_are_gaps(values, types) else CATEGORY
    if _are(types, (float, *DATE_TYPES)):
        return DATE if _floats_are_gaps(values, types) else CATEGORY
    return CATEGORY


def _are(types: set[type], expected: tuple[type, ...]) -> bool:
    return all(issubclass(one, expected) and one is not bool for one in types)


def _floats_are_gaps(values: Array, types: set[type]) -> bool:
    if not any(issubclass(one, float) for one in types):
        return True
    return all(math.isnan(value) for value in values if isinstance(value, float))


def is_gap(value: Any) -> bool:
    """Whether a value is missing: None, NaN, NaT or pandas.NA."""
    if type(value).__name__ in GAP_TYPES:
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, float | np.floating) and math.isnan(value)


def to_numbers(name: str, values: Array) -> Floats:
    """A column as float64, with NaN for gaps, and durations in seconds.

    Raises
    ------
    ValueError
        If a value is infinite or not a number.
    """
    if values.dtype.kind == "m":
        return np.asarray(values / np.timedelta64(1, "s"), np.float64)
    if values.dtype.kind == "M":  # NumPy would convert dates to numbers
        if not np.isnat(values).all():
            raise ValueError(f"X: expected numbers in column {name!r}; got dates")
        return np.full(len(values), np.nan)
    try:
        result = _convert_to_floats(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"X: expected numbers in column {name!r}; got {error}") from None
    if np.isinf(result).any():
        raise ValueError(f"X: expected finite numbers in column {name!r}; got infinity")
    return result


def _convert_to_floats(values: Array) -> Floats:
    try:
        return values.astype(np.float64)  # NaN for None
    except (TypeError, ValueError):  # other gaps, or durations
        return np.array(list(map(_to_float, values.tolist())), np.float64)


def _to_float(value: Any) -> float:
    if is_gap(value) or (isinstance(value, str) and not value.strip()):
        return math.nan
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, np.timedelta64):
        return float(value / np.timedelta64(1, "s"))
    return float(value)


def to_date_parts(name: str, values: Array) -> list[Floats]:
    """The numbers of a column of dates, in the order of `DATE_PARTS`: days since 1970 with the time
    of the day as a fraction; month from 1; weekday from 0, Monday; hour."""
    if values.dtype.kind in "biuf":  # NumPy would convert numbers to dates
        if not np.isnan(values).all():
            raise ValueError(f"X: expected dates in column {name!r}; got numbers")
        values = np.full(len(values), "NaT")
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
    if isinstance(value, NUMBER_TYPES):
        raise TypeError(f"the number {value}")
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return str(value.isoformat()) if isinstance(value, datetime.date) else str(value)


def to_text(value: Any) -> str:
    """The text of a level: "" for a gap, and the same text for 1, 1.0 and "1"."""
    if is_gap(value):
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value)
