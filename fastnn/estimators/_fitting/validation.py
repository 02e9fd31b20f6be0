"""Validation data of a fit: what is recorded of them, and the score that is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn.metrics import check_scoring

from fastnn._training import scoring
from fastnn.estimators._fitting.objective import Objective
from fastnn.estimators._fitting.parameters import twin
from fastnn.estimators._fitting.samples import Rows, Sample
from fastnn.model import Sequential


@dataclass(frozen=True)
class HeldOut:
    """The rows that are not trained on, in the user's terms and in the network's."""

    sample: Sample
    rows: Rows
    objective: Objective

    def evaluate(self, network: Sequential) -> dict[str, float]:
        """What an epoch records of these rows."""
        scores = scoring.evaluate(network.state, self.objective.loss, self.rows.arrays, None)
        return {f"val_{name}": value for name, value in scores.items()}

    def score(self, estimator: Any) -> Callable[[dict[str, float]], float]:
        """From the records of an epoch to the score of an estimator in training."""
        if estimator.scoring == "loss":
            return lambda logs: -self.objective.reported(logs["val_loss"])
        scorer = check_scoring(estimator, estimator.scoring)
        # The network's own metric counts rows by their classes' weights too, a score does not.
        usual = estimator.scoring is None and getattr(estimator, "class_weight", None) is None
        metric = scoring.get_metric_name(self.objective.loss)
        if usual and metric:
            return lambda logs: logs[f"val_{metric}"]
        sample = self.sample.gathered()
        weights = {} if sample.weights is None else {"sample_weight": sample.weights}

        def score(_: dict[str, float]) -> float:
            return float(scorer(_nameless(estimator), sample.X, sample.y, **weights))

        return score


def _nameless(estimator: Any) -> Any:
    """The same fitted estimator, to predict for arrays without the column names of its frame."""
    view = twin(estimator)
    view.__dict__.pop("feature_names_in_", None)
    return view
