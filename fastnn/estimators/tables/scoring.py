"""Scores of a network on held-out rows by the names of scikit-learn's scorers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer

from fastnn.estimators.tables.folds import Rows, select
from fastnn.estimators.tables.members import Score
from fastnn.model import Sequential

Array = NDArray[Any]


class _Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A network as scikit-learn's scorers expect a fitted classifier."""

    def __init__(self, network: Sequential, classes: Array) -> None:
        self.network = network
        self.classes_ = classes

    def predict_proba(self, X: Array) -> Array:
        return self.network.predict(X)[:, : len(self.classes_)]

    def predict(self, X: Array) -> Array:
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class _Regressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A network as scikit-learn's scorers expect a fitted regressor."""

    def __init__(self, network: Sequential, center: Array, spread: Array) -> None:
        self.network = network
        self.center = center
        self.spread_ = spread

    def predict(self, X: Array) -> Array:
        values = self.network.predict(X) * self.spread_ + self.center
        return values[:, 0] if values.shape[1] == 1 else values


def make_classifier_score(
    scoring: Any, X: Array, y: Array, weights: Array | None, classes: Array
) -> Score:
    """The score of a network by a scorer, for labels y (n,)."""
    scorer = get_scorer(scoring)

    def score(network: Sequential, rows: Rows) -> float:
        return _call(scorer, _Classifier(network, classes), X[rows], y[rows], select(weights, rows))

    return score


def make_regressor_score(
    scoring: Any, X: Array, y: Array, weights: Array | None, center: Array, spread: Array
) -> Score:
    """The score of a network by a scorer, for y (n,) or (n, n_targets) in the user's units."""
    scorer = get_scorer(scoring)

    def score(network: Sequential, rows: Rows) -> float:
        model = _Regressor(network, center, spread)
        return _call(scorer, model, X[rows], y[rows], select(weights, rows))

    return score


def _call(scorer: Any, model: Any, X: Array, y: Array, weights: Array | None) -> float:
    options = {} if weights is None else {"sample_weight": weights}
    return float(scorer(model, X, y, **options))
