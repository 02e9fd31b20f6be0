"""scikit-learn's callback protocol, which exists since version 1.9."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

__all__ = ["CallbackNotifier", "CallbackSupportMixin", "with_callbacks"]

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An empty class for versions without callbacks."""

    def with_callbacks(method: Any) -> Any:
        """Wrap a method in one more stack frame, as scikit-learn does: the stack levels of warnings
        count it."""

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return call


class CallbackNotifier:
    """Notifies the callbacks of an estimator, if it has any, of the fit and its epochs."""

    def __init__(
        self, estimator: Any, fitted: Any, max_epochs: int, data: dict[str, Any], enabled: bool
    ) -> None:
        """`estimator` has the callbacks; `fitted` is the copy of it in training, whose attributes
        the callbacks can request."""
        self.estimator = estimator
        self.fitted = fitted
        self.data = data
        self.context: Any = None
        set_here = hasattr(estimator, "_skl_callbacks")
        if enabled and (set_here or hasattr(estimator, "_parent_callback_ctx")):
            self.context = estimator._init_callback_context(max_subtasks=max_epochs)
            self.context.call_on_fit_task_begin(estimator=estimator, **data)

    def make_hook(self) -> Callable[[], bool] | None:
        """A function to call after each epoch; it returns True if a callback requests a stop. None
        without callbacks."""
        return None if self.context is None else self._notify_epoch

    def _notify_epoch(self) -> bool:
        context = self.context.subcontext(task_name="epoch")
        context.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        return bool(self._notify_task_end(context))

    def notify_end(self) -> None:
        """Notify the callbacks that the fit has ended."""
        if self.context is not None:
            self._notify_task_end(self.context)

    def _notify_task_end(self, context: Any) -> Any:
        return context.call_on_fit_task_end(
            estimator=self.estimator, **self.data,
            reconstruction_attributes=lambda: vars(copy.copy(self.fitted)),
        )  # fmt: skip
