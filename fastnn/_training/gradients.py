"""The gradient of the objective, for other optimizers and for study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine import native
from fastnn._training.jobs import make_full_batch_job
from fastnn._training.source import Arrays
from fastnn._training.state import NetworkState, get_parameters, get_views
from fastnn.losses import Loss

Array = NDArray[Any]


def make_objective(
    state: NetworkState, loss: Loss, arrays: Arrays, *, training: bool = False,
    engine: str = "native", n_threads: int | None = None,
) -> Callable[[], tuple[float, Array]]:  # fmt: skip
    """A function that returns the objective of all rows and its gradient (n_params,), at the
    current parameters of a network."""
    job, parameters = make_full_batch_job(state, loss, arrays), get_parameters(state)
    if engine == "native":
        return native.make_objective(job, parameters, training, n_threads)
    from fastnn import reference

    rows = np.arange(len(job.X)) if job.rows is None else job.rows

    def compute() -> tuple[float, Array]:
        value, gradients = reference.loss_and_gradients(job, parameters, rows, 0, training)
        return value, reference.join(*gradients)

    return compute


def compute_gradients(
    state: NetworkState, loss: Loss, arrays: Arrays, *, training: bool, engine: str,
    n_threads: int | None,
) -> tuple[float, dict[str, list[Array | None]]]:  # fmt: skip
    """Objective and gradients of weights and biases; see `Sequential.loss_and_gradients`."""
    value, flat = make_objective(
        state, loss, arrays, training=training, engine=engine, n_threads=n_threads
    )()
    weights, biases = get_views(state, flat)
    return value, {"weights": list(weights), "biases": biases}
