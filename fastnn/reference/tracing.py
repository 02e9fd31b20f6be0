"""Every intermediate value of one forward and one backward pass.

The functions correspond to those of network.py. There, `backward` returns the derivatives that
training needs; here it returns a record of all values, named as in the formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.activations import resolve
from fastnn.layers import Dense, Layer, Residual, get_output_activation
from fastnn.losses import CrossEntropy, Hinge, Loss, Perceptron, check_head
from fastnn.reference import losses, network
from fastnn.reference.activations import FUNCTIONS
from fastnn.reference.parameters import penalty, penalty_gradient, split
from fastnn.reference.training import predict, select_loss_layers

Array = NDArray[np.float64]
Record = dict[str, Any]
Backward = Callable[[Array], tuple[Array, Record]]  # dL/dy -> dL/dx, and the values of the layer


def dense(layer: Dense, W: Array, b: Array | None, x: Array) -> tuple[Array, Backward]:
    """A linear layer, z = x W + b, followed by the activation, y = f(z)."""
    z, linear_backward = network.dense(replace(layer, activation="linear"), W, b, x)
    activation = resolve(layer.activation)
    f, derivative, _ = FUNCTIONS[activation.name]
    parameter = activation.parameter or 0.0
    y, slope = f(z, parameter), derivative(z, parameter)

    def backward(dy: Array) -> tuple[Array, Record]:
        dz = dy * slope
        dx, [(dW, db)] = linear_backward(dz)
        dW = dW + penalty_gradient(layer, W)
        forward_values = {"layer": layer, "x": x, "W": W, "b": b, "z": z, "y": y}
        derivatives = {"dL/dW": dW, "dL/db": db, "dL/dx": dx}
        return dx, forward_values | {"dL/dy": dy, "f'(z)": slope, "dL/dz": dz} | derivatives

    return y, backward


def residual(
    block: Residual, inner: tuple[Array, Callable[[Array], tuple[Array, list[Record]]]], x: Array
) -> tuple[Array, Backward]:
    """y = x + F(x)."""
    inner_y, inner_backward = inner
    y = x + inner_y

    def backward(dy: Array) -> tuple[Array, Record]:
        inner_dx, records = inner_backward(dy)
        dx = dy + inner_dx
        values = {"layer": block, "x": x, "layers": records, "F(x)": inner_y, "y": y}
        return dx, values | {"dL/dy": dy, "dL/dx": dx}

    return y, backward


def inactive(layer: Layer, x: Array) -> tuple[Array, Backward]:
    """y = x."""
    return x, lambda dy: (dy, {"layer": layer, "x": x, "y": x, "dL/dy": dy, "dL/dx": dy})


def chain(
    layers: Sequence[Layer], parameters: Iterator[network.Parameters], x: Array
) -> tuple[Array, Callable[[Array], tuple[Array, list[Record]]]]:
    """The layers one after another; the records are in their order."""
    backwards = []
    for layer in layers:
        if isinstance(layer, Dense):
            x, layer_backward = dense(layer, *next(parameters), x)
        elif isinstance(layer, Residual):
            x, layer_backward = residual(layer, chain(layer.layers, parameters, x), x)
        else:
            x, layer_backward = inactive(layer, x)
        backwards.append(layer_backward)

    def backward(dy: Array) -> tuple[Array, list[Record]]:
        records: list[Record] = []
        for layer_backward in reversed(backwards):
            dy, record = layer_backward(dy)
            records.insert(0, record)
        return dy, records

    return x, backward


def convert_targets(loss: Loss, y: Array, n_outputs: int) -> Array:
    """The targets t in the form that the formula of the loss has: probabilities for cross-entropy,
    +1 and -1 for hinge and perceptron."""
    if isinstance(loss, CrossEntropy):
        return losses.target_probabilities(loss, y, n_outputs)
    return losses.side(y) if isinstance(loss, Hinge | Perceptron) else y


def takes_raw_outputs(layers: tuple[Layer, ...], loss: Loss) -> bool:
    """Whether the loss is a function of the z of the last Dense, instead of its y."""
    raw = check_head(loss, get_output_activation(layers).name) == "raw"
    return raw and isinstance(layers[-1], Dense)


@np.errstate(all="ignore")
def trace(layers: tuple[Layer, ...], loss: Loss, flat: NDArray[Any], X: Array, y: Array) -> Record:
    """All values of the forward and backward pass of the rows X (n, n_features) with targets y
    (n, n_targets), where L is the mean loss of the rows plus the penalties. Dropout is inactive.

    If the loss takes raw outputs, loss and last activation are differentiated as one function: the
    record of the last Dense has dL/dz from the loss, and None for dL/dy and f'(z).
    """
    weights, biases = split(layers, X.shape[1], flat.astype(np.float64))
    loss_layers = select_loss_layers(layers, loss)
    z, backward = chain(loss_layers, zip(weights, biases, strict=True), X)
    row_losses, dz = losses.value_and_gradient(loss, get_output_activation(layers).name, z, y)
    _, records = backward(dz / len(X))
    predictions = predict(layers, flat, X)
    if takes_raw_outputs(layers, loss):
        records[-1] |= {"layer": layers[-1], "y": predictions, "dL/dy": None, "f'(z)": None}
    penalties = penalty(layers, weights)
    return {
        "x": X,
        "layers": records,
        "y": predictions,
        "t": convert_targets(loss, y, z.shape[1]),
        "row losses": row_losses,
        "penalty": penalties,
        "L": float(row_losses.mean()) + penalties,
    }
