"""Validation data of a fit: the metrics recorded after each epoch, and the validation score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.metrics import check_scoring

from fastnn._training import scoring
from fastnn.estimators._fitting.objective import Objective
from fastnn.estimators._fitting.parameters import shallow_copy
from fastnn.estimators._fitting.samples import EncodedRows, Sample
from fastnn.model import Sequential


@dataclass(frozen=True)
class ValidationData:
    """The validation rows, as the user passed them (`sample`) and encoded (`rows`)."""

    sample: Sample
    rows: EncodedRows
    objective: Objective

    def evaluate(self, network: Sequential) -> dict[str, float]:
        """Loss and metric of a network on these rows, by their names in an epoch's logs."""
        scores = scoring.evaluate(network.state, self.objective.loss, self.rows.arrays, None)
        return {f"val_{name}": value for name, value in scores.items()}

    def make_scorer(self, estimator: Any) -> Callable[[dict[str, float]], float]:
        """A function from an epoch's logs to the validation score of the estimator in training."""
        if estimator.scoring == "loss":
            return lambda logs: -self.objective.convert_loss(logs["val_loss"])
        scorer = check_scoring(estimator, estimator.scoring)
        # The network's metric includes class weights, which scikit-learn's score ignores.
        is_default = estimator.scoring is None and getattr(estimator, "class_weight", None) is None
        metric = scoring.get_metric_name(self.objective.loss)
        if is_default and metric:
            return lambda logs: logs[f"val_{metric}"]
        sample = self.sample.gather()
        weights = {} if sample.weights is None else {"sample_weight": sample.weights}

        def score(_: dict[str, float]) -> float:
            return float(scorer(_drop_feature_names(estimator), sample.X, sample.y, **weights))

        return score


def _drop_feature_names(estimator: Any) -> Any:
    """A copy of a fitted estimator that predicts for arrays without a warning about missing
    column names."""
    nameless = shallow_copy(estimator)
    nameless.__dict__.pop("feature_names_in_", None)
    return nameless
