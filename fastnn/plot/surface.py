"""The loss in a plane through the parameters of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._training import scoring
from fastnn._training.arguments import get_last_loss, resolve_loss
from fastnn._training.source import Arrays, make_source, prepare
from fastnn._training.state import copy_state
from fastnn._util import checks
from fastnn._util.checks.arrays import check_numbers, check_seed
from fastnn._util.plotting import COLOR_MAP, check_axes, get_axes
from fastnn.losses import Loss
from fastnn.model import Sequential
from fastnn.plot.directions import draw_directions, find_principal_directions, project

Array = NDArray[Any]
Floats = NDArray[np.float64]

N_LEVELS = 14  # of filled contours
MAX_MARKERS = 30  # points of a path that are marked; more would hide the line
MARGIN = 1.15  # of the plane around the path, as a factor
LOGARITHMIC_SPAN = 10  # ratio of the largest to the smallest loss above which the scale is log


@dataclass(frozen=True)
class Surface:
    """Losses in the plane of two directions, whose coordinates are relative to the network."""

    a: Floats  # (resolution,)
    b: Floats
    losses: Floats  # (resolution, resolution), rows along b
    path: Floats | None  # (n_points, 2)


def loss_surface(
    net: Sequential,
    X: Any,
    y: Any,
    *,
    loss: str | Loss | None = None,
    path: Any = None,
    directions: str = "random",
    span: float = 1.0,
    grid_resolution: int = 25,
    random_state: Any = 0,
    ax: Any = None,
) -> Any:
    """Plot the loss around the parameters of a network, in the plane of two directions.

    The loss of all rows, penalties included, is evaluated at w + a d₁ + b d₂, where w are the
    network's parameters and a, b the coordinates of the plot. Random directions d are normalized by
    filter: for each unit, the column of d has the norm of the unit's weights, so that surfaces of
    different networks can be compared. H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein,
    "Visualizing the loss landscape of neural nets", NeurIPS 2018. The network does not change.

    Parameters
    ----------
    net : Sequential
        A network that has been built.
    X : array-like, shape (n, n_features)
        Features.
    y : array-like, shape (n,) or (n, n_targets)
        Targets, as the loss requires them.
    loss : str or Loss, optional
        By default the loss of the last training, or "auto" before any.
    path : array-like, shape (n_points, n_parameters), optional
        Parameters during a fit, for example copies of `net.parameters` made by a callback. They
        are projected onto the plane.
    directions : "random" (default) or "pca"
        Random directions, or the first two principal components of the path relative to the
        network, in which most of its variation lies; a path moves little in random directions.
    span : float, default 1.0
        The coordinates extend from -span to span, and further if the path does. Along principal
        components, only the path determines them.
    grid_resolution : int, default 25
        The loss is evaluated at grid_resolution ** 2 points.
    random_state : int or Generator, default 0
        Seed of the random directions.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        If a parameter or an array is invalid, or the network has not been built.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> X = fn.Standardizer().fit_transform(X)
    >>> net = fn.Sequential(fn.Dense(8, "tanh"), fn.Dense(1, "sigmoid"), random_state=0)
    >>> net = net.build(n_features=30)
    >>> path = [net.parameters.copy()]
    >>> history = net.fit(X, y, callbacks=[lambda epoch: path.append(net.parameters.copy())])
    >>> ax = fn.plot.loss_surface(net, X, y, path=path, directions="pca", grid_resolution=5)
    >>> len(ax.get_lines()[0].get_xdata())
    11
    """
    check_axes(ax, "plot.loss_surface")
    checks.instance("net", net, Sequential, "a Sequential")
    center = net.parameters.astype(np.float64)  # raises an error if the network is not built
    checks.choice("directions", directions, ("random", "pca"))
    span = checks.number("span", span, above=0)
    resolution = checks.whole("grid_resolution", grid_resolution, at_least=2)
    rng = check_seed(random_state)
    resolved = get_last_loss(net.state) if loss is None else resolve_loss(net.layers, loss)
    _, arrays = prepare(net.state, make_source(X, y, None, True), resolved)
    offsets = None if path is None else _check_path(path, len(center)) - center
    if directions == "random":
        plane, limits = draw_directions(net, rng), np.full(2, span)
    else:
        plane, limits = find_principal_directions(_require_plane(offsets)), np.zeros(2)
    points = None if offsets is None else project(offsets, plane)
    if points is not None:
        limits = np.maximum(limits, MARGIN * np.abs(points).max(axis=0))
    limits = np.where(limits > 0, limits, span)  # of a path along a line
    a, b = np.linspace(-limits, limits, resolution).T
    losses = _compute_losses(net, resolved, arrays, a, b, plane)
    if not np.isfinite(losses).any():
        raise ValueError("net: expected finite losses; got infinity or NaN at all points")
    ax = get_axes(ax, "plot.loss_surface")
    kind = "direction" if directions == "random" else "principal component"
    ax.set(xlabel=f"first {kind}", ylabel=f"second {kind}")
    return _draw_surface(ax, Surface(a, b, losses, points))


def _check_path(path: Any, n_parameters: int) -> Floats:
    points = check_numbers("path", path, ndims=(2,)).astype(np.float64)
    if points.shape[1] != n_parameters:
        raise ValueError(f"path: expected shape (n, {n_parameters}); got {points.shape}")
    return points


def _require_plane(offsets: Floats | None) -> Floats:
    if offsets is None or len(offsets) < 2 or offsets.shape[1] < 2:
        got = "None" if offsets is None else f"shape {offsets.shape}"
        expected = "at least 2 points of at least 2 parameters for principal components"
        raise ValueError(f"path: expected {expected}; got {got}")
    return offsets


def _compute_losses(
    net: Sequential, loss: Loss, arrays: Arrays, a: Floats, b: Floats, plane: Floats
) -> Floats:
    """Losses (len(b), len(a)); NaN where the loss is not finite."""
    state = copy_state(net.state)
    center, parameters = net.parameters.astype(np.float64), state.parameters
    assert parameters is not None
    losses = np.empty((len(b), len(a)))
    for i, j in np.ndindex(losses.shape):
        parameters[:] = center + a[j] * plane[0] + b[i] * plane[1]
        losses[i, j] = scoring.evaluate(state, loss, arrays, None)["loss"]
    return np.where(np.isfinite(losses), losses, np.nan)


def _draw_surface(ax: Any, surface: Surface) -> Any:
    from matplotlib.colors import LogNorm
    from matplotlib.patheffects import Normal, Stroke

    low, high = np.nanmin(surface.losses), np.nanmax(surface.losses)
    high = high if high > low else low + 1
    if low > 0 and high > LOGARITHMIC_SPAN * low:
        levels, norm = np.geomspace(low, high, N_LEVELS + 1), LogNorm(low, high)
    else:
        levels, norm = np.linspace(low, high, N_LEVELS + 1), None
    style = {"levels": levels, "norm": norm}
    filled = ax.contourf(surface.a, surface.b, surface.losses, cmap=COLOR_MAP, **style)
    ax.contour(surface.a, surface.b, surface.losses, colors="black", linewidths=0.4, **style)
    ax.figure.colorbar(filled, ax=ax, label="loss", format="%.2g")
    if surface.path is not None:
        marker = "o" if len(surface.path) <= MAX_MARKERS else None
        outline = [Stroke(linewidth=3, foreground="black"), Normal()]  # seen on any color
        line = {"color": "white", "marker": marker, "markersize": 4, "markeredgecolor": "black"}
        ax.plot(*surface.path.T, label="path", path_effects=outline, **line)
    ax.plot(0, 0, "*", color="white", markeredgecolor="black", markersize=12, label="network")
    ax.legend(fontsize="small")
    return ax
