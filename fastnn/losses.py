"""Loss functions: immutable dataclasses.

Notation: ŷ is an output of the network, y is its target, and e = ŷ - y. Each class documents the
loss of one output. The loss of a row is the mean over its outputs (for `CrossEntropy`, the sum over
classes). The loss of a batch is the mean over its rows, weighted by `sample_weight`,
`sum(w * row_loss) / sum(w)`, plus the penalties `l1` and `l2` of the layers.

A loss is given by an instance, or by its name in `CLASSES` or `ALIASES` for the default parameters.

`HEADS` lists the output activations that each loss accepts. Where it has "raw", value and gradient
are computed from z, the outputs before that activation, by one numerically stable expression.

The losses are implemented in `fastnn_ext/losses.pxd`; `fastnn/reference/losses.py` has the same
formulas in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastnn._util import checks
from fastnn.activations import NAMES
from fastnn_ext import codes

__all__ = [
    "ALIASES", "CLASSES", "HEADS", "AbsoluteError", "BinaryCrossEntropy", "CrossEntropy",
    "GaussianNLL", "Hinge", "Huber", "LogCosh", "Loss", "Perceptron", "Poisson", "Quantile",
    "SquaredError",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True)
class SquaredError:
    """Squared error: e².

    The maximum-likelihood loss for normal errors of constant variance. Note that `MLPRegressor`
    halves it, as scikit-learn does.

    Examples
    --------
    For ŷ = 1 and y = 4, so that e = -3:

    >>> import fastnn as fn
    >>> output = fn.Dense(1, weight_init="zeros", bias_init=1.0)
    >>> net = fn.Sequential(output, dtype="float64").build(1)
    >>> round(net.evaluate([[0.0]], [4.0], loss=fn.losses.SquaredError())["loss"], 6)
    9.0
    """


@dataclass(frozen=True)
class AbsoluteError:
    """Absolute error: ``|e|``.

    The maximum-likelihood loss for Laplace errors. It fits the median of y given the features.

    Examples
    --------
    For ŷ = 1 and y = 4, so that e = -3:

    >>> import fastnn as fn
    >>> output = fn.Dense(1, weight_init="zeros", bias_init=1.0)
    >>> net = fn.Sequential(output, dtype="float64").build(1)
    >>> round(net.evaluate([[0.0]], [4.0], loss=fn.losses.AbsoluteError())["loss"], 6)
    3.0
    """


@dataclass(frozen=True)
class Huber:
    """Huber loss: squared for small errors and linear for large ones.

    Formula::

        e² / 2                 if |e| ≤ δ
        δ (|e| - δ / 2)        otherwise

    P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35,
    1964.

    Parameters
    ----------
    delta : float, default 1.0
        δ > 0, the absolute error above which the loss is linear.

    Raises
    ------
    ValueError, TypeError
        If `delta` is outside its range or no number.

    Examples
    --------
    For ŷ = 1 and y = 4, so that e = -3:

    >>> import fastnn as fn
    >>> output = fn.Dense(1, weight_init="zeros", bias_init=1.0)
    >>> net = fn.Sequential(output, dtype="float64").build(1)
    >>> round(net.evaluate([[0.0]], [4.0], loss=fn.losses.Huber(delta=2.0))["loss"], 6)
    4.0
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        checks.number("delta", self.delta, above=0)


@dataclass(frozen=True)
class LogCosh:
    """Logarithm of the hyperbolic cosine of the error: log(cosh(e)).

    It is close to e² / 2 for small errors and to ``|e| - log(2)`` for large ones, and it is smooth.

    Examples
    --------
    For ŷ = 1 and y = 4, so that e = -3:

    >>> import fastnn as fn
    >>> output = fn.Dense(1, weight_init="zeros", bias_init=1.0)
    >>> net = fn.Sequential(output, dtype="float64").build(1)
    >>> round(net.evaluate([[0.0]], [4.0], loss=fn.losses.LogCosh())["loss"], 6)
    2.309329
    """


