"""Compiled kernels of fastnn. Importing this package picks the build of the engine for this CPU.

`FASTNN_ISA` forces a level: "v2" (SSE4.2), "v3" (AVX2), "v4" (AVX-512), or "generic" on a machine
that is not x86-64.
"""

import importlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

try:
    from fastnn_ext import cpu
except ImportError as error:
    if any(Path(__file__).parent.glob("cpu.*.so")):
        raise
    raise ImportError(
        f"fastnn_ext was imported from {Path(__file__).parent}, which contains sources but "
        "no compiled modules. Either leave that folder, because it hides an installed "
        "fastnn (the command `fastnn` works from anywhere), or compile in place with `make build`."
    ) from error

__all__ = ["ISA", "available", "engine"]


def _list_levels() -> list[str]:
    """Levels that this processor can run, lowest first."""
    level = cpu.level()
    return [f"v{i}" for i in range(2, level + 1)] if level else ["generic"]


def available() -> list[str]:
    """Levels that this processor can run and this build has, lowest first."""
    return [level for level in _list_levels() if find_spec(f"fastnn_ext.engine_{level}")]


def _pick() -> str:
    if not _list_levels():
        raise ImportError("fastnn needs an x86-64 processor with SSE4.2 (x86-64-v2) or newer")
    levels = available()
    if not levels:
        raise ImportError(
            f"fastnn was built without the levels {_list_levels()}, which this processor can run"
        )
    forced = os.environ.get("FASTNN_ISA")
    if forced and forced not in levels:
        raise ImportError(f"FASTNN_ISA must be one of {levels} on this processor, got {forced!r}")
    return forced or levels[-1]


ISA = _pick()
engine = importlib.import_module(f"fastnn_ext.engine_{ISA}")
# Whichever build was picked, it is also importable as fastnn_ext.engine.
sys.modules["fastnn_ext.engine"] = engine
