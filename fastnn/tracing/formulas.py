"""The formulas of losses as text, beside the numbers of a trace.

They are Python expressions of one output and its target t; tests evaluate them and compare them
with fastnn/reference/losses.py. `{y}` stands for the argument of the loss: y, or z if the loss
takes raw outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastnn.losses import Loss, Poisson, get_name


@dataclass(frozen=True)
class Formula:
    """A loss of one output and its derivative. With `is_mean`, the loss of a row is the mean over
    its outputs; otherwise it is the value itself."""

    definition: str  # of a symbol in the other two
    value: str
    derivative: str
    is_mean: bool = True


ERROR = "e = {y} - t"

FORMULAS = {
    "squared_error": Formula(ERROR, "e**2", "2 * e"),
    "absolute_error": Formula(ERROR, "abs(e)", "sign(e)"),
    "huber": Formula(
        ERROR,
        "e**2 / 2 if abs(e) <= delta else delta * (abs(e) - delta / 2)",
        "clip(e, -delta, delta)",
    ),
    "log_cosh": Formula(ERROR, "log(cosh(e))", "tanh(e)"),
    "quantile": Formula(
        f"q = quantile, {ERROR}",
        "(-q if e < 0 else 1 - q) * e",
        "(-q if e < 0 else 1 - q if e > 0 else 0)",
    ),
    "poisson": Formula("rate = exp({y})", "rate - t * log(rate)", "(rate - t)"),
    "gaussian_nll": Formula(
        "{y} = (m, s), s = log(variance), e = m - t",
        "(s + e**2 * exp(-s)) / 2",
        "(e * exp(-s), (1 - e**2 * exp(-s)) / 2)",
    ),
    "binary_cross_entropy": Formula(
        "p = sigmoid({y})", "-t * log(p) - (1 - t) * log(1 - p)", "(p - t)"
    ),
    "cross_entropy": Formula("p = softmax({y})", "-sum(t * log(p))", "(p - t)", is_mean=False),
    "hinge": Formula("t = 1 or -1", "max(0, 1 - t * {y})", "(-t if t * {y} < 1 else 0)"),
    "perceptron": Formula("t = 1 or -1", "max(0, -t * {y})", "(-t if t * {y} <= 0 else 0)"),
}

POISSON_SOFTPLUS = Formula(
    "rate = softplus({y})", "rate - t * log(rate)", "(1 - t / rate) * sigmoid({y})"
)


def get_formula(loss: Loss, activation: str, argument: str) -> Formula:
    """The formula of a loss after the given activation of the last layer. `argument` is the name of
    its argument, "y" or "z"."""
    formula = FORMULAS[get_name(loss)]
    if isinstance(loss, Poisson) and activation == "softplus":
        formula = POISSON_SOFTPLUS
    return replace(
        formula,
        definition=formula.definition.format(y=argument),
        value=formula.value.format(y=argument),
        derivative=formula.derivative.format(y=argument),
    )
