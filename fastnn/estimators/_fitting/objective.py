"""The objectives of estimators, in scikit-learn's units and in the engine's.

scikit-learn's losses are sums over the outputs of a row, the engine's are means; scikit-learn's
squared error is halved, the engine's is not. The engine minimizes the same function up to the
factor `gradient_scale`. Penalties, SGD's learning rate, Adam's epsilon and gradient clipping are
converted by this factor, so that the weights take the same path. `loss_` and the loss curves are
`reported_scale` times the engine's loss plus `offset`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from fastnn import losses
from fastnn.losses import CrossEntropy, Huber, Loss, Quantile

REGRESSION_LOSSES = (
    "squared_error", "absolute_error", "huber", "poisson", "quantile", "gaussian_nll",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A loss, and the activation (`head`) and number of outputs of the last layer."""

    loss: Loss
    head: str
    n_outputs: int
    gradient_scale: float = 1.0
    reported_scale: float = 1.0
    offset: float = 0.0

    def convert_loss(self, loss: float) -> float:
        """Convert the engine's loss to the estimator's units."""
        return self.reported_scale * loss + self.offset


def make_classification_objective(kind: str, n_classes: int, label_smoothing: float) -> Objective:
    """Cross-entropy: of a softmax for more than two classes, otherwise of one sigmoid per label."""
    if kind == "multiclass":
        return Objective(loss=CrossEntropy(label_smoothing), head="softmax", n_outputs=n_classes)
    n = n_classes if kind == "multilabel" else 1
    return Objective(
        loss=losses.BinaryCrossEntropy(), head="sigmoid", n_outputs=n, gradient_scale=float(n),
        reported_scale=float(n),
    )  # fmt: skip


def make_regression_objective(
    name: str, quantile: float, delta: float, y: NDArray[Any], weights: NDArray[Any] | None
) -> Objective:
    """A regression loss for targets y (n, m)."""
    m = y.shape[1]
    parametric: dict[str, Loss] = {"quantile": Quantile(quantile), "huber": Huber(delta)}
    loss = parametric.get(name) or losses.resolve(name)
    reported_scale = 0.5 if name == "squared_error" else 1.0
    offset = 0.0
    if name == "poisson":  # half the deviance, which is 0 for a perfect fit
        rows = (xlogy(y, y) - y).mean(axis=1, dtype=np.float64)
        offset = float(np.average(rows, weights=weights))
    return Objective(
        loss=loss,
        head="exp" if name == "poisson" else "linear",
        n_outputs=2 * m if name == "gaussian_nll" else m,
        gradient_scale=m * reported_scale,
        reported_scale=reported_scale,
        offset=offset,
    )
