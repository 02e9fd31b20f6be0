"""The state of a network: layers, parameters, counters, and the state of its optimizer.

`Sequential`, the training loop, files and estimators all work on a `NetworkState`; `Sequential`
adds the public methods.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastnn import initializers
from fastnn._engine import native
from fastnn._engine.plan import Plan, compile_plan, split_parameters
from fastnn._util import prng
from fastnn._util.conversion import all_finite
from fastnn.activations import resolve as resolve_activation
from fastnn.history import History
from fastnn.layers import Dense, Layer, Scale, iterate_weighted_layers
from fastnn.losses import Loss
from fastnn.optimizers import FullBatch, Optimizer
from fastnn_ext.engine import Differentiator, Predictor

Array = NDArray[Any]


@dataclass(kw_only=True)
class OptimizerState:
    """The state of an optimizer between calls of `partial_fit`; it is also saved in files."""

    loss: Loss
    optimizer: Optimizer | FullBatch
    slots: Array  # (n_slots, n_params)
    n_steps: int = 0  # number of updates so far, for schedules and Adam's bias correction
    horizon: int | None  # length of schedules without n_steps; None if unknown
    rate_factor: float = 1.0  # factor of the learning rate, set by callbacks


def initialize_optimizer(
    loss: Loss, optimizer: Optimizer | FullBatch, parameters: Array, horizon: int | None,
    rate_factor: float = 1.0,
) -> OptimizerState:  # fmt: skip
    """The state before the first step: all slots are zero."""
    n_params = len(parameters)
    slots = native.aligned_zeros(optimizer.n_slots * n_params, parameters.dtype)
    return OptimizerState(
        loss=loss, optimizer=optimizer, slots=slots.reshape(optimizer.n_slots, n_params),
        horizon=horizon, rate_factor=rate_factor,
    )  # fmt: skip


@dataclass(slots=True, kw_only=True, eq=False)
class NetworkState:
    """The state of a network. `n_features_in` and `parameters` are None until it is built."""

    layers: tuple[Layer, ...]
    seed: int
    dtype: np.dtype[Any]
    n_features_in: int | None = None
    feature_names_in: tuple[str, ...] | None = None
    parameters: Array | None = None  # (n_params,)
    n_epochs: int = 0  # epochs begun since the weights were drawn
    n_steps: int = 0  # minibatches trained on since the weights were drawn
    optimizer: OptimizerState | None = None  # of the last training
    history: History | None = None
    # Compiled from the layers: a plan for each loss and number of targets, and one for prediction
    # with the key None.
    plans: dict[tuple[Loss, int, bool] | None, Plan] = field(default_factory=dict, repr=False)
    predictor: Predictor | None = field(default=None, repr=False)
    differentiators: dict[str, Differentiator] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """What is compiled from the layers is excluded: other versions of fastnn may interpret it
        differently."""
        return {name: getattr(self, name) for name in _STORED}

    def __setstate__(self, stored: dict[str, Any]) -> None:
        """Parameters are copied to aligned memory, as pickle does not preserve alignment."""
        for name, value in stored.items():
            setattr(self, name, value)
        self.plans, self.predictor, self.differentiators = {}, None, {}
        if self.parameters is not None:
            self.parameters = native.aligned_copy(self.parameters)


class HasState(Protocol):
    """A network: an object with a state, such as `Sequential`."""

    state: NetworkState


_FIELDS = tuple(NetworkState.__dataclass_fields__)
_COMPILED = ("plans", "predictor", "differentiators")
_STORED = tuple(name for name in _FIELDS if name not in _COMPILED)


# ---- reading -------------------------------------------------------------------------------------


def get_parameters(state: NetworkState) -> Array:
    """The flat parameters of a built network.

    Raises
    ------
    ValueError
        If the network is not built.
    """
    if state.parameters is None:
        raise ValueError(
            "network: expected a built one; got one without weights: call fit, or build(n_features)"
        )
    return state.parameters


def get_plan(state: NetworkState) -> Plan:
    """The plan of a built network for prediction."""
    return _get_plan(state, None)


def get_evaluation_plan(
    state: NetworkState, loss: Loss, n_targets: int, *, sparse_inputs: bool = False
) -> Plan:
    """The plan of a built network for the loss of targets (n, n_targets)."""
    return _get_plan(state, (loss, n_targets, sparse_inputs))


def _get_plan(state: NetworkState, key: tuple[Loss, int, bool] | None) -> Plan:
    get_parameters(state)
    assert state.n_features_in is not None
    if key not in state.plans:
        loss, n_targets, sparse_inputs = (None, None, False) if key is None else key
        state.plans[key] = compile_plan(
            state.layers, state.n_features_in, state.dtype, loss=loss, n_targets=n_targets,
            sparse_inputs=sparse_inputs,
        )  # fmt: skip
    return state.plans[key]


def get_views(
    state: NetworkState, flat: Array | None = None
) -> tuple[list[Array], list[Array | None]]:
    """Weights and biases of each Dense layer, as views of the flat parameters or of another array
    of the same length, for example a gradient."""
    return split_parameters(get_plan(state), get_parameters(state) if flat is None else flat)


# ---- building ------------------------------------------------------------------------------------


def build(state: NetworkState, n_features: int) -> None:
    """Draw the initial parameters; does nothing if the network is built.

    Raises
    ------
    ValueError
        If the layers do not fit together, or initial values exceed the dtype's range.
    """
    if state.n_features_in is None:
        plan = compile_plan(state.layers, n_features, state.dtype)
        parameters = _draw_parameters(state, plan)
        plans = state.plans | {None: plan}
        # In one statement, so that an interrupt cannot come between the assignments.
        state.n_features_in, state.parameters, state.plans = n_features, parameters, plans


def _draw_parameters(state: NetworkState, plan: Plan) -> Array:
    flat = native.aligned_zeros(plan.n_params, state.dtype)
    weights, biases = split_parameters(plan, flat)
    layers = list(zip(iterate_weighted_layers(state.layers), weights, biases, strict=True))
    with np.errstate(over="ignore", invalid="ignore"):
        for index, (layer, w, b) in enumerate(layers):
            if isinstance(layer, Scale):
                w[:] = layer.scale_init
                continue
            init = layer.weight_init
            if init == "auto":
                init = initializers.choose_initializer(resolve_activation(layer.activation))
            elif isinstance(init, str):
                init = initializers.BY_NAME[init]
            key = prng.make_key(state.seed, prng.Purpose.WEIGHTS, index)
            w[:] = initializers.draw(init, w.shape, key)
            if b is not None and not isinstance(layer.bias_init, str):
                b[:] = layer.bias_init
    if not all_finite(flat):
        _raise_infinite(layers, state.dtype)
    return flat


def _raise_infinite(
    layers: list[tuple[Dense | Scale, Array, Array | None]], dtype: np.dtype[Any]
) -> None:
    """Raise an error with the name of the initializer that returned infinite values."""
    for index, (layer, w, b) in enumerate(layers):
        weight_name = "scale_init" if isinstance(layer, Scale) else "weight_init"
        for name, values in ((weight_name, w), ("bias_init", b)):
            if values is not None and not all_finite(values):
                raise ValueError(
                    f"{name}: expected initial values in the range of {dtype}; got "
                    f"{getattr(layer, name)!r} in layer {index} of those with weights, which gives "
                    "infinite values"
                )


# ---- changing ------------------------------------------------------------------------------------


def replace_layers(state: NetworkState, layers: tuple[Layer, ...]) -> None:
    """Replace the layers of a built network by layers of the same sizes with other activations or
    penalties. The compiled plans are discarded."""
    state.layers, state.plans, state.predictor, state.differentiators = layers, {}, None, {}


def share_parameters(state: NetworkState, layers: tuple[Layer, ...]) -> NetworkState:
    """A network with other activations that shares the parameters of `state`."""
    return NetworkState(
        layers=layers, seed=state.seed, dtype=state.dtype, n_features_in=state.n_features_in,
        parameters=get_parameters(state),
    )  # fmt: skip


def copy_state(state: NetworkState, **changes: Any) -> NetworkState:
    """A deep copy of a built network, with the given fields replaced. Plans and history are not
    copied."""
    fields = {name: getattr(state, name) for name in _STORED} | {"history": None} | changes
    copy = NetworkState(**fields)
    copy.parameters = native.aligned_copy(get_parameters(copy))
    if copy.optimizer is not None:
        copy.optimizer = replace(copy.optimizer, slots=copy.optimizer.slots.copy())
    return copy


def copy_shallow(state: NetworkState) -> NetworkState:
    """A shallow copy, which shares all arrays."""
    other = object.__new__(NetworkState)
    for name in _FIELDS:
        setattr(other, name, getattr(state, name))
    return other
