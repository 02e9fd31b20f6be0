"""Findings from the curves of losses and metrics, one value per epoch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastnn._report.facts import RunFacts
from fastnn._report.finding import Finding

Floats = NDArray[np.float64]

# Epochs from which a curve is judged: with fewer, the noise of the minibatches decides.
FEWEST_EPOCHS = 6

# The learning rate is too high if the loss rises in at least a third of the epochs of the second
# half (by chance, a constant noisy loss rises in half of them), and the mean change is this
# fraction of the loss that counts as large (`RunFacts.loss_scale`). In 33 healthy runs whose loss
# rises that often, the mean change was at most 0.0025; at learning rates 30 times too high it was
# 0.03 to 0.3.
RISING_FRACTION, OSCILLATION = 1 / 3, 0.02

# It is also too high if the last loss exceeds that of a constant prediction by this factor. The
# latter is computed from some hundred rows, with a standard error of up to 10 %.
ABOVE_CONSTANT = 1.25

# The learning rate is too low if the loss falls in nearly every epoch, in the second half at nearly
# the rate of the first, and by less than a fifth in all.
FALLING_FRACTION, STEADINESS, LITTLE = 0.9, 0.6, 0.2

# Overfitting: the validation loss, as a mean over three epochs, has risen above its minimum by
# this factor, and by this fraction of its first value.
OVERFITTED, VISIBLE = 1.15, 0.02

# Underfitting: values from 0.2 on are already a good fit by McFadden's pseudo-R2 (D. McFadden,
# "Quantitative methods for analysing travel behaviour of individuals", 1979).
LITTLE_EXPLAINED = 0.2

# Improvement in the last quarter, as a fraction of the whole improvement and of the last loss: a
# run with at least the former was stopped early, one below the latter has converged.
STILL_IMPROVING, NO_LONGER_IMPROVING = 0.05, 0.01


def find_divergence(facts: RunFacts) -> Finding | None:
    """A loss that became infinite or NaN."""
    if not facts.diverged:
        return None
    return Finding(
        "diverged", "problem", f"{facts.stop_reason}."[:1].upper() + f"{facts.stop_reason}."[1:],
        "Lower the learning_rate of the optimizer 3 to 10 times, or set its clip_norm=1.0; scale "
        "X and y (fastnn.Standardizer).",
    )  # fmt: skip


def find_high_learning_rate(facts: RunFacts) -> Finding | None:
    """A loss that oscillates, rises, or stays above that of a constant prediction."""
    loss = facts.loss
    if facts.diverged or len(loss) < FEWEST_EPOCHS:
        return None
    changes = np.diff(loss[len(loss) // 2 - 1 :])
    rising, size = float(np.mean(changes > 0)), float(np.abs(changes).mean())
    constant, last = facts.constant_loss, float(np.mean(loss[-3:]))
    if rising >= RISING_FRACTION and size >= OSCILLATION * facts.loss_scale > 0:
        evidence = (
            f"The training loss rises in {rising:.0%} of the epochs of the second half; its mean "
            f"change per epoch is {size:.3g}, after a first epoch of {loss[0]:.3g}."
        )
    elif constant and rising >= RISING_FRACTION and last > ABOVE_CONSTANT * constant:
        evidence = (
            f"The training loss, {last:.3g}, is above that of a constant prediction, "
            f"{constant:.3g}, and no longer falls."
        )
    else:
        return None
    return Finding(
        "learning rate too high", "problem", evidence,
        "Lower the learning_rate of the optimizer 3 to 10 times (fastnn.lr_range_test finds "
        "bounds), or use a schedule that decreases it.",
    )  # fmt: skip


def find_low_learning_rate(facts: RunFacts) -> Finding | None:
    """A loss that crawls."""
    loss = facts.loss
    if facts.diverged or len(loss) < FEWEST_EPOCHS or not _is_crawling(loss):
        return None
    return Finding(
        "learning rate too low", "warning",
        f"The training loss falls steadily but slowly, from {loss[0]:.4g} to {loss[-1]:.4g} in "
        f"{len(loss)} epochs, in the last epoch by {loss[-2] - loss[-1]:.2g}.",
        "Raise the learning_rate of the optimizer 3 to 10 times (fastnn.lr_range_test finds "
        "bounds).",
    )  # fmt: skip


def find_overfitting(facts: RunFacts) -> Finding | None:
    """A validation loss that rises while the training loss falls."""
    loss, validation = facts.loss, facts.val_loss
    if validation is None or facts.diverged or len(loss) < FEWEST_EPOCHS:
        return None
    if not np.isfinite(validation).all():
        return None
    best = int(np.argmin(validation))
    last, lowest = float(np.mean(validation[-3:])), float(validation[best])
    risen = last - lowest
    if best > len(loss) - 4 or loss[-1] >= loss[best] or lowest <= 0:
        return None
    if last < OVERFITTED * lowest or risen < VISIBLE * abs(validation[0]):
        return None
    stopped = facts.stop_reason is not None
    return Finding(
        "overfitting", "info" if stopped else "warning",
        f"Since epoch {best + 1} the validation loss has risen from {lowest:.3g} to {last:.3g}, "
        f"while the training loss has fallen from {loss[best]:.3g} to {loss[-1]:.3g}.",
        f"Training was stopped: {facts.stop_reason}." if stopped else
        "Add callbacks=[fastnn.EarlyStopping()], dropout layers, or l2 in the layers; or train on "
        "more rows.",
    )  # fmt: skip


def find_underfitting(facts: RunFacts) -> Finding | None:
    """A loss that has stopped falling close to that of a constant prediction."""
    if facts.diverged or not is_flat(facts):
        return None
    explained = facts.explained
    if explained is None or not -np.inf < explained < LITTLE_EXPLAINED:
        return None
    return Finding(
        "underfitting", "warning",
        f"The training loss no longer falls, and is only {max(explained, 0):.0%} below that of a "
        "constant prediction.",
        "Use more units or layers, less l2 or dropout, and a learning_rate from "
        "fastnn.lr_range_test; if that does not help, X says little about y.",
    )  # fmt: skip


def find_early_end(facts: RunFacts) -> Finding | None:
    """A loss that still falls at the last epoch."""
    loss, validation = facts.loss, facts.val_loss
    if facts.diverged or facts.stop_reason is not None or len(loss) < FEWEST_EPOCHS:
        return None
    if not all(_is_improving(curve) for curve in (loss, validation) if curve is not None):
        return None
    improvement = _measure_recent_fall(loss) / (loss[0] - loss[-1])
    return Finding(
        "stopped too early", "warning",
        f"In the last quarter of the epochs the training loss has still fallen, to {loss[-1]:.3g}: "
        f"{improvement:.0%} of its whole decrease.",
        "Train for more epochs: twice as many, with callbacks=[fastnn.EarlyStopping()] if there "
        "is validation data.",
    )  # fmt: skip


def find_convergence(facts: RunFacts) -> Finding | None:
    """A loss that no longer falls."""
    if facts.diverged or not is_flat(facts):
        return None
    if find_high_learning_rate(facts) or find_overfitting(facts):
        return None
    loss = facts.loss
    return Finding(
        "converged", "info",
        f"In the last quarter of the epochs the training loss has fallen by less than 1 % of its "
        f"whole decrease, to {loss[-1]:.3g}.",
        "More epochs would change little.",
    )  # fmt: skip


def is_flat(facts: RunFacts) -> bool:
    """Whether the training loss has stopped falling."""
    loss = facts.loss
    if len(loss) < FEWEST_EPOCHS:
        return False
    return _measure_recent_fall(loss) <= NO_LONGER_IMPROVING * float(loss.max() - loss.min())


def _is_crawling(curve: Floats) -> bool:
    """Whether a curve falls steadily by tiny steps."""
    falls = -np.diff(curve)
    first, second = np.array_split(falls, 2)
    return bool(
        np.mean(falls > 0) >= FALLING_FRACTION
        and second.mean() >= STEADINESS * first.mean()
        and curve[-1] >= (1 - LITTLE) * curve[0] > 0
    )


def _is_improving(curve: Floats) -> bool:
    """Whether a curve falls at its end, by a part of its whole fall and of its last value."""
    recent, whole = _measure_recent_fall(curve), float(curve[0] - curve[-1])
    return whole > 0 and recent > STILL_IMPROVING * max(whole, abs(float(curve[-1])))


def _measure_recent_fall(curve: Floats) -> float:
    """The fall over the last quarter of the epochs, at least four, by a least-squares line."""
    recent = curve[-max(4, len(curve) // 4) :]
    if not np.isfinite(recent).all():
        return math.nan  # which is neither large nor small
    time = np.arange(len(recent)) - (len(recent) - 1) / 2
    return float(-(time @ recent) / (time @ time) * (len(recent) - 1))
