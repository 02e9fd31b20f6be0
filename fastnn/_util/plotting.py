"""Axes, colors and line styles of all plots. Matplotlib is optional, and imported only when
something is plotted."""

from __future__ import annotations

from typing import Any

from fastnn._util import checks

# Colors that people with color blindness can tell apart: M. Okabe, K. Ito, "Color universal
# design", 2008. Their yellow is left out, as a yellow line on white is hard to see. Lines and
# points differ in style and shape too, so that plots can be read in grayscale.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY_BLUE, BLACK = "#E69F00", "#56B4E9", "#000000"
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK)
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "*")

# A color map whose brightness increases steadily, also for people with color blindness: J. Nuñez,
# C. Anderton, R. Renslow, PLOS ONE 13 (2018).
COLOR_MAP = "cividis"


def check_axes(ax: Any, caller: str) -> None:
    """Check that matplotlib is installed and that `ax` is None or axes. `caller` is the function
    that the error message names."""
    try:
        from matplotlib import axes
    except ImportError:
        raise ImportError(
            f"{caller} needs matplotlib: pip install matplotlib, or pip install '.[plot]' in a "
            "clone of fastnn"
        ) from None
    if ax is not None:
        checks.instance("ax", ax, axes.Axes, "matplotlib axes")


def get_axes(ax: Any, caller: str) -> Any:
    """The given axes, or the axes of a new figure if None."""
    check_axes(ax, caller)
    return make_figure()[0] if ax is None else ax


def make_figure(n_panels: int = 1) -> Any:
    """The axes of a new figure, an array with one panel above the other."""
    from matplotlib import pyplot

    size = None if n_panels == 1 else (6.4, 1 + 1.8 * n_panels)
    figure = pyplot.figure(figsize=size, layout="constrained")
    return figure.subplots(n_panels, 1, sharex=True, squeeze=False)[:, 0]


def split_axes(ax: Any, heights: tuple[float, ...]) -> list[Any]:
    """Divide the place of `ax` into panels of these relative heights, one above the other with a
    common x-axis. `ax` becomes the first."""
    from matplotlib.gridspec import GridSpec

    n, spec, figure = len(heights), ax.get_subplotspec(), ax.figure
    if spec is not None:
        grid = spec.subgridspec(n, 1, height_ratios=heights)
    else:  # axes at a fixed place
        box = ax.get_position()
        place = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        grid = GridSpec(n, 1, figure, height_ratios=heights, **place)
    ax.set_subplotspec(grid[0])
    panels = [ax, *(figure.add_subplot(part, sharex=ax) for part in list(grid)[1:])]
    for panel in panels[:-1]:
        panel.tick_params(labelbottom=False)
    return panels


def mix_with_white(color: str, strength: float) -> tuple[float, ...]:
    """A tint of a color: white at strength 0, the color itself at 1. Unlike transparent colors,
    tints leave no visible seams between adjacent areas."""
    from matplotlib.colors import to_rgb

    return tuple(1 - strength * (1 - part) for part in to_rgb(color))
