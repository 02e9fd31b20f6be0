"""Signatures of the compiled engine; engine.pyx has the docstrings."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]
_Floats = NDArray[np.float64]

class CompiledPlan:
    def __init__(self, layers: _Array, buffers: _Array, settings: _Array) -> None: ...

class CompiledRows:
    def __init__(
        self,
        values: _Array,
        columns: NDArray[np.int32],
        starts: NDArray[np.intp],
        rows: NDArray[np.intp] | None = None,
        column_starts: NDArray[np.int32] | None = None,
        entry_rows: NDArray[np.int32] | None = None,
        entry_values: _Array | None = None,
        touched: NDArray[np.uint8] | None = None,
    ) -> None: ...

class Trainer:
    n_steps_done: int
    def __init__(
        self,
        plan: CompiledPlan,
        params: _Array,
        slots: _Array,
        work: _Array,
        X: _Array | CompiledRows,
        y: _Array,
        sample_weight: _Array | None,
        rows: NDArray[np.intp] | None,
        permutation: NDArray[np.intp],
        row_losses: _Floats,
        row_sums: _Floats,
        gradient_targets: _Array | None,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        epoch_offset: int,
        step_offset: int,
        apply_update: bool,
        dropout_active: bool,
        sparse: bool,
        clock_every: int,
        check: Callable[[], object],
    ) -> None: ...
    def run(
        self,
        rates: _Floats,
        losses: _Floats,
        batch_weights: _Floats,
        first_step: int,
        optimizer_step: int,
        seconds: float,
        n_threads: int,
    ) -> None: ...

def evaluate(
    plan: CompiledPlan,
    params: _Array,
    work: _Array,
    X: _Array,
    y: _Array,
    out: _Array,
    row_losses: _Floats,
) -> None: ...
def predict_sparse(
    plan: CompiledPlan,
    params: _Array,
    work: _Array,
    X: CompiledRows,
    y: _Array | None,
    first: int,
    last: int,
    out: _Array,
    row_losses: _Floats | None,
) -> None: ...

class Predictor:
    def __init__(
        self,
        plan: CompiledPlan,
        params: _Array,
        small_rows: int,
        slice_rows: int,
        choose: Callable[[int | None, int], int],
        record: Callable[[int, int, float], None],
        check: Callable[[], object],
        allocate: Callable[[int], _Array],
    ) -> None: ...
    def __call__(
        self, X: Any, out: Any, check_finite: bool, n_threads: int | None
    ) -> _Array | None: ...

class Differentiator:
    def __init__(
        self,
        plan: CompiledPlan,
        params: _Array,
        kind: int,
        memory: dict[str, int],
        shape: tuple[int, ...],
        *,
        takes_seeds: bool,
        n_directions: int,
        block_rows: int,
        block_directions: int,
        small_rows: int,
        slice_rows: int,
        choose: Callable[[int | None, int], int],
        record: Callable[[int, int, float], None],
        check: Callable[[], object],
        allocate: Callable[[int], _Array],
    ) -> None: ...
    def __call__(
        self,
        X: Any,
        seeds: Any,
        output: int,
        out: Any,
        check_finite: bool,
        n_threads: int | None,
        y: _Array | None = None,
        sample_weight: _Array | None = None,
        row_losses: _Floats | None = None,
    ) -> _Array | None: ...

FACTOR_ROWS: int

def accumulate_normal_equations(
    J: _Floats, r: _Floats, A: _Floats, g: _Floats, panels: _Floats
) -> None: ...
def factorize(
    A: _Floats,
    diagonal: _Floats,
    R: _Floats,
    negated: _Floats,
    panels: _Floats,
    check: Callable[[], object],
) -> bool: ...
def solve(R: _Floats, x: _Floats) -> None: ...
def compute_inverse_diagonal(
    R: _Floats, inverse: _Floats, check: Callable[[], object]
) -> list[float]: ...
def fill_permutation(
    permutation: NDArray[np.intp], rows: NDArray[np.intp] | None, seed: int, epoch: int
) -> None: ...
def apply_activation(code: int, parameter: float, z: _Array) -> None: ...
def apply_derivative(code: int, parameter: float, saved: _Array, dy: _Array) -> None: ...
def apply_second_derivative(code: int, parameter: float, saved: _Array, dy: _Array) -> None: ...
def get_address(array: _Array) -> int: ...
def get_max_threads() -> int: ...
def is_child() -> bool: ...
def has_openmp() -> bool: ...
