"""Facts about the data and the predictions of a run, measured on evenly spaced rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import losses
from fastnn._engine import native
from fastnn._engine.job import TrainingJob
from fastnn._report.facts import DataFacts, OutputFacts
from fastnn._training import scoring
from fastnn._training.arrays import CLASSIFICATION_LOSSES
from fastnn._training.class_weights import get_labels
from fastnn._training.state import NetworkState, get_evaluation_plan, get_parameters
from fastnn._util.sparse_rows import get_dense_rows
from fastnn.layers import get_output_activation

Array = NDArray[Any]
Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


def choose_rows(job: TrainingJob, n: int) -> Rows:
    """At most n evenly spaced training rows with a weight above 0, as indices into job.X."""
    positions = np.arange(0, job.n_samples, -(-job.n_samples // n))
    rows = positions if job.rows is None else job.rows[positions]
    if job.sample_weight is not None:
        weighted = np.flatnonzero(job.sample_weight[rows] > 0)
        if not len(weighted):  # some row has a weight, or the arrays would be invalid
            every = np.arange(job.n_samples) if job.rows is None else job.rows
            return every[job.sample_weight[every] > 0][:n].astype(np.intp)
        rows = rows[weighted]
    return rows.astype(np.intp)


@np.errstate(all="ignore")
def measure_data(job: TrainingJob, rows: Rows) -> DataFacts:
    """The facts about these rows of the training data."""
    X, y = get_dense_rows(job.X, rows), job.y[rows].astype(np.float64)
    weights = None if job.sample_weight is None else job.sample_weight[rows].astype(np.float64)
    feature_rms = np.sqrt(np.einsum("ij,ij->j", X, X, dtype=np.float64) / len(X))
    feature = int(np.argmax(feature_rms))
    labels = get_labels(job.y[rows], job.loss)
    spread = float(y.std(axis=0).max())
    is_real = losses.get_name(job.loss) not in (*CLASSIFICATION_LOSSES, "poisson") and (
        get_output_activation(job.layers).name == "linear"
    )
    return DataFacts(
        n_rows=job.n_samples, batch_size=job.batch_size, shuffled=job.shuffle != "never",
        feature=feature, feature_rms=float(feature_rms[feature]),
        target_rms=float(np.sqrt(np.square(y).mean(axis=0)).max()) if is_real else None,
        target_std=spread, disorder=_compute_disorder(y if labels is None else labels),
        class_counts=() if labels is None else tuple(_count(labels).tolist()),
        constant_loss=_compute_constant_loss(job, y, weights),
    )  # fmt: skip


def _count(labels: Array) -> NDArray[np.intp]:
    """The number of rows of each class that occurs."""
    return np.unique(labels, return_counts=True)[1]


def _compute_disorder(y: Array) -> float:
    """See `DataFacts.disorder`. For class labels, differences are 0 or 1."""
    if len(y) < 2:
        return 1.0
    if y.ndim == 1:
        counts = _count(y) / len(y)
        differing, expected = float(np.mean(y[1:] != y[:-1])), 1 - float(np.square(counts).sum())
    else:
        differing = float(np.square(np.diff(y, axis=0)).mean())
        expected = 2 * float(y.var(axis=0).mean())
    return differing / expected if expected > 0 else 1.0


def _compute_constant_loss(job: TrainingJob, y: Floats, weights: Floats | None) -> float | None:
    """The loss of the best constant prediction: variance, mean absolute deviation from the median
    (without weights), or entropy."""
    name = losses.get_name(job.loss)
    if name == "squared_error":
        mean = np.average(y, axis=0, weights=weights)
        return float(np.average(np.square(y - mean), axis=0, weights=weights).mean())
    if name == "absolute_error" and weights is None:
        return float(np.abs(y - np.median(y, axis=0)).mean())
    if name not in ("cross_entropy", "binary_cross_entropy"):
        return None
    if name == "cross_entropy" and y.shape[1] == 1:
        y = (y == np.arange(y.max() + 1)).astype(np.float64)
    p = np.average(y, axis=0, weights=weights)
    if name == "cross_entropy":
        return float(_sum_p_log_p(p))
    return float(np.mean([_sum_p_log_p(np.array([q, 1 - q])) for q in p]))


def _sum_p_log_p(p: Floats) -> float:
    """The entropy -Σ p log p, where 0 log 0 = 0."""
    return float(-(p * np.log(np.where(p > 0, p, 1))).sum())


@np.errstate(all="ignore")
def measure_outputs(state: NetworkState, job: TrainingJob, rows: Rows) -> OutputFacts:
    """The facts about the predictions for these rows of the training data."""
    y = job.y[rows]
    plan = get_evaluation_plan(state, job.loss, y.shape[1])
    _, predictions = native.evaluate(plan, get_parameters(state), job.X, y, 1, rows=rows)
    spread = float(predictions.astype(np.float64).std(axis=0).max())
    labels = get_labels(y, job.loss)
    if labels is None:
        return OutputFacts(spread=spread, recalls=(), accuracy=None)
    if predictions.shape[1] > 1:
        predicted = predictions.argmax(axis=1)
    else:
        predicted = scoring.predict_labels(predictions, get_output_activation(job.layers))[:, 0]
    right = np.maximum(labels, 0) == predicted  # of the labels -1 and 1, -1 is class 0
    return OutputFacts(
        spread=spread, accuracy=float(right.mean()),
        recalls=tuple(float(right[labels == one].mean()) for one in np.unique(labels)),
    )  # fmt: skip
