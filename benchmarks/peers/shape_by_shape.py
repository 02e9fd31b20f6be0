"""fastnn with one call for the networks of each shape, to measure the cost of mixing shapes."""

from __future__ import annotations

from typing import Any

from cases import ManyCase

from peers import native
from peers.native import version

__all__ = ["LABEL", "SETTINGS", "TAKES", "many", "version"]

LABEL = "fastnn, shape by shape"
SETTINGS: dict[str, dict[str, str]] = {"default": {}}
TAKES = ("mixture",)


class Many(native.Many):
    """One call of `fit_many` for each shape."""

    def train(self, nets: list[Any]) -> None:
        """Train these networks, one shape at a time."""
        for shape in dict.fromkeys(self.case.nets):
            pairs = zip(nets, self.case.nets, strict=True)
            super().train([net for net, net_shape in pairs if net_shape == shape])


def many(case: ManyCase) -> Many:
    """See `Workload`."""
    return Many(case)
