"""The layers a network is made of: frozen descriptions that hold no weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastnn import activations, initializers
from fastnn._util import checks
from fastnn.activations import Activation
from fastnn.initializers import Initializer

__all__ = ["Dense", "Dropout", "Layer", "Residual"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True)
class Dense:
    """A fully connected layer: `activation(x @ weights + bias)`.

    Parameters
    ----------
    units : int
        Number of outputs, at least 1.
    activation : str or Activation, default "linear"
        A name of `fastnn.activations.NAMES`, or `fastnn.activations.leaky_relu(slope)` or
        `elu(alpha)`. "softmax" is for the last layer only.
    use_bias : bool, default True
    weight_init : str or initializer, default "auto"
        A name of `fastnn.initializers.BY_NAME` or an object of that module. "auto" takes He's
        rule for relu-like units, LeCun's for selu and Glorot's for all others.
    bias_init : "zeros" or number, default "zeros"
    l1, l2 : float, default 0.0
        Add `l1 * sum(abs(w)) + l2 / 2 * sum(w**2)` over this layer's weights (never the bias)
        to the loss.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not as described.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.Dense(16, "relu").units
    16
    """

    units: int
    activation: str | Activation = "linear"
    use_bias: bool = True
    weight_init: str | Initializer = "auto"
    bias_init: str | float = "zeros"
    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        # Python's integers do not overflow where a plan multiplies them; NumPy's do.
        object.__setattr__(self, "units", checks.whole("units", self.units, at_least=1))
        object.__setattr__(self, "activation", activations.resolve(self.activation))
        checks.flag("use_bias", self.use_bias)
        initializers.resolve("weight_init", self.weight_init)
        if isinstance(self.bias_init, str):
            checks.choice("bias_init", self.bias_init, ("zeros",))
        else:
            checks.number("bias_init", self.bias_init)
        checks.number("l1", self.l1, at_least=0)
        checks.number("l2", self.l2, at_least=0)


@dataclass(frozen=True)
class Dropout:
    """While training, sets each input to zero with probability `rate` and divides the others by
    `1 - rate`, so that their expectation stays; otherwise passes its input on.
    N. Srivastava and others, JMLR 15 (2014), in the scaled form of their section 10.

    Parameters
    ----------
    rate : float
        In [0, 1).

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.Dropout(0.2)
    Dropout(rate=0.2)
    """

    rate: float

    def __post_init__(self) -> None:
        checks.number("rate", self.rate, at_least=0, below=1)


@dataclass(frozen=True, init=False)
class Residual:
    """Its layers' output plus its own input: the skip connection of K. He and others, CVPR 2016,
    equation 1. The inner layers must end in as many units as come in.

    Examples
    --------
    >>> import fastnn as fn
    >>> block = fn.Residual(fn.Dense(8, "relu"), fn.Dense(8))
    >>> len(block.layers)
    2
    """

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        if not layers:
            raise ValueError("Residual: expected at least one layer; got none")
        object.__setattr__(self, "layers", check_layers("Residual", layers))


Layer = Dense | Dropout | Residual


def check_layers(where: str, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Layers, all of them; the error names the position of what is not one."""
    if len(layers) == 1 and isinstance(layers[0], list | tuple):
        caller = "Sequential" if where == "layers" else where
        raise TypeError(
            f"{where}: expected layers one by one; got a {type(layers[0]).__name__}: use "
            f"{caller}(*layers)"
        )
    for position, layer in enumerate(layers):
        checks.instance(
            f"{where}: layer {position}", layer, (Dense, Dropout, Residual),
            "Dense, Dropout or Residual",
        )  # fmt: skip
    return tuple(layers)


def iterate_dense_layers(layers: tuple[Layer, ...]) -> Iterator[Dense]:
    """The Dense layers in the order in which data meets them, those inside Residual included."""
    for layer in layers:
        if isinstance(layer, Dense):
            yield layer
        elif isinstance(layer, Residual):
            yield from iterate_dense_layers(layer.layers)


def get_output_activation(layers: tuple[Layer, ...]) -> Activation:
    """The activation of the network's outputs: that of a last Dense, otherwise linear."""
    last = layers[-1]
    return activations.resolve(last.activation) if isinstance(last, Dense) else Activation("linear")
