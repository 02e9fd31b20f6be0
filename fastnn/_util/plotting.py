"""Axes to draw on; matplotlib is asked for only when something is drawn."""

from __future__ import annotations

from typing import Any


def axes_or_new(axes: Any, caller: str) -> Any:
    """The axes given, or those of a new picture; `caller` needs matplotlib for it."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(f"{caller} needs matplotlib: pip install matplotlib") from None
    return pyplot.subplots()[1] if axes is None else axes
