"""The cases of the benchmarks as data: networks, training and prediction, in named groups."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product, starmap

LOSSES = ("squared", "binary", "cross-entropy")
FULL = " full batch"


@dataclass(frozen=True)
class Net:
    """A network: widths from input to output, activation of the hidden layers, and loss. The loss
    determines the last activation: linear for squared, sigmoid for binary, softmax for
    cross-entropy."""

    widths: tuple[int, ...]
    activation: str
    loss: str

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(n_in, n_out) of each layer."""
        return list(zip(self.widths[:-1], self.widths[1:], strict=True))

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return sum(n_in * n_out + n_out for n_in, n_out in self.shapes)

    @property
    def flops_per_row(self) -> int:
        """FLOP per row of a training step: forward pass, gradients of the weights, and gradients of
        the inputs of all layers but the first."""
        weights = [n_in * n_out for n_in, n_out in self.shapes]
        return 6 * sum(weights) - 2 * weights[0]

    @property
    def hidden(self) -> int:
        """Number of hidden units, each of which computes an activation per row."""
        return sum(self.widths[1:-1])

    def __str__(self) -> str:
        hidden = self.widths[1:-1]
        middle = "-".join(map(str, hidden))
        if len(hidden) > 2 and len(set(hidden)) == 1 and hidden[0] >= 100:
            middle = f"{hidden[0]}x{len(hidden)}"
        return f"{self.widths[0]}-{middle}-{self.widths[-1]}"


@dataclass(frozen=True)
class TrainingCase:
    """Minibatch training with `batches` batches of `batch` rows per epoch."""

    name: str
    net: Net
    batch: int
    batches: int
    optimizer: str = "adam"
    dtype: str = "float32"
    targets: tuple[tuple[str, float], ...] = ()
    """The target for fastnn: (peer, times faster)."""

    kind = "training"

    @property
    def rows(self) -> int:
        """Number of rows of the data set."""
        return self.batch * self.batches

    @property
    def shuffles(self) -> bool:
        """Whether rows are shuffled; not if one batch contains all rows."""
        return self.batches > 1


@dataclass(frozen=True)
class PredictionCase:
    """Prediction of a number of rows, called from Python."""

    name: str
    net: Net
    rows: int

    dtype = "float32"
    kind = "prediction"


@dataclass(frozen=True)
class ManyCase:
    """Complete trainings of many networks with different seeds by Adam, on the same data."""

    name: str
    nets: tuple[Net, ...]
    batch: int
    epochs: int
    rows: int
    table: str
    """"digits", or "random" for random data."""
    targets: tuple[tuple[str, float], ...] = ()
    most_seconds: float | None = None
    """The target for fastnn's time."""

    dtype = "float32"

    @property
    def kind(self) -> str:
        """ "many" if all networks have the same shape, so that other libraries can stack them."""
        return "many" if len(set(self.nets)) == 1 else "mixture"

    @property
    def flops(self) -> int:
        """FLOP of all matrix multiplications."""
        return self.rows * self.epochs * sum(net.flops_per_row for net in self.nets)


@dataclass(frozen=True)
class SearchCase:
    """A grid search with cross-validation on the digits, including the fit of the best model."""

    name: str
    net: Net
    batch: int
    epochs: int
    folds: int
    grid: tuple[tuple[str, tuple[float, ...]], ...]
    targets: tuple[tuple[str, float], ...]

    kind = "search"
    table = "digits"
    dtype = "float32"


Case = TrainingCase | PredictionCase | ManyCase | SearchCase

TINY = Net((2, 8, 1), "tanh", "binary")
SMALL = Net((4, 32, 32, 1), "tanh", "squared")
TABLE = Net((30, 128, 64, 2), "relu", "cross-entropy")
IMAGE = Net((784, 128, 10), "relu", "cross-entropy")
IMAGE_DEEP = Net((784, 256, 128, 10), "relu", "cross-entropy")
WIDE = Net((784, 1024, 1024, 10), "relu", "cross-entropy")
HIGGS = Net((28, 300, 300, 300, 300, 300, 1), "tanh", "binary")


