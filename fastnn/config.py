"""Configuration of this installation: versions, engine, threads."""

from __future__ import annotations

import platform
from importlib import metadata

import numpy as np

import fastnn_ext
from fastnn._parallel import limits

try:
    __version__ = metadata.version("fastnn")
except metadata.PackageNotFoundError:  # compiled in place, not installed
    __version__ = "unknown"


def get_config() -> dict[str, str]:
    """Return versions, engine, threads and paths as strings by name."""
    return {
        "fastnn": __version__,
        "engine": f"{fastnn_ext.ISA} of {', '.join(fastnn_ext.available())} (FASTNN_ISA)",
        "build": fastnn_ext.cpu.build(),
        "threads": f"up to {limits.get_thread_limit()} (FASTNN_NUM_THREADS, OMP_NUM_THREADS)",
        "OpenMP": "yes" if fastnn_ext.engine.has_openmp() else "no",
        "numpy": np.__version__,
        "Python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "path": fastnn_ext.__path__[0],
    }


def show_config() -> None:
    """Print versions, the engine's instruction set and the maximum number of threads.

    `engine` is the instruction-set level in use, followed by the available ones; the environment
    variable FASTNN_ISA selects another. FASTNN_NUM_THREADS and OMP_NUM_THREADS limit `threads`.
    """
    for name, value in get_config().items():
        print(f"{name:<8} {value}")
