"""Activation functions by name. The names are the members of `fastnn_ext.codes.Activation`; the
formulas and their derivatives stand in `fastnn_ext/activations.pxd`, and for reading in
`fastnn/reference/activations.py`."""

from __future__ import annotations

from dataclasses import dataclass

from fastnn._util import checks
from fastnn_ext import codes

__all__ = ["NAMES", "PARAMETERS", "Activation", "elu", "leaky_relu"]


def __dir__() -> list[str]:
    return __all__


NAMES = tuple(member.name.lower() for member in codes.Activation)

# The only activations with a number to set: (its name, its default, its lower bound).
PARAMETERS = {"leaky_relu": ("slope", 0.01, 0.0), "elu": ("alpha", 1.0, 0.0)}


@dataclass(frozen=True)
class Activation:
    """An activation with the number that shapes it, if it has one.

    >>> Activation("tanh").code.name
    'TANH'
    """

    name: str
    parameter: float | None = None

    def __post_init__(self) -> None:
        checks.choice("activation", self.name, NAMES)
        if self.name not in PARAMETERS:
            if self.parameter is not None:
                raise ValueError(
                    f"parameter: expected none for activation {self.name!r}; got {self.parameter!r}"
                )
            return
        title, default, low = PARAMETERS[self.name]
        value = default if self.parameter is None else self.parameter
        object.__setattr__(self, "parameter", checks.number(title, value, at_least=low))

    @property
    def code(self) -> codes.Activation:
        """The member of the engine's list."""
        return codes.Activation[self.name.upper()]


def leaky_relu(slope: float = 0.01) -> Activation:
    """z where z > 0, otherwise slope * z. A. Maas, A. Hannun, A. Ng, ICML workshop 2013.

    >>> leaky_relu(0.2)
    Activation(name='leaky_relu', parameter=0.2)
    """
    return Activation("leaky_relu", slope)


def elu(alpha: float = 1.0) -> Activation:
    """z where z > 0, otherwise alpha * (exp(z) - 1). D.-A. Clevert and others, ICLR 2016.

    >>> elu().parameter
    1.0
    """
    return Activation("elu", alpha)


def resolve(value: str | Activation) -> Activation:
    """What a user gave as an activation, checked."""
    if isinstance(value, Activation):
        return value
    return Activation(checks.choice("activation", value, NAMES))
