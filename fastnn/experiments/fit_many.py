"""Many independent networks trained in one call: seeds, folds, restarts, grids."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine.plan import Plan
from fastnn._parallel import pool
from fastnn._parallel.pool import Task, TaskResult
from fastnn._training import fit
from fastnn._training.arguments import Options, check_options
from fastnn._training.arrays import check_class_coverage, convert_rows
from fastnn._training.fit import Fit
from fastnn._training.source import (
    Arrays,
    Source,
    cache_conversions,
    make_source,
    make_validation_source,
    prepare,
    prepare_validation,
)
from fastnn._util import checks
from fastnn.callbacks import Checkpoint
from fastnn.experiments.runs import Run, Runs, describe_settings
from fastnn.history import History
from fastnn.losses import Loss
from fastnn.model import Sequential

Array = NDArray[Any]
Rows = NDArray[np.intp]

HELD_OUT = "held out"


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
    """Train many networks at once, each on a thread of its own and all on the same X.

    Each comes out as if it had been trained alone by `Sequential.fit`, to the bit, whatever runs
    beside it and on however many threads. One that diverges or fails is reported in its row, and
    the others are untouched.

    Parameters
    ----------
    networks : sequence of Sequential
        Of any layers, seeds and dtypes; they are trained from their current weights.
    X : array-like, shape (n, n_features)
        Shared by all, and converted once for each dtype that is not its own.
    y : array-like, shape (n,) or (n, n_targets); or a list of NumPy arrays, one per network
    loss, optimizer, epochs, batch_size, shuffle : as for `Sequential.fit`; or a list
        A list has one value per network, here and below; what is no list holds for all.
    subsets : rows to train on, or a list; default all
        Whole numbers, which may repeat (a bootstrap sample), or a mask of n booleans. The rows are
        never copied.
    validation_data : None, "held out", (X, y), (X, y, sample_weight), rows; or a list
        What is evaluated after each epoch; "held out" are the rows of X outside the subset.
    sample_weight : array-like, shape (n,); or a list of arrays or None
    callbacks : list of callbacks; or a list of such lists
        Functions are called from several threads at a time.
    n_threads : int, optional
        For all together; by default as many as the process may use.
    max_time : float, optional
        Seconds after which fits end after the step in progress and none begins.
    verbose : bool or int, default 0
        1 shows how many of the networks are done: see `Sequential.fit`.
    check_finite : bool, default True

    Returns
    -------
    Runs
        On Ctrl-C too: networks that were not finished are reported as interrupted.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described, in an error that names the network's position; then
        nothing was trained.
    Exception
        If a signal handler raises one, such as a time limit: it arrives once all threads have
        ended, and the networks are as after their last whole steps.

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
        "loss": _each("loss", loss, n),
        "optimizer": _each("optimizer", optimizer, n),
        "epochs": _each("epochs", epochs, n),
        "batch_size": _each("batch_size", batch_size, n),
        "shuffle": _each("shuffle", shuffle, n),
        "callbacks": _each("callbacks", callbacks, n, (list, tuple)),
    }
    sources = _sources(X, y, sample_weight, check_finite, n)
    subsets, apart = _each("subsets", subsets, n), _each("validation_data", validation_data, n)
    parts = _Parts(check_finite)
    fits, described = [], []
    for i, net in enumerate(networks):
        with _naming(i):
            own = {name: values[i] for name, values in common.items()}
            options = check_options(net.state, **own)
            fits.append(parts.make_fit(net, options, sources[i], subsets[i], apart[i]))
        described.append(describe_settings(net, options) | {"subset": parts.number(fits[i].arrays)})
    _check_checkpoints(fits)
    tasks = [Task(partial(_train, one), one.flops, one.is_wide) for one in fits]
    done = pool.run_tasks(tasks, n_threads, max_time, verbose)
    _warn(done)
    return Runs(tuple(map(_make_run, networks, done, described)))


# ---- one network --------------------------------------------------------------------------------


def _train(one: Fit) -> tuple[History, float]:
    """What a network recorded, and its score."""
    history = one.run()
    return history, math.nan if history.diverged else one.compute_score(history)


def _make_run(network: Sequential, done: TaskResult, parameters: dict[str, Any]) -> Run:
    history, score = done.value or (None, math.nan)
    reason = done.stop_reason if history is None else history.stop_reason
    if done.error is not None:
        reason = f"failed: {type(done.error).__name__}: {done.error}"
    return Run(network, parameters, score, history, done.seconds, reason, done.error)


def _warn(done: list[TaskResult]) -> None:
    """Of what no table should be needed to notice."""
    finished = sum(one.stop_reason is None and one.error is None for one in done)
    of_all = f"{finished} of {len(done)} networks are finished"
    if any(one.stop_reason == pool.INTERRUPTED for one in done):
        warnings.warn(f"interrupted by the user: {of_all}", RuntimeWarning, stacklevel=3)
    errors = [one.error for one in done if one.error is not None]
    if errors:
        text = f"{type(errors[0]).__name__}: {errors[0]}"
        warnings.warn(
            f"{len(errors)} networks failed, the first with {text}; {of_all}", RuntimeWarning,
            stacklevel=3,
        )  # fmt: skip


# ---- one value for all, or a list of one per network --------------------------------------------


def _each(name: str, value: Any, n: int, kinds: Any = object) -> list[Any]:
    """The value of each network. Where a single value may be a list too, one per network is a list
    of items of these kinds only."""
    if not isinstance(value, list) or not all(isinstance(item, kinds) for item in value) or (
        kinds is not object and not value
    ):  # fmt: skip
        return [value] * n
    if len(value) != n:
        raise ValueError(
            f"{name}: expected one value, or a list of {n}, one per network; got a list of "
            f"{len(value)}"
        )
    return value


