"""What an estimator minimizes, in its own units and in the engine's.

scikit-learn's objectives are sums over a row's outputs where the engine's losses are means, and
half of the engine's squared error. The engine minimizes the same function up to a factor,
`gradient_scale`; penalties, SGD's learning rate, Adam's epsilon and clipping are converted with it,
so that the weights go the same way. `loss_` and the curves are `reported_scale` times the engine's
loss, plus `offset`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from fastnn import losses
from fastnn.losses import CrossEntropy, Huber, Loss, Quantile

REGRESSION = ("squared_error", "absolute_error", "huber", "poisson", "quantile", "gaussian_nll")


@dataclass(frozen=True)
class Objective:
    """A loss on the outputs of a last layer with the activation `head`."""

    loss: Loss
    head: str
    n_outputs: int
    gradient_scale: float = 1.0
    reported_scale: float = 1.0
    offset: float = 0.0

    def reported(self, loss: float) -> float:
        """An engine's loss in the estimator's units."""
        return self.reported_scale * loss + self.offset


def classification(kind: str, n_classes: int, label_smoothing: float) -> Objective:
    """Cross-entropy: of one softmax, or of a sigmoid for each label."""
    if kind == "multiclass":
        return Objective(CrossEntropy(label_smoothing), "softmax", n_classes)
    n = n_classes if kind == "multilabel" else 1
    return Objective(losses.BinaryCrossEntropy(), "sigmoid", n, float(n), float(n))


def regression(
    name: str, quantile: float, delta: float, y: NDArray[Any], weights: NDArray[Any] | None
) -> Objective:
    """A loss of numbers, (n, m)."""
    m = y.shape[1]
    special: dict[str, Loss] = {"quantile": Quantile(quantile), "huber": Huber(delta)}
    loss = special.get(name) or losses.resolve(name)
    reported = 0.5 if name == "squared_error" else 1.0
    head = "exp" if name == "poisson" else "linear"
    offset = 0.0
    if name == "poisson":  # half the deviance, which is 0 for a perfect fit
        rows = (xlogy(y, y) - y).mean(axis=1, dtype=np.float64)
        offset = float(np.average(rows, weights=weights))
    outputs = 2 * m if name == "gaussian_nll" else m
    return Objective(loss, head, outputs, m * reported, reported, offset)
