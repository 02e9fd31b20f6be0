"""A fit of one network from the user's arguments: all of them checked, nothing begun."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn import callbacks as callbacks_module
from fastnn import optimizers
from fastnn._engine import native
from fastnn._engine.job import Job, Trainer
from fastnn._engine.plan import Plan, compile_plan
from fastnn._training import arrays, class_weights, scoring
from fastnn._training.exclusive import exclusive
from fastnn._training.loop import OptimizerState, run_epochs
from fastnn._util import checks
from fastnn.callbacks import Callback, Running
from fastnn.history import History
from fastnn.losses import Loss
from fastnn.optimizers import Optimizer

if TYPE_CHECKING:
    from fastnn.model import Sequential

Array = NDArray[Any]
Rows = NDArray[np.intp]

ENGINES = ("native", "reference")
SHUFFLES = {True: "epoch", False: "never", "epoch": "epoch", "once": "once", "never": "never"}


# From so many bytes of parameters, gradients and slots on, a network is trained on all threads
# instead of beside another one. Measured on two cores, all threads against side by side, for two
# networks: 1.12 times as long at 2 MB each, 1.26 at 4, 1.07 at 10, 1.13 at 28, 0.93 at 89 MB, which
# no longer fit the outer cache together.
WIDE_BYTES = 48 * 2**20


@dataclass(frozen=True)
class Source:
    """The user's arrays, checked and converted for whoever asks."""

    names: tuple[str, ...] | None  # of X's columns
    features: Callable[..., Array]  # (dtype, n_features, names)
    targets: Callable[..., Array]  # (loss, n_rows, n_outputs, dtype)
    weights: Callable[..., Array | None]  # (n_rows, dtype)


def source(X: Any, y: Any, sample_weight: Any, check_finite: bool, of: str = "") -> Source:
    """`of` names the argument that holds these arrays in errors."""
    checks.flag("check_finite", check_finite)
    return Source(
        arrays.feature_names(X),
        partial(arrays.features, X, finite=check_finite, name=f"X{of}"),
        partial(arrays.targets, y, finite=check_finite, name=f"y{of}"),
        partial(arrays.weights, sample_weight, name=f"sample_weight{of}"),
    )


def remembering(given: Source) -> Source:
    """The same for many networks: each array is checked and converted once for every dtype, width
    and loss."""
    return Source(given.names, cache(given.features), cache(given.targets), cache(given.weights))


@dataclass(frozen=True)
class Arrays:
    """Rows as an engine reads them, those that `rows` names where it is not None."""

    X: Array
    y: Array
    weights: Array | None
    rows: Rows | None = None

    def __len__(self) -> int:
        return len(self.X if self.rows is None else self.rows)

    def only(self, rows: Rows) -> Arrays:
        """Some of the rows."""
        return Arrays(self.X, self.y, self.weights, rows)


def prepare(network: Sequential, given: Source, loss: Loss) -> tuple[Plan, Arrays]:
    """The arrays for a network; the plan is that of a network built for them."""
    features = given.features(
        network.dtype, n_features=network.n_features_in, names=network.feature_names_in
    )
    plan = network._plans.get(None)
    if plan is None:
        plan = compile_plan(network.layers, features.shape[1], network.dtype)
    n = len(features)
    targets = given.targets(loss, n, plan.n_outputs, network.dtype)
    return plan, Arrays(features, targets, given.weights(n, network.dtype))


def prepare_validation(
    network: Sequential, given: Source, names: tuple[str, ...] | None, loss: Loss, plan: Plan
) -> Arrays:
    """The arrays of validation data, for a network that will be built for others."""
    features = given.features(network.dtype, names=network.feature_names_in or names)
    rows, width = features.shape
    n_features = int(plan.settings["n_features"][0])
    if width != n_features:
        raise ValueError(f"X of validation_data: expected {n_features} features, as X; got {width}")
    targets = given.targets(loss, rows, plan.n_outputs, network.dtype)
    return Arrays(features, targets, given.weights(rows, network.dtype))


def validation_source(validation_data: Any, check_finite: bool) -> Source:
    """The source that (X, y) or (X, y, sample_weight) is."""
    expected = "(X, y) or (X, y, sample_weight)"
    checks.instance("validation_data", validation_data, (tuple, list), expected)
    if len(validation_data) not in (2, 3):
        raise ValueError(f"validation_data: expected {expected}; got {len(validation_data)} items")
    X, y, *weight = validation_data
    return source(X, y, weight[0] if weight else None, check_finite, " of validation_data")


