"""Activation functions: y = f(z), elementwise except for softmax.

============  ==================================  ===============================================
name          f(z)                                source
============  ==================================  ===============================================
linear        z
step          1 if z > 0, otherwise 0
sigmoid       1 / (1 + exp(-z))
tanh          tanh(z)
relu          max(z, 0)                           V. Nair, G. Hinton, ICML 2010
leaky_relu    z if z > 0, otherwise slope z       A. Maas and others, ICML workshop 2013
elu           z if z > 0,                         D.-A. Clevert and others, ICLR 2016
              otherwise alpha (exp(z) - 1)
selu          1.0507 elu(z) with alpha = 1.6733   G. Klambauer and others, NeurIPS 2017
softplus      log(1 + exp(z))                     C. Dugas and others, NIPS 2000
softsign      ``z / (1 + |z|)``                   X. Glorot, Y. Bengio, AISTATS 2010
silu          z sigmoid(z)                        S. Elfwing and others, Neural Networks 107, 2018
gelu          z Φ(z), Φ the normal CDF            D. Hendrycks, K. Gimpel, arXiv 1606.08415, 2016
mish          z tanh(softplus(z))                 D. Misra, arXiv 1908.08681, 2019
hard_sigmoid  min(max(z / 6 + 1 / 2, 0), 1)       A. Howard and others, ICCV 2019
exp           exp(z)
softmax       exp(zₖ) / Σⱼ exp(zⱼ) in each row    (output layer only)
============  ==================================  ===============================================

An activation is given by its name, or by an instance such as `leaky_relu(slope=0.2)`. An instance
can be called on an array: `Activation("relu")(z)`. `fastnn.plot.activation` draws one. Since the
derivative of step is zero, that activation is useful only in the output layer, with the loss
perceptron or hinge. At z = 0, the derivative of relu, leaky_relu, elu and selu is the one from the
left.

The functions and their derivatives are implemented in `fastnn_ext/activations.pxd`;
`fastnn/reference/activations.py` has the same formulas in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn._util import checks
from fastnn_ext import codes, engine

__all__ = ["NAMES", "PARAMETERS", "Activation", "elu", "leaky_relu"]


def __dir__() -> list[str]:
    return __all__


NAMES = tuple(member.name.lower() for member in codes.Activation)

# Activations that have a parameter: {activation: (parameter, default, lower bound)}.
PARAMETERS = {"leaky_relu": ("slope", 0.01, 0.0), "elu": ("alpha", 1.0, 0.0)}


@dataclass(frozen=True)
class Activation:
    """An activation and its parameter, if it has one.

    Parameters
    ----------
    name : str
        A name of `fastnn.activations.NAMES`; the formulas are in `help(fastnn.activations)`.
    parameter : float, optional
        `slope` of leaky_relu (default 0.01) or `alpha` of elu (default 1.0); other activations
        have none.

    Raises
    ------
    ValueError, TypeError
        If the name is unknown, or the parameter is negative or the activation has none.

    Examples
    --------
    >>> Activation("leaky_relu")
    Activation(name='leaky_relu', parameter=0.01)
    >>> Activation("relu")([-1.0, 2.0])
    array([0., 2.])
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

    def __call__(self, z: ArrayLike) -> NDArray[Any]:
        """Evaluate the activation, as the compiled kernels do.

        Parameters
        ----------
        z : array-like of real numbers
            Preactivations of any shape; for softmax, scores along the last axis.

        Returns
        -------
        ndarray
            A new array of z's shape: float32 if z is, otherwise float64.

        Raises
        ------
        TypeError
            If z does not contain real numbers.
        """
        array = np.asarray(z)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"z: expected real numbers; got {checks.describe(z)}")
        y = np.array(array, np.float32 if array.dtype == np.float32 else np.float64, order="C")
        if self.name == "softmax":
            from scipy.special import softmax

            return np.asarray(softmax(y, axis=-1))
        if y.size:
            engine.apply_activation(self.code, self.parameter or 0.0, y.reshape(-1))
        return y

    @property
    def code(self) -> codes.Activation:
        """Member of the enum `fastnn_ext.codes.Activation`."""
        return codes.Activation[self.name.upper()]


def leaky_relu(slope: float = 0.01) -> Activation:
    """Leaky ReLU: z if z > 0, otherwise `slope * z`.

    A. Maas, A. Hannun, A. Ng, "Rectifier nonlinearities improve neural network acoustic models",
    ICML workshop 2013.

    Parameters
    ----------
    slope : float, default 0.01
        Derivative for z ≤ 0, at least 0.

    Returns
    -------
    Activation

    Examples
    --------
    >>> leaky_relu(0.2)
    Activation(name='leaky_relu', parameter=0.2)
    """
    return Activation("leaky_relu", slope)


def elu(alpha: float = 1.0) -> Activation:
    """Exponential linear unit: z if z > 0, otherwise `alpha * (exp(z) - 1)`.

    D.-A. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by
    exponential linear units (ELUs)", ICLR 2016.

    Parameters
    ----------
    alpha : float, default 1.0
        Minus the limit for z → -∞, at least 0.

    Returns
    -------
    Activation

    Examples
    --------
    >>> elu().parameter
    1.0
    """
    return Activation("elu", alpha)


def resolve(value: str | Activation) -> Activation:
    """Return the activation for a name or an activation; raise an error for anything else."""
    if isinstance(value, Activation):
        return value
    return Activation(checks.choice("activation", value, NAMES))
