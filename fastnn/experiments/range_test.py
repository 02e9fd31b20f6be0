"""The learning-rate range test of L. Smith, "Cyclical learning rates for training neural networks",
WACV 2017, section 3.3: one short run in which the rate rises from step to step shows which rates
train and which destroy. There it rises by steps of equal size, here by a factor, so that a test can
span the seven orders of magnitude in which the rates of all optimizers lie."""

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
from fastnn._training import fit
from fastnn._training.arguments import Options, check_options, limit_batch_size
from fastnn._training.loop import SECONDS_PER_CALL
from fastnn._training.source import Arrays, make_source, prepare
from fastnn._training.state import NetworkState, build, get_parameters, initialize_optimizer
from fastnn._util import checks
from fastnn._util.plotting import get_axes
from fastnn.losses import Loss
from fastnn.model import Sequential
from fastnn.optimizers import Optimizer

Floats = NDArray[np.float64]

# A loss is smoothed by a moving mean over this share of the steps. Unlike a median it lets a ragged
# loss count against a rate.
SMOOTHED_SHARE = 1 / 15

# The rate that counts is the first at which this share of the fall is left. Where a small table is
# learned by heart the loss goes on falling towards 0 at rates that are of no use: on 178 wines the
# least loss is at a rate twenty times as large.
LEFT_SHARE = 0.01

# The best rate is usually "within a factor of two of the largest one that converges", and a cycle's
# lower bound a third or a quarter of its upper one (L. Smith, section 3.3, the former after
# Y. Bengio, 2012, arXiv 1206.5533). Measured over 32 tests, four data sets with four networks and
# five optimizers: the held-out accuracy or R2 of `Cyclic(high / 4, high)` is in the median that of
# the best of 17 constant rates, on digits never worse by more than 0.6 %. Without the half, 0.1 %
# in the median and 2.9 % on digits; with a third, 0.2 % and 0.2 %. Where the loss begins to fall is
# no better a lower bound. As a constant rate, the geometric mean of the two stays behind by 0.3 %,
# on digits by at most 0.8 % (1.4 % with tanh in other tests). A hundred steps are too
# few: 1.3 % on digits.
HIGH_SHARE, LOW_SHARE = 1 / 2, 1 / 8

# The least that counts as a fall of the loss, in standard deviations of what is smoothed over the
# first fifth of the steps.
LEAST_FALL = 3.0


@dataclass(frozen=True)
class Suggestion:
    """Bounds of the learning rate; `low, high = suggestion` unpacks them.

    Attributes
    ----------
    low, high : the medians over the seeds.
    low_band, high_band : the quartiles over the seeds, between which half of them lie.
    n_seeds : how many there are, without those whose loss never fell.
    """

    low: float
    high: float
    low_band: tuple[float, float]
    high_band: tuple[float, float]
    n_seeds: int

    def __iter__(self) -> Iterator[float]:
        """low, then high."""
        yield self.low
        yield self.high


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class RangeTest:
    """What `lr_range_test` recorded.

    Attributes
    ----------
    learning_rates : (n_steps,)
    losses : (n_seeds, n_steps), of each step's batch before its update; NaN where the run had
        ended: at a loss that is not finite or, smoothed, is above that of the start by more than
        the loss had fallen.
    """

    learning_rates: Floats
    losses: Floats = field(repr=False)

    def suggest(self) -> Suggestion:
        """Bounds for `schedules.Cyclic`; as a constant rate take `(low * high) ** 0.5`.

        In each run the loss is smoothed by a moving mean over n_steps / 15 steps. `high` is half
        of the rate at which 99 % of its fall is made, and `low` a quarter of `high`.

        Returns
        -------
        Suggestion

        Raises
        ------
        ValueError
            If in half of the runs or more the loss never fell.

        Warns
        -----
        RuntimeWarning
            If the loss was still falling at the greatest rate.
        """
        best = np.array([_best_step(losses) for losses in self.losses])
        found = best[best >= 0]
        if 2 * len(found) <= len(best):
            raise ValueError(
                f"losses: expected such as fall at some learning rate; got {len(found)} runs of "
                f"{len(best)}: try more n_steps, a wider range or other layers"
            )
        n_steps = len(self.learning_rates)
        if np.median(found) >= n_steps * (1 - SMOOTHED_SHARE):
            warnings.warn(
                "the loss was still falling at the greatest learning rate, "
                f"{self.learning_rates[-1]:.3g}: raise max_learning_rate", RuntimeWarning,
                stacklevel=2,
            )  # fmt: skip
        # Rates rise, so what holds of the steps' order holds of the rates'; logarithms make the
        # mean of two middle ones a geometric mean.
        logs = np.log(self.learning_rates[found])
        first, middle, last = np.exp(np.quantile(logs, (0.25, 0.5, 0.75))).tolist()
        return Suggestion(
            LOW_SHARE * middle, HIGH_SHARE * middle, (LOW_SHARE * first, LOW_SHARE * last),
            (HIGH_SHARE * first, HIGH_SHARE * last), len(found),
        )  # fmt: skip

    def plot(self, axes: Any = None) -> Any:
        """Smoothed losses against rates, a line for each seed, and the suggestion with its bands,
        if there is one; returns matplotlib's axes.

        Raises
        ------
        ImportError
            If matplotlib is not installed (`pip install matplotlib`).
        """
        axes = get_axes(axes, "RangeTest.plot")
        for losses in self.losses:
            made = losses[np.isfinite(losses)]
            axes.plot(self.learning_rates[: len(made)], _smoothed(made, len(losses)), linewidth=0.8)
        with contextlib.suppress(ValueError):  # a test without a suggestion can be looked at too
            given = self.suggest()
            for rate, band in ((given.low, given.low_band), (given.high, given.high_band)):
                axes.axvline(rate, color="black", linestyle="--", label=f"{rate:.2g}")
                axes.axvspan(*band, color="black", alpha=0.15)
            axes.legend()
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss, smoothed")
        return axes


