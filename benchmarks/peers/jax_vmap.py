"""JAX: all networks stacked by `vmap`, one epoch of all of them in one jitted `lax.scan`, donated
state. NumPy draws a permutation for each network and epoch, as in `jax_scan`."""

from __future__ import annotations

from typing import Any

import data
import numpy as np
from cases import ManyCase

from peers import jax_scan
from peers.jax_scan import SETTINGS, version

__all__ = ["LABEL", "SETTINGS", "TAKES", "many", "version"]

LABEL = "JAX vmap"
TAKES = ("many",)


class Many:
    """Networks stacked along the first axis of every array; one parameter vector per network."""

    def __init__(self, case: ManyCase) -> None:
        self.jax = jax_scan.setup(case.dtype)
        self.case, self.net = case, case.nets[0]
        self.X, self.y = map(self.jax.numpy.asarray, data.make_arrays(case))
        self.rng = np.random.default_rng(0)
        self.epoch = self.jax.jit(self.jax.vmap(self._epoch, (0, 0, None, None)), donate_argnums=0)
        self.reset()

    def reset(self) -> None:
        """See `Workload`."""
        from jax.flatten_util import ravel_pytree

        jnp, n = self.jax.numpy, len(self.case.nets)
        flat, self.tree = ravel_pytree(data.make_weights(self.net, self.case.dtype))
        noise = self.rng.standard_normal((n, len(flat))).astype(self.case.dtype)
        p = jnp.asarray(np.asarray(flat) + 0.01 * noise)
        self.state = p, (jnp.zeros_like(p), jnp.zeros_like(p)), jnp.zeros(n, self.case.dtype)
        self.jax.block_until_ready(self.state)

    def _epoch(self, state: Any, order: Any, X: Any, y: Any) -> Any:
        """One epoch of one network."""

        def step(state: Any, rows: Any) -> tuple[Any, None]:
            p, slots, t = state
            g = self.jax.grad(lambda p: jax_scan.loss(self.net, self.tree(p), X[rows], y[rows]))(p)
            return (*jax_scan.update("adam", t + 1, p, g, slots), t + 1), None

        return self.jax.lax.scan(step, state, order.reshape(-1, self.case.batch))[0]

    def fit(self, times: int) -> None:
        """See `Workload`."""
        rows = np.tile(np.arange(self.case.rows, dtype=np.int32), (len(self.case.nets), 1))
        for _ in range(times * self.case.epochs):
            self.state = self.epoch(self.state, self.rng.permuted(rows, axis=1), self.X, self.y)
        self.jax.block_until_ready(self.state)

    def score(self) -> float:
        """See `Workload`."""
        X, y = np.asarray(self.X), np.asarray(self.y)
        outputs = (
            data.forward(self.net, [(np.asarray(w), np.asarray(b)) for w, b in self.tree(p)], X)
            for p in self.state[0]
        )
        return float(np.mean([data.compute_score(out, y) for out in outputs]))


def many(case: ManyCase) -> Many:
    """See `Workload`."""
    return Many(case)
