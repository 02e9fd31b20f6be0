"""Checks of arrays, for metrics and preprocessing. A network's arrays are checked and converted in
`_training/arrays.py`."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks

Integers = NDArray[np.int64]

MAX_NAMED = 5  # columns in an error message
_SUM_TOLERANCE = 1e-3  # for rows of probabilities, which may have been computed in float32


def convert_frame(values: Any) -> Any:
    """Convert a numeric dataframe to float64 if NumPy would convert it to an object array: if it
    mixes numbers with booleans, or has extension dtypes. Other values are returned unchanged."""
    if type(values) is np.ndarray:
        return values
    kinds = [getattr(kind, "kind", "O") for kind in np.atleast_1d(getattr(values, "dtypes", "O"))]
    if set(kinds) <= set("biuf") and hasattr(values, "to_numpy"):
        mixed = "b" in kinds and len(set(kinds)) > 1
        extension = any(not isinstance(k, np.dtype) for k in np.atleast_1d(values.dtypes))
        if mixed or extension:
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def describe_non_numeric(values: Any, array: NDArray[Any]) -> str:
    """Describe a non-numeric array in an error message: the non-numeric columns if they are known,
    otherwise the dtype."""
    if values is None:
        return "None"
    columns = _find_non_numeric_columns(values, array)
    if not columns:
        return f"an array of dtype {array.dtype}"
    more = f" and {len(columns) - MAX_NAMED} more" if len(columns) > MAX_NAMED else ""
    return f"none in the columns {', '.join(map(repr, columns[:MAX_NAMED]))}{more}"


def _find_non_numeric_columns(values: Any, array: NDArray[Any]) -> list[Any]:
    """The non-numeric columns: names in a dataframe, positions in an array."""
    if array.ndim != 2:
        return []
    if not (hasattr(values, "columns") and hasattr(values, "dtypes")):
        if array.dtype != object:
            return []
        return [i for i, column in enumerate(array.T)
                if not all(isinstance(value, numbers.Real) for value in column)]  # fmt: skip
    kinds = (
        getattr(dtype, "kind", None) or np.asarray(values[name]).dtype.kind  # Polars has none
        for name, dtype in zip(values.columns, values.dtypes, strict=True)
    )
    return [name for name, kind in zip(values.columns, kinds, strict=True) if kind not in "biuf"]


def check_array(name: str, value: Any) -> NDArray[Any]:
    """Convert to an array; the error message for ragged rows has the parameter's name."""
    check_unmasked(name, value)
    try:
        return np.asarray(convert_frame(value))
    except ValueError:
        got = checks.describe(value)
        raise ValueError(f"{name}: expected rows of equal length; got {got}") from None


def check_unmasked(name: str, value: Any) -> None:
    """Raise an error if entries are masked, as NumPy's conversions would use the values under the
    mask."""
    if type(value) is np.ndarray:
        return
    parts = value if isinstance(value, list | tuple) else (value,)
    masked = [part for part in parts if isinstance(part, np.ma.MaskedArray)]
    n_masked = sum(map(np.ma.count_masked, masked))
    if n_masked:
        raise ValueError(
            f"{name}: expected values without a mask; got {n_masked} masked: replace them with "
            f"{name}.filled(value), or drop their rows"
        )


def check_numbers(
    name: str, value: Any, *, ndims: tuple[int, ...] = (1, 2), allow_nan: bool = False
) -> NDArray[Any]:
    """An array of finite real numbers, or NaN if allowed, with at least one row and one column."""
    array = check_array(name, value)
    if array.dtype.kind not in "biuf":
        got = describe_non_numeric(value, array)
        raise TypeError(f"{name}: expected real numbers; got {got}")
    if array.ndim not in ndims or array.size == 0:
        shapes = " or ".join({1: "(n,)", 2: "(n, m)"}[ndim] for ndim in ndims)
        raise ValueError(f"{name}: expected shape {shapes}, not empty; got shape {array.shape}")
    finite = ~np.isinf(array) if allow_nan else np.isfinite(array)
    if not finite.all():
        expected = "finite numbers or NaN" if allow_nan else "finite numbers"
        raise ValueError(f"{name}: expected {expected}; got {array[~finite][0]}")
    return array


def check_labels(name: str, value: Any, n_classes: int | None = None) -> Integers:
    """Integer labels (n,) as int64; integral floats and booleans are accepted."""
    array = check_numbers(name, value, ndims=(1,))
    limit = 2**31 if n_classes is None else n_classes
    wrong = (array != np.rint(array)) | (array < 0) | (array >= limit)
    if wrong.any():
        bound = "of at least 0" if n_classes is None else f"from 0 to {n_classes - 1}"
        raise ValueError(f"{name}: expected whole numbers {bound}; got {array[wrong][0]}")
    return array.astype(np.int64)


def check_n_rows(arrays: Sequence[Any]) -> int:
    """The number of rows, which has to be the same in all arrays."""
    if not arrays:
        raise ValueError("arrays: expected at least one array; got none")
    counts = []
    for array in arrays:
        shape = (len(array),) if isinstance(array, list | tuple) else getattr(array, "shape", ())
        if not shape:
            got = checks.describe(array)
            raise TypeError(f"arrays: expected arrays, lists or pandas objects; got {got}")
        counts.append(int(shape[0]))
    if len(set(counts)) > 1:
        raise ValueError(f"arrays: expected the same number of rows in each; got {counts}")
    return counts[0]


