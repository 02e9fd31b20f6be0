"""A drawing of a network: its units, and the weights between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import activations
from fastnn._util import checks
from fastnn._util.plotting import BLUE, VERMILLION, check_axes, get_axes
from fastnn.layers import Dense, Layer, Residual, contains_scale, iterate_dense_layers
from fastnn.model import Sequential

Array = NDArray[Any]

SKIP_HEIGHT = 0.1  # of the arc of a skip connection, for each layer that it skips
MAX_WIDTH, MIN_WIDTH = 3.0, 0.1  # of edges in points; thinner ones are not drawn
# Positive and negative weights differ in color and in line style.
STYLES = ((1, BLUE, "solid", "weight > 0"), (-1, VERMILLION, "dashed", "weight < 0"))


@dataclass(frozen=True)
class Column:
    """The units of a layer that are drawn: all of them, or the first and the last ones."""

    x: float
    title: str
    drawn: NDArray[np.intp]  # indices of the units that are drawn
    y: Array  # their positions, from the top down
    gap: float | None  # the position of the ellipsis


def network(net: Sequential, *, max_units: int = 8, ax: Any = None) -> Any:
    """Draw the units of a network as nodes, and its weights as edges.

    The width of an edge is proportional to the absolute value of the weight, relative to the
    largest one drawn of the layer; positive weights are solid and blue, negative ones dashed and
    vermillion. Skip connections of residual blocks are gray arcs. Biases are not drawn.

    Parameters
    ----------
    net : Sequential
        A network that has been built.
    max_units : int, default 8
        Units to draw per layer, at least 2. Of wider layers, the first and the last units are
        drawn, with an ellipsis between them.
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
        If a parameter is invalid, or the network has not been built.

    Examples
    --------
    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(4, "relu"), fn.Dense(1), random_state=0).build(n_features=3)
    >>> ax = fn.plot.network(net)
    >>> [text.get_text() for text in ax.texts]
    ['input\\n3', 'relu\\n4', 'linear\\n1']
    """
    check_axes(ax, "plot.network")
    checks.instance("net", net, Sequential, "a Sequential")
    max_units = checks.whole("max_units", max_units, at_least=2)
    if contains_scale(net.layers):
        raise ValueError("net: expected a network without Scale; got one with it")
    weights = list(net.weights)  # raises an error if the network has not been built
    columns = _make_columns(net, max_units)
    ax = get_axes(ax, "plot.network")
    for left, right, w in zip(columns, columns[1:], weights, strict=False):
        _draw_edges(ax, left, right, w[np.ix_(left.drawn, right.drawn)])
    skips = list(_find_skips(net.layers))
    for start, end in skips:
        _draw_skip(ax, columns[start], columns[end])
    for column in columns:
        _draw_column(ax, column)
    _draw_legend(ax)
    top = max((SKIP_HEIGHT * (end - start) for start, end in skips), default=0.0)
    ax.set(xlim=(-0.4, len(columns) - 0.6), ylim=(-0.62, 0.6 + top + (0.08 if skips else 0)))
    ax.axis("off")
    return ax


def _make_columns(net: Sequential, max_units: int) -> list[Column]:
    dense = list(iterate_dense_layers(net.layers))
    names = [activations.resolve(layer.activation).name for layer in dense]
    sizes = [net.n_features_in or 0, *(layer.units for layer in dense)]
    return [
        _make_column(x, name, size, max_units)
        for x, (name, size) in enumerate(zip(["input", *names], sizes, strict=True))
    ]


def _make_column(x: float, name: str, n_units: int, max_units: int) -> Column:
    title = f"{name}\n{n_units}"
    if n_units <= max_units:
        return Column(x, title, np.arange(n_units), _spread(n_units, max_units), None)
    slots = _spread(max_units + 1, max_units + 1)
    top = (max_units + 1) // 2
    drawn = np.r_[:top, n_units - (max_units - top) : n_units]
    return Column(x, title, drawn, np.delete(slots, top), float(slots[top]))


def _spread(n: int, most: int) -> Array:
    """Positions from the top down: the more units, the more of the height they take."""
    reach = 0.45 * max(n - 1, 0) / max(most - 1, 1)
    return np.linspace(reach, -reach, n) if n > 1 else np.zeros(1)


def _draw_edges(ax: Any, left: Column, right: Column, w: Array) -> None:
    from matplotlib.collections import LineCollection

    largest = float(np.abs(w).max()) or 1.0
    for sign, color, style, _ in STYLES:
        widths = MAX_WIDTH * np.maximum(sign * w, 0) / largest
        i, j = np.nonzero(widths >= MIN_WIDTH)
        segments = [((left.x, left.y[a]), (right.x, right.y[b])) for a, b in zip(i, j, strict=True)]
        lines = {"colors": color, "linestyles": style, "linewidths": widths[i, j]}
        ax.add_collection(LineCollection(segments, zorder=1, alpha=0.8, **lines))


def _find_skips(layers: tuple[Layer, ...], first: int = 0) -> Iterator[tuple[int, int]]:
    """Yield the columns that each skip connection joins."""
    for layer in layers:
        if isinstance(layer, Residual):
            length = sum(1 for _ in iterate_dense_layers(layer.layers))
            yield first, first + length
            yield from _find_skips(layer.layers, first)
            first += length
        elif isinstance(layer, Dense):
            first += 1


def _draw_skip(ax: Any, left: Column, right: Column) -> None:
    """Draw half an ellipse from above the first to above the second column."""
    t = np.linspace(np.pi, 0, 50)
    x = (left.x + right.x) / 2 + (right.x - left.x) / 2 * np.cos(t)
    height = SKIP_HEIGHT * (right.x - left.x)
    start, end = left.y[0] + 0.05, right.y[0] + 0.05
    y = np.linspace(start, end, 50) + height * np.sin(t)
    ax.plot(x, y, color="0.4", linewidth=1.5, label="skip")


def _draw_column(ax: Any, column: Column) -> None:
    x = np.full(len(column.y), column.x)
    ax.scatter(x, column.y, s=70, color="white", edgecolors="black", zorder=2)
    if column.gap is not None:
        dots = column.gap + np.array([0.02, 0.0, -0.02])
        ax.scatter(np.full(3, column.x), dots, s=4, color="black", zorder=2)
    ax.text(column.x, -0.52, column.title, ha="center", va="top")


def _draw_legend(ax: Any) -> None:
    skips = ax.get_lines()[:1]  # the first skip connection, if there is one
    handles = [
        line for _, color, style, label in STYLES
        for line in ax.plot([], [], color=color, linestyle=style, label=label)
    ]  # fmt: skip
    ax.legend(handles=handles + skips, loc="upper center", ncols=3, frameon=False, fontsize="small")
