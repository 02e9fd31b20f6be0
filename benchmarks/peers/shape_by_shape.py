"""fastnn with a call for the nets of each shape: what mixing them costs."""

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
    """A call for each shape."""

    def train(self, nets: list[Any]) -> None:
        """All of these."""
        for shape in dict.fromkeys(self.case.nets):
            alike = zip(nets, self.case.nets, strict=True)
            super().train([net for net, own in alike if own == shape])


def many(case: ManyCase) -> Many:
    """See `Whole`."""
    return Many(case)
