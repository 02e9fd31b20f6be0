"""What the optimizers on all rows, training on derivatives and sparse inputs do not support, and
what the first record."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from fastnn import losses
from fastnn._util.sparse_rows import SparseRows
from fastnn.layers import (
    Dense,
    Layer,
    contains_dropout,
    contains_scale,
    iterate_dense_layers,
    iterate_weighted_layers,
)
from fastnn.losses import Loss, SquaredError
from fastnn.optimizers import FullBatch, LevenbergMarquardt, Optimizer, is_lazy

Array = NDArray[Any]

# J'J and its factor take 16 bytes per pair of parameters, and an iteration p**3 / 3 FLOPs: 144 MB
# and a second for this number.
MOST_PARAMETERS = 3000


def check_layers(optimizer: FullBatch, layers: tuple[Layer, ...], loss: Loss) -> None:
    """Raise an error for a loss or layers that the optimizer does not support."""
    name = type(optimizer).__name__
    if contains_dropout(layers):
        raise ValueError(f"layers: expected no Dropout with {name}, which minimizes a fixed "
                         "function; got Dropout")  # fmt: skip
    l1 = max(layer.l1 for layer in iterate_dense_layers(layers))
    if l1 > 0:
        raise ValueError(f"l1: expected 0 with {name}, which needs derivatives; got {l1!r}")
    for index, layer in enumerate(iterate_weighted_layers(layers)):
        for factor in (layer.learning_rate_factor, layer.bias_rate_factor):
            if factor != 1:
                raise ValueError(
                    f"learning_rate_factor: expected 1 with {name}, which has no learning rate; "
                    f"got {factor!r} in layer {index} of those with weights"
                )
    if not isinstance(optimizer, LevenbergMarquardt):
        return
    if not isinstance(loss, SquaredError):
        raise ValueError(f"loss: expected squared_error with {name}; got {loss} (the optimizers "
                         "'lbfgs' and 'adam' minimize any loss)")  # fmt: skip
    if contains_scale(layers):
        raise ValueError(f"layers: expected no Scale with {name}; got one (the optimizers 'lbfgs' "
                         "and 'adam' train it)")  # fmt: skip
    l2 = max(layer.l2 for layer in iterate_dense_layers(layers))
    if l2 > 0 and optimizer.regularization is not None:
        raise ValueError(f"l2: expected 0 with regularization='bayesian', which chooses the "
                         f"penalty; got {l2!r}")  # fmt: skip


def check_size(optimizer: FullBatch, n_params: int) -> None:
    """Raise an error for a network with too many parameters for the optimizer."""
    if isinstance(optimizer, LevenbergMarquardt) and n_params > MOST_PARAMETERS:
        raise ValueError(
            f"layers: expected at most {MOST_PARAMETERS:,} parameters with LevenbergMarquardt; got "
            f"{n_params:,} (use the optimizer 'lbfgs' or 'adam')"
        )


def check_gradient_training(
    layers: tuple[Layer, ...], loss: Loss, optimizer: Optimizer | FullBatch
) -> None:
    """Raise an error for what does not train on derivatives."""
    if isinstance(optimizer, FullBatch):
        raise ValueError(
            f"gradient_targets: expected None with {type(optimizer).__name__}; got an array"
        )
    if losses.get_name(loss) not in losses.OUTPUT_LOSSES:
        raise ValueError(
            f"loss: expected one of {', '.join(losses.OUTPUT_LOSSES)} with gradient_targets; got "
            f"{losses.get_name(loss)}"
        )
    if contains_dropout(layers):
        raise ValueError("gradient_targets: expected a network without Dropout; got one with it")
    if contains_scale(layers):
        raise ValueError("gradient_targets: expected a network without Scale; got one with it")


def get_columns(optimizer: FullBatch) -> list[str]:
    """The names that the history records, without validation."""
    if not isinstance(optimizer, LevenbergMarquardt):
        return ["loss", "seconds"]
    bayesian = ["effective_parameters", "alpha", "beta"] if optimizer.regularization else []
    return ["loss", "damping", *bayesian, "seconds"]


def check_inputs(layers: tuple[Layer, ...], X: Array | SparseRows) -> None:
    """Raise an error for a network that does not read sparse inputs, if X is sparse: only the
    product of a Dense layer leaves out zeros."""
    if isinstance(X, SparseRows) and not isinstance(layers[0], Dense):
        raise ValueError(
            f"X: expected a dense array for a network that begins with "
            f"{type(layers[0]).__name__}; got a sparse one (begin with Dense, or use X.toarray())"
        )


def check_lazy(optimizer: Optimizer, layers: tuple[Layer, ...], X: Array | SparseRows) -> None:
    """Raise an error for a lazy optimizer where all rows of weights change in a step."""
    if not is_lazy(optimizer):
        return
    if not isinstance(X, SparseRows):
        raise ValueError("lazy: expected False with a dense X; got True")
    first = layers[0]
    if isinstance(first, Dense) and (first.l1 > 0 or first.l2 > 0):
        raise ValueError(
            f"lazy: expected False with a penalty on the first layer; got l1={first.l1!r} and "
            f"l2={first.l2!r}"
        )
