"""fastnn on one thread, to measure the gain from a second core for many networks."""

from __future__ import annotations

from cases import ManyCase

from peers import native
from peers.native import version

__all__ = ["LABEL", "SETTINGS", "TAKES", "many", "version"]

LABEL = "fastnn, one thread"
SETTINGS: dict[str, dict[str, str]] = {"default": {}}
TAKES = ("many",)


class Many(native.Many):
    """The same call with one thread."""

    n_threads = 1


def many(case: ManyCase) -> Many:
    """See `Workload`."""
    return Many(case)
