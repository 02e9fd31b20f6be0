"""Lowering: from layer descriptions to a table of layers that the engine executes.

One pass over the layers assigns each its input and output buffers and its parameters. Residual is
flattened: its inner layers, followed by an ADD layer that adds the buffer of the skip connection.
`check_tiling` then verifies that the layers use all parameters without gap or overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fastnn import activations, losses
from fastnn.layers import Dense, Dropout, Layer, Residual, Scale, get_output_activation
from fastnn.losses import Loss
from fastnn_ext.codes import Activation, Kind

NONE = -1

# Activations whose derivative is computed from the input, which the forward pass then keeps.
DERIVATIVE_FROM_INPUT = (Activation.SILU, Activation.GELU, Activation.MISH)


@dataclass(kw_only=True)
class Lowering:
    """The state of the pass over the layers, and its result."""

    n_params: int = 0
    n_parameter_rows: int = 0
    n_dropouts: int = 0
    layers: list[dict[str, Any]] = field(default_factory=list)
    """The fields of `Layer` in fastnn_ext/plan.pxd, for each layer."""
    widths: list[int] = field(default_factory=list)
    """The number of columns of each buffer."""
    output_buffer: int = NONE
    """The buffer of the network's outputs."""
    output_activation: int = int(Activation.LINEAR)
    """The activation that turns raw outputs into predictions."""

    def add_buffer(self, width: int) -> int:
        """Add a buffer; returns its index."""
        self.widths.append(width)
        return len(self.widths) - 1

    def add_layer(self, **fields: Any) -> int:
        """Add a layer with these fields and an output buffer; returns the index of the buffer."""
        source = fields["input"]
        fields.setdefault("n_out", self.widths[source])
        output = self.add_buffer(fields["n_out"])
        defaults = {
            "n_in": self.widths[source], "output": output, "saved": output, "skip": NONE,
            "weights": NONE, "bias": NONE,
        }  # fmt: skip
        self.layers.append(defaults | fields)
        return output


def lower_layers(layers: tuple[Layer, ...], n_features: int, loss: Loss | None) -> Lowering:
    """The table of layers and the buffers of a network.

    Raises
    ------
    ValueError
        If the layers do not fit together, or the loss does not fit the last activation.
    """
    if not any(isinstance(layer, Dense) for layer in _flatten(layers)):
        raise ValueError("layers: expected at least one Dense layer; got none")
    lowering = Lowering()
    source = lowering.add_buffer(n_features)
    lowering.output_buffer = _lower_sequence(lowering, layers, source)
    lowering.output_activation = _split_output_activation(lowering, layers, loss)
    _mark_zeros(lowering)
    _mark_accumulation(lowering)
    check_tiling(lowering.layers, lowering.n_params)
    return lowering


def find_gradient_buffers(lowering: Lowering) -> set[int]:
    """The buffers whose gradient is needed: those that depend on some parameter."""
    needed: set[int] = set()
    for layer in lowering.layers:
        if layer["weights"] != NONE or {layer["input"], layer["skip"]} & needed:
            needed.add(layer["output"])
    return needed


def _lower_dense(lowering: Lowering, layer: Dense, source: int) -> int:
    n_in, n_out = lowering.widths[source], layer.units
    activation = activations.resolve(layer.activation)
    saved = {}
    if activation.code in DERIVATIVE_FROM_INPUT:
        saved = {"saved": lowering.add_buffer(n_out)}
    weights = lowering.n_params
    lowering.n_params += n_in * n_out
    bias = lowering.n_params if layer.use_bias else NONE
    lowering.n_params += n_out * layer.use_bias
    first_row = lowering.n_parameter_rows
    lowering.n_parameter_rows += n_in + layer.use_bias
    return lowering.add_layer(
        kind=Kind.DENSE, input=source, n_out=n_out, activation=activation.code,
        parameter=activation.parameter or 0.0, weights=weights, bias=bias, first_row=first_row,
        l1=layer.l1, l2=layer.l2, weight_rate_factor=layer.learning_rate_factor,
        bias_rate_factor=layer.bias_rate_factor, **saved,
    )  # fmt: skip


def _lower_scale(lowering: Lowering, layer: Scale, source: int) -> int:
    weights, first_row = lowering.n_params, lowering.n_parameter_rows
    lowering.n_params += lowering.widths[source]
    lowering.n_parameter_rows += 1
    return lowering.add_layer(
        kind=Kind.SCALE, input=source, n_in=1, weights=weights, first_row=first_row,
        weight_rate_factor=layer.learning_rate_factor, bias_rate_factor=layer.bias_rate_factor,
    )  # fmt: skip


