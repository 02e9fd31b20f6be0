"""Compiled kernels of fastnn. Importing this package picks the build of the engine for this CPU.

`FASTNN_ISA` forces a level: "v2" (SSE4.2), "v3" (AVX2), "v4" (AVX-512), or "generic" on a machine
that is not x86-64.
"""

import importlib
import os
import sys
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


def available() -> list[str]:
    """Levels that this processor can run, lowest first."""
    level = cpu.level()
    return [f"v{i}" for i in range(2, level + 1)] if level else ["generic"]


def _pick() -> str:
    levels = available()
    if not levels:
        raise ImportError("fastnn needs an x86-64 processor with SSE4.2 (x86-64-v2) or newer")
    forced = os.environ.get("FASTNN_ISA")
    if forced and forced not in levels:
        raise ImportError(f"FASTNN_ISA must be one of {levels} on this processor, got {forced!r}")
    return forced or levels[-1]


ISA = _pick()
engine = importlib.import_module(f"fastnn_ext.engine_{ISA}")
# Whichever build was picked, it is also importable as fastnn_ext.engine.
sys.modules["fastnn_ext.engine"] = engine
