"""Several networks as one model: the mean of what they predict, and how far they disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from fastnn._training import scoring
from fastnn._training.arguments import get_last_loss
from fastnn._training.source import make_source, prepare
from fastnn._training.state import get_plan
from fastnn._util import checks
from fastnn.layers import get_output_activation
from fastnn.model import Sequential

Array = NDArray[Any]


@dataclass(frozen=True)
class Ensemble:
    """Trained networks whose predictions are averaged; where they disagree, none should be trusted.
    B. Lakshminarayanan, A. Pritzel, C. Blundell, "Simple and scalable predictive uncertainty
    estimation using deep ensembles", 2017.

    Parameters
    ----------
    networks : tuple of Sequential
        Trained on the same features and targets, and with the same last activation; they may differ
        in all else.

    Raises
    ------
    ValueError, TypeError
        If there are none, one is not trained, or they do not predict the same.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> X = fn.Standardizer().fit_transform(X)
    >>> nets = [fn.Sequential(fn.Dense(8, "tanh"), fn.Dense(1, "sigmoid"), random_state=seed)
    ...         for seed in range(5)]
    >>> ensemble = fn.fit_many(nets, X, y, epochs=5).ensemble()
    >>> mean, std = ensemble.predict(X, return_std=True)
    >>> mean.shape, std.shape
    ((569, 1), (569, 1))
    """

    networks: tuple[Sequential, ...]

    def __post_init__(self) -> None:
        checks.instance("networks", self.networks, (tuple, list), "a sequence of Sequential")
        object.__setattr__(self, "networks", tuple(self.networks))
        if not self.networks:
            raise ValueError("networks: expected at least one; got none")
        kinds = {}
        for i, network in enumerate(self.networks):
            checks.instance(f"networks[{i}]", network, Sequential, "a Sequential")
            if network.n_features_in is None:
                raise ValueError(f"networks[{i}]: expected a trained one; got one without weights")
            kinds[_kind(network)] = i
        if len(kinds) > 1:
            (first, i), (second, j) = list(kinds.items())[:2]
            raise ValueError(
                "networks: expected the same features, outputs and last activation; got "
                f"{first} of networks[{i}] and {second} of networks[{j}]"
            )

    def __len__(self) -> int:
        return len(self.networks)

    @overload
    def predict(self, X: Any, *, return_std: Literal[False] = False) -> Array: ...
    @overload
    def predict(self, X: Any, *, return_std: Literal[True]) -> tuple[Array, Array]: ...
    def predict(self, X: Any, *, return_std: bool = False) -> Any:
        """The mean of the networks' outputs for each row of X, shape (n, n_outputs); with
        `return_std` also their standard deviation, that of a sample: 0 where all agree."""
        checks.flag("return_std", return_std)
        # Sums instead of all outputs: these may be many networks. Differences from the first keep
        # the digits that a difference of large squares would lose.
        first = self.networks[0].predict(X).astype(np.float64)
        total, squares = np.zeros_like(first), np.zeros_like(first)
        for network in self.networks[1:]:
            difference = network.predict(X) - first
            total += difference
            squares += difference * difference
        n, dtype = len(self), self.networks[0].dtype
        mean = (first + total / n).astype(dtype)
        if not return_std:
            return mean
        variance = (squares - total * total / n) / max(n - 1, 1)
        return mean, np.sqrt(np.maximum(variance, 0)).astype(dtype)

    def evaluate(self, X: Any, y: Any, *, sample_weight: Any = None) -> dict[str, float]:
        """The metric of the mean prediction, {"accuracy": ...} or {"r2": ...}, by the loss that the
        first network was trained with.

        Raises
        ------
        ValueError
            If that loss has no metric.
        """
        state = self.networks[0].state
        loss = get_last_loss(state)
        _, arrays = prepare(state, make_source(X, y, sample_weight, check_finite=True), loss)
        activation = get_output_activation(state.layers)
        value = scoring.compute_metric(loss, activation, self.predict(X), arrays.y, arrays.weights)
        if value is None:
            raise ValueError(f"networks: expected a loss that has a metric; got {loss}")
        return {str(scoring.get_metric_name(loss)): value}


def _kind(network: Sequential) -> str:
    name = get_output_activation(network.layers).name
    return f"{network.n_features_in} features, {get_plan(network.state).n_outputs} outputs, {name}"
