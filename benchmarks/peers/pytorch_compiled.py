"""PyTorch with `torch.compile`: gather, forward, loss, backward and optimizer of a step as one
graph without breaks, called through generated C++."""

from __future__ import annotations

from typing import Any

import data
from cases import TrainingCase

from peers import pytorch

LABEL = "torch.compile"
SETTINGS = pytorch.SETTINGS
TAKES = ("training",)

version = pytorch.version


def _update(optimizer: str, t: Any, p: Any, g: Any, slots: list[Any]) -> None:
    """One optimizer step in place. `t` is a tensor, because a Python number would be a constant of
    the compiled graph."""
    rate = data.LEARNING_RATE[optimizer]
    if optimizer == "sgd":
        p.sub_(rate * g)
    elif optimizer == "momentum":
        p.sub_(rate * slots[0].mul_(data.MOMENTUM).add_(g))
    else:
        m, v = slots
        m.lerp_(g, 1 - data.BETA_1)
        v.mul_(data.BETA_2).addcmul_(g, g, value=1 - data.BETA_2)
        root = (1 - data.BETA_2**t).sqrt()  # of the bias correction, merged into two factors
        p.sub_((rate * root / (1 - data.BETA_1**t)) * m / (v.sqrt() + data.EPSILON * root))


class Fit(pytorch.Fit):
    """Each epoch draws a permutation, and each batch is one call of the compiled step."""

    def __init__(self, case: TrainingCase) -> None:
        super().__init__(case)
        torch = self.torch
        torch._dynamo.reset()  # code compiled for other cases costs checks

        def step(parameters: Any, slots: Any, t: Any, X: Any, y: Any, rows: Any) -> None:
            if rows is not None:
                X, y = X[rows], y[rows]
            loss = self.loss
            gradients = torch.func.grad(lambda p: loss(pytorch.logits(case.net, p, X), y))(
                parameters
            )
            t += 1
            for layer, layer_gradients, layer_slots in zip(
                parameters, gradients, slots, strict=True
            ):
                for p, g, s in zip(layer, layer_gradients, layer_slots, strict=True):
                    _update(case.optimizer, t, p, g, s)

        self.step = torch.compile(step, fullgraph=True, options={"cpp_wrapper": True})

    def reset(self) -> None:
        """See `Training`."""
        torch = self.torch
        n_slots = {"sgd": 0, "momentum": 1, "adam": 2}[self.case.optimizer]
        self.parameters = pytorch.parameters(self.case.net, self.case.dtype)
        self.slots = [
            [[torch.zeros_like(p) for _ in range(n_slots)] for p in layer]
            for layer in self.parameters
        ]
        self.t = torch.zeros((), dtype=torch.float64)

    def fit(self, epochs: int) -> None:
        """See `Training`."""
        torch, case, step = self.torch, self.case, self.step
        for _ in range(epochs):
            order = torch.randperm(len(self.X)) if case.shuffles else None
            for rows in order.split(case.batch) if order is not None else (None,):
                step(self.parameters, self.slots, self.t, self.X, self.y, rows)

    def outputs(self) -> data.Array:
        """See `Training`."""
        weights = [(w.numpy().T, b.numpy()) for w, b in self.parameters]
        return data.forward(self.case.net, weights, self.X.numpy())


def train(case: TrainingCase) -> Fit:
    """See `Training`."""
    return Fit(case)
