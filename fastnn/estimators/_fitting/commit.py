"""Fits that change the estimator only if they succeed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastnn._training.exclusive import lock_model
from fastnn.estimators._fitting.parameters import shallow_copy


@contextmanager
def atomic_fit(estimator: Any) -> Iterator[Any]:
    """Yield a copy of the estimator to fit. When the block ends, the estimator takes over the
    attributes that the copy gained or lost there; if the block raises an error, it stays unchanged.
    A fit that failed or was interrupted therefore never combines new scaling with old weights.
    Other threads cannot fit the same estimator until the block ends.
    """
    with lock_model(estimator):
        fitted = shallow_copy(estimator)
        before = vars(fitted).copy()
        yield fitted
        after = vars(fitted)
        changes = {
            name: value for name, value in after.items() if before.get(name, before) is not value
        }
        attributes = vars(estimator) | changes
        for name in [name for name in before if name not in after]:
            del attributes[name]  # for example feature_names_in_ after a fit to a plain array
        estimator.__dict__ = attributes  # one assignment, which an interrupt cannot divide
