"""The training rows and the validation data of each network of `fit_many`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine.plan import Plan
from fastnn._training import fit
from fastnn._training.arguments import Options
from fastnn._training.arrays import check_class_coverage, convert_rows
from fastnn._training.fit import Fit
from fastnn._training.source import (
    Arrays,
    Source,
    cache_conversions,
    make_validation_source,
    prepare,
    prepare_validation,
)
from fastnn._util import checks
from fastnn.losses import Loss
from fastnn.model import Sequential

Rows = NDArray[np.intp]

HELD_OUT = "held out"


class SubsetCache:
    """Makes the fits of one call; rows and validation data that networks share are checked and
    converted once."""

    def __init__(self, check_finite: bool) -> None:
        self.check_finite = check_finite
        # Keyed by the id of the user's object, which is stored too, so that no other gets its id.
        self.rows: dict[tuple[int, int], tuple[Any, Rows]] = {}
        self.sources: dict[int, tuple[Any, Source]] = {}
        self.numbers: dict[bytes, int] = {}
        self.checked_subsets: set[tuple[int, int]] = set()

    def make_fit(
        self, net: Sequential, options: Options, source: Source, subset: Any, validation: Any
    ) -> Fit:
        """Return the fit of a network to a subset of X, or to all of X if `subset` is None."""
        plan, arrays = prepare(net.state, source, options.loss)
        if subset is not None:
            arrays = arrays.select(self._convert_rows("subsets", subset, len(arrays.X)))
            self._check_subset(arrays, options.loss)
        validation_arrays = self._make_validation(
            net, options.loss, plan, source, arrays, validation
        )
        return fit.make_fit(net, options, plan, source.feature_names, arrays, validation_arrays)

    def get_number(self, arrays: Arrays) -> int | None:
        """Return the number of a subset, from 0 in order of first use; None for all of X."""
        if arrays.rows is None:
            return None
        return self.numbers.setdefault(arrays.rows.tobytes(), len(self.numbers))

    def _make_validation(
        self, net: Sequential, loss: Loss, plan: Plan, source: Source, arrays: Arrays, value: Any
    ) -> Arrays | None:
        if value is None:
            return None
        if isinstance(value, str):
            checks.choice("validation_data", value, (HELD_OUT,))
            return arrays.select(_find_held_out_rows(arrays))
        if isinstance(value, tuple):
            if id(value) not in self.sources:
                self.sources[id(value)] = (
                    value,
                    cache_conversions(make_validation_source(value, self.check_finite)),
                )
            validation_source = self.sources[id(value)][1]
            return prepare_validation(
                net.state, validation_source, source.feature_names, loss, plan
            )
        rows = self._convert_rows("validation_data", value, len(arrays.X))
        _check_disjoint(rows, arrays)
        return arrays.select(rows)

    def _convert_rows(self, name: str, value: Any, n: int) -> Rows:
        key = id(value), n
        if key not in self.rows:
            self.rows[key] = value, convert_rows(name, value, n)
        return self.rows[key][1]

    def _check_subset(self, arrays: Arrays, loss: Loss) -> None:
        key = id(arrays.rows), id(arrays.y)
        if key not in self.checked_subsets:
            check_class_coverage(arrays.y, arrays.rows, loss)
            self.checked_subsets.add(key)
        if arrays.weights is not None and not arrays.weights[arrays.rows].any():
            raise ValueError("sample_weight: expected one above 0 in the subset; got none")


def _find_held_out_rows(arrays: Arrays) -> Rows:
    """Return the rows of X that are not in the subset."""
    outside = np.ones(len(arrays.X), np.bool_)
    outside[slice(None) if arrays.rows is None else arrays.rows] = False
    if not outside.any():
        raise ValueError(
            f"validation_data: expected rows outside the subset for {HELD_OUT!r}; got none"
        )
    return np.flatnonzero(outside)


def _check_disjoint(rows: Rows, arrays: Arrays) -> None:
    """Raise an error if a validation row is also a training row."""
    n_shared = len(rows) if arrays.rows is None else np.isin(rows, arrays.rows).sum()
    if n_shared:
        raise ValueError(
            f"validation_data: expected rows that are not trained on; got {n_shared} that are"
        )
