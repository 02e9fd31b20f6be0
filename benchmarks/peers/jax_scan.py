"""JAX: one jitted call per epoch, `lax.scan` over its batches, donated state, Adam by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import data
import numpy as np
from cases import Net, PredictionCase, TrainingCase

from peers import thread_counts

LABEL = "JAX"
TAKES = ("training", "prediction")

_ASYNCHRONOUS = "BENCHMARK_JAX_ASYNCHRONOUS"  # JAX itself has no environment variable for this


def _environment(threads: int, asynchronous: bool) -> dict[str, str]:
    # JAX reads these when it creates its client, so they are set per process. With asynchronous
    # dispatch the next permutation is drawn during an epoch, but dispatching a call takes longer
    # than predicting a row.
    environment = {
        "JAX_PLATFORMS": "cpu",
        "NPROC": str(threads),
        _ASYNCHRONOUS: "yes" if asynchronous else "no",
    }
    if threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return environment


SETTINGS = {f"{n} thr": _environment(n, False) for n in thread_counts()} | {
    f"{n} thr, async": _environment(n, True) for n in thread_counts() if n > 1
}

# The README describes the variants that were tried. Small networks are faster with all parameters
# in one vector, which the optimizer updates in one loop, and small data sets with one gather per
# epoch.
FLAT_BYTES = 2**16
GATHER_AT_ONCE = 2**20


def version() -> str:
    """Version of the library."""
    import jax

    return str(jax.__version__)


def setup(dtype: str) -> Any:
    """Import JAX, with float64 enabled if a case needs it."""
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")
    jax.config.update("jax_cpu_enable_async_dispatch", os.environ[_ASYNCHRONOUS] == "yes")
    return jax


def logits(net: Net, parameters: Any, x: Any) -> Any:
    """Outputs before the last activation."""
    import jax.numpy as jnp

    for w, b in parameters[:-1]:
        z = x @ w + b
        x = jnp.tanh(z) if net.activation == "tanh" else jnp.maximum(z, 0)
    w, b = parameters[-1]
    return x @ w + b


def loss(net: Net, parameters: Any, x: Any, y: Any) -> Any:
    """The mean loss of a batch."""
    import jax
    import jax.numpy as jnp

    z = logits(net, parameters, x)
    if net.loss == "squared":
        return jnp.mean((z - y) ** 2)
    if net.loss == "binary":
        return jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1))


def update(optimizer: str, t: Any, p: Any, g: Any, slots: Any) -> tuple[Any, Any]:
    """One optimizer step; returns new parameters and slots, trees of the same shape."""
    import jax
    import jax.numpy as jnp

    rate, tree_map = data.LEARNING_RATE[optimizer], jax.tree.map
    if optimizer == "sgd":
        return tree_map(lambda p, g: p - rate * g, p, g), slots
    if optimizer == "momentum":
        v = tree_map(lambda v, g: data.MOMENTUM * v + g, slots[0], g)
        return tree_map(lambda p, v: p - rate * v, p, v), (v,)
    m = tree_map(lambda m, g: data.BETA_1 * m + (1 - data.BETA_1) * g, slots[0], g)
    v = tree_map(lambda v, g: data.BETA_2 * v + (1 - data.BETA_2) * g * g, slots[1], g)
    root = jnp.sqrt(1 - data.BETA_2**t)  # of the bias correction, merged into two factors
    rate, epsilon = rate * root / (1 - data.BETA_1**t), data.EPSILON * root
    return tree_map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + epsilon), p, m, v), (m, v)


class Fit:
    """Each epoch is a permutation by NumPy, faster than JAX's sort, and one jitted call."""

    def __init__(self, case: TrainingCase) -> None:
        self.jax = setup(case.dtype)
        self.case = case
        self.X, self.y = map(self.jax.numpy.asarray, data.make_arrays(case))
        self.rng = np.random.default_rng(0)
        self.reset()
        self.epoch = self.jax.jit(self._epoch, donate_argnums=0)

    def reset(self) -> None:
        """See `Training`."""
        from jax.flatten_util import ravel_pytree

        jnp = self.jax.numpy
        p: Any = self.jax.tree.map(jnp.asarray, data.make_weights(self.case.net, self.case.dtype))
        flat, tree = ravel_pytree(p)
        self.tree = tree if flat.nbytes <= FLAT_BYTES else lambda p: p
        p = flat if flat.nbytes <= FLAT_BYTES else p
        n_slots = {"sgd": 0, "momentum": 1, "adam": 2}[self.case.optimizer]
        slots = tuple(self.jax.tree.map(jnp.zeros_like, p) for _ in range(n_slots))
        self.state = (p, slots, jnp.zeros((), self.case.dtype))
        self.jax.block_until_ready(self.state)

    def _epoch(self, state: Any, order: Any, X: Any, y: Any) -> Any:
        case = self.case
        at_once = X.nbytes <= GATHER_AT_ONCE

        def step(state: Any, batch: Any) -> tuple[Any, None]:
            p, slots, t = state
            batch_x, batch_y = batch if at_once else (X[batch], y[batch])
            g = self.jax.grad(lambda p: loss(case.net, self.tree(p), batch_x, batch_y))(p)
            return (*update(case.optimizer, t + 1, p, g, slots), t + 1), None

        if order is None:
            return step(state, (X, y) if at_once else slice(None))[0]
        if at_once:
            X, y = X[order], y[order]
            batches = tuple(a.reshape(case.batches, case.batch, *a.shape[1:]) for a in (X, y))
        else:
            batches = order.reshape(case.batches, case.batch)
        return self.jax.lax.scan(step, state, batches)[0]

    def fit(self, epochs: int) -> None:
        """See `Training`."""
        order = None
        for _ in range(epochs):
            if self.case.shuffles:
                order = self.rng.permutation(len(self.X)).astype(np.int32)
            self.state = self.epoch(self.state, order, self.X, self.y)
        self.jax.block_until_ready(self.state)

    def outputs(self) -> data.Array:
        """See `Training`."""
        weights = [(np.asarray(w), np.asarray(b)) for w, b in self.tree(self.state[0])]
        return data.forward(self.case.net, weights, np.asarray(self.X))


def train(case: TrainingCase) -> Fit:
    """See `Training`."""
    return Fit(case)


def predict(case: PredictionCase) -> Callable[[], data.Array]:
    """A jitted call with the weights compiled in, from JAX array to JAX array."""
    jax, net = setup(case.dtype), case.net
    parameters = jax.tree.map(jax.numpy.asarray, data.make_weights(net, case.dtype))

    def outputs(x: Any) -> Any:
        z = logits(net, parameters, x)
        if net.loss == "binary":
            return jax.nn.sigmoid(z)
        return jax.nn.softmax(z) if net.loss == "cross-entropy" else z

    call = jax.jit(outputs)
    X = jax.numpy.asarray(data.make_arrays(case)[0])
    return lambda: call(X).block_until_ready()
