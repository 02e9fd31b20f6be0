"""The gradient of the objective, for other optimizers and for study."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine import native
from fastnn._training.jobs import make_full_batch_job
from fastnn._training.source import Arrays
from fastnn._training.state import NetworkState, get_parameters, get_views
from fastnn.losses import Loss

Array = NDArray[Any]


def compute_gradients(
    state: NetworkState, loss: Loss, arrays: Arrays, *, training: bool, engine: str,
    n_threads: int | None,
) -> tuple[float, dict[str, list[Array | None]]]:  # fmt: skip
    """Objective and gradients of weights and biases; see `Sequential.loss_and_gradients`."""
    job, parameters = make_full_batch_job(state, loss, arrays), get_parameters(state)
    if engine == "reference":
        from fastnn import reference

        rows = np.arange(len(job.X))
        value, gradients = reference.loss_and_gradients(job, parameters, rows, 0, training)
    else:
        value, flat = native.make_objective(job, parameters, training, n_threads)()
        gradients = get_views(state, flat)
    return value, {"weights": list(gradients[0]), "biases": gradients[1]}