@dataclass(frozen=True)
class Quantile:
    """Quantile loss, also called pinball loss.

    Formula::

        q (y - ŷ)              if y > ŷ
        (1 - q) (ŷ - y)        otherwise

    It fits the q-quantile of y given the features. R. Koenker, G. Bassett, "Regression quantiles",
    Econometrica 46, 1978.

    Parameters
    ----------
    quantile : float, default 0.5
        q, in (0, 1). The default fits the median.

    Raises
    ------
    ValueError, TypeError
        If `quantile` is outside its range or no number.

    Examples
    --------
    For ŷ = 1 and y = 4:

    >>> import fastnn as fn
    >>> output = fn.Dense(1, weight_init="zeros", bias_init=1.0)
    >>> net = fn.Sequential(output, dtype="float64").build(1)
    >>> round(net.evaluate([[0.0]], [4.0], loss=fn.losses.Quantile(0.9))["loss"], 6)
    2.7
    """

    quantile: float = 0.5

    def __post_init__(self) -> None:
        checks.number("quantile", self.quantile, above=0, below=1)


@dataclass(frozen=True)
class Poisson:
    """Negative log-likelihood of a Poisson distribution: r - y log(r), for counts y ≥ 0.

    The rate r is the output of an `exp` or `softplus` activation; for a linear output,
    r = exp(ŷ). The term log(y!), which does not depend on the network, is left out.

    Examples
    --------
    For r = exp(1) and y = 4:

    >>> import fastnn as fn
    >>> output = fn.Dense(1, "exp", weight_init="zeros", bias_init=1.0)
    >>> net = fn.Sequential(output, dtype="float64").build(1)
    >>> round(net.evaluate([[0.0]], [4.0], loss=fn.losses.Poisson())["loss"], 6)
    -1.281718
    """


