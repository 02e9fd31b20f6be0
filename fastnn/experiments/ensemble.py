"""Ensembles: the mean and standard deviation of the predictions of several networks."""

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
    """An ensemble of trained networks, which predicts the mean of their outputs.

    The standard deviation of the outputs measures the uncertainty of a prediction.
    B. Lakshminarayanan, A. Pritzel, C. Blundell, "Simple and scalable predictive uncertainty
    estimation using deep ensembles", NIPS 2017.

    Parameters
    ----------
    networks : sequence of Sequential
        Networks with the same numbers of features and outputs and the same output activation.
        They may differ in everything else.

    Raises
    ------
    ValueError, TypeError
        If the sequence is empty, a network has not been built, or the networks differ in features,
        outputs or output activation.

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
        interfaces = {}
        for i, network in enumerate(self.networks):
            checks.instance(f"networks[{i}]", network, Sequential, "a Sequential")
            if network.n_features_in is None:
                raise ValueError(f"networks[{i}]: expected a trained one; got one without weights")
            interfaces[_describe_interface(network)] = i
        if len(interfaces) > 1:
            (first, i), (second, j) = list(interfaces.items())[:2]
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
        """Predict the mean of the networks' outputs.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Features.
        return_std : bool, default False
            Whether to return the standard deviation as well.

        Returns
        -------
        mean : ndarray, shape (n, n_outputs)
            Mean of the outputs, in the dtype of the first network.
        std : ndarray, shape (n, n_outputs)
            Sample standard deviation of the outputs over the networks, with divisor
            len(ensemble) - 1; 0 for a single network. Only with `return_std`.

        Raises
        ------
        ValueError, TypeError
            If X is invalid.
        """
        checks.flag("return_std", return_std)
        # Running sums, as storing the outputs of many networks would take much memory. They are
        # sums of differences from the first network, which avoids cancellation in the variance.
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
        """Compute the metric of the mean prediction.

        The metric is that of the loss that the first network was trained with.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Features.
        y : array-like, shape (n,) or (n, n_targets)
            Targets, as the loss requires them.
        sample_weight : array-like, shape (n,), optional
            Weights of the rows, at least 0; by default 1.

        Returns
        -------
        dict
            {"accuracy": ...} or {"r2": ...}.

        Raises
        ------
        ValueError
            If the loss has no metric, or an array is invalid.
        """
        state = self.networks[0].state
        loss = get_last_loss(state)
        _, arrays = prepare(state, make_source(X, y, sample_weight, check_finite=True), loss)
        activation = get_output_activation(state.layers)
        value = scoring.compute_metric(loss, activation, self.predict(X), arrays.y, arrays.weights)
        if value is None:
            raise ValueError(f"networks: expected a loss that has a metric; got {loss}")
        return {str(scoring.get_metric_name(loss)): value}


def _describe_interface(network: Sequential) -> str:
    name = get_output_activation(network.layers).name
    return f"{network.n_features_in} features, {get_plan(network.state).n_outputs} outputs, {name}"
