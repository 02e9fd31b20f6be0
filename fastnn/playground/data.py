"""Data sets of the playground: two features in about [-6, 6], and one target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

N_ROWS = 500
HALF_WIDTH = 6.0
MAX_CSV_BYTES = 200_000
MAX_CSV_ROWS = 5_000

FEATURES: dict[str, Callable[[Array, Array], Array]] = {
    "x": lambda x, y: x,
    "y": lambda x, y: y,
    "x2": lambda x, y: x * x,
    "y2": lambda x, y: y * y,
    "xy": lambda x, y: x * y,
    "sin_x": lambda x, y: np.sin(x),
    "sin_y": lambda x, y: np.sin(y),
}


def _make_circles(rng: np.random.Generator, noise: float) -> tuple[Array, Array]:
    target = np.arange(N_ROWS) % 2
    radius = np.where(target == 1, rng.uniform(0, 2.5, N_ROWS), rng.uniform(3.5, 5, N_ROWS))
    angle = rng.uniform(0, 2 * np.pi, N_ROWS)
    points = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return points + rng.normal(0, 2 * noise, points.shape), target.astype(float)


def _make_xor(rng: np.random.Generator, noise: float) -> tuple[Array, Array]:
    points = rng.uniform(-5, 5, (N_ROWS, 2))
    target = (points[:, 0] * points[:, 1] > 0).astype(float)
    points += np.where(points > 0, 0.3, -0.3)  # a gap along the axes
    return points + rng.normal(0, 2 * noise, points.shape), target


def _make_gaussians(rng: np.random.Generator, noise: float) -> tuple[Array, Array]:
    target = np.arange(N_ROWS) % 2
    centers = np.where(target == 1, 2.0, -2.0)[:, None]
    return centers + rng.normal(0, 1 + 2 * noise, (N_ROWS, 2)), target.astype(float)


def _make_spiral(rng: np.random.Generator, noise: float) -> tuple[Array, Array]:
    target = np.arange(N_ROWS) % 2
    share = (np.arange(N_ROWS) // 2) / (N_ROWS // 2)
    angle = 1.75 * share * 2 * np.pi + target * np.pi
    points = (5 * share)[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    return points + rng.normal(0, noise, points.shape), target.astype(float)


def _make_plane(rng: np.random.Generator, noise: float) -> tuple[Array, Array]:
    points = rng.uniform(-6, 6, (N_ROWS, 2))
    return points, points.sum(axis=1) / 10 + rng.normal(0, noise, N_ROWS)


def _make_hills(rng: np.random.Generator, noise: float) -> tuple[Array, Array]:
    points = rng.uniform(-6, 6, (N_ROWS, 2))
    target = np.zeros(N_ROWS)
    for x, y, height in [(-4, 2.5, 1), (0, 2.5, -1), (4, 2.5, 1),
                         (-4, -2.5, -1), (0, -2.5, 1), (4, -2.5, -1)]:  # fmt: skip
        target += height * np.exp(-((points - [x, y]) ** 2).sum(axis=1) / 3)
    return points, target + rng.normal(0, noise, N_ROWS)


CLASSIFICATION = {
    "circles": _make_circles, "xor": _make_xor, "gaussians": _make_gaussians,
    "spiral": _make_spiral,
}  # fmt: skip
REGRESSION = {"plane": _make_plane, "hills": _make_hills}
DATA_SETS = {**CLASSIFICATION, **REGRESSION}


def make_data(name: str, noise: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """Return the points, shape (500, 2), and the targets of a data set, in random order."""
    rng = np.random.default_rng(seed)
    points, target = DATA_SETS[name](rng, noise)
    order = rng.permutation(N_ROWS)
    return points[order], target[order]


def read_csv(text: str) -> tuple[Array, Array]:
    """Read rows of two features and a target; the features are scaled to [-6, 6].

    A first line that is not numeric is taken as names of the columns.

    Raises
    ------
    ValueError
        If the text is too long, or is not a table of finite numbers with three columns.
    """
    if len(text.encode()) > MAX_CSV_BYTES:
        raise ValueError(f"csv: expected at most {MAX_CSV_BYTES:,} bytes; got {len(text.encode())}")
    lines = [line.split(",") for line in text.splitlines() if line.strip()]
    if lines and not _is_number(lines[0][0]):
        lines = lines[1:]
    if not 10 <= len(lines) <= MAX_CSV_ROWS:
        raise ValueError(f"csv: expected 10 to {MAX_CSV_ROWS:,} rows; got {len(lines)}")
    for i, line in enumerate(lines):
        if len(line) != 3 or not all(map(_is_number, line)):
            raise ValueError(f"csv: expected three numbers in each row; got {line[:4]} in row {i}")
    table = np.array(lines, dtype=float)
    low, high = table[:, :2].min(axis=0), table[:, :2].max(axis=0)
    if not (high > low).all():
        raise ValueError("csv: expected features that vary; got a constant column")
    points = (2 * (table[:, :2] - low) / (high - low) - 1) * HALF_WIDTH
    return points, table[:, 2]


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < 1e30  # also false for NaN; squares stay finite in float32
    except ValueError:
        return False


def is_classification(target: Any) -> bool:
    """Whether all targets are 0 or 1."""
    return bool(np.isin(target, [0.0, 1.0]).all())


def compute_features(points: Array, names: Sequence[str]) -> Array:
    """Return the features of the points, one column for each name of `FEATURES`."""
    return np.column_stack([FEATURES[name](points[:, 0], points[:, 1]) for name in names])
