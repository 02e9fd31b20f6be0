"""A multilayer perceptron in PyTorch with a plain training loop: scikit-learn's initialization and
stopping rule, Adam, shuffled batches of 200."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]


class Perceptron:
    """A model with scikit-learn's `fit` and `predict`."""

    def __init__(
        self, task: str, epochs: int, seed: int, *, hidden_layer_sizes: tuple[int, ...],
        learning_rate_init: float, alpha: float,
    ) -> None:  # fmt: skip
        torch.manual_seed(seed)
        self.classes = task == "classes"
        self.epochs = epochs
        self.widths = hidden_layer_sizes
        self.rate = learning_rate_init
        self.alpha = alpha

    def _network(self, n_in: int, n_out: int) -> torch.nn.Sequential:
        layers: list[torch.nn.Module] = []
        for width in self.widths:
            layers += [torch.nn.Linear(n_in, width), torch.nn.ReLU()]
            n_in = width
        layers.append(torch.nn.Linear(n_in, n_out))
        for layer in layers[::2]:
            bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
            torch.nn.init.uniform_(layer.weight, -bound, bound)
            torch.nn.init.uniform_(layer.bias, -bound, bound)
        return torch.nn.Sequential(*layers)

    def fit(self, X: Array, y: Array) -> Perceptron:
        """Train the network on X and y."""
        inputs = torch.from_numpy(X)
        if self.classes:
            self.labels, codes = np.unique(y, return_inverse=True)
            targets, n_out = torch.from_numpy(codes), len(self.labels)
            loss_of = torch.nn.CrossEntropyLoss()
        else:
            targets, n_out = torch.from_numpy(y.astype(X.dtype)[:, np.newaxis]), 1
            mean_square = torch.nn.MSELoss()

            def loss_of(predicted: Any, target: Any) -> Any:
                return mean_square(predicted, target) / 2

        self.network = self._network(X.shape[1], n_out)
        batch = min(200, len(X))
        adam = torch.optim.Adam(
            self.network.parameters(), self.rate, weight_decay=self.alpha / batch
        )
        best, waited, self.n_iter_ = np.inf, 0, 0
        while self.n_iter_ < self.epochs and waited <= 10:
            total = 0.0
            for rows in torch.randperm(len(X)).split(batch):
                loss = loss_of(self.network(inputs[rows]), targets[rows])
                adam.zero_grad()
                loss.backward()
                adam.step()
                total += loss.item() * len(rows)
            mean = total / len(X)
            waited = waited + 1 if mean > best - 1e-4 else 0
            best = min(best, mean)
            self.n_iter_ += 1
        return self

    def predict(self, X: Array) -> Array:
        """Class labels, or values in regression."""
        with torch.no_grad():
            outputs = self.network(torch.from_numpy(X)).numpy()
        return self.labels[outputs.argmax(axis=1)] if self.classes else outputs[:, 0]
