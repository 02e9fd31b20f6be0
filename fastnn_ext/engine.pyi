"""Signatures of the compiled engine; the text stands in engine.pyx."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]
_Floats = NDArray[np.float64]

class CompiledPlan:
    def __init__(self, layers: _Array, buffers: _Array, settings: _Array) -> None: ...

class Trainer:
    n_made: int
    def __init__(
        self,
        plan: CompiledPlan,
        params: _Array,
        slots: _Array,
        work: _Array,
        X: _Array,
        y: _Array,
        sample_weight: _Array | None,
        rows: NDArray[np.intp] | None,
        order: NDArray[np.intp],
        row_losses: _Floats,
        row_sums: _Floats,
        *,
        batch_size: int,
        shuffles: bool,
        seed: int,
        life_epoch: int,
        life_step: int,
        updates: bool,
        drops: bool,
        sparse: bool,
        clock_every: int,
        check: Callable[[], object],
    ) -> None: ...
    def run(
        self,
        rates: _Floats,
        losses: _Floats,
        totals: _Floats,
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

class Predictor:
    def __init__(
        self,
        plan: CompiledPlan,
        params: _Array,
        small: int,
        slice: int,
        choose: Callable[[int | None, int], int],
        record: Callable[[int, int, float], None],
        check: Callable[[], object],
        allocate: Callable[[int], _Array],
    ) -> None: ...
    def __call__(
        self, X: Any, out: Any, check_finite: bool, n_threads: int | None
    ) -> _Array | None: ...

def shuffled(
    order: NDArray[np.intp], rows: NDArray[np.intp] | None, seed: int, epoch: int
) -> None: ...
def activation(code: int, parameter: float, z: _Array) -> None: ...
def slope(code: int, parameter: float, saved: _Array, dy: _Array) -> None: ...
def address(array: _Array) -> int: ...
def max_threads() -> int: ...
def is_child() -> bool: ...
def has_openmp() -> bool: ...