@dataclass(frozen=True)
class GaussianNLL:
    """Negative log-likelihood of a normal distribution whose variance is predicted as well.

    Formula, with the predicted mean μ and s = log(variance)::

        (s + (y - μ)² exp(-s)) / 2

    For m targets the network has 2 m linear outputs: m means, then m log variances. The constant
    log(2 π) / 2 is left out. D. Nix, A. Weigend, "Estimating the mean and variance of the target
    probability distribution", ICNN 1994.

    Examples
    --------
    For μ = s = 1 and y = 4:

    >>> import fastnn as fn
    >>> output = fn.Dense(2, weight_init="zeros", bias_init=1.0)
    >>> net = fn.Sequential(output, dtype="float64").build(1)
    >>> round(net.evaluate([[0.0]], [4.0], loss=fn.losses.GaussianNLL())["loss"], 6)
    2.155457
    """


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Binary cross-entropy: -y log(p) - (1 - y) log(1 - p), for targets y in [0, 1].

    p is the output of a `sigmoid` activation; for a linear output, p = sigmoid(ŷ). Several outputs
    are independent labels.

    Examples
    --------
    For p = sigmoid(1) and y = 1:

    >>> import fastnn as fn
    >>> output = fn.Dense(1, "sigmoid", weight_init="zeros", bias_init=1.0)
    >>> net = fn.Sequential(output, dtype="float64").build(1)
    >>> round(net.evaluate([[0.0]], [1], loss=fn.losses.BinaryCrossEntropy())["loss"], 6)
    0.313262
    """


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy: -Σₖ tₖ log(pₖ), summed over the K classes.

    p are the outputs of a `softmax` activation; for linear outputs, p = softmax(ŷ). The targets y
    are integer labels (n,), one-hot rows (n, K) or rows of probabilities (n, K); t is the one-hot
    row of a label, otherwise the row itself. Label smoothing replaces t by (1 - ε) t + ε / K
    (C. Szegedy and others, "Rethinking the Inception architecture for computer vision", CVPR 2016,
    section 7).

    Parameters
    ----------
    label_smoothing : float, default 0.0
        ε, in [0, 1).

    Raises
    ------
    ValueError, TypeError
        If `label_smoothing` is outside its range or no number.

    Examples
    --------
    For p = (0.5, 0.5) and the label 1:

    >>> import fastnn as fn
    >>> output = fn.Dense(2, "softmax", weight_init="zeros", bias_init=1.0)
    >>> net = fn.Sequential(output, dtype="float64").build(1)
    >>> round(net.evaluate([[0.0]], [1], loss=fn.losses.CrossEntropy())["loss"], 6)
    0.693147
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        checks.number("label_smoothing", self.label_smoothing, at_least=0, below=1)


@dataclass(frozen=True)
class Hinge:
    """Hinge loss: max(0, 1 - t ŷ), with t = 1 for y = 1 and t = -1 for y = 0 or y = -1.

    V. Vapnik, "The nature of statistical learning theory", 1995.

    Examples
    --------
    For ŷ = 0.5 and y = 1:

    >>> import fastnn as fn
    >>> output = fn.Dense(1, weight_init="zeros", bias_init=0.5)
    >>> net = fn.Sequential(output, dtype="float64").build(1)
    >>> round(net.evaluate([[0.0]], [1], loss=fn.losses.Hinge())["loss"], 6)
    0.5
    """


@dataclass(frozen=True)
class Perceptron:
    """Perceptron loss: max(0, -t ŷ), with t as in `Hinge`.

    A row with t ŷ = 0 counts as an error: its gradient is -t, so that a network of zeros can learn.
    With `learning_rate=1` and `batch_size=1`, SGD is the rule of F. Rosenblatt, "The perceptron",
    Psychological Review 65, 1958.

    Examples
    --------
    For ŷ = 0.5 and y = 0:

    >>> import fastnn as fn
    >>> output = fn.Dense(1, weight_init="zeros", bias_init=0.5)
    >>> net = fn.Sequential(output, dtype="float64").build(1)
    >>> round(net.evaluate([[0.0]], [0], loss=fn.losses.Perceptron())["loss"], 6)
    0.5
    """


Loss = (
    SquaredError | AbsoluteError | Huber | LogCosh | Quantile | Poisson | GaussianNLL
    | BinaryCrossEntropy | CrossEntropy | Hinge | Perceptron
)  # fmt: skip

CLASSES: dict[str, type[Loss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "quantile": Quantile,
    "poisson": Poisson,
    "gaussian_nll": GaussianNLL,
    "binary_cross_entropy": BinaryCrossEntropy,
    "cross_entropy": CrossEntropy,
    "hinge": Hinge,
    "perceptron": Perceptron,
}
ALIASES = {"mse": "squared_error", "mae": "absolute_error"}

# Elementwise activations with a derivative that is not zero everywhere: losses of the outputs
# propagate their gradient through them.
_DIFFERENTIABLE = tuple(name for name in NAMES if name not in ("softmax", "step"))

# Losses that compare each output of the network with one target.
OUTPUT_LOSSES = ("squared_error", "absolute_error", "huber", "log_cosh", "quantile")

# {loss: {output activation: "output", or "raw" for the values before the activation}}
HEADS: dict[str, dict[str, str]] = {
    **{name: dict.fromkeys(_DIFFERENTIABLE, "output") for name in OUTPUT_LOSSES},
    "poisson": {"linear": "raw", "exp": "raw", "softplus": "raw"},
    "gaussian_nll": {"linear": "raw"},
    "binary_cross_entropy": {"linear": "raw", "sigmoid": "raw"},
    "cross_entropy": {"linear": "raw", "softmax": "raw"},
    "hinge": {"linear": "raw", "step": "raw"},
    "perceptron": {"linear": "raw", "step": "raw"},
}


def get_name(loss: Loss) -> str:
    """Return the name of a loss.

    >>> get_name(Huber(delta=2.0))
    'huber'
    """
    return next(name for name, kind in CLASSES.items() if kind is type(loss))


def get_code(loss: Loss) -> codes.Loss:
    """Return the loss's member of the enum `fastnn_ext.codes.Loss`."""
    return codes.Loss[get_name(loss).upper()]


def get_parameter(loss: Loss) -> float:
    """Return the loss's parameter (such as `delta`), or 0 if it has none."""
    values = list(vars(loss).values())
    return float(values[0]) if values else 0.0


def resolve(value: str | Loss) -> Loss:
    """Return the loss for a name or a loss; raise an error for anything else.

    >>> resolve("mse")
    SquaredError()
    """
    if not isinstance(value, str) and isinstance(value, tuple(CLASSES.values())):
        return value
    name = checks.choice("loss", value, (*CLASSES, *ALIASES))
    return CLASSES[ALIASES.get(name, name)]()


def check_head(loss: Loss, activation: str) -> str:
    """Return the entry of `HEADS`, "raw" or "output"; raise an error if the loss does not accept
    the output activation."""
    fitting = HEADS[get_name(loss)]
    if activation not in fitting:
        raise ValueError(
            f"loss: expected a loss that fits the last layer's activation {activation!r}; "
            f"got {get_name(loss)!r}, which takes {', '.join(map(repr, fitting))}"
        )
    return fitting[activation]
