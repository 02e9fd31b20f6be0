"""PyTorch, eager: tensors in memory, fused optimizers, no data loader."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import data
from cases import Net, PredictionCase, TrainingCase

from peers import blas_settings

LABEL = "PyTorch"
SETTINGS = blas_settings()
TAKES = ("training", "prediction")

# Bytes up to which an epoch is gathered with one call, which saves a call per batch. A larger copy
# would be evicted from the cache before it is used.
GATHER_AT_ONCE = 2**20


def version() -> str:
    """Version of the library."""
    return str(setup().__version__)


def setup() -> Any:
    """Import torch, with this process's number of threads; denormal numbers are flushed to zero, as
    in the other libraries."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_flush_denormal(True)
    return torch


def parameters(net: Net, dtype: str) -> list[tuple[Any, Any]]:
    """(w, b) of each layer, w of shape (n_out, n_in): the initial weights that all peers share."""
    import torch

    return [
        (torch.from_numpy(w.T.copy()), torch.from_numpy(b))
        for w, b in data.make_weights(net, dtype)
    ]


def logits(net: Net, layers: Any, X: Any) -> Any:
    """Outputs before the last activation, computed by functions: modules would add some
    microseconds per layer."""
    import torch

    activation = {"tanh": torch.tanh, "relu": torch.relu}[net.activation]
    for w, b in layers[:-1]:
        X = activation(torch.nn.functional.linear(X, w, b))
    w, b = layers[-1]
    return torch.nn.functional.linear(X, w, b)


def loss_function(net: Net) -> Callable[[Any, Any], Any]:
    """The loss as a function of logits and targets."""
    from torch.nn import functional

    functions: dict[str, Callable[[Any, Any], Any]] = {
        "squared": functional.mse_loss,
        "binary": functional.binary_cross_entropy_with_logits,
        "cross-entropy": functional.cross_entropy,
    }
    return functions[net.loss]


def head(net: Net, z: Any) -> Any:
    """Apply the last activation."""
    if net.loss == "binary":
        return z.sigmoid()
    return z.softmax(1) if net.loss == "cross-entropy" else z


class Fit:
    """Each epoch draws a permutation, and each batch is forward, loss, backward, optimizer."""

    def __init__(self, case: TrainingCase) -> None:
        self.torch = setup()
        self.case = case
        self.X, self.y = map(self.torch.from_numpy, data.make_arrays(case))
        self.loss = loss_function(case.net)
        self.reset()

    def reset(self) -> None:
        """See `Training`."""
        self.layers = parameters(self.case.net, self.case.dtype)
        every = [p.requires_grad_() for layer in self.layers for p in layer]
        optim, rate = self.torch.optim, data.LEARNING_RATE[self.case.optimizer]
        if self.case.optimizer == "adam":
            self.optimizer = optim.Adam(every, rate, fused=True)
        else:
            momentum = data.MOMENTUM if self.case.optimizer == "momentum" else 0.0
            self.optimizer = optim.SGD(every, rate, momentum, fused=True)

    def batches(self) -> Any:
        """The (X, y) batches of one epoch."""
        if not self.case.shuffles:
            return [(self.X, self.y)]
        order, size = self.torch.randperm(len(self.X)), self.case.batch
        if self.X.nbytes <= GATHER_AT_ONCE:
            return zip(self.X[order].split(size), self.y[order].split(size), strict=True)
        return ((self.X[rows], self.y[rows]) for rows in order.split(size))

    def fit(self, epochs: int) -> None:
        """See `Training`."""
        net, layers, loss, optimizer = self.case.net, self.layers, self.loss, self.optimizer
        for _ in range(epochs):
            for X, y in self.batches():
                optimizer.zero_grad()
                loss(logits(net, layers, X), y).backward()
                optimizer.step()

    def outputs(self) -> data.Array:
        """See `Training`."""
        with self.torch.inference_mode():
            z = logits(self.case.net, self.layers, self.X)
            result: data.Array = head(self.case.net, z).numpy()
        return result


def train(case: TrainingCase) -> Fit:
    """See `Training`."""
    return Fit(case)


def predict(case: PredictionCase) -> Callable[[], data.Array]:
    """A call in inference mode, from tensor to tensor."""
    torch = setup()
    layers = parameters(case.net, case.dtype)
    X = torch.from_numpy(data.make_arrays(case)[0])

    def call() -> data.Array:
        with torch.inference_mode():
            return head(case.net, logits(case.net, layers, X))  # type: ignore[no-any-return]

    return call
