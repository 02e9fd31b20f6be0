"""A lower bound of the time of a training step on this machine: the sum of

    t_gemm = FLOP of the matrix multiplications / peak
    t_act  = batch * hidden units * cycles per activation / (clock * cores)
    t_opt  = parameters * max(cycles per update / (clock * cores), bytes / bandwidth)
    t_in   = bytes of the batch's inputs / bandwidth

This assumes that all cores are always busy, matrix multiplication runs at its peak, and nothing
else is done. No library reaches the bound; it shows how much could still be gained. The bandwidth
is that of memory for data larger than the last-level cache, otherwise that of the cache. The peak
of all cores is the peak of one core times their number, because on a busy machine the peak of one
core can be measured well and that of all cores cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

import machine
from cases import TrainingCase

# Both common designs, one 512-bit or two 256-bit FMA units, compute 32 float32 FLOP per cycle.
FLOPS_PER_CYCLE = 32
CACHE_BYTES_PER_CYCLE = 20  # of one core, from the last-level cache

# Cycles per float32 element in full vectors. relu is counted as free: it is part of the last
# instruction of the matrix multiplication. A tanh is about ten multiply-adds and a division.
ACTIVATION_CYCLES = {"relu": 0.0, "tanh": 1.0}
# Cycles per parameter (Adam: a square root and a division), and elements read and written.
UPDATE_CYCLES = {"sgd": 0.3, "momentum": 0.6, "adam": 1.25}
UPDATE_ELEMENTS = {"sgd": 2, "momentum": 4, "adam": 6}


@dataclass(frozen=True)
class Machine:
    """The speeds of a machine."""

    cores: int
    flops: float  # float32 FLOP per second of all cores: one core's times the number of cores
    clock: float  # cycles per second, estimated
    bandwidth: float  # bytes per second, all cores
    last_cache: int

    @classmethod
    def of(cls, peaks: dict[str, float]) -> Machine:
        """Make a machine from the result of `peaks.measure`."""
        return cls(
            cores=int(peaks["cores"]), flops=peaks["flops_1"] * peaks["cores"],
            clock=peaks["flops_1"] / FLOPS_PER_CYCLE, bandwidth=peaks["bandwidth_all"],
            last_cache=machine.get_last_cache(),
        )  # fmt: skip

    def transfer(self, n_bytes: float, resident: float) -> float:
        """Seconds to move `n_bytes` of a data set of `resident` bytes."""
        cached = CACHE_BYTES_PER_CYCLE * self.clock * self.cores
        return n_bytes / (cached if resident <= self.last_cache else self.bandwidth)


def compute_floor(case: TrainingCase, on: Machine) -> float:
    """The lower bound of the time of a training step, in seconds."""
    net, size = case.net, {"float32": 4, "float64": 8}[case.dtype]
    slower = size / 4
    cycles = on.clock * on.cores / slower
    gemm = case.batch * net.flops_per_row * slower / on.flops
    activations = case.batch * net.hidden * ACTIVATION_CYCLES[net.activation] / cycles
    moved = net.n_parameters * UPDATE_ELEMENTS[case.optimizer] * size
    # Adam moves 24 bytes per float32 parameter and keeps 12: the parameter and two moments.
    update = max(
        net.n_parameters * UPDATE_CYCLES[case.optimizer] / cycles, on.transfer(moved, moved / 2)
    )
    row = net.widths[0] * size
    return gemm + activations + update + on.transfer(case.batch * row, case.rows * row)
