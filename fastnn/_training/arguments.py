"""The options of `Sequential.fit` and their checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from fastnn import losses, optimizers
from fastnn._training import restrictions
from fastnn._training.scoring import choose_loss
from fastnn._training.state import NetworkState
from fastnn._util import checks
from fastnn.callbacks import Callback
from fastnn.layers import Layer, get_output_activation
from fastnn.losses import Loss
from fastnn.optimizers import FullBatch, LevenbergMarquardt, Optimizer

ENGINES = ("native", "reference")
SHUFFLES = {True: "epoch", False: "never", "epoch": "epoch", "once": "once", "never": "never"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a network is trained: all arguments of `Sequential.fit` but the data."""

    loss: Loss
    optimizer: Optimizer | FullBatch
    epochs: int
    batch_size: int | str
    shuffle: str
    callbacks: Iterable[Callback]
    verbose: int = 0
    engine: str = "native"
    n_threads: int | None = None
    reset_optimizer: bool = True
    gradient_weight: float = 0.0
    diagnostics: bool = False


def check_options(
    state: NetworkState, *, loss: Any, optimizer: Any, epochs: Any, batch_size: Any, shuffle: Any,
    callbacks: Any, verbose: Any = 0, engine: Any = "native", n_threads: Any = None,
    reset_optimizer: Any = True, diagnostics: Any = False,
) -> Options:  # fmt: skip
    """Check the options; the error message has the name of the wrong one."""
    epochs = checks.whole("epochs", epochs)
    verbose = checks.verbosity(verbose)
    resolved = optimizers.resolve(optimizer)
    loss = resolve_loss(state.layers, loss)
    check_batch_size(batch_size)
    shuffle = check_shuffle(shuffle)
    check_engine(engine, n_threads)
    if isinstance(resolved, FullBatch):
        _check_full_batch(state, loss, resolved, reset_optimizer, engine, diagnostics)
    if not checks.flag("reset_optimizer", reset_optimizer):
        _check_continued(state, loss, resolved)
    return Options(
        loss=loss, optimizer=resolved, epochs=epochs, batch_size=batch_size, shuffle=shuffle,
        callbacks=callbacks, verbose=verbose, engine=engine, n_threads=n_threads,
        reset_optimizer=reset_optimizer, diagnostics=checks.flag("diagnostics", diagnostics),
    )  # fmt: skip


def check_gradient_options(
    state: NetworkState, options: Options, gradient_targets: Any, gradient_weight: Any
) -> Options:
    """The options with the weight of the error of the Jacobian, which is 0 without targets for
    it."""
    weight = checks.number("gradient_weight", gradient_weight, above=0)
    if gradient_targets is None:
        return options
    restrictions.check_gradient_training(state.layers, options.loss, options.optimizer)
    return replace(options, gradient_weight=weight)


def _check_full_batch(
    state: NetworkState, loss: Loss, optimizer: FullBatch, reset_optimizer: Any, engine: str,
    diagnostics: Any,
) -> None:  # fmt: skip
    """Raise an error for options that an optimizer on all rows does not support."""
    if diagnostics:
        raise ValueError(
            f"diagnostics: expected False with {type(optimizer).__name__}; got {diagnostics!r}"
        )
    restrictions.check_layers(optimizer, state.layers, loss)
    bayesian = isinstance(optimizer, LevenbergMarquardt) and optimizer.regularization is not None
    if bayesian and engine == "reference":
        raise ValueError("engine: expected 'native' with regularization='bayesian'; got "
                         "'reference'")  # fmt: skip
    if reset_optimizer is False:
        raise ValueError(
            f"reset_optimizer: expected True with {type(optimizer).__name__}, which keeps no state "
            "between fits; got False"
        )


def _check_continued(state: NetworkState, loss: Loss, optimizer: Optimizer | FullBatch) -> None:
    """Raise an error if the last training used another loss or optimizer."""
    for name, value in (("loss", loss), ("optimizer", optimizer)):
        last = value if state.optimizer is None else getattr(state.optimizer, name)
        if value != last:
            raise ValueError(
                f"{name}: expected {last}, which reset_optimizer=False continues; got {value}"
            )


def resolve_loss(layers: tuple[Layer, ...], loss: str | Loss) -> Loss:
    """The loss for a name; "auto" chooses one by the last activation."""
    activation = get_output_activation(layers)
    if isinstance(loss, str) and loss == "auto":
        loss = choose_loss(activation)
    resolved = losses.resolve(loss)
    losses.check_head(resolved, activation.name)
    return resolved


def get_last_loss(state: NetworkState) -> Loss:
    """The loss of the last training; the loss for "auto" if the network is untrained."""
    return state.optimizer.loss if state.optimizer else resolve_loss(state.layers, "auto")


def check_engine(engine: str, n_threads: int | None) -> None:
    """Check the name of the engine and the number of threads."""
    checks.choice("engine", engine, ENGINES)
    if n_threads is not None:
        checks.whole("n_threads", n_threads, at_least=1)


def check_batch_size(value: int | str) -> None:
    """Check that a batch size is a number of rows or "full"."""
    if isinstance(value, str):
        checks.choice("batch_size", value, ("full",))
    else:
        checks.whole("batch_size", value, at_least=1)


def limit_batch_size(value: int | str, n_rows: int) -> int:
    """The number of rows per step."""
    return n_rows if isinstance(value, str) else min(int(value), n_rows)


def check_shuffle(value: bool | str) -> str:
    """Convert `shuffle` to "epoch", "once" or "never"."""
    if not isinstance(value, bool):
        checks.choice("shuffle", value, ("epoch", "once", "never"))
    return SHUFFLES[value]
