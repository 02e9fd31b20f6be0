"""The engines' descriptions of training runs, and their trainers."""

from __future__ import annotations

from fastnn._engine import native
from fastnn._engine.job import Trainer, TrainingJob
from fastnn._training import restrictions
from fastnn._training.source import Arrays
from fastnn._training.state import NetworkState, get_parameters
from fastnn.losses import Loss
from fastnn.optimizers import SGD, Optimizer


def make_job(
    state: NetworkState, loss: Loss, optimizer: Optimizer, arrays: Arrays, batch_size: int,
    shuffle: str, gradient_weight: float = 0.0,
) -> TrainingJob:  # fmt: skip
    """The engine's description of a training run on checked arrays."""
    restrictions.check_lazy(optimizer, state.layers, arrays.X)
    return TrainingJob(
        layers=state.layers, loss=loss, optimizer=optimizer, X=arrays.X, y=arrays.y,
        sample_weight=arrays.weights, rows=arrays.rows, batch_size=batch_size, shuffle=shuffle,
        seed=state.seed, first_epoch=state.n_epochs, first_step=state.n_steps,
        gradient_targets=arrays.gradients, gradient_weight=gradient_weight,
    )  # fmt: skip


def make_trainer(
    state: NetworkState, job: TrainingJob, engine: str = "native", n_threads: int | None = None
) -> Trainer:
    """The trainer of the given engine, for the parameters and slots of a network."""
    assert state.optimizer is not None
    parameters, slots = get_parameters(state), state.optimizer.slots
    if engine == "reference":
        from fastnn import reference

        return reference.Trainer(job, parameters, slots)
    return native.Trainer(job, parameters, slots.reshape(-1), n_threads)


def make_full_batch_job(state: NetworkState, loss: Loss, arrays: Arrays) -> TrainingJob:
    """A training job with all rows in one batch, not shuffled."""
    return make_job(state, loss, SGD(), arrays, len(arrays), "never")
