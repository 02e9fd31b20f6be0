"""What is measured, as data: nets, training cases and prediction cases, in named groups."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product, starmap

LOSSES = ("squared", "binary", "cross-entropy")
FULL = " full batch"


@dataclass(frozen=True)
class Net:
    """Widths from input to output, one hidden activation, and the loss that decides the head:
    linear for squared, sigmoid for binary, softmax for cross-entropy."""

    widths: tuple[int, ...]
    activation: str
    loss: str

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(n_in, n_out) of each layer."""
        return list(zip(self.widths[:-1], self.widths[1:], strict=True))

    @property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return sum(n_in * n_out + n_out for n_in, n_out in self.shapes)

    @property
    def flops_per_row(self) -> int:
        """Of one training step: forward, gradient of the weights, and gradient of the inputs of
        all layers but the first."""
        weights = [n_in * n_out for n_in, n_out in self.shapes]
        return 6 * sum(weights) - 2 * weights[0]

    @property
    def hidden(self) -> int:
        """Hidden units, each of which needs its activation once per row."""
        return sum(self.widths[1:-1])

    def __str__(self) -> str:
        hidden = self.widths[1:-1]
        middle = "-".join(map(str, hidden))
        if len(hidden) > 2 and len(set(hidden)) == 1 and hidden[0] >= 100:
            middle = f"{hidden[0]}x{len(hidden)}"
        return f"{self.widths[0]}-{middle}-{self.widths[-1]}"


@dataclass(frozen=True)
class TrainingCase:
    """Epochs of minibatch training on `batches * batch` rows."""

    name: str
    net: Net
    batch: int
    batches: int
    optimizer: str = "adam"
    dtype: str = "float32"
    targets: tuple[tuple[str, float], ...] = ()
    """What fastnn is meant to reach: (peer, times faster)."""

    kind = "training"

    @property
    def rows(self) -> int:
        """Rows of the data set."""
        return self.batch * self.batches

    @property
    def shuffles(self) -> bool:
        """One batch that holds all rows needs no order."""
        return self.batches > 1


@dataclass(frozen=True)
class PredictionCase:
    """Outputs for a number of rows, from Python."""

    name: str
    net: Net
    rows: int

    dtype = "float32"
    kind = "prediction"


Case = TrainingCase | PredictionCase

TINY = Net((2, 8, 1), "tanh", "binary")
SMALL = Net((4, 32, 32, 1), "tanh", "squared")
TABLE = Net((30, 128, 64, 2), "relu", "cross-entropy")
IMAGE = Net((784, 128, 10), "relu", "cross-entropy")
IMAGE_DEEP = Net((784, 256, 128, 10), "relu", "cross-entropy")
WIDE = Net((784, 1024, 1024, 10), "relu", "cross-entropy")
HIGGS = Net((28, 300, 300, 300, 300, 300, 1), "tanh", "binary")


def _training(
    net: Net, batch: int, batches: int, jax: float, pytorch: float, scikit_learn: float
) -> TrainingCase:
    targets = (("jax", jax), ("pytorch", pytorch), ("scikit-learn", scikit_learn))
    where = f",{FULL} {batch:,}" if batches == 1 else f", batch {batch}"
    name = f"{net} {net.activation}, {net.loss}{where}"
    return TrainingCase(name, net, batch, batches, targets=targets)


def _grid(net: Net, optimizer: str, dtype: str, batch: int) -> TrainingCase:
    batches = max(2, min(1000, 8192 // batch))
    name = f"grid: {net} {net.activation}, {optimizer}, {dtype}, batch {batch}"
    return TrainingCase(name, net, batch, batches, optimizer, dtype)


def _online(optimizer: str) -> TrainingCase:
    name = f"online: {SMALL} {SMALL.activation}, {SMALL.loss}, {optimizer}, batch 1"
    return TrainingCase(name, SMALL, 1, 1000, optimizer)


def _prediction(net: Net, rows: int) -> PredictionCase:
    return PredictionCase(f"predict: {net}, {rows:,} row{'s' if rows > 1 else ''}", net, rows)


GROUPS: dict[str, tuple[Case, ...]] = {
    # The smallest tables that the library is for have about a thousand rows, so small nets get
    # about that many. 10,240 images about fill a last cache of 32 MiB.
    "training": tuple(
        starmap(
            _training,
            (
                (TINY, 32, 32, 15, 200, 130),
                (SMALL, 32, 32, 5, 60, 35),
                (Net((64, 64, 64, 1), "relu", "binary"), 32, 64, 3.5, 28, 20),
                (Net((10, 45, 45, 10), "relu", "squared"), 128, 20, 6, 20, 15),
                (Net((10, 46, 46, 10), "relu", "squared"), 128, 20, 6, 20, 15),
                (TABLE, 128, 40, 3.2, 7, 7),
                (IMAGE, 128, 80, 1.5, 2.4, 3.3),
                (IMAGE_DEEP, 64, 160, 1.4, 2.4, 3.8),
                (WIDE, 256, 20, 1.12, 1.2, 2.4),
                (HIGGS, 100, 100, 1.35, 1.9, 2.8),
                (Net((4, 32, 16, 4), "tanh", "squared"), 10_000, 1, 8, 4.5, 10),
            ),
        )
    ),
    "prediction": (
        *(_prediction(net, 1) for net in (SMALL, IMAGE_DEEP)),
        *starmap(_prediction, product((SMALL, TABLE, IMAGE_DEEP), (1000, 20_000))),
    ),
    "online": tuple(map(_online, ("sgd", "adam"))),
    "grid": tuple(
        starmap(
            _grid,
            product(
                (SMALL, TABLE, IMAGE),
                ("sgd", "momentum", "adam"),
                ("float32", "float64"),
                (1, 32, 256, 4096),
            ),
        )
    ),
}

DEFAULT_GROUPS = ("training", "prediction")
BY_NAME: dict[str, Case] = {case.name: case for group in GROUPS.values() for case in group}


def select(only: list[str]) -> list[Case]:
    """Cases of the groups and names (or parts of names) given, in order; the default groups where
    nothing is given."""
    chosen: dict[str, Case] = {}
    for text in only or DEFAULT_GROUPS:
        found = GROUPS.get(text) or [
            case
            for group in (DEFAULT_GROUPS, [g for g in GROUPS if g not in DEFAULT_GROUPS])
            for name in group
            for case in GROUPS[name]
            if text in case.name
        ]
        if not found:
            raise ValueError(f"--only: expected a group ({', '.join(GROUPS)}) or part of a case's "
                             f"name; got {text!r}")  # fmt: skip
        chosen |= {case.name: case for case in found}
    return list(chosen.values())
