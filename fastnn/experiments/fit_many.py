"""Training of many independent networks in one call: seeds, folds, restarts, grids."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

from fastnn._parallel import pool
from fastnn._parallel.pool import Task, TaskResult
from fastnn._training.arguments import check_options
from fastnn._training.fit import Fit
from fastnn._util import checks
from fastnn.callbacks import Checkpoint
from fastnn.experiments.per_network import expand, make_sources, prefix_errors
from fastnn.experiments.row_subsets import SubsetCache
from fastnn.experiments.runs import Run, Runs, describe_settings
from fastnn.history import History
from fastnn.model import Sequential


def fit_many(
    networks: Sequence[Sequential],
    X: Any,
    y: Any,
    *,
    loss: Any = "auto",
    optimizer: Any = "adam",
    epochs: Any = 10,
    batch_size: Any = 32,
    subsets: Any = None,
    validation_data: Any = None,
    sample_weight: Any = None,
    shuffle: Any = True,
    callbacks: Any = (),
    n_threads: int | None = None,
    max_time: float | None = None,
    verbose: int = 0,
    check_finite: bool = True,
) -> Runs:
    """Train many independent networks in one call, one network per thread, on the same X.

    Each result is bit-identical to training that network alone with `Sequential.fit`, for any
    number of threads. A network that diverges or fails is reported in its row of the result and
    does not affect the others.

    `loss`, `optimizer`, `epochs`, `batch_size`, `shuffle`, `subsets`, `validation_data`, `y`,
    `sample_weight` and `callbacks` may be a list with one value per network; any other value
    applies to all networks.

    Parameters
    ----------
    networks : list of Sequential
        Networks with any layers, seeds and dtypes. They are trained from their current weights.
    X : array-like or sparse matrix, shape (n, n_features)
        Features, shared by all networks. X is converted once for each dtype of the networks that
        is not its own.
    y : array-like, shape (n,) or (n, n_targets); or a list of NumPy arrays
        Targets. A list of other items is a single array-like.
    loss, optimizer, epochs, batch_size, shuffle
        As for `Sequential.fit`; or lists.
    subsets : array or range; or a list with the rows of each network; optional
        Training rows: row indices, which may repeat (as in a bootstrap sample), or a boolean mask
        of shape (n,). By default all rows. The rows are not copied.
    validation_data : "held out", (X, y), (X, y, sample_weight) or rows; or a list; optional
        Data on which loss and metric are evaluated after each epoch. "held out" are the rows of X
        that are not in the subset; rows are given as for `subsets`.
    sample_weight : array-like, shape (n,); or a list of NumPy arrays or None; optional
        Weights of the rows, at least 0; by default 1.
    callbacks : list of callbacks, or a list of such lists
        See `fastnn.callbacks`. Functions are called from several threads concurrently.
    n_threads : int, optional
        Number of threads for all networks together; by default all processors available to the
        process.
    max_time : float, optional
        Time limit in seconds. When it is reached, running fits end after the current step, and no
        others begin.
    verbose : bool or int, default 0
        1 shows the progress in finished networks, see `Sequential.fit`.
    check_finite : bool, default True
        Whether to raise an error if X or y contain NaN or infinity.

    Returns
    -------
    Runs
        One `Run` per network, in the order of `networks`. It is returned on Ctrl-C, too, where
        unfinished networks have the stop reason "interrupted by the user".

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid; the message has the position of the network. No network has been
        trained then.
    Exception
        Any exception of a signal handler, such as a timeout. It is raised once all threads have
        ended, and the networks keep the state after their last complete steps.

    Warns
    -----
    RuntimeWarning
        If a network failed, or on Ctrl-C.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> X = fn.Standardizer().fit_transform(X)
    >>> networks = [
    ...     fn.Sequential(fn.Dense(units, "relu"), fn.Dense(1, "sigmoid"), random_state=seed)
    ...     for units in (4, 16) for seed in range(5)
    ... ]
    >>> runs = fn.fit_many(
    ...     networks, X, y, epochs=20, subsets=range(0, 400), validation_data="held out"
    ... )
    >>> len(runs.table()["score"])
    10
    >>> runs.best.evaluate(X, y)["accuracy"] > 0.97
    True
    """
    n = _check_networks(networks)
    pool.check_limits(n_threads, max_time, verbose)
    common = {
        "loss": expand("loss", loss, n),
        "optimizer": expand("optimizer", optimizer, n),
        "epochs": expand("epochs", epochs, n),
        "batch_size": expand("batch_size", batch_size, n),
        "shuffle": expand("shuffle", shuffle, n),
        "callbacks": expand("callbacks", callbacks, n, (list, tuple)),
    }
    sources = make_sources(X, y, sample_weight, check_finite, n)
    subsets = expand("subsets", subsets, n)
    validation = expand("validation_data", validation_data, n)
    cache = SubsetCache(check_finite)
    fits, settings = [], []
    for i, net in enumerate(networks):
        with prefix_errors(i):
            options = check_options(net.state, **{name: common[name][i] for name in common})
            fits.append(cache.make_fit(net, options, sources[i], subsets[i], validation[i]))
        subset_number = cache.get_number(fits[i].arrays)
        settings.append(describe_settings(net, options) | {"subset": subset_number})
    _check_checkpoints(fits)
    tasks = [Task(partial(_train, fit), fit.flops, fit.is_wide) for fit in fits]
    results = pool.run_tasks(tasks, n_threads, max_time, verbose)
    _warn(results)
    return Runs(tuple(map(_make_run, networks, results, settings)))


# ---- one network --------------------------------------------------------------------------------


def _train(fit: Fit) -> tuple[History, float]:
    """Train a network; return its history and score, NaN if it diverged."""
    history = fit.run()
    return history, math.nan if history.diverged else fit.compute_score(history)


def _make_run(network: Sequential, result: TaskResult, parameters: dict[str, Any]) -> Run:
    history, score = result.value or (None, math.nan)
    stop_reason = result.stop_reason if history is None else history.stop_reason
    if result.error is not None:
        stop_reason = f"failed: {type(result.error).__name__}: {result.error}"
    return Run(
        network=network, parameters=parameters, score=score, history=history,
        seconds=result.seconds, stop_reason=stop_reason, error=result.error,
    )  # fmt: skip


def _warn(results: list[TaskResult]) -> None:
    """Warn of an interrupt and of failed networks."""
    n_finished = sum(result.stop_reason is None and result.error is None for result in results)
    status = f"{n_finished} of {len(results)} networks are finished"
    if any(result.stop_reason == pool.INTERRUPTED for result in results):
        warnings.warn(f"interrupted by the user: {status}", RuntimeWarning, stacklevel=3)
    errors = [result.error for result in results if result.error is not None]
    if errors:
        text = f"{type(errors[0]).__name__}: {errors[0]}"
        warnings.warn(
            f"{len(errors)} of {len(results)} networks failed, the first with {text}; {status}",
            RuntimeWarning, stacklevel=3,
        )  # fmt: skip


# ---- checks ------------------------------------------------------------------------------------


def _check_networks(networks: Sequence[Sequential]) -> int:
    """Check the list of networks and return its length."""
    checks.instance("networks", networks, (list, tuple), "a list of Sequential")
    if not networks:
        raise ValueError("networks: expected at least one network; got none")
    first: dict[int, int] = {}
    for i, net in enumerate(networks):
        checks.instance(f"networks[{i}]", net, Sequential, "a Sequential")
        if first.setdefault(id(net), i) != i:
            raise ValueError(
                f"networks[{i}]: expected a different object for each network; got "
                f"networks[{first[id(net)]}] again"
            )
    return len(networks)


def _check_checkpoints(fits: list[Fit]) -> None:
    """Raise an error if two networks would write the same checkpoint file."""
    writers: dict[str, int] = {}
    for i, fit in enumerate(fits):
        for callback in fit.options.callbacks:
            if isinstance(callback, Checkpoint) and writers.setdefault(str(callback.path), i) != i:
                raise ValueError(
                    f"callbacks: expected a Checkpoint with a different path for each network; "
                    f"got {str(callback.path)!r} for networks[{writers[str(callback.path)]}] and "
                    f"networks[{i}]"
                )
