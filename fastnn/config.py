"""What this installation is and uses."""

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


def config() -> dict[str, str]:
    """What is in use, by name."""
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
    """Print versions, the engine's instruction set and the number of threads in use."""
    for name, value in config().items():
        print(f"{name:<8} {value}")
