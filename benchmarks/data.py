"""The arrays that all peers use (inputs, targets, initial weights), and a NumPy implementation to
check them."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from cases import Case, ManyCase, Net, PredictionCase, SearchCase, TrainingCase
from numpy.typing import NDArray

Array = NDArray[Any]
Weights = list[tuple[Array, Array]]

# No case diverges with these rates, including batches of one row: the time of a diverged training
# means nothing.
LEARNING_RATE = {"sgd": 1e-3, "momentum": 1e-4, "adam": 1e-3}
MOMENTUM = 0.9
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def _make_rng(text: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(text.encode()))


def make_weights(net: Net, dtype: str) -> Weights:
    """(w, b) of each layer, w of shape (n_in, n_out): normal, variance 2 / (n_in + n_out)."""
    rng = _make_rng(f"weights of {net}")
    return [
        ((rng.standard_normal(shape) * np.sqrt(2 / sum(shape))).astype(dtype),
         np.zeros(shape[1], dtype))
        for shape in net.shapes
    ]  # fmt: skip


def make_arrays(case: Case) -> tuple[Array, Array]:
    """X of shape (rows, n_in), and y: values of shape (rows, n_out), zeros and ones of shape
    (rows, 1), or labels of shape (rows,).

    The data are the digits, or a random linear map with noise: networks cannot fit the noise, so
    gradients do not become denormal during a measurement.
    """
    if not isinstance(case, TrainingCase | PredictionCase) and case.table == "digits":
        return _load_digits(None if isinstance(case, SearchCase) else case.rows)
    net = case.nets[0] if isinstance(case, ManyCase) else case.net
    assert not isinstance(case, SearchCase)
    rng = _make_rng(case.name)
    n_in, n_out = net.widths[0], net.widths[-1]
    X = rng.standard_normal((case.rows, n_in), np.float32).astype(case.dtype)
    signal = X @ rng.standard_normal((n_in, n_out)).astype(case.dtype) / np.sqrt(n_in)
    signal += rng.standard_normal(signal.shape)
    if net.loss == "cross-entropy":
        return X, signal.argmax(axis=1)
    return X, ((signal > 0) if net.loss == "binary" else signal).astype(case.dtype)


def _load_digits(rows: int | None) -> tuple[Array, Array]:
    """Images of 64 pixels from 0 to 1, and their labels."""
    from fastnn.datasets import load_digits

    X, y = load_digits()
    return (X[:rows] / 16).astype(np.float32), y[:rows]


def make_estimator_parameters(case: SearchCase) -> dict[str, Any]:
    """Parameters of scikit-learn's and fastnn's classifiers, without early stopping."""
    return {
        "hidden_layer_sizes": case.net.widths[1:-1], "activation": case.net.activation,
        "batch_size": case.batch, "max_iter": case.epochs, "tol": 0.0, "n_iter_no_change": 10**9,
        "random_state": 0,
    }  # fmt: skip


def compute_score(outputs: Array, y: Array) -> float:
    """The accuracy of predicted probabilities, or minus the mean squared error in regression."""
    if y.ndim == 1:
        return float((outputs.argmax(axis=1) == y).mean())
    return -float(np.square(outputs - y).mean())


def forward(net: Net, weights: Weights, X: Array) -> Array:
    """Outputs of the network in plain NumPy: values or probabilities."""
    a = X
    for w, b in weights[:-1]:
        a = a @ w
        a += b
        if net.activation == "tanh":
            np.tanh(a, out=a)
        else:
            np.maximum(a, 0, out=a)
    w, b = weights[-1]
    z: Array = a @ w
    z += b
    if net.loss == "binary":
        return 1 / (1 + np.exp(-z))
    if net.loss == "cross-entropy":
        z -= z.max(axis=1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(axis=1, keepdims=True)
    return z


def compute_loss(net: Net, outputs: Array, y: Array) -> float:
    """The training loss, computed from the outputs of a network."""
    out = np.asarray(outputs, np.float64)
    if net.loss == "squared":
        return float(np.square(out - y.reshape(out.shape)).mean())
    tiny = 1e-7  # float32 probabilities may round to 0 or 1
    if net.loss == "cross-entropy":
        return float(-np.log(np.maximum(out[np.arange(len(y)), y], tiny)).mean())
    p = np.where(y.reshape(out.shape) > 0, out, 1 - out)
    return float(-np.log(np.maximum(p, tiny)).mean())
