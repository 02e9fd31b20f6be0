"""Layers of a network: frozen descriptions without weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, get_args

from fastnn import activations, initializers
from fastnn._util import checks
from fastnn.activations import Activation
from fastnn.initializers import Initializer

__all__ = ["Dense", "Dropout", "Layer", "Residual", "Scale"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True)
class Dense:
    """A fully connected layer: Y = f(X W + b).

    X is the input, shape (n, n_in); W are the weights, shape (n_in, units); b is the bias, shape
    (units,); and Y is the output, shape (n, units). The number of inputs n_in is that of the layer
    before it, or of the features.

    Parameters
    ----------
    units : int
        Number of outputs, at least 1.
    activation : str or Activation, default "linear"
        f, a name of `fastnn.activations.NAMES`, or an instance such as
        `fastnn.activations.leaky_relu(0.2)`. "softmax" is for the last layer only.
    use_bias : bool, default True
        Whether the layer has a bias b.
    weight_init : str or initializer, default "auto"
        Distribution of the initial W: a name of `fastnn.initializers.BY_NAME`, or an instance of a
        class of that module. "auto" is He's rule for relu and similar activations, LeCun's for
        selu and Glorot's for all others; see `fastnn.initializers`.
    bias_init : "zeros" or float, default "zeros"
        Initial value of all elements of b.
    l1 : float, default 0.0
        λ₁ ≥ 0: the penalty λ₁ Σ|w| over the elements w of W is added to the loss.
    l2 : float, default 0.0
        λ₂ ≥ 0: the penalty λ₂ / 2 Σ w² over the elements w of W is added to the loss.
    learning_rate_factor : float, default 1.0
        The optimizer's learning rate is multiplied by this factor, at least 0, for W, and so is the
        weight decay of AdamW; 0 keeps W fixed. With Adam and the factor 1 / √n_in, for initial
        weights of this standard deviation, layers of different widths learn at comparable rates
        (A. Jacot, F. Gabriel, C. Hongler, "Neural tangent kernel", NeurIPS 2018, section 2).
    bias_learning_rate_factor : float, optional
        The factor for b; by default that for W.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(16, "relu"), fn.Dense(3, "softmax")).build(n_features=4)
    >>> [w.shape for w in net.weights]
    [(4, 16), (16, 3)]
    """

    units: int
    activation: str | Activation = "linear"
    use_bias: bool = True
    weight_init: str | Initializer = "auto"
    bias_init: str | float = "zeros"
    l1: float = 0.0
    l2: float = 0.0
    learning_rate_factor: float = 1.0
    bias_learning_rate_factor: float | None = None

    def __post_init__(self) -> None:
        # A Python int, because products of NumPy integers could overflow in the memory plan.
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
        checks.number("learning_rate_factor", self.learning_rate_factor, at_least=0)
        if self.bias_learning_rate_factor is not None:
            checks.number("bias_learning_rate_factor", self.bias_learning_rate_factor, at_least=0)

    @property
    def bias_rate_factor(self) -> float:
        """The factor of the learning rate for b."""
        factor = self.bias_learning_rate_factor
        return self.learning_rate_factor if factor is None else factor


@dataclass(frozen=True)
class Dropout:
    """Dropout: in training, randomly sets elements of its input to zero.

    Each element is set to 0 with probability p and divided by 1 - p otherwise, so that its
    expected value does not change. In prediction and evaluation the layer returns its input.
    N. Srivastava and others, "Dropout: a simple way to prevent neural networks from overfitting",
    JMLR 15 (2014), in the scaled form of section 10.

    Parameters
    ----------
    rate : float
        p, in [0, 1).

    Raises
    ------
    ValueError, TypeError
        If `rate` is outside its range or no number.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.Dropout(0.2)
    Dropout(rate=0.2)
    """

    rate: float

    def __post_init__(self) -> None:
        checks.number("rate", self.rate, at_least=0, below=1)


@dataclass(frozen=True)
class Scale:
    """One learned factor for each column: Y = X diag(s).

    As the first layer, with a learning rate larger than that of the others, it learns how much each
    feature counts: D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by default: strong pre-tuned
    MLPs and boosted trees on tabular data", NeurIPS 2024, section 3.2. The weight decay of AdamW
    applies to s as to weights. Sparse features need a Dense as the first layer.

    Parameters
    ----------
    scale_init : float, default 1.0
        Initial value of all elements of s.
    learning_rate_factor : float, default 1.0
        The optimizer's learning rate is multiplied by this factor, at least 0; see `Dense`.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    The factors are weights with a single row:

    >>> import fastnn as fn
    >>> scale = fn.Scale(learning_rate_factor=6)
    >>> net = fn.Sequential(scale, fn.Dense(1)).build(n_features=3)
    >>> net.weights[0]
    array([[1., 1., 1.]], dtype=float32)
    """

    scale_init: float = 1.0
    learning_rate_factor: float = 1.0
    # What Dense has and Scale does not.
    use_bias: ClassVar[bool] = False
    l1: ClassVar[float] = 0.0
    l2: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        checks.number("scale_init", self.scale_init)
        checks.number("learning_rate_factor", self.learning_rate_factor, at_least=0)

    @property
    def bias_rate_factor(self) -> float:
        """The factor of the learning rate, as there is no bias."""
        return self.learning_rate_factor


@dataclass(frozen=True, init=False)
class Residual:
    """A residual block with a skip connection: Y = F(X) + X, where F are the inner layers.

    K. He and others, "Deep residual learning for image recognition", CVPR 2016, equation 1.

    Parameters
    ----------
    *layers : Dense, Dropout, Scale or Residual
        The inner layers, at least one. The block must have as many outputs as inputs, which is
        checked when the network is built.

    Raises
    ------
    ValueError, TypeError
        If there are no layers, or an argument is not a layer.

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


