"""Categories: the levels of a column, and their encoding."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn.preprocessing.table_columns import CATEGORY, Column, to_text

Array = NDArray[Any]

# Booleans, and the whole numbers that some libraries have in their place.
SAME_LEVELS = {"1": "True", "0": "False", "True": "1", "False": "0"}


def factorize(name: str, values: Array) -> tuple[NDArray[np.intp], list[str]]:
    """The number of each value's level, and the levels as text: "" for a gap, and the same text for
    1, 1.0 and "1", because a column of whole numbers becomes one of floats where it has gaps.

    Raises
    ------
    TypeError
        If a value cannot be a level, such as a list.
    """
    if values.dtype.kind == "O":
        index: dict[Any, int] = {}
        try:
            numbered = [index.setdefault(value, len(index)) for value in values]
        except TypeError as error:
            raise TypeError(f"X: expected text, numbers or other values with a hash in column "
                            f"{name!r}; got an {error}") from None  # fmt: skip
        codes, distinct = np.array(numbered, np.intp), list(index)
    else:
        unique, codes = np.unique(values, return_inverse=True)
        distinct = unique.tolist()
    texts = list(map(to_text, distinct))
    if len(set(texts)) == len(texts):
        return codes, texts
    merged = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return np.array([merged[text] for text in texts], np.intp)[codes], list(merged)


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
    ValueError, TypeError
        If it is no list, names a column that does not exist, or is a mask of another length.
    """
    by_kind = [kind == CATEGORY for kind in kinds]
    if isinstance(choice, str):
        checks.choice("categorical_features", choice, ("auto",))
        return by_kind
    if not isinstance(choice, Iterable):
        raise TypeError('categorical_features: expected "auto", a list of columns or a mask; got '
                        f"{checks.describe(choice)}")  # fmt: skip
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


def list_outputs(column: Column) -> list[str]:
    """The levels that have an output, with "rare" for the rare ones. A gap is "missing"."""
    levels = [level or "missing" for level in column.levels]
    if len(levels) == 2 and not column.n_rare:
        return levels[:1]
    outputs = [*levels, "rare"] if column.n_rare else levels
    return outputs if len(outputs) > 1 else []


def encode_category(column: Column, values: Array, sparse_output: bool = False) -> Any:
    """The outputs of a category, (n, number of outputs), as an array or a sparse matrix."""
    codes, texts = factorize(column.name, values)
    positions = np.array(_find_levels(column, texts), np.intp)
    n_outputs = len(list_outputs(column))
    if n_outputs == 1:
        signs = np.array([1, -1, 0], np.float32)  # of -1, the last, for others
        table = signs[positions][:, np.newaxis]
    else:
        table = np.zeros((len(texts), n_outputs), np.float32)
        valid = np.flatnonzero((positions >= 0) & (n_outputs > 0))
        table[valid, positions[valid]] = 1
    if not sparse_output:
        return table[codes]
    from scipy import sparse  # which `import fastnn` does not load

    return sparse.csr_array(table)[codes]


def _find_levels(column: Column, texts: Sequence[str]) -> list[int]:
    """The position of each level among those of `fit`; after the last for a rare one, and -1 for
    one without an output."""
    known = {level: i for i, level in enumerate(column.levels)}
    other = len(known) if column.n_rare else -1
    if not column.n_gaps:
        known[""] = -1
    if set(column.levels) <= {"True", "False", ""} or set(column.levels) <= {"1", "0", ""}:
        for level in column.levels:
            known[SAME_LEVELS.get(level, level)] = known[level]
    return [known.get(text, other) for text in texts]


def make_unique(names: Iterable[str]) -> list[str]:
    """Names of which none occurs twice: the second "a" becomes "a_2"."""
    result: dict[str, None] = {}
    for name in names:
        unique, count = name, 1
        while unique in result:
            count += 1
            unique = f"{name}_{count}"
        result[unique] = None
    return list(result)
