"""scikit-learn's callback protocol, where the installed version has it (1.9)."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

__all__ = ["CallbackSupportMixin", "Trace", "with_callbacks"]

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: Any) -> Any:
        """The method, in one more frame as there: warnings count frames to point at the call."""

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return call


class Trace:
    """Tells an estimator's callbacks of its epochs, if there are any."""

    def __init__(
        self, estimator: Any, fitted: Any, max_epochs: int, data: dict[str, Any], listens: bool
    ) -> None:
        """`estimator` has the callbacks; `fitted` is the twin of it in training, of which they can
        ask for a copy."""
        self.estimator = estimator
        self.fitted = fitted
        self.data = data
        self.context: Any = None
        set_here = hasattr(estimator, "_skl_callbacks")
        if listens and (set_here or hasattr(estimator, "_parent_callback_ctx")):
            self.context = estimator._init_callback_context(max_subtasks=max_epochs)
            self.context.call_on_fit_task_begin(estimator=estimator, **data)

    def hook(self) -> Callable[[], bool] | None:
        """What to call after an epoch; it returns True where a callback wants to stop."""
        return None if self.context is None else self._epoch

    def _epoch(self) -> bool:
        context = self.context.subcontext(task_name="epoch")
        context.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        return bool(self._end(context))

    def end(self) -> None:
        """The fit is over."""
        if self.context is not None:
            self._end(self.context)

    def _end(self, context: Any) -> Any:
        return context.call_on_fit_task_end(
            estimator=self.estimator, **self.data,
            reconstruction_attributes=lambda: vars(copy.copy(self.fitted)),
        )  # fmt: skip