def _lower_sequence(
    lowering: Lowering, layers: tuple[Layer, ...], source: int, path: str = ""
) -> int:
    """Lower layers one after another; returns the buffer with the output of the last one. `path`
    is the location of the sequence, for error messages."""
    for position, layer in enumerate(layers):
        name = f"{path}layer {position}"
        if isinstance(layer, Dense):
            softmax = activations.resolve(layer.activation).name == "softmax"
            if softmax and (path or position + 1 < len(layers)):
                got = "here"
                if not path and isinstance(layers[-1], Dropout):
                    got = "before Dropout, which belongs before the last Dense"
                raise ValueError(f"{name}: expected softmax on the last layer only; got it {got}")
            source = _lower_dense(lowering, layer, source)
        elif isinstance(layer, Dropout):
            source = lowering.add_layer(
                kind=Kind.DROPOUT, input=source, rate=layer.rate, stream=lowering.n_dropouts
            )
            lowering.n_dropouts += 1
        elif isinstance(layer, Scale):
            source = _lower_scale(lowering, layer, source)
        else:
            source = _lower_residual(lowering, layer, source, name)
    return source


def _lower_residual(lowering: Lowering, layer: Residual, source: int, name: str) -> int:
    inner = _lower_sequence(lowering, layer.layers, source, f"{name}, ")
    if lowering.widths[inner] != lowering.widths[source]:
        raise ValueError(
            f"{name}: expected Residual to end with {lowering.widths[source]} units, its number of "
            f"inputs; got {lowering.widths[inner]}"
        )
    return lowering.add_layer(kind=Kind.ADD, input=inner, skip=source)


def _mark_zeros(lowering: Lowering) -> None:
    """Mark the layers whose inputs are zero where those of the network are."""
    keep_zeros = {0}  # buffers
    for layer in lowering.layers:
        layer["reads_zeros"] = int(layer["input"] in keep_zeros)
        if layer["reads_zeros"] and layer["kind"] in (Kind.SCALE, Kind.DROPOUT):
            keep_zeros.add(layer["output"])


def _mark_accumulation(lowering: Lowering) -> None:
    """If a buffer is the input of two layers, the backward pass first overwrites its gradient and
    then accumulates into it."""
    written: set[int] = set()
    for layer in reversed(lowering.layers):
        layer["adds_to_input"] = int(layer["input"] in written)
        written.add(layer["input"])
        layer["adds_to_skip"] = int(layer["skip"] in written)
        written.add(layer["skip"])


def _flatten(layers: tuple[Layer, ...]) -> list[Layer]:
    inner = [_flatten(x.layers) if isinstance(x, Residual) else [x] for x in layers]
    return [layer for part in inner for layer in part]


def _split_output_activation(
    lowering: Lowering, layers: tuple[Layer, ...], loss: Loss | None
) -> int:
    """The activation that turns raw outputs into predictions.

    It is split from the last layer if the loss is computed from raw outputs, and always if it is
    softmax, which is not element-wise; otherwise it stays there, and the result is LINEAR.
    """
    activation = get_output_activation(layers)
    raw = activation.name == "softmax"
    if loss is not None:
        raw = losses.check_head(loss, activation.name) == "raw"
    if not raw:
        return int(Activation.LINEAR)
    last = lowering.layers[-1]
    if last["kind"] == Kind.DENSE:
        last["activation"] = Activation.LINEAR
    return int(activation.code)


def check_tiling(layers: Iterable[Any], n_params: int) -> None:
    """Raise AssertionError unless the parameters of each layer begin where those of the layer
    before end, and the last ones end at n_params."""
    position = 0
    for index, layer in enumerate(layer for layer in layers if layer["weights"] != NONE):
        if layer["weights"] != position:
            raise AssertionError(
                f"layer {index} with weights: weights at {layer['weights']}, not {position}"
            )
        position += int(layer["n_in"] * layer["n_out"])
        if layer["bias"] != NONE:
            if layer["bias"] != position:
                raise AssertionError(
                    f"layer {index} with weights: bias at {layer['bias']}, not {position}"
                )
            position += int(layer["n_out"])
    if position != n_params:
        raise AssertionError(f"{n_params} parameters, of which the layers use {position}")