def _make_training(
    net: Net, batch: int, batches: int, jax: float, pytorch: float, scikit_learn: float
) -> TrainingCase:
    targets = (("jax", jax), ("pytorch", pytorch), ("scikit-learn", scikit_learn))
    where = f",{FULL} {batch:,}" if batches == 1 else f", batch {batch}"
    name = f"{net} {net.activation}, {net.loss}{where}"
    return TrainingCase(name, net, batch, batches, targets=targets)


def _make_grid(net: Net, optimizer: str, dtype: str, batch: int) -> TrainingCase:
    batches = max(2, min(1000, 8192 // batch))
    name = f"grid: {net} {net.activation}, {optimizer}, {dtype}, batch {batch}"
    return TrainingCase(name, net, batch, batches, optimizer, dtype)


def _make_online(optimizer: str) -> TrainingCase:
    name = f"online: {SMALL} {SMALL.activation}, {SMALL.loss}, {optimizer}, batch 1"
    return TrainingCase(name, SMALL, 1, 1000, optimizer)


def _make_prediction(net: Net, rows: int) -> PredictionCase:
    return PredictionCase(f"predict: {net}, {rows:,} row{'s' if rows > 1 else ''}", net, rows)


DIGITS = Net((64, 64, 10), "relu", "cross-entropy")
DIGITS_ROWS = 1792  # of 1,797: complete batches, as XLA requires
SHAPES = tuple(
    Net((64, *hidden, 10), "relu", "cross-entropy")
    for hidden in ((16,), (24,), (32,), (48,), (64,), (96,), (128,), (32, 32), (48, 24), (64, 32))
)

MANY = (
    ManyCase(
        "many: 60 x 64-64-10 relu, cross-entropy, 20 epochs of the digits, batch 32",
        (DIGITS,) * 60, 32, 20, DIGITS_ROWS, "digits",
        targets=(("jax-vmap", 4), ("one-thread", 1.9)),
    ),
    ManyCase(
        "many: 60 nets of ten shapes, 20 epochs of the digits, batch 32",
        SHAPES * 6, 32, 20, DIGITS_ROWS, "digits", targets=(("shape-by-shape", 1 / 1.15),),
    ),
    ManyCase(
        "many: 1,000 x 4-32-16-4 tanh, squared, 1,000 steps, batch 32",
        (Net((4, 32, 16, 4), "tanh", "squared"),) * 1000, 32, 10, 3200, "random",
        most_seconds=2,
    ),
    SearchCase(
        "search: 64-64-10 relu, 12 settings x 5 folds x 20 epochs of the digits, batch 32",
        DIGITS, 32, 20, 5,
        (("learning_rate_init", (3e-4, 1e-3, 3e-3, 1e-2)), ("alpha", (1e-5, 1e-3, 1e-1))),
        targets=(("scikit-learn", 15),),
    ),
)  # fmt: skip

GROUPS: dict[str, tuple[Case, ...]] = {
    # Small networks are trained on about a thousand rows, the smallest tables that the library is
    # meant for. 10,240 images about fill an L3 cache of 32 MiB.
    "training": tuple(
        starmap(
            _make_training,
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
        *(_make_prediction(net, 1) for net in (SMALL, IMAGE_DEEP)),
        *starmap(_make_prediction, product((SMALL, TABLE, IMAGE_DEEP), (1000, 20_000))),
    ),
    "many": MANY,
    "online": tuple(map(_make_online, ("sgd", "adam"))),
    "grid": tuple(
        starmap(
            _make_grid,
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
    """The cases of the given groups and names (or parts of names), in order; by default those of
    the default groups."""
    chosen: dict[str, Case] = {}
    for text in only or DEFAULT_GROUPS:
        matching = GROUPS.get(text) or [
            case
            for group in (DEFAULT_GROUPS, [g for g in GROUPS if g not in DEFAULT_GROUPS])
            for name in group
            for case in GROUPS[name]
            if text in case.name
        ]
        if not matching:
            raise ValueError(f"--only: expected a group ({', '.join(GROUPS)}) or part of a case's "
                             f"name; got {text!r}")  # fmt: skip
        chosen |= {case.name: case for case in matching}
    return list(chosen.values())
