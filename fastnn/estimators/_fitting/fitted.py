"""What a fitted estimator is asked: its weights, its outputs, its file."""

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
from fastnn._util.weight_list import WeightList
from fastnn.estimators._fitting import storage
from fastnn.estimators._fitting.early_stopping import Progress
from fastnn.estimators._fitting.parameters import Parameters
from fastnn.estimators._fitting.solvers import Trained
from fastnn.model import Sequential, make_sequential, predict_plain

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
    def coefs_(self) -> WeightList[Array]:
        """Weights of the layers, (n_in, n_out) each: views, so that changing them changes the
        model. Assigning an item, `model.coefs_[0] = W`, copies its values into the model."""
        return WeightList("coefs_", self._network("coefs_").weights)

    @coefs_.setter
    def coefs_(self, values: list[Array]) -> None:
        self.coefs_[:] = values

    @property
    def intercepts_(self) -> WeightList[Array]:
        """Biases of the layers, (n_out,) each; like `coefs_`."""
        biases = self._network("intercepts_").biases
        return WeightList("intercepts_", [bias for bias in biases if bias is not None])

    @intercepts_.setter
    def intercepts_(self, values: list[Array]) -> None:
        self.intercepts_[:] = values

    @property
    def network_(self) -> Sequential:
        """The network by itself: it takes unscaled features and returns outputs in the units of y,
        as `fastnn.load` reads it from a file of this estimator; for loss="gaussian_nll" the mean
        of each target, then the logarithm of each variance.

        Each access makes a copy that shares nothing with the estimator; keep it in a variable.
        Without `scale` and `scale_target` its predictions are bit-identical to the estimator's.
        With them, the scaling is a part of its first and last weights, and it has no penalties and
        no state of an optimizer. There is no `network_` where that would lose digits: for features
        in float32 whose mean is more than 800 times their standard deviation.

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
        self._network("network_")
        names = getattr(self, "feature_names_in_", None)
        state = copy_state(storage.network_of(self._trained, names))
        try:
            return make_sequential(merge_scaling.merge(state, self._scaling, self._target_scaling))
        except ValueError as error:
            raise AttributeError(f"{type(self).__name__} has no network_: {error}") from error

    def _network(self, asked: str) -> Sequential:
        if "_trained" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {asked} before fit")
        return self._trained.network

    def _outputs(self, X: Any, linear: bool = False) -> Array:
        """The network's outputs, (n, n_outputs), for data in the user's terms; `linear` ones are
        those before the last activation."""
        outputs = self._plain_outputs(X, linear)
        if outputs is not None:
            return outputs
        check_is_fitted(self)
        check_unmasked("X", X)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        network = self._trained.network_for(linear)
        if not hasattr(X, "toarray"):
            return self._forward(network, X)
        X = X.tocsr()
        blocks = range(0, X.shape[0], _DENSE_ROWS)
        return np.concatenate([
            self._forward(network, X[start : start + _DENSE_ROWS].toarray()) for start in blocks
        ])  # fmt: skip

    def _plain_outputs(self, X: Any, linear: bool) -> Array | None:
        """The outputs for an array that scikit-learn's checks, which take some 50 us, would pass
        on as it is; None for anything else."""
        if "_trained" not in vars(self) or "feature_names_in_" in vars(self):
            return None
        network = self._trained.network_for(linear)
        if self._scaling is not None:
            if type(X) is not np.ndarray or X.dtype != network.dtype or (
                X.shape[1:] != (network.n_features_in,)
            ):  # fmt: skip
                return None
            X = self._scaling.apply(X)  # as finite as X
        return predict_plain(network, X)

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
            If there was no fit yet, or a parameter or attribute is an object that only pickle can
            hold, such as a scorer, or a generator as `random_state`; or if `path` is a folder, a
            pipe or a device.
        OSError
            If the file cannot be written; it is then as before.
        """
        check_is_fitted(self, "_trained")
        serialize.write(path, *storage.record_of(self))

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
        record = serialize.read(path)
        with serialize.wrap_read_errors(path):
            estimator: Self = storage.estimator_of(cls, *record)
        return estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
