"""The learning-rate range test.

In a short run, the learning rate increases from step to step; the losses show at which learning
rates the network learns and at which it diverges. L. Smith, "Cyclical learning rates for training
neural networks", WACV 2017, section 3.3. There the learning rate increases linearly; here it
increases geometrically, so that a test covers the seven orders of magnitude in which suitable
learning rates of all optimizers lie.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine.job import Steps
from fastnn._parallel import limits, pool
from fastnn._parallel.pool import Task
from fastnn._training import jobs
from fastnn._training.arguments import Options, check_options, limit_batch_size
from fastnn._training.loop import SECONDS_PER_CALL
from fastnn._training.source import Arrays, make_source, prepare
from fastnn._training.state import NetworkState, build, get_parameters, initialize_optimizer
from fastnn._util import checks
from fastnn._util.plotting import BLUE, get_axes
from fastnn.losses import Loss
from fastnn.model import Sequential
from fastnn.optimizers import FullBatch, Optimizer, resolve_minibatch

Floats = NDArray[np.float64]

# The losses are smoothed by a moving mean over this fraction of the steps. Unlike a median, a mean
# penalizes learning rates at which the loss fluctuates.
SMOOTHING_FRACTION = 1 / 15

# The best step is the first at which only this fraction of the total decrease remains. If a network
# overfits a small data set, the loss continues to decrease towards 0 at learning rates that are too
# large: on 178 wines, the minimum of the loss is at a learning rate twenty times larger.
REMAINING_FRACTION = 0.01

# The bounds, as factors on the learning rate of the best step. The best learning rate is usually
# "within a factor of two of the largest one that converges", and the lower bound of a cycle a third
# or a quarter of the upper one (L. Smith, section 3.3, the former after Y. Bengio, 2012,
# arXiv 1206.5533). Measured in 32 tests, four data sets with four networks and five optimizers: in
# the median, the held-out accuracy or R2 of `Cyclic(high / 4, high)` equals that of the best of 17
# constant learning rates; on digits it is at most 0.6 % lower. Without the factor 1/2 it is 0.1 %
# lower in the median and 2.9 % on digits; with a third instead, 0.2 % and 0.2 %. The learning rate
# at which the loss begins to decrease is no better lower bound. The geometric mean of the bounds as
# a constant learning rate is 0.3 % lower, on digits at most 0.8 % (1.4 % with tanh in other tests).
# A hundred steps are too few: 1.3 % on digits.
HIGH_FACTOR, LOW_FACTOR = 1 / 2, 1 / 8

# Minimum decrease of the smoothed loss in a valid run, in standard deviations of the smoothed loss
# over the first fifth of the steps.
MIN_DECREASE = 3.0


@dataclass(frozen=True)
class Suggestion:
    """Suggested bounds of the learning rate; `low, high = suggestion` unpacks them.

    Attributes
    ----------
    low, high : float
        Bounds: medians over the seeds.
    low_band, high_band : tuple of two floats
        First and third quartile of each bound over the seeds.
    n_seeds : int
        Number of seeds whose loss decreased; the others are not used.
    """

    low: float
    high: float
    low_band: tuple[float, float]
    high_band: tuple[float, float]
    n_seeds: int

    def __iter__(self) -> Iterator[float]:
        """Iterate over low and high."""
        yield self.low
        yield self.high


@dataclass(frozen=True, eq=False)  # comparing arrays gives arrays, not a truth value
class RangeTest:
    """The result of `lr_range_test`.

    Attributes
    ----------
    learning_rates : ndarray, shape (n_steps,)
        Learning rate of each step.
    losses : ndarray, shape (n_seeds, n_steps)
        Loss of each step's batch before its update. It is NaN after the run has diverged: once the
        loss is not finite, or the smoothed loss exceeds its initial value by more than it had
        decreased.
    """

    learning_rates: Floats
    losses: Floats = field(repr=False)

    def suggest(self) -> Suggestion:
        """Suggest bounds for `schedules.Cyclic`.

        For a constant learning rate, use `(low * high) ** 0.5`.

        The losses of each run are smoothed by a moving mean over n_steps / 15 steps. `high` is half
        of the learning rate at which the smoothed loss has made 99 % of its decrease, and `low` is
        a quarter of `high`.

        Returns
        -------
        Suggestion

        Raises
        ------
        ValueError
            If the loss did not decrease in half of the runs or more.

        Warns
        -----
        RuntimeWarning
            If the loss was still decreasing at the largest learning rate.
        """
        best = np.array([_find_best_step(losses) for losses in self.losses])
        valid = best[best >= 0]
        if 2 * len(valid) <= len(best):
            raise ValueError(
                "losses: expected a decrease in more than half of the runs; got a decrease in "
                f"{len(valid)} of {len(best)}: try more n_steps, a wider range or other layers"
            )
        n_steps = len(self.learning_rates)
        if np.median(valid) >= n_steps * (1 - SMOOTHING_FRACTION):
            warnings.warn(
                "the loss was still decreasing at the largest learning rate, "
                f"{self.learning_rates[-1]:.3g}: raise max_learning_rate", RuntimeWarning,
                stacklevel=2,
            )  # fmt: skip
        # On a log scale, the median of an even number of learning rates is a geometric mean.
        logs = np.log(self.learning_rates[valid])
        first, middle, last = np.exp(np.quantile(logs, (0.25, 0.5, 0.75))).tolist()
        return Suggestion(
            LOW_FACTOR * middle, HIGH_FACTOR * middle, (LOW_FACTOR * first, LOW_FACTOR * last),
            (HIGH_FACTOR * first, HIGH_FACTOR * last), len(valid),
        )  # fmt: skip

    def plot(self, ax: Any = None) -> Any:
        """Plot the smoothed losses against the learning rate, with the suggested bounds.

        Each seed has a line. The suggestion, if there is one, is drawn with its quartiles.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed (`pip install matplotlib`).
        """
        ax = get_axes(ax, "RangeTest.plot")
        for losses in self.losses:
            finite = losses[np.isfinite(losses)]
            smooth = _smooth(finite, len(losses))
            ax.plot(self.learning_rates[: len(finite)], smooth, color=BLUE, linewidth=0.8)
        with contextlib.suppress(ValueError):  # without a suggestion, only the losses are drawn
            bounds = self.suggest()
            for name, style, rate, band in (
                ("low", ":", bounds.low, bounds.low_band),
                ("high", "--", bounds.high, bounds.high_band),
            ):
                ax.axvline(rate, color="black", linestyle=style, label=f"{name} {rate:.2g}")
                ax.axvspan(*band, color="black", alpha=0.15, linewidth=0)
            ax.legend()
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss (moving mean)")
        return ax


def _smooth(losses: Floats, n_steps: int) -> Floats:
    """Return a moving mean, with shorter windows at the ends."""
    if not len(losses):
        return losses
    width = min(2 * int(n_steps * SMOOTHING_FRACTION / 2) + 1, len(losses))
    window = np.ones(width)
    return np.convolve(losses, window, "same") / np.convolve(np.ones(len(losses)), window, "same")


def _mask_divergence(losses: Floats) -> Floats:
    """Return the losses with NaN from the step on at which the run diverged."""
    finite = np.isfinite(losses)
    n = len(losses) if finite.all() else int(finite.argmin())
    smooth = _smooth(losses[:n], len(losses))
    if n:
        lowest = int(smooth.argmin())
        above = smooth[lowest:] > 2 * smooth[0] - smooth[lowest]
        n = lowest + int(above.argmax()) if above.any() else n
    return np.where(np.arange(len(losses)) < n, losses, np.nan)


def _find_best_step(losses: Floats) -> int:
    """Return the first step at which the smoothed loss has made its decrease up to
    `REMAINING_FRACTION`; -1 if it did not decrease."""
    smooth = _smooth(losses[np.isfinite(losses)], len(losses))
    if not len(smooth):
        return -1
    decrease = smooth[0] - smooth.min()
    noise = smooth[: len(losses) // 5].std()
    if not decrease > MIN_DECREASE * noise:
        return -1
    return int(np.argmax(smooth <= smooth.min() + REMAINING_FRACTION * decrease))


def lr_range_test(
    network: Sequential,
    X: Any,
    y: Any,
    *,
    loss: str | Loss = "auto",
    optimizer: str | Optimizer = "adam",
    n_steps: int = 200,
    n_seeds: int = 8,
    min_learning_rate: float = 1e-6,
    max_learning_rate: float = 10.0,
    batch_size: int | str = 32,
    sample_weight: Any = None,
    shuffle: bool | str = True,
    cv: int | None = None,
    n_threads: int | None = None,
    check_finite: bool = True,
) -> RangeTest:
    """Learning-rate range test: find the learning rates at which a network trains well.

    New networks with the layers of `network` are trained in parallel, each for a short run in which
    the learning rate increases from step to step by a constant factor. L. Smith, "Cyclical learning
    rates for training neural networks", WACV 2017, section 3.3.

    Parameters
    ----------
    network : Sequential
        Defines layers, dtype and the first seed. It is not changed, and its weights are not used.
    X, y, loss, batch_size, sample_weight, shuffle, check_finite
        As for `Sequential.fit`.
    optimizer : str or Optimizer, default "adam"
        The optimizer; its own learning rate is not used.
    n_steps : int, default 200
        Number of steps (minibatches) of each run, at least 30.
    n_seeds : int, default 8
        Number of runs, with the seeds `network.seed`, `network.seed + 1`, ...
    min_learning_rate : float, default 1e-6
        Learning rate of the first step.
    max_learning_rate : float, default 10.0
        Learning rate of the last step.
    cv : int, optional
        Number of folds of X. Run i then leaves out fold i modulo `cv`, so that the quartiles of the
        suggestion include the variation over rows as well as over seeds.
    n_threads : int, optional
        Number of runs in parallel; by default all processors available to the process. The result
        does not depend on it.

    Returns
    -------
    RangeTest

    Raises
    ------
    ValueError, TypeError
        If a parameter or an array is invalid.
    KeyboardInterrupt
        On Ctrl-C.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_digits()
    >>> net = fn.Sequential(fn.Dense(32, "relu"), fn.Dense(10, "softmax"), random_state=0)
    >>> low, high = fn.lr_range_test(net, X / 16, y).suggest()
    >>> 0.003 < low < high < 0.1
    True
    >>> adam = fn.optimizers.Adam(fn.schedules.Cyclic(low, high, half_cycle=200))
    """
    checks.instance("network", network, Sequential, "a Sequential")
    checks.whole("n_steps", n_steps, at_least=30)
    checks.whole("n_seeds", n_seeds, at_least=1)
    low = checks.number("min_learning_rate", min_learning_rate, above=0)
    high = checks.number("max_learning_rate", max_learning_rate, above=low)
    resolved = resolve_minibatch(optimizer, "for a range test")
    options = check_options(
        network.state, loss=loss, optimizer=resolved, epochs=1, batch_size=batch_size,
        shuffle=shuffle, callbacks=(), n_threads=n_threads,
    )  # fmt: skip
    source = make_source(X, y, sample_weight, check_finite)
    _, arrays = prepare(network.state, source, options.loss)
    folds = _make_training_folds(arrays, cv, network.seed)
    rates = np.geomspace(low, high, n_steps)
    # Replaces a schedule, which may require a number of steps.
    options = replace(options, optimizer=replace(resolved, learning_rate=low))
    tasks = [
        Task(
            partial(
                _train, network, (network.seed + i) % 2**63, options, folds[i % len(folds)], rates
            )
        )
        for i in range(n_seeds)
    ]
    results = pool.run_tasks(tasks, n_threads)
    for result in results:
        if result.error is not None:
            raise result.error
        if result.interrupted:
            raise KeyboardInterrupt
    return RangeTest(rates, np.array([_mask_divergence(result.value) for result in results]))


def _make_training_folds(arrays: Arrays, cv: int | None, seed: int) -> list[Arrays]:
    """Return the training rows of each of `cv` folds, or all rows if `cv` is None."""
    if cv is None:
        return [arrays]
    checks.whole("cv", cv, at_least=2, at_most=len(arrays))
    permutation = np.random.default_rng(seed).permutation(len(arrays))
    return [
        arrays.select(np.sort(np.delete(permutation, np.s_[i::cv])).astype(np.intp))
        for i in range(cv)
    ]


def _train(net: Sequential, seed: int, options: Options, arrays: Arrays, rates: Floats) -> Floats:
    """Train one run and return its losses, NaN from the first loss that is not finite."""
    assert not isinstance(options.optimizer, FullBatch)
    state = NetworkState(layers=net.layers, seed=seed, dtype=net.dtype)
    build(state, arrays.X.shape[1])
    size = limit_batch_size(options.batch_size, len(arrays))
    state.optimizer = initialize_optimizer(
        options.loss, options.optimizer, get_parameters(state), horizon=None
    )
    job = jobs.make_job(state, options.loss, options.optimizer, arrays, size, options.shuffle)
    trainer = jobs.make_trainer(state, job)
    steps = Steps(0, 0, rates.copy())
    steps.losses[:] = np.nan
    while steps.done < len(rates) and np.isfinite(steps.losses[: steps.done]).all():
        trainer.run(steps, SECONDS_PER_CALL)
        limits.check_cancelled()
    return np.where(np.isfinite(steps.losses), steps.losses, np.nan)
