"""Matplotlib axes. Matplotlib is optional, and imported only when something is plotted."""

from __future__ import annotations

from typing import Any


def get_axes(axes: Any, caller: str) -> Any:
    """The given axes, or the axes of a new figure if None. `caller` appears in the error message if
    matplotlib is not installed."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(f"{caller} needs matplotlib: pip install matplotlib") from None
    return pyplot.subplots()[1] if axes is None else axes