@dataclass(frozen=True)
class Options:
    """The parameters of `Sequential.fit`, checked, but for what depends on arrays."""

    loss: Loss
    optimizer: Optimizer
    epochs: int
    batch_size: int | str
    shuffle: str
    callbacks: Iterable[Callback]
    verbose: int
    engine: str
    n_threads: int | None
    reset_optimizer: bool


def options(
    network: Sequential, loss: Any, optimizer: Any, epochs: Any, batch_size: Any, shuffle: Any,
    callbacks: Any, verbose: Any, engine: Any, n_threads: Any, reset_optimizer: Any = True,
) -> Options:  # fmt: skip
    """Check them."""
    epochs = checks.whole("epochs", epochs)
    verbose = checks.verbosity(verbose)
    resolved = optimizers.resolve(optimizer)
    loss = network._loss(loss)
    check_batch_size(batch_size)
    order = check_shuffle(shuffle)
    check_engine(engine, n_threads)
    if not checks.flag("reset_optimizer", reset_optimizer):
        _check_continues(network, loss, resolved)
    return Options(
        loss, resolved, epochs, batch_size, order, callbacks, verbose, engine, n_threads,
        reset_optimizer,
    )  # fmt: skip


def _check_continues(network: Sequential, loss: Loss, optimizer: Optimizer) -> None:
    """An error if the last training had another loss or optimizer."""
    state = network._state
    for name, given in (("loss", loss), ("optimizer", optimizer)):
        last = given if state is None else getattr(state, name)
        if given != last:
            raise ValueError(
                f"{name}: expected {last}, which reset_optimizer=False continues; got {given}"
            )


def split(network: Sequential, arrays: Arrays, held_out: Any, loss: Loss) -> tuple[Arrays, Arrays]:
    """Training rows and the rows that `validation_split` holds out."""
    sides = [
        arrays.only(rows) for rows in class_weights.split(arrays.y, loss, held_out, network.seed)
    ]
    for side in sides:
        if side.weights is not None and not side.weights[side.rows].any():
            raise ValueError(
                "sample_weight: expected weights above 0 among the rows to train on and among "
                "those held out; got none"
            )
    return sides[0], sides[1]


def with_class_weights(arrays: Arrays, class_weight: Any, loss: Loss, plan: Plan) -> Arrays:
    """The arrays with weights of rows that count those of their classes."""
    weights = class_weights.weighted(
        class_weight, arrays.y, loss, plan.n_outputs, arrays.weights, arrays.rows
    )
    return replace(arrays, weights=weights)


