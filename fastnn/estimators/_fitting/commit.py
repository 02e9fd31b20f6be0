"""A fit is taken over whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastnn._training.exclusive import lock_model
from fastnn.estimators._fitting.parameters import twin


@contextmanager
def whole_fit(estimator: Any) -> Iterator[Any]:
    """A twin to fit in the block. The attributes that it gained or lost there become the
    estimator's when the block ends, and none of them if it raises an error: a fit that failed or
    was interrupted leaves no new scaling beside old weights. Other threads are refused meanwhile.
    """
    with lock_model(estimator):
        fitted = twin(estimator)
        before = vars(fitted).copy()
        yield fitted
        after = vars(fitted)
        changes = {
            name: value for name, value in after.items() if before.get(name, before) is not value
        }
        kept = vars(estimator) | changes
        for name in [name for name in before if name not in after]:
            del kept[name]  # such as names of columns, where there are none now
        estimator.__dict__ = kept  # at once: an interrupt comes before or after it
