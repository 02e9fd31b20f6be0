"""Compare training and prediction on sparse matrices with scikit-learn, and with the dense matrix.

`python benchmarks/run.py --only sparse` runs the measurements and writes SPARSE.md.

Each measurement has a process of its own, because peak memory cannot be reset. The matrix has the
shape of text: 100,000 columns whose frequencies fall off as 1 / rank (Zipf's law), or as many
entries a row in columns drawn uniformly, which is the harder case: a minibatch then has entries in
more of the columns.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import machine
import numpy as np
import scipy.sparse as sp

ENTRIES = 100
UNITS = 100
BATCH = 200
ROUNDS = 3


def make_text(n: int, n_features: int, zipf: bool) -> sp.csr_matrix:
    """Rows of ENTRIES different words each, as float32."""
    rng = np.random.default_rng(0)
    weights = 1 / np.arange(1, n_features + 1) if zipf else np.ones(n_features)
    cumulative = np.cumsum(weights / weights.sum())
    columns = np.empty((n, ENTRIES), np.int32)
    for i in range(n):
        words = np.zeros(0, np.int64)
        while len(words) < ENTRIES:
            drawn = np.searchsorted(cumulative, rng.random(4 * ENTRIES))
            words = np.unique(np.append(words, np.minimum(drawn, n_features - 1)))
        columns[i] = np.sort(rng.choice(words, ENTRIES, replace=False))
    values = rng.uniform(0.05, 0.2, n * ENTRIES).astype(np.float32)
    starts = np.arange(0, (n + 1) * ENTRIES, ENTRIES)
    return sp.csr_matrix((values, columns.ravel(), starts), (n, n_features))


def make_labels(n: int) -> np.ndarray:
    """Two classes."""
    return np.random.default_rng(1).integers(2, size=n)


# ---- one measurement, in a process of its own ----------------------------------------------------


def time_epochs(model: Any, X: Any, y: np.ndarray) -> list[float]:
    """Seconds of each of ROUNDS epochs, after a first one."""
    taken = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        model.partial_fit(X, y, classes=[0, 1])
        taken.append(time.perf_counter() - began)
    return taken[1:]


def make_estimator(library: str) -> Any:
    """An MLP classifier with the same parameters in both libraries."""
    if library == "scikit-learn":
        from sklearn.neural_network import MLPClassifier
    else:
        from fastnn import MLPClassifier
    return MLPClassifier((UNITS,), batch_size=BATCH, random_state=0)


class Network:
    """A `Sequential` with an optimizer, as an estimator with `partial_fit`."""

    def __init__(self, optimizer: Any) -> None:
        import fastnn as fn

        self.net = fn.Sequential(fn.Dense(UNITS, "relu"), fn.Dense(1, "sigmoid"), random_state=0)
        self.optimizer = optimizer

    def partial_fit(self, X: Any, y: np.ndarray, classes: Any) -> None:
        """One epoch."""
        self.net.fit(X, y, epochs=1, batch_size=BATCH, optimizer=self.optimizer,
                     reset_optimizer=False)  # fmt: skip


def train_text(library: str, zipf: bool) -> dict[str, float]:
    """Seconds of an epoch on 10,000 rows, and the peak memory in MB."""
    X, y = make_text(10_000, 100_000, zipf), make_labels(10_000)
    if library in ("scikit-learn", "fastnn"):
        model = make_estimator(library)
    else:
        from fastnn.optimizers import Adagrad, Adam

        model = Network({"Adagrad": Adagrad(), "lazy Adam": Adam(lazy=True)}[library])
    seconds = statistics.median(time_epochs(model, X, y))
    return {"seconds": seconds, "memory": get_peak_memory()}


def predict_text(library: str, zipf: bool) -> dict[str, float]:
    """Seconds of predictions for 4,000 rows."""
    X, y = make_text(4000, 100_000, zipf), make_labels(4000)
    model = make_estimator(library).partial_fit(X[:200], y[:200], classes=[0, 1])
    taken = []
    for _ in range(2 * ROUNDS):
        began = time.perf_counter()
        model.predict(X)
        taken.append(time.perf_counter() - began)
    return {"seconds": statistics.median(taken[1:])}


def train_table(library: str, _: bool) -> dict[str, float]:
    """Seconds of an epoch on 30,000 one-hot rows with 408 columns, 37 of them not zero in a row,
    from a CSR matrix ("CSR") or an array ("dense"): the shape of the census data of tables.py."""
    rng = np.random.default_rng(0)
    sizes = np.full(37, 11)
    sizes[0] += 408 - sizes.sum()
    starts = np.cumsum(sizes) - sizes
    columns = np.sort(starts + rng.integers(sizes, size=(30_000, 37)), axis=1).astype(np.int32)
    parts = (np.ones(columns.size, np.float32), columns.ravel(), np.arange(0, columns.size + 1, 37))
    X, y = sp.csr_matrix(parts, (30_000, 408)), make_labels(30_000)
    seconds = time_epochs(make_estimator("fastnn"), X if library == "CSR" else X.toarray(), y)
    return {"seconds": statistics.median(seconds)}


def get_peak_memory() -> float:
    """The peak memory of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


TASKS = {"train": train_text, "predict": predict_text, "table": train_table}


def main() -> None:
    """Run one measurement and print it as JSON."""
    warnings.simplefilter("ignore")
    task, library, zipf = sys.argv[1:]
    print(json.dumps(TASKS[task](library, zipf == "zipf")))


# ---- the report ----------------------------------------------------------------------------------


def measure(task: str, library: str, columns: str = "uniform") -> dict[str, float]:
    """The figures of one measurement."""
    command = [sys.executable, __file__, task, library, columns]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def compare(quick: bool, log: Callable[[str], None]) -> str:
    """The report, in Markdown."""
    lines = [
        machine.describe_cores(), "", "## Training", "",
        f"10,000 rows, 100,000 columns, {ENTRIES} entries a row, float32; {UNITS} units, batches "
        f"of {BATCH} rows. Median of {ROUNDS} epochs; peak memory of the process.", "",
        "| columns | | an epoch | scikit-learn / this | peak memory |", "|---|---|--:|--:|--:|",
    ]  # fmt: skip
    for columns in ("uniform",) if quick else ("uniform", "zipf"):
        reference = None
        for library in ("scikit-learn", "fastnn", "Adagrad", "lazy Adam"):
            log(f"training: {columns}, {library}")
            figures = measure("train", library, columns)
            reference = reference or figures["seconds"]
            name = {"scikit-learn": "scikit-learn, Adam", "fastnn": "fastnn, Adam"}.get(
                library, f"fastnn, {library}"
            )
            lines.append(
                f"| {columns} | {name} | {figures['seconds']:.2f} s | "
                f"{reference / figures['seconds']:.1f} | {figures['memory']:.0f} MB |"
            )
    lines += ["", "## Prediction", "", "| | predictions for 4,000 rows |", "|---|--:|"]
    for library in ("scikit-learn", "fastnn"):
        log(f"prediction: {library}")
        lines.append(f"| {library} | {1000 * measure('predict', library)['seconds']:.1f} ms |")
    lines += [
        "",
        "## One-hot columns",
        "",
        "| 30,000 x 408, 37 entries a row | an epoch |",
        "|---|--:|",
    ]
    for library in ("dense", "CSR"):
        log(f"one-hot columns: {library}")
        lines.append(f"| {library} | {1000 * measure('table', library)['seconds']:.0f} ms |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
