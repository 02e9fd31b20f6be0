"""Merging the scalings of an estimator into the weights of its network.

An estimator scales features before its network and inverts the scaling of targets after it. The
merged network takes unscaled features and predicts unscaled targets. With `s` and `c` the spread
and center of the features, and `S` and `C` those of the targets,

    (x - c) / s @ W + b  =  x @ (W / s) + (b - c / s @ W)
    (h @ W + b) * S + C  =  h @ (W * S) + (b * S + C)

and 2 * log(S) is added to the log variances that gaussian_nll predicts for each target. The merged
weights are computed in float64 and stored in the network's dtype.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._io import json_values
from fastnn._io.snapshot import EstimatorData
from fastnn._training.state import NetworkState, copy_state, get_parameters, get_views
from fastnn._util.scaling import Scaling
from fastnn.layers import Dense, Layer, Residual, get_output_activation

Array = NDArray[Any]

# Rounding error of an unscaled feature, |center| / spread * eps, in units of its spread. Merging is
# refused above this error.
MAX_ERROR = 1e-4


def read_scalings(
    extra: EstimatorData | None, state: NetworkState
) -> tuple[Scaling | None, Scaling | None]:
    """The scalings of features and of targets in an estimator's file; (None, None) for the file of
    a network."""
    if extra is None:
        return None, None
    stored = extra.data.get("state")
    if not isinstance(stored, dict) or not {"_scaling", "_target_scaling"} <= set(stored):
        raise ValueError("expected the state of an estimator; got another description")
    features, targets = (_read_scaling(stored[name]) for name in ("_scaling", "_target_scaling"))
    if features is not None and len(features.center) != state.n_features_in:
        raise ValueError(
            f"_scaling: expected {state.n_features_in} columns; got {len(features.center)}"
        )
    return features, targets


def _read_scaling(data: Any) -> Scaling | None:
    value = json_values.from_json(data)
    return None if value is None else Scaling.from_fields(value)


def merge(state: NetworkState, features: Scaling | None, targets: Scaling | None) -> NetworkState:
    """Merge scalings into the first and last layer of a network.

    The result takes unscaled features and predicts unscaled targets. It has no penalties, which
    apply to the weights for scaled data, and no optimizer state. Without scalings, the network
    itself is returned.

    Raises
    ------
    ValueError
        If the layers do not allow it, or the dtype is not precise enough.
    """
    if features is None and targets is None:
        return state
    dtype, parameters = state.dtype, get_parameters(state)
    exact = parameters.astype(np.float64)
    weights, biases = get_views(state, exact)
    with np.errstate(all="ignore"):  # overflow and loss of precision are detected below
        if features is not None:
            _check_precision(features, dtype)
            _check_dense(state.layers[0], "first")
            _merge_features(weights[0], biases[0], features)
        if targets is not None:
            _check_dense(state.layers[-1], "last")
            _check_linear(state.layers)
            _merge_targets(weights[-1], biases[-1], targets)
        merged = exact.astype(dtype)
    rounded = np.allclose(merged, exact, rtol=np.finfo(dtype).eps, atol=0)
    if not (rounded and np.isfinite(merged).all()):
        raise ValueError(f"expected weights for unscaled data in the range of {dtype}; got others")
    layers = tuple(_remove_penalty(layer) for layer in state.layers)
    return copy_state(state, layers=layers, parameters=merged, optimizer=None)


def _check_dense(layer: Layer, which: str) -> None:
    if not isinstance(layer, Dense) or not layer.use_bias:
        raise ValueError(
            f"expected a Dense layer with a bias as the {which}, to merge the scaling; got "
            f"{layer!r:.80}"
        )


def _check_linear(layers: tuple[Layer, ...]) -> None:
    activation = get_output_activation(layers)
    if activation.name != "linear":
        raise ValueError(
            f"expected linear outputs, to merge the scaling of targets; got {activation}"
        )


def _merge_features(weights: Array, bias: Any, scaling: Scaling) -> None:
    weights /= scaling.spread[:, None]
    bias -= scaling.center @ weights


def _merge_targets(weights: Array, bias: Any, scaling: Scaling) -> None:
    n, n_outputs = len(scaling.center), len(bias)
    if n_outputs not in (n, 2 * n):
        raise ValueError(f"_target_scaling: expected columns for {n_outputs} outputs; got {n}")
    weights[:, :n] *= scaling.spread
    bias[:n] = bias[:n] * scaling.spread + scaling.center
    if n_outputs == 2 * n:  # logarithms of variances
        bias[n:] += 2 * np.log(scaling.spread)


def _check_precision(scaling: Scaling, dtype: np.dtype[Any]) -> None:
    error = np.finfo(dtype).eps * float(np.max(np.abs(scaling.center) / scaling.spread))
    if not error < MAX_ERROR:
        raise ValueError(
            f"expected features that {dtype} can hold without scaling; got one whose center is "
            f"{error / np.finfo(dtype).eps:.2g} times its spread"
        )


def _remove_penalty(layer: Layer) -> Layer:
    if isinstance(layer, Residual):
        return Residual(*map(_remove_penalty, layer.layers))
    return replace(layer, l1=0.0, l2=0.0) if isinstance(layer, Dense) else layer
