"""Heat maps of what a fit has recorded of each layer in each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn._util.plotting import COLOR_MAP, check_axes, make_figure

Floats = NDArray[np.float64]

# Columns of `history.layers`: {name: (label, color scale)}.
LABELS = {
    "gradient_norm": ("gradient norm", "log"),
    "update_ratio": ("update ratio", "log"),
    "dead": ("dead units\n(fraction)", "fraction"),
    "saturated": ("saturated units\n(fraction)", "fraction"),
    "mean": ("activation\nmean", "linear"),
    "std": ("activation\nstd", "linear"),
}
DEFAULT = ("gradient_norm", "update_ratio", "dead", "saturated")


@dataclass(frozen=True)
class LayerTable:
    """The columns as arrays of shape (n_layers, n_epochs), NaN where nothing was recorded."""

    layers: list[Any]
    epochs: Floats
    grids: dict[str, Floats]


def diagnostics(history: Any, values: Sequence[str] = DEFAULT, *, ax: Any = None) -> Any:
    """Draw a heat map of layers and epochs for each of several values that a fit has recorded.

    Norms and ratios have a logarithmic color scale, fractions one from 0 to 1.

    Parameters
    ----------
    history : History
        A history whose attribute `layers` is a table with one row per epoch and layer: the columns
        `epoch` and `layer`, and the values.
    values : sequence of str
        Columns to draw, one below the other: of `gradient_norm`, `update_ratio`, `dead`
        and `saturated` (by default these four), `mean` and `std`.
    ax : sequence of matplotlib.axes.Axes, optional
        Axes to draw on, one for each value; by default those of a new figure.

    Returns
    -------
    ndarray of matplotlib.axes.Axes, shape (n_values,)

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        If a parameter is invalid, or nothing was recorded of the layers.

    Examples
    --------
    >>> import fastnn as fn
    >>> from types import SimpleNamespace
    >>> layers = {"epoch": [1, 1, 2, 2], "layer": [0, 1, 0, 1], "dead": [0, 0, 0.5, 0.25]}
    >>> (ax,) = fn.plot.diagnostics(SimpleNamespace(layers=layers), values=["dead"])
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('epoch', 'layer')
    """
    check_axes(None, "plot.diagnostics")
    names = _check_values(values)
    table = _read_table(history, names)
    panels = make_figure(len(names)) if ax is None else _check_panels(ax, len(names))
    for panel, name in zip(panels, names, strict=True):
        _draw_map(panel, table, name)
    panels[-1].set_xlabel("epoch")
    return panels


def _check_values(values: Any) -> list[str]:
    names = [values] if isinstance(values, str) else values
    checks.instance("values", names, (tuple, list), "a list of names")
    if not names:
        raise ValueError("values: expected at least one name; got none")
    return [checks.choice("values", name, LABELS) for name in names]


def _check_panels(ax: Any, n: int) -> Any:
    panels = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(panels) != n:
        raise ValueError(f"ax: expected {n} axes, one for each value; got {len(panels)}")
    for panel in panels:
        check_axes(panel, "plot.diagnostics")
    return panels


def _read_table(history: Any, names: Sequence[str]) -> LayerTable:
    rows = getattr(history, "layers", None)
    if not isinstance(rows, Mapping) or not len(rows.get("epoch", ())):
        raise ValueError(
            "history: expected one with values of the layers; got "
            f"{checks.describe(history)}, of which none were recorded"
        )
    missing = [name for name in ("epoch", "layer", *names) if name not in rows]
    if missing:
        raise ValueError(f"values: expected some of {list(rows)}; got {missing[0]!r}")
    epochs, columns = np.unique(np.asarray(rows["epoch"], np.float64), return_inverse=True)
    layers = list(dict.fromkeys(np.asarray(rows["layer"]).tolist()))
    lines = [layers.index(layer) for layer in np.asarray(rows["layer"]).tolist()]
    grids = {}
    for name in names:
        grids[name] = np.full((len(layers), len(epochs)), np.nan)
        grids[name][lines, columns] = np.asarray(rows[name], np.float64)
    return LayerTable(layers, epochs, grids)


def _draw_map(ax: Any, table: LayerTable, name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    label, scale = LABELS[name]
    grid = table.grids[name]
    lines = np.arange(len(table.layers))
    image = ax.pcolormesh(table.epochs, lines, grid, cmap=COLOR_MAP, norm=_make_norm(scale, grid))
    ax.figure.colorbar(image, ax=ax).set_label(label, fontsize="small")
    ax.set_yticks(lines, [str(layer) for layer in table.layers])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.invert_yaxis()  # the first layer on top
    ax.set_ylabel("layer")


def _make_norm(scale: str, grid: Floats) -> Any:
    from matplotlib.colors import LogNorm, Normalize

    if scale == "fraction":
        return Normalize(0, 1)
    finite = grid[np.isfinite(grid)]
    positive = finite[finite > 0]
    if scale == "log" and len(positive):
        return LogNorm(positive.min(), positive.max())
    return Normalize(finite.min(), finite.max()) if len(finite) else Normalize(0, 1)
