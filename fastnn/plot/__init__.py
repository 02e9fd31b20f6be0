"""Plots of networks, their training and their predictions, with matplotlib.

Each function draws on the axes `ax`, or on those of a new figure, and returns them. No function
shows a figure or changes matplotlib's settings, models or arrays. matplotlib is an optional
package, imported when something is drawn: `pip install matplotlib`, or `pip install '.[plot]'` in a
clone.

Colors can be told apart by people with color blindness, and lines, points and color maps also in
grayscale. `docs/pictures.md` shows an example of each plot.
"""

from fastnn.plot.boundary import decision_boundary
from fastnn.plot.curves import activation, lr_range, schedule
from fastnn.plot.heat_maps import diagnostics
from fastnn.plot.matrix import confusion
from fastnn.plot.reliability import calibration
from fastnn.plot.structure import network
from fastnn.plot.surface import loss_surface

__all__ = [
    "activation",
    "calibration",
    "confusion",
    "decision_boundary",
    "diagnostics",
    "loss_surface",
    "lr_range",
    "network",
    "schedule",
]


def __dir__() -> list[str]:
    return __all__
