"""`trace`: one forward and one backward pass, number by number."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from fastnn._training.arguments import resolve_loss
from fastnn._training.arrays import convert_features, convert_targets
from fastnn._training.state import get_parameters, get_plan
from fastnn._util import checks
from fastnn._util.conversion import as_numeric
from fastnn.layers import contains_scale, iterate_dense_layers
from fastnn.losses import Loss
from fastnn.model import Sequential
from fastnn.tracing.text import format_trace

Array = NDArray[np.float64]
FLOAT64 = np.dtype(np.float64)

# Limits of a printed trace: six columns of numbers fit 80 characters, and six layers a few screens.
MAX_ROWS = 4
MAX_UNITS = 6
MAX_DENSE = 6
MAX_DIGITS = 5


@overload
def trace(
    net: Sequential,
    x: Any,
    y: Any,
    *,
    loss: str | Loss = "auto",
    as_dict: Literal[True],
    digits: int = 4,
) -> dict[str, Any]: ...


@overload
def trace(
    net: Sequential,
    x: Any,
    y: Any,
    *,
    loss: str | Loss = "auto",
    as_dict: Literal[False] = False,
    digits: int = 4,
) -> None: ...


def trace(
    net: Sequential,
    x: Any,
    y: Any,
    *,
    loss: str | Loss = "auto",
    as_dict: bool = False,
    digits: int = 4,
) -> dict[str, Any] | None:
    """Print all numbers of one forward and one backward pass, with their formulas.

    The forward pass computes the outputs and the loss L layer by layer; the backward pass computes
    the derivatives of L by the chain rule, from the last layer to the first. They are computed by
    the NumPy reference in float64, with inactive dropout, and equal `predict` and
    `loss_and_gradients` up to rounding. The network does not change.

    Parameters
    ----------
    net : Sequential
        A built network. To be printed, it must have at most 6 features, 6 units in each layer and
        6 Dense layers.
    x : array-like, shape (n_features,) or (n, n_features)
        One row of features, or several rows, at most 4 if they are printed.
    y : scalar or array-like, shape (n_targets,), (n,) or (n, n_targets)
        Its target or targets, as the loss requires them.
    loss : str or Loss, default "auto"
        As for `Sequential.fit`. If the loss takes raw outputs, as cross_entropy after softmax does,
        loss and activation are differentiated as one function, and the trace begins with dL/dz.
    as_dict : bool, default False
        Whether to return the numbers instead of printing them.
    digits : int, default 4
        Number of significant digits to print, from 1 to 5.

    Returns
    -------
    None, or dict if `as_dict`
        With n rows, the keys are

        - "x", shape (n, n_features); "y", the predictions, shape (n, n_outputs)
        - "t": the targets as in the formula of the loss, shape (n, n_targets): probabilities of
          the classes for cross_entropy, 1 and -1 for hinge and perceptron
        - "row losses", shape (n,); "penalty", the l1 and l2 penalties of all layers; "L", the
          mean of the row losses plus the penalty
        - "layers": a list of dicts, one for each layer

        The dict of a layer has the keys "layer", its description such as `Dense`; "x" and "y", its
        inputs and outputs; "dL/dx" and "dL/dy". A Dense layer also has "W", "b", "z", "f'(z)",
        "dL/dz", "dL/dW" (with the penalty) and "dL/db"; where loss and activation are one
        function, "dL/dy" and "f'(z)" are None. A Residual block also has "F(x)", and "layers" for
        its inner layers.

    Raises
    ------
    ValueError, TypeError
        If the network has not been built or is too large to be printed, or a parameter or an array
        is invalid.

    References
    ----------
    D. Rumelhart, G. Hinton, R. Williams, "Learning representations by back-propagating errors",
    Nature 323 (1986), 533-536.

    Examples
    --------
    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(2, "tanh"), fn.Dense(1), dtype="float64").build(2)
    >>> net.weights[0], net.weights[1] = [[0.5, -0.5], [1.0, 0.25]], [[2.0], [-1.0]]
    >>> fn.trace(net, [1.0, 0.5], 1.0)
    Forward pass
    ============
      x                           1  0.5
    Dense 0: 2 -> 2, tanh
      W                           0.5  -0.5
                                    1  0.25
      b                           0  0
      z = x @ W + b               1  -0.375
      y = tanh(z)                 0.7616  -0.3584
    Dense 1: 2 -> 1, linear
      W                            2
                                  -1
      b                           0
      z = x @ W + b               1.882
      y = z                       1.882
    Loss: SquaredError(), where e = y - t
      t                           1
      row loss = e**2             0.7771
      L = row loss                0.7771
    Backward pass
    =============
    Loss: SquaredError(), where e = y - t
      dL/dy = 2 * e               1.763
    Dense 1: 2 -> 1, linear
      dL/dz = dL/dy               1.763
      dL/dW = x.T @ dL/dz           1.343
                                  -0.6318
      dL/db = dL/dz               1.763
      dL/dx = dL/dz @ W.T         3.526  -1.763
    Dense 0: 2 -> 2, tanh
      dL/dy                       3.526  -1.763
      tanh'(z)                    0.42  0.8716
      dL/dz = dL/dy * tanh'(z)    1.481  -1.537
      dL/dW = x.T @ dL/dz          1.481   -1.537
                                  0.7405  -0.7683
      dL/db = dL/dz               1.481  -1.537
      dL/dx = dL/dz @ W.T         1.509  1.097
    """
    checks.instance("net", net, Sequential, "a Sequential")
    checks.flag("as_dict", as_dict)
    digits = checks.whole("digits", digits, at_least=1, at_most=MAX_DIGITS)
    parameters = get_parameters(net.state)
    if contains_scale(net.layers):
        raise ValueError("net: expected a network without Scale; got one with it")
    resolved = resolve_loss(net.layers, loss)
    X, targets = convert_rows(net, x, y, resolved)
    if not as_dict:
        check_size(net, len(X))
    from fastnn.reference import tracing  # needs scipy.special, which `import fastnn` does not load

    record = tracing.trace(net.layers, resolved, parameters, X, targets)
    if as_dict:
        return record
    print(format_trace(record, net.layers, resolved, digits))
    return None


def convert_rows(net: Sequential, x: Any, y: Any, loss: Loss) -> tuple[Array, Array]:
    """Features (n, n_features) and targets (n, n_targets) in float64; one row for a single `x`."""
    row = as_numeric("x", x)
    if row.ndim == 1:
        x, y = row[np.newaxis], as_numeric("y", y).reshape(1, -1)
    X = convert_features(
        x, FLOAT64, n_features=net.n_features_in, names=net.feature_names_in, name="x"
    )
    n_outputs = get_plan(net.state).n_outputs
    return X.copy(), convert_targets(y, loss, len(X), n_outputs, FLOAT64).copy()


def check_size(net: Sequential, n_rows: int) -> None:
    """Raise an error if the numbers of a trace do not fit a screen."""
    dense_layers = list(iterate_dense_layers(net.layers))
    widest = max([net.n_features_in or 0, *(layer.units for layer in dense_layers)])
    for name, what, limit, size in (
        ("x", "rows", MAX_ROWS, n_rows),
        ("net", "features or units in a layer", MAX_UNITS, widest),
        ("net", "Dense layers", MAX_DENSE, len(dense_layers)),
    ):
        if size > limit:
            raise ValueError(
                f"{name}: expected at most {limit} {what}, to print them; got {size} "
                "(as_dict=True returns the numbers)"
            )
