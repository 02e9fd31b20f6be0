"""Derivatives on the compiled engine: the workspace, the size of its blocks, and the threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine import cost_model
from fastnn._engine.native import allocate_workspace, make_thread_chooser
from fastnn._engine.plan import Plan
from fastnn._parallel import limits
from fastnn_ext.codes import Derivative
from fastnn_ext.engine import Differentiator

Array = NDArray[Any]

# The directions of a block take at most this much memory, so that they stay in L2: 1,000 Hessians
# of 8-64-64-1 took the same time with 128 KB and 256 KB, and 1.2 times as long with 1 MB.
BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Block:
    """The rows and directions of a block, and where a thread keeps their arrays; see
    `DerivativeMemory` in fastnn_ext/derivatives.pxd."""

    rows: int
    directions: int
    memory: dict[str, int]
    work_size: int


def lay_out_block(plan: Plan, kind: Derivative, n_directions: int) -> Block:
    """The block for derivatives of a kind. A Hessian needs all directions of a row together."""
    strides = plan.buffers["stride"].tolist()
    values, width = int(plan.settings["panels"][0]), sum(strides)
    fitting = max(1, BLOCK_BYTES // (width * plan.dtype.itemsize))
    is_hessian = kind == Derivative.HESSIAN
    directions = n_directions if is_hessian else min(n_directions, fitting)
    rows = min(max(1, fitting // directions), plan.microbatch_rows)
    memory, position = {}, plan.work_size
    for name, size in {
        "slopes": values,
        "curvatures": values * is_hessian,
        "directions": rows * directions * width,
        "scaled": plan.n_features * max(strides) * is_hessian,
        "hessians": rows * plan.n_features * strides[0] * is_hessian,
    }.items():
        memory[name] = position
        position += size
    return Block(rows, directions, memory, position)


def make_differentiator(
    plan: Plan, parameters: Array, kind: Derivative, *, takes_seeds: bool = False
) -> Differentiator:
    """A function that returns derivatives of a kind, in all directions or, if `takes_seeds`, in one
    for each row; see `engine.Differentiator`. With the plan of a loss, it returns the gradients of
    the losses of the rows."""
    by_inputs = kind in (Derivative.FORWARD, Derivative.HESSIAN)
    n_directions = plan.n_features if by_inputs else plan.n_outputs
    if takes_seeds or not plan.predicts_only:
        n_directions = 1
    block = lay_out_block(plan, kind, n_directions)
    flops = cost_model.estimate_derivative_flops(plan.layers, n_directions, plan.n_features, kind)
    choose, record = make_thread_chooser((plan, kind, n_directions), flops)
    return Differentiator(
        plan.compiled, parameters, kind, block.memory,
        _find_shape(plan, kind, takes_seeds or not plan.predicts_only),
        takes_seeds=takes_seeds, n_directions=n_directions, block_rows=block.rows,
        block_directions=block.directions, small_rows=int(cost_model.SMALL_FLOPS / flops),
        slice_rows=max(block.rows, int(cost_model.SLICE_FLOPS / flops)), choose=choose,
        record=record, check=limits.check_cancelled, allocate=_make_allocator(plan, block),
    )  # fmt: skip


def _find_shape(plan: Plan, kind: Derivative, single: bool) -> tuple[int, ...]:
    """The shape of the result for one row; `single`: for one direction."""
    outputs = () if single else (plan.n_outputs,)
    return {
        Derivative.FORWARD: (plan.n_outputs,) if single else (plan.n_outputs, plan.n_features),
        Derivative.REVERSE: (*outputs, plan.n_features),
        Derivative.HESSIAN: (plan.n_features, plan.n_features),
        Derivative.PARAMETERS: (*outputs, plan.n_params),
    }[kind]


def _make_allocator(plan: Plan, block: Block) -> Callable[[int], Array]:
    return lambda n_threads: allocate_workspace(block.work_size, plan.dtype, n_threads)


def compute_loss_gradients(
    differentiator: Differentiator, X: Array, y: Array, weights: Array | None, out: Array | None,
    n_threads: int | None,
) -> Array:  # fmt: skip
    """The gradients (n, n_params) of the losses of the rows of checked arrays."""
    losses = np.empty(len(X))
    result = differentiator(X, None, 0, out, False, n_threads, y, weights, losses)
    assert result is not None
    return result
