"""What a model predicts, in one form for networks and for estimators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._training.arguments import get_last_loss
from fastnn._training.scoring import get_metric_name, get_threshold
from fastnn._util import checks
from fastnn.experiments.ensemble import Ensemble
from fastnn.layers import get_output_activation
from fastnn.model import Sequential

Array = NDArray[Any]

METHODS = ("auto", "predict_proba", "decision_function", "predict")


@dataclass(frozen=True)
class Response:
    """Outputs of a model.

    Of a regression, `classes` is None and `values` are the predictions (n,). Of a classification,
    `values` are scores: (n,), of two classes, of which the second is predicted above the threshold;
    or (n, k), of which the largest one is predicted.
    """

    values: Array
    label: str  # what the values are
    classes: Array | None = None
    threshold: float = 0.0

    def predict(self) -> Array:
        """Predicted classes (n,)."""
        assert self.classes is not None
        if self.values.ndim == 1:
            return np.asarray(self.classes[(self.values > self.threshold).astype(int)])
        return np.asarray(self.classes[self.values.argmax(axis=1)])


def check_model(model: Any, response_method: str = "auto") -> None:
    """Check that a model can predict, by the method if it is not "auto"."""
    checks.choice("response_method", response_method, METHODS)
    method = "predict" if response_method == "auto" else response_method
    if not callable(getattr(model, method, None)):
        expected = f"an object with the method {method}"
        raise TypeError(f"model: expected {expected}; got {checks.describe(model)}")
    if isinstance(model, Sequential) and model.n_features_in is None:
        raise ValueError(
            "model: expected a built network; got one without weights: call fit, or "
            "build(n_features)"
        )


def compute_response(model: Any, X: Any, response_method: str = "auto") -> Response:
    """Evaluate a model that `check_model` has accepted."""
    if isinstance(model, Sequential):
        return _interpret_outputs(model, np.asarray(model.predict(X)))
    if isinstance(model, Ensemble):
        return _interpret_outputs(model.networks[0], np.asarray(model.predict(X)))
    if response_method == "auto":
        scoring = METHODS[1:]
        response_method = next(m for m in scoring if callable(getattr(model, m, None)))
    return _READERS[response_method](model, np.asarray(getattr(model, response_method)(X)))


def _interpret_outputs(network: Sequential, outputs: Array) -> Response:
    """The outputs of a network: probabilities, logits, or predictions of a regression."""
    n_outputs = outputs.shape[1]
    activation = get_output_activation(network.layers)
    if get_metric_name(get_last_loss(network.state)) != "accuracy":
        if n_outputs > 1:
            raise ValueError(f"model: expected one output, or classes; got {n_outputs} outputs")
        return Response(outputs[:, 0], "prediction")
    label = "output" if activation.name in ("linear", "step") else "probability"
    if n_outputs == 1:
        threshold = get_threshold(activation)
        return Response(outputs[:, 0], f"{label} of class 1", np.arange(2), threshold)
    if activation.name not in ("softmax", "linear"):
        raise ValueError(f"model: expected one label per row; got {n_outputs} labels")
    return Response(outputs, label, np.arange(n_outputs))


def _read_probabilities(model: Any, values: Array) -> Response:
    if isinstance(getattr(model, "classes_", None), list) or values.ndim != 2:
        raise ValueError("model: expected one label per row; got several")
    classes = np.asarray(getattr(model, "classes_", np.arange(values.shape[1])))
    if values.shape[1] == 2:
        return Response(values[:, 1], f"probability of class {classes[1]}", classes, 0.5)
    return Response(values, "probability", classes)


def _read_decisions(model: Any, values: Array) -> Response:
    n_classes = 2 if values.ndim == 1 else values.shape[1]
    classes = np.asarray(getattr(model, "classes_", np.arange(n_classes)))
    label = f"decision function of class {classes[-1]}" if values.ndim == 1 else "decision function"
    return Response(values, label, classes)


def _read_predictions(model: Any, values: Array) -> Response:
    """Predictions are classes if the model has an attribute `classes_` or predicts no floats."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"model: expected predictions of shape (n,); got {values.shape}")
    if not hasattr(model, "classes_") and values.dtype.kind == "f":
        return Response(values, "prediction")
    classes = np.asarray(getattr(model, "classes_", np.unique(values)))
    return Response((values[:, None] == classes).astype(float), "prediction", classes)


_READERS: dict[str, Callable[[Any, Array], Response]] = {
    "predict_proba": _read_probabilities,
    "decision_function": _read_decisions,
    "predict": _read_predictions,
}
