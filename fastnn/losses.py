"""Losses: frozen descriptions with the numbers that shape them.

One definition for all: the loss of a row is the mean over its outputs (`cross_entropy`: the sum
over classes), the loss of a batch is the mean over its rows weighted by `sample_weight`,
`sum(w * row_loss) / sum(w)`, and the penalties of the layers (`l1`, `l2`) are added to it.

`HEADS` says which activation of the last layer fits which loss. Where it says "raw", value and
gradient are computed from the outputs before that activation, as one stable function.
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
    """(output - y)**2. Maximum likelihood for normal errors of one width. `MLPRegressor` halves it,
    as scikit-learn does."""


@dataclass(frozen=True)
class AbsoluteError:
    """|output - y|. Maximum likelihood for Laplace errors; fits the median."""


@dataclass(frozen=True)
class Huber:
    """e**2 / 2 within delta, linear outside: delta * (|e| - delta / 2). P. Huber, 1964."""

    delta: float = 1.0

    def __post_init__(self) -> None:
        checks.number("delta", self.delta, above=0)


@dataclass(frozen=True)
class LogCosh:
    """log(cosh(output - y)): squared near zero, absolute far away, smooth everywhere."""


@dataclass(frozen=True)
class Quantile:
    """q * e for e = y - output > 0, otherwise (q - 1) * e. R. Koenker, G. Bassett, 1978."""

    quantile: float = 0.5

    def __post_init__(self) -> None:
        checks.number("quantile", self.quantile, above=0, below=1)


@dataclass(frozen=True)
class Poisson:
    """rate - y * log(rate): counts y >= 0. The rate is an output of `exp` or `softplus`; a linear
    output is read as log(rate)."""


@dataclass(frozen=True)
class GaussianNLL:
    """(s + (y - mean)**2 * exp(-s)) / 2 with s = log(variance): for m targets the first m outputs
    are the means and the last m the log variances. D. Nix, A. Weigend, 1994, without the
    constant."""


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """-y * log(p) - (1 - y) * log(1 - p), y in [0, 1]; several outputs are independent labels."""


@dataclass(frozen=True)
class CrossEntropy:
    """-sum(t * log(p)) over the classes. y is an integer label, a one-hot row or a row of
    probabilities; `label_smoothing` e replaces t by (1 - e) * t + e / n_classes
    (C. Szegedy and others, CVPR 2016, section 7)."""

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        checks.number("label_smoothing", self.label_smoothing, at_least=0, below=1)


@dataclass(frozen=True)
class Hinge:
    """max(0, 1 - t * output) with t = +1 for y = 1 and -1 for y = 0 or -1. V. Vapnik, 1995."""


@dataclass(frozen=True)
class Perceptron:
    """max(0, -t * output), t as for hinge; a row on the border counts as wrong. With
    learning_rate 1 and batch_size 1 this is the rule of F. Rosenblatt, 1958."""


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

# Activations with a slope, whose outputs a loss can be chained to.
_SLOPED = tuple(name for name in NAMES if name not in ("softmax", "step"))

# loss: {activation of the last layer: what the loss is computed from}
HEADS: dict[str, dict[str, str]] = {
    **{
        name: dict.fromkeys(_SLOPED, "output")
        for name in ("squared_error", "absolute_error", "huber", "log_cosh", "quantile")
    },
    "poisson": {"linear": "raw", "exp": "raw", "softplus": "raw"},
    "gaussian_nll": {"linear": "raw"},
    "binary_cross_entropy": {"linear": "raw", "sigmoid": "raw"},
    "cross_entropy": {"linear": "raw", "softmax": "raw"},
    "hinge": {"linear": "raw", "step": "raw"},
    "perceptron": {"linear": "raw", "step": "raw"},
}


def get_name(loss: Loss) -> str:
    """The name that stands for a loss.

    >>> get_name(Huber(delta=2.0))
    'huber'
    """
    return next(name for name, kind in CLASSES.items() if kind is type(loss))


def get_code(loss: Loss) -> codes.Loss:
    """The member of the engine's list."""
    return codes.Loss[get_name(loss).upper()]


def get_parameter(loss: Loss) -> float:
    """The number that shapes a loss, 0 where it has none."""
    values = list(vars(loss).values())
    return float(values[0]) if values else 0.0


def resolve(value: str | Loss) -> Loss:
    """What a user gave as a loss, checked.

    >>> resolve("mse")
    SquaredError()
    """
    if not isinstance(value, str) and isinstance(value, tuple(CLASSES.values())):
        return value
    name = checks.choice("loss", value, (*CLASSES, *ALIASES))
    return CLASSES[ALIASES.get(name, name)]()


def check_head(loss: Loss, activation: str) -> str:
    """What the loss is computed from, "raw" or "output"; an error if the two do not fit."""
    fitting = HEADS[get_name(loss)]
    if activation not in fitting:
        raise ValueError(
            f"loss: expected a loss that fits the last layer's activation {activation!r}; "
            f"got {get_name(loss)!r}, which takes {', '.join(map(repr, fitting))}"
        )
    return fitting[activation]
