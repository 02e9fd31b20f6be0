"""The diagnostics of a fit: `Sequential.fit(diagnostics=True)`.

Decisions
  a. Gradients and activations are measured between epochs, by a probe on a sample of the training
     rows, not during the training steps: the kernels of training are the same with and without
     diagnostics, and so are the bits of the trained weights.
  b. A measurement takes a known amount of work, which is bounded by choosing the epochs that are
     measured: the first, the last, and every k-th, where k depends only on the number of epochs and
     the sizes of the network and of the data. The values do not depend on time or on the number of
     threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import activations
from fastnn._engine.job import TrainingJob
from fastnn._engine.plan import Plan
from fastnn._engine.probe import Probe
from fastnn._training import data_facts
from fastnn._training.state import NetworkState, get_evaluation_plan, get_parameters
from fastnn.callbacks import Epoch, Network
from fastnn.history import History
from fastnn.layers import iterate_dense_layers

Array = NDArray[Any]

# Rows whose activations are measured: the largest of these numbers that does not cost too much. A
# unit that is active for 2 % of the rows counts as dead with a probability of 0.6 % (256 rows) to
# 27 % (64 rows).
PROBE_ROWS = (256, 128, 64)

# Facts about data and predictions are derived from at most this many rows and elements of X, and
# from at most this fraction of the rows of all epochs, but from as many rows as are measured.
FACT_ROWS, FACT_ELEMENTS, FACT_FRACTION = 4096, 2**20, 1 / 80

# Work of the fewest measurements as a fraction of that of the fit, and work of a further
# measurement as a fraction of that of the epochs since the last one, estimated in FLOP at the rate
# of large matrix multiplications; small networks reach a quarter to half of it. A fit of at least
# half a second took 3 to 5 % longer with diagnostics, one of 0.14 s 7 % (benchmarks/FIT.md).
LEAST_FRACTION, INNER_FRACTION = 1 / 50, 1 / 100
# A fit is measured at least so often, however short it is; a measurement takes about a millisecond.
FEWEST_MEASUREMENTS = 10
LAYER_FLOPS = 4e6  # of NumPy's calls per measurement and layer
ELEMENT_FLOPS = 200  # of NumPy's passes over parameters and activations, per element

# A sigmoid or tanh is saturated where its derivative is below this fraction of its maximum:
# |z| > 4.4 for sigmoid, |z| > 2.2 for tanh.
SATURATED_FRACTION = 0.05


class Diagnostics:
    """The measurements of one fit, made as a callback (`callbacks.Running`)."""

    def __init__(self, state: NetworkState, job: TrainingJob, epochs: int) -> None:
        self.state, self.job, self.epochs = state, job, epochs
        n_facts = min(
            FACT_ROWS, FACT_ELEMENTS // job.X.shape[1], int(job.n_samples * epochs * FACT_FRACTION)
        )
        self.fact_rows = data_facts.choose_rows(job, max(PROBE_ROWS[0], n_facts))
        self.data = data_facts.measure_data(job, self.fact_rows)
        plan = get_evaluation_plan(state, job.loss, job.y.shape[1])
        n_rows = choose_n_rows(plan, job.n_samples * epochs)
        self.interval = min(
            choose_interval(plan, job.n_samples, n_rows),
            max(1, math.ceil(epochs / FEWEST_MEASUREMENTS)),
        )  # fmt: skip
        self.probe = Probe(job, get_parameters(state), data_facts.choose_rows(job, n_rows))
        self.parameters = get_parameters(state).copy()  # at the last measurement
        self.n_steps = state.n_steps  # at the last measurement
        self._norms = [math.nan] * len(self.probe.activations)  # at the last measurement
        self.epoch = 0  # number of epochs since the start of the fit
        self.initial = self._measure() if epochs else []

    def after(self, epoch: Epoch) -> None:
        """Measure the network if it is due."""
        self.epoch = epoch.index + 1
        if self._is_due(self.epoch) or epoch.stop_reason is not None:
            self._record(self._measure())

    def quiet_epochs(self) -> float:
        """Number of epochs before the next that is measured."""
        due = next(e for e in range(self.epoch + 1, self.epoch + self.interval + 1)
                   if self._is_due(e))  # fmt: skip
        return due - self.epoch - 1

    def finish(self, network: Network) -> None:
        """Nothing remains to be measured."""

    def complete(self, history: History) -> None:
        """Add the facts about data and predictions to the history of the fit."""
        self._record([])
        history.data = self.data
        history.outputs = data_facts.measure_outputs(self.state, self.job, self.fact_rows)

    def _is_due(self, epoch: int) -> bool:
        return epoch % self.interval == 0 or epoch == self.epochs

    def _record(self, rows: list[dict[str, Any]]) -> None:
        assert self.state.history is not None
        self.state.history.layer_rows.extend(self.initial + rows)
        self.initial = []

    @np.errstate(all="ignore")
    def _measure(self) -> list[dict[str, Any]]:
        """The rows of `History.layers` for the current parameters."""
        measured = self.probe.measure()
        parameters = get_parameters(self.state)
        n_steps = self.state.n_steps - self.n_steps
        rows = []
        dense = iterate_dense_layers(self.state.layers)
        parts = self.probe.parameter_slices
        for index, (layer, part) in enumerate(zip(dense, parts, strict=True)):
            change, before = _norm(parameters[part] - self.parameters[part]), self._norms[index]
            weight_norm = self._norms[index] = _norm(parameters[part])
            rows.append({
                "epoch": self.epoch, "layer": index, "units": layer.units,
                "activation": activations.resolve(layer.activation).name,
                "parameters": part.stop - part.start,
                "gradient_norm": _norm(measured.gradient[part]),
                "weight_norm": weight_norm,
                "update_ratio": change / n_steps / before if n_steps and before else math.nan,
                **describe_outputs(self.probe.activations[index], measured.outputs[index]),
            })  # fmt: skip
        self.parameters[:], self.n_steps = parameters, self.state.n_steps
        return rows


def choose_n_rows(plan: Plan, n_trained: int) -> int:
    """The number of rows to measure in a fit that processes n_trained rows in all its epochs."""
    allowed = LEAST_FRACTION * plan.flops_per_row * n_trained
    fitting = (n for n in PROBE_ROWS if FEWEST_MEASUREMENTS * estimate_flops(plan, n) <= allowed)
    return next(fitting, PROBE_ROWS[-1])


def choose_interval(plan: Plan, n_samples: int, n_rows: int) -> int:
    """The number of epochs of n_samples rows between two measurements of n_rows rows."""
    return max(1, math.ceil(
        estimate_flops(plan, n_rows) / (INNER_FRACTION * plan.flops_per_row * n_samples)
    ))  # fmt: skip


def estimate_flops(plan: Plan, n_rows: int) -> float:
    """Work of a measurement, in FLOP at the rate of matrix multiplications."""
    n_elements = plan.n_params + n_rows * int(plan.layers["n_out"].sum())
    return (
        plan.flops_per_row * n_rows + LAYER_FLOPS * len(plan.parameter_offsets)
        + ELEMENT_FLOPS * n_elements
    )  # fmt: skip


def describe_outputs(name: str, outputs: Array) -> dict[str, float]:
    """The columns of `History.layers` about outputs (n_rows, units) of the activation `name`."""
    dead = saturated = math.nan
    if name == "relu":
        dead = float(np.mean(~outputs.any(axis=0)))
    elif name == "tanh":
        saturated = float(np.mean(1 - np.square(outputs) < SATURATED_FRACTION))
    elif name in ("sigmoid", "hard_sigmoid"):
        saturated = float(np.mean(4 * outputs * (1 - outputs) < SATURATED_FRACTION))
    values = outputs.astype(np.float64)
    mean = float(values.mean())
    std = math.sqrt(float(np.square(values - mean).mean()))
    return {"dead": dead, "saturated": saturated, "mean": mean, "std": std}


def _norm(values: Array) -> float:
    """The Euclidean norm, summed in float64 and, unlike BLAS, in a fixed order."""
    return math.sqrt(float(np.square(values, dtype=np.float64).sum()))
