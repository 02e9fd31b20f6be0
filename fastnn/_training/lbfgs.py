"""L-BFGS on all rows, by SciPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._training.gradients import make_objective
from fastnn._training.loop import NonFiniteLossError
from fastnn._training.source import Arrays
from fastnn._training.state import NetworkState, get_parameters
from fastnn._util.conversion import all_finite
from fastnn.losses import Loss

Array = NDArray[Any]

# The workspace that OpenBLAS, which scipy calls, allocates at its first call: 32 MiB and a page. If
# that allocation fails, OpenBLAS retries forever (0.3.30) or ends the process (later versions).
# Allocating as much beforehand raises MemoryError instead; the memory is not touched. Up to 4 MiB
# were allocated by others in between (SciPy 1.17): without the additional 8 MiB, limits of 34 to 36
# MiB hung.
BLAS_WORKSPACE_BYTES = 2**25 + 2**23


def minimize(
    state: NetworkState, loss: Loss, arrays: Arrays, options: Mapping[str, Any],
    after: Callable[[float], bool], *, scale: float = 1.0, engine: str = "native",
    n_threads: int | None = None,
) -> Any:  # fmt: skip
    """Minimize `scale` times the loss of all rows; returns scipy's result. `options` are those of
    scipy's L-BFGS-B.

    `after` is called with the loss after each iteration, which counts as one step; training stops
    if it returns True. After an error the network has the weights of the last completed iteration.

    Raises
    ------
    NonFiniteLossError
        If the weights became infinite or NaN; the network then has its initial weights.
    """
    from scipy.optimize import minimize as scipy_minimize

    parameters = get_parameters(state)
    evaluate = make_objective(state, loss, arrays, engine=engine, n_threads=n_threads)

    def value_and_gradient(x: Array) -> tuple[float, Array]:
        parameters[:] = x
        value, gradient = evaluate()
        return scale * value, scale * gradient.astype(np.float64)

    accepted = parameters.copy()

    def after_iteration(intermediate_result: Any) -> None:
        accepted[:] = intermediate_result.x
        parameters[:], state.n_steps = accepted, state.n_steps + 1
        if after(intermediate_result.fun / scale):
            raise StopIteration

    np.empty(BLAS_WORKSPACE_BYTES, np.uint8)
    start, n_steps = parameters.astype(np.float64), state.n_steps
    try:
        result = scipy_minimize(
            value_and_gradient, start, method="L-BFGS-B", jac=True, options=dict(options),
            callback=after_iteration,
        )  # fmt: skip
    except BaseException:
        parameters[:] = accepted
        raise
    parameters[:] = result.x
    if not all_finite(parameters):
        parameters[:], state.n_steps = start, n_steps
        raise NonFiniteLossError("the loss became non-finite in L-BFGS")
    return result