def check_test_size(test_size: float, n: int, name: str = "test_size") -> int:
    """The number of test rows. A fraction is rounded up; both parts need at least one row."""
    if n < 2:
        raise ValueError(f"arrays: expected at least 2 rows to split; got {n}")
    if isinstance(test_size, numbers.Integral):
        return checks.whole(name, test_size, at_least=1, at_most=n - 1)
    n_test = math.ceil(checks.number(name, test_size, above=0, below=1) * n)
    if n_test == n:
        expected = f"a fraction that leaves a training row of {n}"
        raise ValueError(f"{name}: expected {expected}; got {test_size}")
    return n_test


def check_strata(
    stratify: Any, n: int, n_test: int, name: str = "stratify", size_name: str = "test_size"
) -> Integers:
    """The class of each row as an integer (n,). Each class needs at least two rows, and both parts
    at least as many rows as there are classes."""
    strata = check_array(name, stratify)
    if strata.shape != (n,):
        raise ValueError(f"{name}: expected one label per row, ({n},); got shape {strata.shape}")
    try:
        _, codes, counts = np.unique(strata, return_inverse=True, return_counts=True)
    except TypeError:
        got = checks.describe(stratify)
        raise TypeError(f"{name}: expected labels of one kind; got {got}") from None
    if counts.min() < 2:
        raise ValueError(f"{name}: expected at least 2 rows of each class; got a class with 1")
    smaller = min(n_test, n - n_test)
    if smaller < len(counts):
        expected = f"at least {len(counts)} rows on either side, one per class"
        raise ValueError(f"{size_name}: expected {expected}; got {smaller}")
    return codes.astype(np.int64)


def check_seed(seed: Any) -> np.random.Generator:
    """The NumPy generator for a seed; a generator is returned unchanged."""
    if seed is None or isinstance(seed, np.random.Generator):
        return np.random.default_rng(seed)
    return np.random.default_rng(checks.whole("random_state", seed))


def check_weight(sample_weight: Any, n: int) -> NDArray[np.float64] | None:
    """Sample weights (n,) as float64, none negative and not all 0; None for equal weights."""
    if sample_weight is None:
        return None
    weight = check_numbers("sample_weight", sample_weight).astype(np.float64)
    if weight.shape != (n,):
        raise ValueError(f"sample_weight: expected shape ({n},); got shape {weight.shape}")
    if weight.min() < 0 or weight.max() == 0:
        got = weight.min()
        raise ValueError(f"sample_weight: expected numbers of at least 0, not all 0; got {got}")
    return weight


def check_classes(name: str, value: Any) -> NDArray[Any]:
    """Labels (n,), numeric or text, or a numeric array (n, k)."""
    array = check_array(name, value)
    if array.dtype.kind in "OU" and array.ndim == 1 and all(isinstance(v, str) for v in array):
        return array.astype(str)
    return check_numbers(name, array)


def check_like(true: NDArray[Any], predicted: NDArray[Any]) -> None:
    """Check that predictions have the shape of the true values, and are text only if those are."""
    if predicted.shape != true.shape:
        raise ValueError(f"y_pred: expected y_true's shape {true.shape}; got {predicted.shape}")
    if (true.dtype.kind == "U") != (predicted.dtype.kind == "U"):
        kinds = ["text" if a.dtype.kind == "U" else "numbers" for a in (true, predicted)]
        raise TypeError(f"y_pred: expected {kinds[0]}, as y_true; got {kinds[1]}")


def check_indicator(name: str, rows: NDArray[Any]) -> None:
    """Check that all elements are 0 or 1."""
    wrong = (rows != 0) & (rows != 1)
    if wrong.any():
        raise ValueError(f"{name}: expected rows of 0 and 1; got {rows[wrong][0]}")


def check_probabilities(name: str, value: Any) -> NDArray[Any]:
    """Probabilities (n, k) whose rows sum to 1. A single column is the probability of class 1 and
    is completed to two columns."""
    p = check_numbers(name, value)
    p = p if p.dtype.kind == "f" else p.astype(np.float64)
    wrong = (p < 0) | (p > 1)
    if wrong.any():
        raise ValueError(f"{name}: expected numbers from 0 to 1; got {p[wrong][0]}")
    if p.ndim == 1 or p.shape[1] == 1:
        return np.column_stack([1 - p, p])
    sums = p.sum(axis=1)
    off = np.abs(sums - 1) > _SUM_TOLERANCE
    if off.any():
        raise ValueError(f"{name}: expected rows that sum to 1; got a sum of {sums[off][0]}")
    return p


def check_float_dtype(name: str, value: Any) -> np.dtype[Any]:
    """The dtype float32 or float64, from a dtype or its name."""
    dtype: np.dtype[Any]
    try:
        dtype = np.dtype(value)
    except (TypeError, ValueError, SyntaxError):  # NumPy parses a string as a list of fields
        dtype = np.dtype(object)
    if value is None or dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"{name}: expected 'float32' or 'float64'; got {value!r}")
    return dtype
