"""Smooth test functions of the literature on surrogate models, and data drawn from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Lower and upper bounds of the borehole function's inputs: rw, r, Tu, Hu, Tl, Hl, L, Kw.
BOREHOLE_BOUNDS = np.array(
    [[0.05, 100, 63070, 990, 63.1, 700, 1120, 9855],
     [0.15, 50000, 115600, 1110, 116, 820, 1680, 12045]]
)  # fmt: skip


def draw_friedman(n: int) -> tuple[Array, Array]:
    """Friedman's first function without noise (Annals of Statistics 19, 1991): ten inputs, of which
    five matter."""
    X = np.random.default_rng(0).uniform(size=(n, 10))
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2
    return X, y + 10 * X[:, 3] + 5 * X[:, 4]


def draw_borehole(n: int) -> tuple[Array, Array]:
    """The flow of water through a borehole (Morris, Mitchell and Ylvisaker, Technometrics 35,
    1993): eight inputs."""
    low, high = BOREHOLE_BOUNDS
    X = low + (high - low) * np.random.default_rng(1).uniform(size=(n, 8))
    rw, r, upper, upper_head, lower, lower_head, length, conductivity = X.T
    log_ratio = np.log(r / rw)
    resistance = 2 * length * upper / (log_ratio * rw**2 * conductivity)
    flow = 2 * np.pi * upper * (upper_head - lower_head)
    return X, flow / (log_ratio * (1 + resistance + upper / lower))


def evaluate_styblinski_tang(X: Array) -> tuple[Array, Array]:
    """The Styblinski-Tang function, on which W. M. Czarnecki and others introduced Sobolev training
    (NeurIPS 2017), scaled: inputs (n, 2) from -1 to 1 instead of -5 to 5, and values divided by 50.
    Returns values (n, 1) and gradients (n, 1, 2)."""
    Z = 5 * X
    values = (Z**4 - 16 * Z**2 + 5 * Z).sum(axis=1, keepdims=True) / 100
    return values, (5 * (4 * Z**3 - 32 * Z + 5) / 100)[:, None]


def standardize(X: Array, y: Array) -> tuple[Array, Array]:
    """X and y (n, 1) with mean 0 and standard deviation 1 in each column."""
    y = y.reshape(-1, 1)
    return (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()
