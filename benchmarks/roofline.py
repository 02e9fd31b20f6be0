"""The shortest time that a training step could take on this machine.

    t_gemm = flops of the products / peak
    t_act  = batch * hidden units * cycles per activation / (clock * cores)
    t_opt  = parameters * max(cycles per update / (clock * cores), bytes / bandwidth)
    t_in   = bytes of the batch's inputs / bandwidth

all cores busy all the time, the products at full peak, nothing else done. No library reaches it;
it says what is left. Bandwidth is that of memory for what does not fit the last cache, that of the
cache otherwise. The peak of all cores is taken as that of one times their number: the product of
one core is measured well on a busy machine, that of all is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import machine
from cases import TrainingCase

# Both common layouts, one 512-bit or two 256-bit multiply-add units, make 32 flops of float32.
FLOPS_PER_CYCLE = 32
CACHE_BYTES_PER_CYCLE = 20  # of a core, from the last cache

# Cycles for a float32 in full vectors; relu is part of the product's last instruction. A tanh is
# some ten multiply-adds and a division.
ACTIVATION_CYCLES = {"relu": 0.0, "tanh": 1.0}
# Cycles per parameter (Adam: a square root and a division), and numbers read and written.
UPDATE_CYCLES = {"sgd": 0.3, "momentum": 0.6, "adam": 1.25}
UPDATE_NUMBERS = {"sgd": 2, "momentum": 4, "adam": 6}


@dataclass(frozen=True)
class Machine:
    """What a floor is computed from."""

    cores: int
    flops: float  # per second and float32, all cores: that of one core times their number
    clock: float  # cycles per second, estimated
    bandwidth: float  # bytes per second, all cores
    last_cache: int

    @classmethod
    def of(cls, peaks: dict[str, float]) -> Machine:
        """From what `peaks.measure` found."""
        return cls(
            cores=int(peaks["cores"]), flops=peaks["flops_1"] * peaks["cores"],
            clock=peaks["flops_1"] / FLOPS_PER_CYCLE, bandwidth=peaks["bandwidth_all"],
            last_cache=machine.last_cache(),
        )  # fmt: skip

    def transfer(self, n_bytes: float, resident: float) -> float:
        """Seconds to move bytes of a set that is so large."""
        cached = CACHE_BYTES_PER_CYCLE * self.clock * self.cores
        return n_bytes / (cached if resident <= self.last_cache else self.bandwidth)


def floor(case: TrainingCase, on: Machine) -> float:
    """Seconds per step."""
    net, size = case.net, {"float32": 4, "float64": 8}[case.dtype]
    slower = size / 4
    cycles = on.clock * on.cores / slower
    products = case.batch * net.flops_per_row * slower / on.flops
    activations = case.batch * net.hidden * ACTIVATION_CYCLES[net.activation] / cycles
    moved = net.n_parameters * UPDATE_NUMBERS[case.optimizer] * size
    # 24 bytes per float32 are moved, 12 are kept: weight and two moments
    update = max(
        net.n_parameters * UPDATE_CYCLES[case.optimizer] / cycles, on.transfer(moved, moved / 2)
    )
    row = net.widths[0] * size
    return products + activations + update + on.transfer(case.batch * row, case.rows * row)
