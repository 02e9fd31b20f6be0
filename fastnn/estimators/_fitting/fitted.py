"""Fitted estimators: weights, outputs and files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnn._io import merge_scaling, serialize
from fastnn._training.state import copy_state
from fastnn._util.checks.arrays import check_unmasked
from fastnn._util.scaling import Scaling
from fastnn._util.sparse_rows import is_sparse
from fastnn._util.weight_list import WeightList
from fastnn.estimators._fitting import storage
from fastnn.estimators._fitting.early_stopping import FitProgress
from fastnn.estimators._fitting.parameters import Parameters
from fastnn.estimators._fitting.solvers import TrainedNetwork
from fastnn.model import Sequential, make_sequential, predict_plain

Array = NDArray[Any]

# Number of rows of a sparse matrix that are made dense at a time if they have to be scaled.
_DENSE_ROWS = 4096


class Fitted(Parameters):
    """The state of a fitted estimator: network, optimizer, loss curves, patience and scalings."""

    if TYPE_CHECKING:  # set by a fit; absent in an unfitted estimator
        _trained: TrainedNetwork
        _progress: FitProgress
        _scaling: Scaling | None
        _target_scaling: Scaling | None

    # ---- weights and outputs ----

    @property
    def coefs_(self) -> WeightList[Array]:
        """Weights of the layers, each of shape (n_in, n_out). They are views: changing an array
        changes the model, and assigning an item, `model.coefs_[0] = W`, copies the values of W into
        the model."""
        return WeightList("coefs_", self._get_network("coefs_").weights)

    @coefs_.setter
    def coefs_(self, values: list[Array]) -> None:
        self.coefs_[:] = values

    @property
    def intercepts_(self) -> WeightList[Array]:
        """Biases of the layers, each of shape (n_out,). They are views, as `coefs_`."""
        biases = self._get_network("intercepts_").biases
        return WeightList("intercepts_", [bias for bias in biases if bias is not None])

    @intercepts_.setter
    def intercepts_(self, values: list[Array]) -> None:
        self.intercepts_[:] = values

    @property
    def network_(self) -> Sequential:
        """A copy of the network as a `Sequential`.

        It takes unscaled features and returns outputs in the units of y. `fastnn.load` reads the
        same network from a file of this estimator. With loss="gaussian_nll" the outputs are the
        mean of each target, then the logarithm of each variance.

        Each access makes a new copy that shares no memory with the estimator; keep it in a
        variable. Without `scale` and `scale_target`, its predictions are bit-identical to the
        estimator's. With them, the scaling is merged into the first and last weights, and the
        network has no penalties and no optimizer state.

        Raises
        ------
        AttributeError
            Before `fit`; or if merging the scaling would lose digits, for float32 features whose
            mean is more than 800 times their standard deviation.

        Examples
        --------
        >>> from fastnn import MLPRegressor
        >>> X, y = [[1000.0], [2000.0], [3000.0]], [50.0, 70.0, 90.0]
        >>> model = MLPRegressor(scale="standard", scale_target="standard", solver="lbfgs")
        >>> net = model.fit(X, y).network_
        >>> net.predict(X).shape
        (3, 1)
        >>> bool(abs(net.predict(X)[:, 0] - model.predict(X)).max() < 1e-6)
        True
        """
        self._get_network("network_")
        names = getattr(self, "feature_names_in_", None)
        state = copy_state(storage.attach_feature_names(self._trained, names))
        try:
            return make_sequential(merge_scaling.merge(state, self._scaling, self._target_scaling))
        except ValueError as error:
            raise AttributeError(f"{type(self).__name__} has no network_: {error}") from error

    def _get_network(self, attribute: str) -> Sequential:
        if "_trained" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {attribute} before fit")
        return self._trained.network

    def _compute_outputs(self, X: Any, linear: bool = False) -> Array:
        """The network's outputs, (n, n_outputs), for data as the user passes them; with `linear`,
        the outputs before the last activation."""
        outputs = self._predict_plain(X, linear)
        if outputs is not None:
            return outputs
        check_is_fitted(self)
        check_unmasked("X", X)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        network = self._trained.get_network(linear)
        if self._scaling is None or not is_sparse(X):
            return self._forward(network, X)
        X = X.tocsr()
        starts = range(0, X.shape[0], _DENSE_ROWS)
        return np.concatenate([
            self._forward(network, X[start : start + _DENSE_ROWS].toarray()) for start in starts
        ])  # fmt: skip

    def _predict_plain(self, X: Any, linear: bool) -> Array | None:
        """The outputs for an array that scikit-learn's checks would return unchanged; None for any
        other input. These checks take about 50 µs."""
        if "_trained" not in vars(self) or "feature_names_in_" in vars(self):
            return None
        network = self._trained.get_network(linear)
        if self._scaling is not None:
            if type(X) is not np.ndarray or X.dtype != network.dtype or (
                X.shape[1:] != (network.n_features_in,)
            ):  # fmt: skip
                return None
            X = self._scaling.apply(X)  # finite if X is; predict_plain checks it
        return predict_plain(network, X)

    def _forward(self, network: Sequential, X: Array) -> Array:
        return network.predict(self._scale_features(network, X), check_finite=False)

    def _scale_features(self, network: Sequential, X: Array) -> Array:
        """Scaled features (n, n_features) in the network's dtype."""
        X = X.astype(network.dtype, copy=False)
        return X if self._scaling is None else self._scaling.apply(X)

    # ---- files ----

    def __getstate__(self) -> dict[str, Any]:
        """The state as plain data, which libraries for safe files can store."""
        return storage.to_state(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(storage.from_state(state))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save parameters, fitted model and training state to a safetensors file.

        The file is written atomically. `load` reads it; `fastnn.load` reads the network without
        the estimator.

        Raises
        ------
        ValueError
            If the estimator is not fitted; if only pickle can hold a parameter or attribute, for
            example a scorer, or a generator as `random_state`; or if `path` is a folder, a pipe or
            a device.
        OSError
            If the file cannot be written; an existing file stays unchanged.
        """
        check_is_fitted(self, "_trained")
        serialize.write(path, *storage.to_record(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load an estimator that `save` wrote. No code from the file is executed.

        Raises
        ------
        ValueError
            If the file is damaged or holds no estimator of this class.
        OSError
            If the file cannot be read.
        """
        record = serialize.read(path)
        with serialize.wrap_read_errors(path):
            estimator: Self = storage.from_record(cls, *record)
        return estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
