"""The libraries that are compared, one module each, all with the same few names:

LABEL : how tables call it
SETTINGS : {name of a setting: environment of a process that runs with it}; the best one counts
TAKES : which kinds of cases it takes
version() -> str
train(case) -> Training
predict(case) -> a function without arguments that returns outputs for all rows
many(case), search(case) -> Whole
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]

# Name on the command line: module. fastnn itself is what the others are measured against.
FASTNN = "fastnn"
MODULES = {
    FASTNN: "native",
    "pytorch": "pytorch",
    "torch.compile": "pytorch_compiled",
    "jax": "jax_scan",
    "scikit-learn": "scikit_learn",
    "onnxruntime": "onnx_runtime",
    "numpy": "plain_numpy",
    "reference": "reference",
    "jax-vmap": "jax_vmap",
    "one-thread": "one_thread",
    "shape-by-shape": "shape_by_shape",
}
OPTIONAL = ("torch.compile",)
DEFAULT = tuple(name for name in MODULES if name not in (FASTNN, *OPTIONAL))


class Training(Protocol):
    """One training case on one library."""

    def reset(self) -> None:
        """Back to the initial weights and a fresh optimizer; not timed."""

    def fit(self, epochs: int) -> None:
        """Train, and return when all is done; this is timed."""

    def outputs(self) -> Array:
        """Outputs for all rows, to check what was learned."""


class Whole(Protocol):
    """One case of many nets on one library."""

    def reset(self) -> None:
        """Back to nets that were not trained; not timed."""

    def fit(self, times: int) -> None:
        """Do the whole work so many times; this is timed."""

    def score(self) -> float:
        """The mean accuracy of the nets on the rows that they were trained on, or the accuracy of
        the best setting of a search; minus the mean loss where there are no classes."""


def load(name: str) -> ModuleType:
    """The module of a peer; what it imports at its top is light, so that this never fails for a
    library that is not installed."""
    return importlib.import_module(f"peers.{MODULES[name]}")


def thread_counts() -> list[int]:
    """1, 2, 4, ... and all processors that this process may use."""
    n = len(os.sched_getaffinity(0))
    return sorted({n, *(2**k for k in range(n.bit_length()) if 2**k <= n)})


def blas_settings() -> dict[str, dict[str, str]]:
    """A process for each number of threads, for libraries that obey these variables."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {f"{n} thr": dict.fromkeys(names, str(n)) for n in thread_counts()}
