"""Cross-validated search over an estimator's parameters."""

from fastnn.estimators.search.search import MLPSearchCV

__all__ = ["MLPSearchCV"]