def _sources(X: Any, y: Any, sample_weight: Any, check_finite: bool, n: int) -> list[Source]:
    """Each network's arrays; X is that of all, and equal objects are converted once."""
    known: dict[tuple[int, int], Source] = {}
    shared = cache_conversions(make_source(X, None, None, check_finite))
    result = []
    for of_y, of_weight in zip(
        _each("y", y, n, np.ndarray),
        _each("sample_weight", sample_weight, n, (np.ndarray, type(None))),
        strict=True,
    ):
        key = id(of_y), id(of_weight)
        if key not in known:
            own = cache_conversions(make_source(X, of_y, of_weight, check_finite))
            known[key] = replace(own, features=shared.features)
        result.append(known[key])
    return result


class _Parts:
    """The rows that each network trains on and those that it is validated on; what several share
    is checked once."""

    def __init__(self, check_finite: bool) -> None:
        self.check_finite = check_finite
        self.rows: dict[tuple[int, int], tuple[Any, Rows]] = {}  # kept with what their key names
        self.sources: dict[int, tuple[Any, Source]] = {}
        self.numbers: dict[bytes, int] = {}
        self.with_all_classes: set[tuple[int, int]] = set()

    def make_fit(
        self, net: Sequential, options: Options, source: Source, subset: Any, apart: Any
    ) -> Fit:
        """A fit of a network on a subset, all of X where that is None."""
        plan, arrays = prepare(net.state, source, options.loss)
        if subset is not None:
            arrays = arrays.select(self._rows("subsets", subset, len(arrays.X)))
            self._check_subset(arrays, options.loss)
        validation = self._validation(net, options.loss, plan, source, arrays, apart)
        return fit.make_fit(net, options, plan, source.feature_names, arrays, validation)

    def number(self, arrays: Arrays) -> int | None:
        """That of a subset, counted from 0; None for all of X."""
        if arrays.rows is None:
            return None
        return self.numbers.setdefault(arrays.rows.tobytes(), len(self.numbers))

    def _validation(
        self, net: Sequential, loss: Loss, plan: Plan, source: Source, arrays: Arrays, apart: Any
    ) -> Arrays | None:
        if apart is None:
            return None
        if isinstance(apart, str):
            checks.choice("validation_data", apart, (HELD_OUT,))
            return arrays.select(_held_out(arrays))
        if isinstance(apart, tuple):
            if id(apart) not in self.sources:
                self.sources[id(apart)] = (
                    apart,
                    cache_conversions(make_validation_source(apart, self.check_finite)),
                )
            given = self.sources[id(apart)][1]
            return prepare_validation(net.state, given, source.feature_names, loss, plan)
        rows = self._rows("validation_data", apart, len(arrays.X))
        _check_apart(rows, arrays)
        return arrays.select(rows)

    def _rows(self, name: str, value: Any, n: int) -> Rows:
        key = id(value), n
        if key not in self.rows:
            self.rows[key] = value, convert_rows(name, value, n)
        return self.rows[key][1]

    def _check_subset(self, arrays: Arrays, loss: Loss) -> None:
        key = id(arrays.rows), id(arrays.y)
        if key not in self.with_all_classes:
            check_class_coverage(arrays.y, arrays.rows, loss)
            self.with_all_classes.add(key)
        if arrays.weights is not None and not arrays.weights[arrays.rows].any():
            raise ValueError("sample_weight: expected one above 0 in the subset; got none")


def _held_out(arrays: Arrays) -> Rows:
    outside = np.ones(len(arrays.X), np.bool_)
    outside[slice(None) if arrays.rows is None else arrays.rows] = False
    if not outside.any():
        raise ValueError(
            f"validation_data: expected rows outside the subset for {HELD_OUT!r}; got none"
        )
    return np.flatnonzero(outside)


def _check_apart(rows: Rows, arrays: Arrays) -> None:
    shared = len(rows) if arrays.rows is None else np.isin(rows, arrays.rows).sum()
    if shared:
        raise ValueError(
            f"validation_data: expected rows that are not trained on; got {shared} that are"
        )


# ---- checks of the whole call --------------------------------------------------------------------


@contextlib.contextmanager
def _naming(i: int) -> Iterator[None]:
    """Errors of a network's arguments name its position."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"networks[{i}]: {error}") from None


def _check_networks(networks: Sequence[Sequential]) -> int:
    """Their number."""
    checks.instance("networks", networks, (list, tuple), "a list of Sequential")
    if not networks:
        raise ValueError("networks: expected at least one network; got none")
    first: dict[int, int] = {}
    for i, net in enumerate(networks):
        checks.instance(f"networks[{i}]", net, Sequential, "a Sequential")
        if first.setdefault(id(net), i) != i:
            raise ValueError(
                f"networks[{i}]: expected networks of their own; got "
                f"networks[{first[id(net)]}] again"
            )
    return len(networks)


def _check_checkpoints(fits: list[Fit]) -> None:
    """No two networks write the same file."""
    writers: dict[str, int] = {}
    for i, one in enumerate(fits):
        for callback in one.options.callbacks:
            if isinstance(callback, Checkpoint) and writers.setdefault(str(callback.path), i) != i:
                raise ValueError(
                    f"callbacks: expected a Checkpoint with a path of its own for each network; "
                    f"got {str(callback.path)!r} for networks[{writers[str(callback.path)]}] and "
                    f"networks[{i}]"
                )
