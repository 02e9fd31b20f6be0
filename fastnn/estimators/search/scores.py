"""Scores of fitted networks, computed as scikit-learn's search does."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from numbers import Number
from traceback import format_exc
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_method_params

from fastnn._engine.plan import PREDICTION_ROWS
from fastnn.estimators._fitting.samples import Index, Sample
from fastnn.estimators.classifier import MLPClassifier
from fastnn.estimators.logistic import LogisticRegression

Scores = float | dict[str, float]

# Number of rows that are copied at a time to score them: a multiple of a prediction's tile.
ROWS_AT_A_TIME = 43 * PREDICTION_ROWS


@dataclass(frozen=True, kw_only=True)
class SearchScorer:
    """Scores the networks of a search. Scorers receive X and y as the user passed them."""

    scorer: Any
    X: Any
    y: Any
    params: dict[str, Any]
    error_score: Any
    is_plain_accuracy: bool
    """Whether the score is the unweighted accuracy, which is computed here in a tenth of
    scikit-learn's time."""

    def compute_scores(
        self, estimator: Any, sample: Sample, index: Index
    ) -> tuple[Scores, str | None]:
        """Score the rows at `index`; returns one score or a dict of scores by name, and the text of
        an error if scoring failed."""
        if self.is_plain_accuracy:
            return _compute_accuracy(estimator, sample, index), None
        X, y = _safe_indexing(self.X, index), _safe_indexing(self.y, index)
        params = _check_method_params(self.X, params=self.params, indices=index)
        try:
            scores = self.scorer(estimator, X, y, **params)
        except Exception:
            if self.error_score == "raise":
                raise
            return self.error_score, format_exc()
        if not isinstance(scores, dict):
            return _to_number(scores, self.scorer), None
        # A scorer of several metrics returns the text of an error in place of a score.
        errors = [text for text in scores.values() if isinstance(text, str)]
        named = {name: self.error_score if isinstance(value, str) else _to_number(value, name)
                 for name, value in scores.items()}  # fmt: skip
        return named, errors[0] if errors else None


def is_plain_accuracy(estimator: Any, scoring: Any, params: dict[str, Any], sample: Sample) -> bool:
    """Whether scikit-learn's score would be the unweighted accuracy of one of fastnn's classifiers,
    of no subclass that may override its prediction."""
    is_unmodified = type(estimator) in (MLPClassifier, LogisticRegression)
    default = scoring is None or scoring == "accuracy"
    return is_unmodified and default and not params and sample.y.ndim == 1


def _compute_accuracy(estimator: Any, sample: Sample, index: Index) -> float:
    network, n_correct = estimator._trained.network, 0
    for start in range(0, len(index), ROWS_AT_A_TIME):
        part = index[start : start + ROWS_AT_A_TIME]
        labels = estimator._labels.decode(estimator._forward(network, sample.X[part]))
        n_correct += int(np.count_nonzero(labels == sample.y[part]))
    return n_correct / len(index)


def _to_number(value: Any, scorer: Any) -> float:
    if hasattr(value, "item"):
        with suppress(ValueError):
            value = value.item()
    if not isinstance(value, Number):
        raise ValueError(
            f"scoring must return a number, got {value} ({type(value)}) instead. (scorer={scorer})"
        )
    return value  # type: ignore[return-value]
