"""What a fitted estimator is asked: its weights, its outputs, its file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnn.checks.arrays import check_unmasked
from fastnn.estimators import storage
from fastnn.estimators.parameters import Parameters
from fastnn.estimators.progress import Progress
from fastnn.estimators.scaling import Scaling
from fastnn.estimators.solvers import Trained
from fastnn.model import Sequential

Array = NDArray[Any]

# Rows of a sparse matrix that are made dense at a time to predict.
_DENSE_ROWS = 4096


class Fitted(Parameters):
    """What is kept of a fit: network and optimizer, curves and patience, and the scalings."""

    if TYPE_CHECKING:  # set by a fit, so that their absence says that there was none
        _trained: Trained
        _progress: Progress
        _scaling: Scaling | None
        _target_scaling: Scaling | None

    # ---- weights and outputs ----

    @property
    def coefs_(self) -> list[Array]:
        """Weights of the layers, (n_in, n_out) each: views, so that changing them changes the
        model."""
        return self._network("coefs_").weights

    @coefs_.setter
    def coefs_(self, values: list[Array]) -> None:
        _assign("coefs_", self.coefs_, values)

    @property
    def intercepts_(self) -> list[Array]:
        """Biases of the layers, (n_out,) each: views, as `coefs_`."""
        return [bias for bias in self._network("intercepts_").biases if bias is not None]

    @intercepts_.setter
    def intercepts_(self, values: list[Array]) -> None:
        _assign("intercepts_", self.intercepts_, values)

    def _network(self, asked: str) -> Sequential:
        if "_trained" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {asked} before fit")
        return self._trained.network

    def _outputs(self, X: Any, network: Sequential | None = None) -> Array:
        """The network's outputs, (n, n_outputs), for data in the user's terms."""
        check_is_fitted(self)
        check_unmasked("X", X)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        network = self._network("coefs_") if network is None else network
        if not hasattr(X, "toarray"):
            return self._forward(network, X)
        X = X.tocsr()
        blocks = range(0, X.shape[0], _DENSE_ROWS)
        return np.concatenate([
            self._forward(network, X[start : start + _DENSE_ROWS].toarray()) for start in blocks
        ])  # fmt: skip

    def _forward(self, network: Sequential, X: Array) -> Array:
        X = X.astype(network.dtype, copy=False)
        if self._scaling is not None:
            X = self._scaling.apply(X)
        return network.predict(X, check_finite=False)

    # ---- files ----

    def __getstate__(self) -> dict[str, Any]:
        """Plain data only, which libraries for safe files can hold."""
        return storage.state_of(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(storage.from_state(state))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters, fitted model and where its training stands to a safetensors file:
        whole, or not at all. `load` reads it; so does `fastnn.load`, for the network alone.

        Raises
        ------
        ValueError
            If there was no fit yet, or a parameter is an object that only pickle can hold: a
            scorer, or a generator as `random_state`.
        """
        check_is_fitted(self)
        storage.save(path, type(self).__name__, self.__getstate__())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an estimator that `save` wrote; reading runs no code from the file.

        Raises
        ------
        ValueError
            If the file is damaged, or holds no estimator of this class.
        OSError
            If it cannot be read.
        """
        estimator = cls()
        estimator.__dict__.update(storage.load(path, cls.__name__, set(estimator.get_params())))
        estimator._validate_params()
        return estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _assign(name: str, views: list[Array], values: list[Array]) -> None:
    shapes = [np.shape(value) for value in values]
    expected = [view.shape for view in views]
    if shapes != expected:
        raise ValueError(f"{name}: expected shapes {expected}; got {shapes}")
    for view, value in zip(views, values, strict=True):
        view[:] = value
