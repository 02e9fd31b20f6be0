"""Two directions in the space of a network's parameters, and coordinates along them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._training.state import get_views
from fastnn.model import Sequential

Array = NDArray[Any]
Floats = NDArray[np.float64]


def draw_directions(net: Sequential, rng: np.random.Generator) -> Floats:
    """Two random directions (2, n_parameters), normalized by filter: H. Li and others, 2018,
    section 4.

    The filter of a unit in a dense layer is the column of its weights: in both directions, the
    column has the norm of the network's column. Biases do not change, as in the authors' plots.
    """
    return np.stack([_draw_direction(net, rng) for _ in range(2)])


def _draw_direction(net: Sequential, rng: np.random.Generator) -> Floats:
    flat = np.zeros(net.n_parameters)
    for part, w in zip(get_views(net.state, flat)[0], net.weights, strict=True):
        drawn = rng.normal(size=w.shape)
        part[:] = drawn * (np.linalg.norm(w, axis=0) / np.linalg.norm(drawn, axis=0))
    return flat


def find_principal_directions(offsets: Floats) -> Floats:
    """The first two principal components (2, n_parameters) of a path, given relative to the
    network (n_points, n_parameters): H. Li and others, 2018, section 7.2."""
    return np.asarray(np.linalg.svd(offsets, full_matrices=False)[2][:2])


def project(offsets: Floats, directions: Floats) -> Floats:
    """Coordinates (n_points, 2) along two directions of the nearest point in their plane."""
    return np.asarray(np.linalg.lstsq(directions.T, offsets.T, rcond=None)[0].T)
