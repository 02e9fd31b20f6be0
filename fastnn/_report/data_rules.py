"""Findings about the data and the predictions. They need diagnostics."""

from __future__ import annotations

from fastnn._report.facts import RunFacts
from fastnn._report.finding import Finding

# Inputs of root mean square r give a layer with Glorot's or He's initial weights outputs of about
# that size: at 10, sigmoid and tanh are saturated from the start, and a step that changes each
# weight by 0.001 changes the output of a unit with 100 inputs by about 1. The pixels of the digits,
# 0 to 16, have a root mean square of at most 12 and train without difficulty; those of images from
# 0 to 255 do not.
LARGE_INPUT = 15.0

# A network with standardized inputs begins with outputs of size 1. With Adam's default learning
# rate, the bias of the output reaches a target of mean t after about 1,000 t steps.
LARGE_TARGET, SMALL_TARGET = 10.0, 0.01

# In random order the ratio is 1, with a standard deviation of 0.09 for 256 rows.
LARGEST_DISORDER = 0.2

# Predictions are constant if they vary by this fraction of the targets (regression), or
# probabilities by this much.
CONSTANT_SPREAD = 0.01

# Accuracy hides an imbalance if it is at least this although a class is mostly misclassified. With
# fewer rows of the class, its recall is too inaccurate: with 10, 0.5 has a standard error of 0.16.
HIGH_ACCURACY, LOW_RECALL, SMALL_SHARE, FEWEST_ROWS = 0.8, 0.5, 0.2, 10


def find_unscaled_inputs(facts: RunFacts) -> Finding | None:
    """A feature with large values."""
    data = facts.data
    if data is None or data.feature_rms <= LARGE_INPUT:
        return None
    return Finding(
        "unscaled inputs", "warning",
        f"Column {data.feature} of X has a root mean square of {data.feature_rms:.3g}; layers are "
        "initialized for inputs of about 1.",
        "Scale X: fastnn.Standardizer().fit_transform(X), and transform new data in the same way.",
    )  # fmt: skip


def find_unscaled_targets(facts: RunFacts) -> Finding | None:
    """Targets of a regression that are far from the initial outputs."""
    data = facts.data
    if data is None or data.target_rms is None or data.target_std == 0:
        return None
    if data.target_std >= SMALL_TARGET and data.target_rms <= LARGE_TARGET:
        return None
    return Finding(
        "unscaled targets", "warning",
        f"y has a root mean square of {data.target_rms:.3g} and a standard deviation of "
        f"{data.target_std:.3g}; a network begins with outputs of about 1.",
        "Scale y with fastnn.Standardizer, and transform predictions back with its "
        "inverse_transform.",
    )  # fmt: skip


def find_sorted_rows(facts: RunFacts) -> Finding | None:
    """Rows that are sorted by target and not shuffled."""
    data = facts.data
    if data is None or data.shuffled or data.batch_size >= data.n_rows:
        return None
    if data.disorder >= LARGEST_DISORDER:
        return None
    return Finding(
        "sorted rows", "problem" if data.class_counts else "warning",
        f"The targets of neighboring rows differ {data.disorder:.2g} times as much as in random "
        "order, so the rows of a minibatch are alike, and the rows are not shuffled.",
        "Train with shuffle=True.",
    )  # fmt: skip


def find_constant_predictions(facts: RunFacts) -> Finding | None:
    """Predictions that do not depend on X, for targets that vary."""
    data, outputs = facts.data, facts.outputs
    if data is None or outputs is None or data.target_std == 0:
        return None
    scale = 1.0 if data.class_counts else data.target_std
    if not outputs.spread < CONSTANT_SPREAD * scale:
        return None
    unit = "" if data.class_counts else f", that of the targets is {data.target_std:.3g}"
    return Finding(
        "constant predictions", "problem",
        f"The standard deviation of the predictions over the training rows is "
        f"{outputs.spread:.2g}{unit}.",
        "Change what other findings name; otherwise try a learning_rate 10 times lower and 10 "
        "times higher (fastnn.lr_range_test), and scaled inputs.",
    )  # fmt: skip


def find_class_imbalance(facts: RunFacts) -> Finding | None:
    """A rare class that is mostly misclassified although the accuracy is high."""
    data, outputs = facts.data, facts.outputs
    if data is None or outputs is None or (outputs.accuracy or 0.0) < HIGH_ACCURACY:
        return None
    total = sum(data.class_counts)
    missed = [
        (recall, index) for index, (recall, count)
        in enumerate(zip(outputs.recalls, data.class_counts, strict=True))
        if FEWEST_ROWS <= count <= SMALL_SHARE * total and recall < LOW_RECALL
    ]  # fmt: skip
    if not missed:
        return None
    recall, index = min(missed)
    return Finding(
        "class imbalance", "warning",
        f"The accuracy is {outputs.accuracy:.2f}, but of the rarest classes, number {index} "
        f"({data.class_counts[index] / total:.1%} of the rows) is predicted for only "
        f"{recall:.0%} of its rows.",
        'Train with class_weight="balanced", and judge by the recall of each class '
        "(fastnn.metrics) instead of the accuracy.",
    )  # fmt: skip