@dataclass(frozen=True)
class Fit:
    """A fit that has not begun; its callbacks serve for one."""

    network: Sequential
    plan: Plan
    names: tuple[str, ...] | None
    arrays: Arrays
    validation: Arrays | None
    options: Options
    callbacks: list[Running]
    measured: Arrays | None = None
    """Training rows whose metric is recorded after each epoch."""

    def run(self) -> History:
        """Build the network where that is still to be done, and train it."""
        with training(self.network):
            return self._run()

    def _run(self) -> History:
        network, given, arrays = self.network, self.options, self.arrays
        adopt(network, self.plan, self.names)
        size = batch_size_of(given.batch_size, len(arrays))
        steps = given.epochs * -(-len(arrays) // size)
        state = None if given.reset_optimizer else network._state
        state = state or OptimizerState.fresh(
            given.loss, given.optimizer, network.n_parameters, network.dtype, max(1, steps)
        )
        job = job_of(network, state.loss, state.optimizer, arrays, size, given.shuffle)
        trainer = trainer_of(network, job, state, given.engine, given.n_threads)
        network._state = state
        evaluated = self.validation is not None or self.measured is not None
        return run_epochs(
            network, job, trainer, state, given.epochs, self._evaluate if evaluated else None,
            self.callbacks, given.verbose,
        )  # fmt: skip

    def _scores(self, arrays: Arrays) -> dict[str, float]:
        return self.network._scores(self.options.loss, arrays, self.options.n_threads)

    def _evaluate(self) -> dict[str, float]:
        """What is recorded of an epoch besides its loss."""
        found = {} if self.measured is None else self._scores(self.measured)
        found.pop("loss", None)  # History's loss is that of the steps
        if self.validation is not None:
            found |= {f"val_{name}": value for name, value in self._scores(self.validation).items()}
        return found

    def score(self, history: History) -> float:
        """How good the trained network is, the higher the better: the metric on its validation
        data, or minus the loss there, or on none minus the last training loss."""
        if self.validation is None:
            return -float(history["loss"][-1]) if history.n_epochs else math.nan
        scores = self._scores(self.validation)
        metric = scoring.metric_name(self.options.loss)
        return scores[metric] if metric else -scores["loss"]

    @property
    def wide(self) -> bool:
        """Whether it is faster on all threads than beside another such: see `WIDE_BYTES`."""
        state = 2 + self.options.optimizer.n_slots  # parameters, gradients, slots
        return state * self.plan.n_params * self.network.dtype.itemsize > WIDE_BYTES

    @property
    def flops(self) -> float:
        """The arithmetic of it."""
        return 3 * self.plan.prediction_flops_per_row * len(self.arrays) * self.options.epochs


def fit_of(
    network: Sequential, given: Options, plan: Plan, names: tuple[str, ...] | None,
    arrays: Arrays, validation: Arrays | None, measured: Arrays | None = None,
) -> Fit:  # fmt: skip
    """A fit of checked parts; what callbacks monitor is checked here."""
    recorded = ["loss", "learning_rate", "seconds"]
    metrics = [name for name in (scoring.metric_name(given.loss),) if name is not None]
    if measured is not None:
        if not metrics:
            expected = "train_metrics: expected False for a loss without metric"
            raise ValueError(f"{expected}; got True for {given.loss}")
        recorded += metrics
    if validation is not None:
        recorded += ["val_loss", *(f"val_{name}" for name in metrics)]
    running = callbacks_module.start(given.callbacks, recorded)
    return Fit(network, plan, names, arrays, validation, given, running, measured)


@contextmanager
def training(network: Sequential) -> Iterator[None]:
    """A block that trains the network, while other threads are refused. If it ends with an error
    before its first step, the network is as it was before the block."""
    with exclusive(network):
        # Attribute by attribute: an object whose `__dict__` was asked for is slower from then on.
        n_steps, before = network.n_steps, _state_of(network)
        try:
            yield
        except BaseException:
            if network.n_steps == n_steps:
                (
                    network.layers, network.n_features_in, network.feature_names_in,
                    network.history, network._parameters, network._state, network._plans,
                    network._predictor,
                ) = before  # fmt: skip
            raise


def _state_of(network: Sequential) -> tuple[Any, ...]:
    return (
        network.layers, network.n_features_in, network.feature_names_in, network.history,
        network._parameters, network._state, network._plans, network._predictor,
    )  # fmt: skip


def adopt(network: Sequential, plan: Plan, names: tuple[str, ...] | None) -> None:
    """Build for the width of a plan, or check that the network is; keep the columns' names."""
    n_features = int(plan.settings["n_features"][0])
    if network.n_features_in != n_features:
        network.build(n_features)
    if network.feature_names_in is None:
        network.feature_names_in = names


def job_of(
    network: Sequential, loss: Loss, optimizer: Optimizer, arrays: Arrays, batch_size: int,
    shuffle: str,
) -> Job:  # fmt: skip
    """The training run of a network on checked arrays."""
    return Job(
        network.layers, loss, optimizer, arrays.X, arrays.y, arrays.weights, batch_size, shuffle,
        network.seed, network.n_epochs, network.n_steps, arrays.rows,
    )  # fmt: skip


def trainer_of(
    network: Sequential, job: Job, state: OptimizerState, engine: str, n_threads: int | None
) -> Trainer:
    """The engine of that name."""
    if engine == "reference":
        from fastnn import reference

        return reference.Trainer(job, network.parameters, state.slots)
    return native.Trainer(job, network.parameters, state.slots.reshape(-1), n_threads)


def check_engine(engine: str, n_threads: int | None) -> None:
    """Both parameters."""
    checks.choice("engine", engine, ENGINES)
    if n_threads is not None:
        checks.whole("n_threads", n_threads, at_least=1)


def check_batch_size(value: int | str) -> None:
    """A number, or "full"."""
    if isinstance(value, str):
        checks.choice("batch_size", value, ("full",))
    else:
        checks.whole("batch_size", value, at_least=1)


def batch_size_of(value: int | str, rows: int) -> int:
    """Rows per step."""
    return rows if isinstance(value, str) else min(int(value), rows)


def check_shuffle(value: bool | str) -> str:
    """The name of the way."""
    if not isinstance(value, bool):
        checks.choice("shuffle", value, ("epoch", "once", "never"))
    return SHUFFLES[value]
