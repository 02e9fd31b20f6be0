"""What a search makes of a fitted network: scores, by scikit-learn's rules."""

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

# Rows to score are copied so many at a time: whole tiles of a prediction.
ROWS_AT_A_TIME = 43 * PREDICTION_ROWS


@dataclass(frozen=True)
class Judge:
    """How the networks of a search are scored. Scorers get the data as the user gave them."""

    scorer: Any
    X: Any
    y: Any
    params: dict[str, Any]
    error_score: Any
    counts_right: bool
    """Whether the score is the share of right labels, which is found in a tenth of the time that
    scikit-learn needs for it."""

    def scores(self, estimator: Any, sample: Sample, index: Index) -> tuple[Scores, str | None]:
        """The score of these rows, or a score by name; and what went wrong."""
        if self.counts_right:
            return _accuracy(estimator, sample, index), None
        X, y = _safe_indexing(self.X, index), _safe_indexing(self.y, index)
        params = _check_method_params(self.X, params=self.params, indices=index)
        try:
            found = self.scorer(estimator, X, y, **params)
        except Exception:
            if self.error_score == "raise":
                raise
            return self.error_score, format_exc()
        if not isinstance(found, dict):
            return _number(found, self.scorer), None
        # A scorer of several keeps the text of an error in the place of the score.
        failed = [text for text in found.values() if isinstance(text, str)]
        named = {name: self.error_score if isinstance(value, str) else _number(value, name)
                 for name, value in found.items()}  # fmt: skip
        return named, failed[0] if failed else None


def counts_right(estimator: Any, scoring: Any, params: dict[str, Any], sample: Sample) -> bool:
    """Whether scikit-learn would count right labels, and nothing that it asks is overridden."""
    own = type(estimator) in (MLPClassifier, LogisticRegression)
    default = scoring is None or scoring == "accuracy"
    return own and default and not params and sample.y.ndim == 1


def _accuracy(estimator: Any, sample: Sample, index: Index) -> float:
    network, right = estimator._trained.network, 0
    for start in range(0, len(index), ROWS_AT_A_TIME):
        part = index[start : start + ROWS_AT_A_TIME]
        labels = estimator._labels.decode(estimator._forward(network, sample.X[part]))
        right += int(np.count_nonzero(labels == sample.y[part]))
    return right / len(index)


def _number(value: Any, scorer: Any) -> float:
    if hasattr(value, "item"):
        with suppress(ValueError):
            value = value.item()
    if not isinstance(value, Number):
        raise ValueError(
            f"scoring must return a number, got {value} ({type(value)}) instead. (scorer={scorer})"
        )
    return value  # type: ignore[return-value]
