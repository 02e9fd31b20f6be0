"""Layers into rows: one fold over them, which says where each finds its inputs and parameters.

The fold carries what the next layer needs to know (the buffer that holds its input, the next free
parameter) and appends a row for each layer. Residual is unrolled: its inner layers, then an ADD row
that names the buffer to add. `check_tiling` then proves that the rows use the parameters without
gap or overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fastnn import activations, losses
from fastnn.layers import Dense, Dropout, Layer, Residual, get_output_activation
from fastnn.losses import Loss
from fastnn_ext.codes import Activation, Kind

NONE = -1

# Activations whose slope is computed from the input; for them the forward pass keeps it.
SLOPE_FROM_INPUT = (Activation.SILU, Activation.GELU, Activation.MISH)


@dataclass
class Fold:
    """What one pass over the layers carries along, and leaves."""

    n_params: int = 0
    n_rows: int = 0
    n_dropouts: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    outputs: int = NONE
    """The buffer of the network's outputs."""
    link: int = int(Activation.LINEAR)
    """The activation that turns raw outputs into predictions."""

    def new_buffer(self, width: int) -> int:
        self.widths.append(width)
        return len(self.widths) - 1

    def add_row(self, **fields: Any) -> int:
        source = fields["input"]
        fields.setdefault("n_out", self.widths[source])
        output = self.new_buffer(fields["n_out"])
        defaults = {
            "n_in": self.widths[source], "output": output, "saved": output, "skip": NONE,
            "weights": NONE, "bias": NONE,
        }  # fmt: skip
        self.rows.append(defaults | fields)
        return output


def fold_layers(layers: tuple[Layer, ...], n_features: int, loss: Loss | None) -> Fold:
    """All rows of a network.

    Raises
    ------
    ValueError
        If the layers do not fit together, or the loss does not fit the last activation.
    """
    if not any(isinstance(layer, Dense) for layer in _flat(layers)):
        raise ValueError("layers: expected at least one Dense layer; got none")
    fold = Fold()
    fold.outputs = _fold_layers(fold, layers, fold.new_buffer(n_features))
    fold.link = _split_link(fold, layers, loss)
    _mark_sums(fold)
    check_tiling(fold.rows, fold.n_params)
    return fold


def gradient_buffers(fold: Fold) -> set[int]:
    """Buffers whose gradient is needed: those that some parameter lies before."""
    needed: set[int] = set()
    for row in fold.rows:
        if row["kind"] == Kind.DENSE or {row["input"], row["skip"]} & needed:
            needed.add(row["output"])
    return needed


def _dense(fold: Fold, layer: Dense, source: int) -> int:
    n_in, n_out = fold.widths[source], layer.units
    activation = activations.resolve(layer.activation)
    saved = {}
    if activation.code in SLOPE_FROM_INPUT:
        saved = {"saved": fold.new_buffer(n_out)}
    weights = fold.n_params
    fold.n_params += n_in * n_out
    bias = fold.n_params if layer.use_bias else NONE
    fold.n_params += n_out * layer.use_bias
    first_row = fold.n_rows
    fold.n_rows += n_in + layer.use_bias
    return fold.add_row(
        kind=Kind.DENSE, input=source, n_out=n_out, activation=activation.code,
        parameter=activation.parameter or 0.0, weights=weights, bias=bias, first_row=first_row,
        l1=layer.l1, l2=layer.l2, **saved,
    )  # fmt: skip


def _fold_layers(fold: Fold, layers: tuple[Layer, ...], source: int, path: str = "") -> int:
    """Append the layers' rows; returns the buffer that holds the last one's output."""
    for position, layer in enumerate(layers):
        name = f"{path}layer {position}"
        if isinstance(layer, Dense):
            softmax = activations.resolve(layer.activation).name == "softmax"
            if softmax and (path or position + 1 < len(layers)):
                got = "here"
                if not path and isinstance(layers[-1], Dropout):
                    got = "before Dropout, which belongs before the last Dense"
                raise ValueError(f"{name}: expected softmax on the last layer only; got it {got}")
            source = _dense(fold, layer, source)
        elif isinstance(layer, Dropout):
            source = fold.add_row(
                kind=Kind.DROPOUT, input=source, rate=layer.rate, stream=fold.n_dropouts
            )
            fold.n_dropouts += 1
        else:
            source = _fold_residual(fold, layer, source, name)
    return source


def _fold_residual(fold: Fold, layer: Residual, source: int, name: str) -> int:
    inner = _fold_layers(fold, layer.layers, source, f"{name}, ")
    if fold.widths[inner] != fold.widths[source]:
        raise ValueError(
            f"{name}: expected Residual to end in as many units as come in, "
            f"{fold.widths[source]}; got {fold.widths[inner]}"
        )
    return fold.add_row(kind=Kind.ADD, input=inner, skip=source)


def _mark_sums(fold: Fold) -> None:
    """Where a buffer feeds two layers, the backward pass sets its gradient and then adds to it."""
    begun: set[int] = set()
    for row in reversed(fold.rows):
        row["adds_to_input"] = int(row["input"] in begun)
        begun.add(row["input"])
        row["adds_to_skip"] = int(row["skip"] in begun)
        begun.add(row["skip"])


def _flat(layers: tuple[Layer, ...]) -> list[Layer]:
    inner = [_flat(x.layers) if isinstance(x, Residual) else [x] for x in layers]
    return [layer for part in inner for layer in part]


def _split_link(fold: Fold, layers: tuple[Layer, ...], loss: Loss | None) -> int:
    """The activation that turns raw outputs into predictions. It leaves the last layer's row where
    the loss is computed from raw outputs, and always where it is softmax, which needs whole rows.
    """
    activation = get_output_activation(layers)
    raw = activation.name == "softmax"
    if loss is not None:
        raw = losses.check_head(loss, activation.name) == "raw"
    if not raw:
        return int(Activation.LINEAR)
    row = fold.rows[-1]
    if row["kind"] == Kind.DENSE:
        row["activation"] = Activation.LINEAR
    return int(activation.code)


def check_tiling(rows: Iterable[Any], n_params: int) -> None:
    """Each layer's parameters begin where the last one's end, and all are used."""
    position = 0
    for index, row in enumerate(row for row in rows if row["kind"] == Kind.DENSE):
        if row["weights"] != position:
            raise AssertionError(
                f"Dense layer {index}: weights at {row['weights']}, not {position}"
            )
        position += int(row["n_in"] * row["n_out"])
        if row["bias"] != NONE:
            if row["bias"] != position:
                raise AssertionError(f"Dense layer {index}: bias at {row['bias']}, not {position}")
            position += int(row["n_out"])
    if position != n_params:
        raise AssertionError(f"{n_params} parameters, of which the layers use {position}")