Layer = Dense | Dropout | Residual | Scale


def check_layers(where: str, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Return the layers as a tuple; raise an error with the position of the first invalid one."""
    if len(layers) == 1 and isinstance(layers[0], list | tuple):
        caller = "Sequential" if where == "layers" else where
        raise TypeError(
            f"{where}: expected layers one by one; got a {type(layers[0]).__name__}: use "
            f"{caller}(*layers)"
        )
    for position, layer in enumerate(layers):
        checks.instance(
            f"{where}: layer {position}", layer, get_args(Layer),
            "Dense, Dropout, Residual or Scale",
        )  # fmt: skip
    return tuple(layers)


def iterate_dense_layers(layers: tuple[Layer, ...]) -> Iterator[Dense]:
    """Iterate over the Dense layers in the order of the forward pass, including those in Residual
    blocks."""
    return (layer for layer in iterate_weighted_layers(layers) if isinstance(layer, Dense))


def iterate_weighted_layers(layers: tuple[Layer, ...]) -> Iterator[Dense | Scale]:
    """Iterate over the layers that have weights in the order of the forward pass, including those
    in Residual blocks."""
    for layer in layers:
        if isinstance(layer, Dense | Scale):
            yield layer
        elif isinstance(layer, Residual):
            yield from iterate_weighted_layers(layer.layers)


def contains_scale(layers: tuple[Layer, ...]) -> bool:
    """Whether any layer is a Scale, including those in Residual blocks."""
    return any(isinstance(layer, Scale) for layer in iterate_weighted_layers(layers))


def contains_dropout(layers: tuple[Layer, ...]) -> bool:
    """Whether any layer is a Dropout, including those in Residual blocks."""
    return any(
        isinstance(layer, Dropout)
        or (isinstance(layer, Residual) and contains_dropout(layer.layers))
        for layer in layers
    )


def get_output_activation(layers: tuple[Layer, ...]) -> Activation:
    """Return the activation of the last layer if that is a Dense layer, otherwise linear."""
    last = layers[-1]
    return activations.resolve(last.activation) if isinstance(last, Dense) else Activation("linear")
