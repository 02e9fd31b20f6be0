"""One run of the playground: a network, its data and what was done to it. No web code."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._training.arguments import resolve_loss
from fastnn.activations import resolve
from fastnn.experiments.fit_many import fit_many
from fastnn.history import History
from fastnn.layers import Dense
from fastnn.model import Sequential
from fastnn.playground import data
from fastnn.playground.recipe import make_layers, make_optimizer
from fastnn.playground.script import Action, Edit, Epochs, Step, write_script
from fastnn.playground.settings import Settings
from fastnn.preprocessing import train_test_split
from fastnn.tracing.text import format_trace
from fastnn.tracing.trace import trace

Array = NDArray[np.float64]

SIDE = 40  # pixels of a picture
MAX_EPOCHS = 1_000_000
MAX_ACTIONS = 1_000
MAX_WEIGHT = 1e6
MAX_ROWS_OF_WALK = 10
SECONDS = 0.012  # of training between two frames


class Session:
    """Trains one network on one data set, by whole epochs or single steps."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        if settings.data == "csv":
            points, target = data.read_csv(settings.csv)
        else:
            points, target = data.make_data(settings.data, settings.noise, settings.seed)
        self.classifies = data.is_classification(target)
        self.metric = "accuracy" if self.classifies else "r2"
        self.points, self.target = points, target
        X = data.compute_features(points, settings.features).astype("float32")
        train, self.test_rows = train_test_split(
            np.arange(len(target)), test_size=settings.test_share, random_state=settings.seed
        )
        self.X_train, self.y_train = X[train], target[train]
        self.X_test, self.y_test = X[self.test_rows], target[self.test_rows]
        self.size = min(settings.batch_size, len(self.X_train))
        self.layers = make_layers(settings, "sigmoid" if self.classifies else "linear")
        n_steps = settings.schedule_epochs * self.steps_per_epoch
        self.optimizer = make_optimizer(settings, n_steps)
        self.grid = data.compute_features(make_grid(), settings.features)
        self.reset()

    @property
    def steps_per_epoch(self) -> int:
        """Number of minibatches in one epoch."""
        return math.ceil(len(self.X_train) / self.size)

    def make_network(self, seed: int) -> Sequential:
        """Return a new network with the layers of the settings."""
        return Sequential(*self.layers, random_state=seed).build(self.X_train.shape[1])

    def reset(self) -> None:
        """Start again from the initial weights."""
        self.net = self.make_network(self.settings.seed)
        self.actions: list[Action] = []
        self.n_epochs = self.n_steps = self.next_row = 0
        self.diverged = False
        self._chunk = 1
        self._ended = -math.inf
        self.steps_per_second = 0.0

    # ---- training ----

    def run(self, seconds: float = SECONDS) -> None:
        """Train whole epochs for about this long.

        Several epochs go into one call of `fit`, because for small networks a call costs more than
        an epoch.
        """
        began, steps = time.perf_counter(), self.n_steps
        while (left := began + seconds - time.perf_counter()) > 0 and not self.finished:
            start = time.perf_counter()
            self.train(self._chunk)
            pace = (time.perf_counter() - start) / self._chunk
            self._chunk = int(np.clip(left / 2 / pace, 1, 2 * self._chunk))
        end = time.perf_counter()
        # From the end of the previous call, if that was just before, so that drawing counts.
        since = self._ended if end - self._ended < 0.5 else began
        self.steps_per_second = (self.n_steps - steps) / (end - since)
        self._ended = end

    @property
    def finished(self) -> bool:
        """Whether training cannot go on: the loss diverged, or the limit of epochs is reached."""
        return self.diverged or self.n_epochs >= MAX_EPOCHS

    def train(self, epochs: int = 1) -> None:
        """Train whole epochs."""
        if self.finished:
            return
        epochs = min(epochs, MAX_EPOCHS - self.n_epochs)
        history = self._fit(self.X_train, self.y_train, epochs=epochs, batch_size=self.size)
        self.n_epochs += history.n_epochs  # fewer than asked for if the loss diverged
        self.n_steps += history.n_epochs * self.steps_per_epoch
        if self.actions and isinstance(last := self.actions[-1], Epochs):
            self.actions[-1] = Epochs(last.n + epochs)
        else:
            self.actions.append(Epochs(epochs))
        self.diverged = history.diverged

    def step(self) -> None:
        """Train on one minibatch, the next in the order of the rows."""
        if self.finished:
            return
        rows = self._next_rows()
        self._remember(Step(self.next_row))
        self.diverged = self._fit(
            self.X_train[rows], self.y_train[rows], epochs=1, batch_size="full", shuffle=False
        ).diverged
        self.n_steps += 1
        self.next_row += self.size
        if self.next_row >= len(self.X_train):
            self.next_row = 0

    def _fit(self, X: Any, y: Any, **options: Any) -> History:
        # One thread for each session, so that pages do not disturb each other.
        return self.net.fit(
            X, y, optimizer=self.optimizer, reset_optimizer=False, n_threads=1, **options
        )

    def _next_rows(self) -> slice:
        return slice(self.next_row, self.next_row + self.size)

    def _remember(self, action: Action) -> None:
        if len(self.actions) >= MAX_ACTIONS:
            raise ValueError(f"expected at most {MAX_ACTIONS} single steps and edits; reset first")
        self.actions.append(action)

    def edit(self, layer: Any, i: Any, j: Any, value: Any) -> None:
        """Set the weight from unit i to unit j of a Dense layer, or the bias of j if i is -1."""
        if any(not isinstance(index, int) or isinstance(index, bool) for index in (layer, i, j)):
            raise ValueError(f"weight: expected integers as indices; got {layer!r}, {i!r}, {j!r}")
        weights = self.net.weights
        if not (0 <= layer < len(weights) and -1 <= i < weights[layer].shape[0]
                and 0 <= j < weights[layer].shape[1]):  # fmt: skip
            raise ValueError(f"weight: expected an existing weight; got {layer}, {i}, {j}")
        if (isinstance(value, bool) or not isinstance(value, int | float)
                or not abs(value) <= MAX_WEIGHT):  # fmt: skip
            raise ValueError(f"weight: expected a number up to {MAX_WEIGHT:g}; got {value!r}")
        self._remember(Edit(layer, i, j, float(value)))
        if i < 0:
            self._get_biases()[layer][j] = value
        else:
            weights[layer][i, j] = value
        self.diverged = False

    def _get_biases(self) -> list[Array]:
        return [b for b in self.net.biases if b is not None]  # all layers have a bias

    # ---- looking ----

    def measure(self) -> dict[str, Any]:
        """Return losses, the test metric, weights and gradient norms, as JSON values."""
        train, test = (self.net.evaluate(X, y) for X, y in (
            (self.X_train, self.y_train), (self.X_test, self.y_test)
        ))  # fmt: skip
        return {
            "epochs": self.n_epochs, "steps": self.n_steps, "diverged": self.diverged,
            "steps_per_second": round(self.steps_per_second), "loss": train["loss"],
            "test_loss": test["loss"], "metric": self.metric, "value": test[self.metric],
            "weights": [w.tolist() for w in self.net.weights],
            "biases": [b.tolist() for b in self._get_biases()],
            "gradients": self.gradient_norms(),
        }  # fmt: skip

    def gradient_norms(self) -> list[float]:
        """Euclidean norm of the gradient of each layer's weights and biases, on training rows."""
        _, gradients = self.net.loss_and_gradients(self.X_train, self.y_train)
        return [
            math.hypot(*(np.linalg.norm(part.astype(float)) for part in layer if part is not None))
            for layer in zip(gradients["weights"], gradients["biases"], strict=True)
        ]

    def draw(self) -> bytes:
        """Return the pictures of all units, layer by layer, one byte a pixel.

        127 is 0. The output is scaled so that a probability of 0.5 is 127, or a target by the
        largest absolute target; the picture of any other unit by its largest absolute value.
        """
        pictures = []
        values = self.grid
        kinds = [layer.activation for layer in self.net.layers if isinstance(layer, Dense)]
        for kind, W, b in zip(kinds, self.net.weights, self.net.biases, strict=True):
            values = np.asarray(resolve(kind)(values @ W.astype(float) + b))
            pictures.append(values)
        hidden = [p / np.maximum(np.abs(p).max(axis=0), 1e-12) for p in [self.grid, *pictures[:-1]]]
        top = np.abs(self.target).max() or 1.0
        surface = 2 * values - 1 if self.classifies else values / top
        pixels = np.column_stack([*hidden, np.clip(surface, -1, 1)])
        in_bytes: NDArray[np.uint8] = (np.nan_to_num(pixels) * 127 + 127).astype(np.uint8)
        return in_bytes.T.tobytes()

    def describe(self) -> dict[str, Any]:
        """Return the points, for the page."""
        is_test = np.zeros(len(self.target), bool)
        is_test[self.test_rows] = True
        return {
            "points": self.points.round(3).tolist(), "target": self.target.tolist(),
            "is_test": is_test.tolist(), "classifies": self.classifies,
            "n_train": len(self.X_train),
        }  # fmt: skip

    def walk(self) -> dict[str, str]:
        """Return both passes of the next minibatch, number by number, and a title.

        Of a larger minibatch, the first rows are a minibatch of their own.
        """
        start = self.next_row
        stop = min(start + self.size, len(self.X_train))
        shown = min(stop, start + MAX_ROWS_OF_WALK)
        record = trace(self.net, self.X_train[start:shown], self.y_train[start:shown], as_dict=True)
        title = f"Training rows {start} to {shown - 1}"
        if shown < stop:
            title += f", the first {shown - start} of the next batch"
        loss = resolve_loss(self.net.layers, "auto")
        return {"title": title, "text": format_trace(record, self.net.layers, loss, digits=4)}

    def write_script(self) -> str:
        """Return the Python script that repeats this run."""
        return write_script(self.settings, self.layers, self.optimizer, self.actions)

    def repeat(self, n_seeds: int = 20) -> dict[str, Any]:
        """Train this network again from other seeds; return mean and deviation of the metric."""
        epochs = min(max(self.n_epochs, 1), 1000)
        networks = [self.make_network(seed) for seed in range(n_seeds)]
        fit_many(
            networks, self.X_train, self.y_train,
            optimizer=self.optimizer, epochs=epochs, batch_size=self.size,
        )  # fmt: skip
        values = [net.evaluate(self.X_test, self.y_test)[self.metric] for net in networks]
        return {
            "metric": self.metric, "epochs": epochs, "values": values,
            "mean": float(np.mean(values)), "deviation": float(np.std(values, ddof=1)),
        }  # fmt: skip


def make_grid() -> Array:
    """The centers of the pixels of a picture, row by row from the top, shape (SIDE², 2)."""
    edges = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    x, y = np.meshgrid(edges * data.HALF_WIDTH, -edges * data.HALF_WIDTH)
    return np.column_stack([x.ravel(), y.ravel()])