def _smoothed(losses: Floats, n_steps: int) -> Floats:
    """A moving mean, at the ends over what there is."""
    if not len(losses):
        return losses
    width = min(2 * int(n_steps * SMOOTHED_SHARE / 2) + 1, len(losses))
    window = np.ones(width)
    return np.convolve(losses, window, "same") / np.convolve(np.ones(len(losses)), window, "same")


def _without_explosion(losses: Floats) -> Floats:
    """With NaN from where the run ended."""
    finite = np.isfinite(losses)
    n = len(losses) if finite.all() else int(finite.argmin())
    smooth = _smoothed(losses[:n], len(losses))
    if n:
        lowest = int(smooth.argmin())
        above = smooth[lowest:] > 2 * smooth[0] - smooth[lowest]
        n = lowest + int(above.argmax()) if above.any() else n
    return np.where(np.arange(len(losses)) < n, losses, np.nan)


def _best_step(losses: Floats) -> int:
    """The step at which the smoothed loss has fallen but for `LEFT_SHARE`; -1 if it never did."""
    smooth = _smoothed(losses[np.isfinite(losses)], len(losses))
    if not len(smooth):
        return -1
    fall = smooth[0] - smooth.min()
    noise = smooth[: len(losses) // 5].std()
    if not fall > LEAST_FALL * noise:
        return -1
    return int(np.argmax(smooth <= smooth.min() + LEFT_SHARE * fall))


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
    """Which learning rates train a network: fresh networks of its layers are trained side by side
    while the rate rises from step to step, by the same factor each time.

    Parameters
    ----------
    network : Sequential
        Tells layers, dtype and the first seed; it is not changed, nor are its weights used.
    X, y, loss, batch_size, sample_weight, shuffle, check_finite : as for `Sequential.fit`
    optimizer : str or Optimizer, default "adam"
        Its own learning rate is not used.
    n_steps : int, default 200
        Minibatches of each run.
    n_seeds : int, default 8
        Runs, with the seeds `network.seed`, `network.seed + 1`, ...
    min_learning_rate, max_learning_rate : float, defaults 1e-6 and 10
    cv : int, optional
        Number of parts of X, of which each run leaves out another one: the bands then tell the
        spread over rows besides that over seeds.
    n_threads : int, optional
        Runs at the same time; by default as many as the process may use. The result does not
        depend on it.

    Returns
    -------
    RangeTest

    Raises
    ------
    ValueError, TypeError
        If a parameter or an array is not as described.
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
    least = checks.number("min_learning_rate", min_learning_rate, above=0)
    most = checks.number("max_learning_rate", max_learning_rate, above=least)
    options = check_options(
        network.state, loss=loss, optimizer=optimizer, epochs=1, batch_size=batch_size,
        shuffle=shuffle, callbacks=(), n_threads=n_threads,
    )  # fmt: skip
    source = make_source(X, y, sample_weight, check_finite)
    _, arrays = prepare(network.state, source, options.loss)
    parts = _parts(arrays, cv, network.seed)
    rates = np.geomspace(least, most, n_steps)
    # The optimizer's own schedule could ask for what only a fit knows.
    options = replace(options, optimizer=replace(options.optimizer, learning_rate=least))
    tasks = [
        Task(
            partial(
                _train, network, (network.seed + i) % 2**63, options, parts[i % len(parts)], rates
            )
        )
        for i in range(n_seeds)
    ]
    done = pool.run_tasks(tasks, n_threads)
    for one in done:
        if one.error is not None:
            raise one.error
        if one.interrupted:
            raise KeyboardInterrupt
    return RangeTest(rates, np.array([_without_explosion(one.value) for one in done]))


def _parts(arrays: Arrays, cv: int | None, seed: int) -> list[Arrays]:
    """All rows, or those that remain without each of `cv` parts."""
    if cv is None:
        return [arrays]
    checks.whole("cv", cv, at_least=2, at_most=len(arrays))
    order = np.random.default_rng(seed).permutation(len(arrays))
    return [
        arrays.select(np.sort(np.delete(order, np.s_[i::cv])).astype(np.intp)) for i in range(cv)
    ]


def _train(net: Sequential, seed: int, options: Options, arrays: Arrays, rates: Floats) -> Floats:
    """The losses of one run, NaN from where its loss was not finite."""
    state = NetworkState(layers=net.layers, seed=seed, dtype=net.dtype)
    build(state, arrays.X.shape[1])
    size = limit_batch_size(options.batch_size, len(arrays))
    state.optimizer = initialize_optimizer(
        options.loss, options.optimizer, get_parameters(state), horizon=None
    )
    job = fit.make_job(state, state.optimizer, arrays, size, options.shuffle)
    trainer = fit.make_trainer(state, job)
    steps = Steps(0, 0, rates.copy())
    steps.losses[:] = np.nan
    while steps.done < len(rates) and np.isfinite(steps.losses[: steps.done]).all():
        trainer.run(steps, SECONDS_PER_CALL)
        limits.check_cancelled()
    return np.where(np.isfinite(steps.losses), steps.losses, np.nan)
