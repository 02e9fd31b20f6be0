"""The compared libraries, one module each, with the following names:

LABEL : name in tables
SETTINGS : {name of a setting: environment variables of its process}; the fastest one is reported
TAKES : the kinds of cases that it supports
version() -> str
train(case) -> Training
predict(case) -> a function without arguments that returns outputs for all rows
many(case), search(case) -> Workload
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]

# {name on the command line: module}. The others are compared with fastnn.
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
        """Reset the weights and the optimizer; not timed."""

    def fit(self, epochs: int) -> None:
        """Train, and return when all work is finished; this is timed."""

    def outputs(self) -> Array:
        """Outputs for all rows, to check the result."""


class Workload(Protocol):
    """One case of many networks on one library."""

    def reset(self) -> None:
        """Reset the networks to untrained ones; not timed."""

    def fit(self, times: int) -> None:
        """Do the complete work a given number of times; this is timed."""

    def score(self) -> float:
        """The mean accuracy of the networks on their training rows, or the accuracy of the best
        setting of a search; in regression, minus the mean loss."""


def load(name: str) -> ModuleType:
    """The module of a peer. Importing it does not import the library, so it works if the library is
    not installed."""
    return importlib.import_module(f"peers.{MODULES[name]}")


def thread_counts() -> list[int]:
    """1, 2, 4, ... up to the number of cores that this process may use, which is included."""
    n = len(os.sched_getaffinity(0))
    return sorted({n, *(2**k for k in range(n.bit_length()) if 2**k <= n)})


def blas_settings() -> dict[str, dict[str, str]]:
    """One setting for each number of threads, for libraries that read these variables."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {f"{n} thr": dict.fromkeys(names, str(n)) for n in thread_counts()}
