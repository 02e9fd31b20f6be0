"""Derivatives of fitted estimators with respect to unscaled features.

An estimator computes  A net((x - c) / s) + C  from the outputs of its network, with the center `c`
and spread `s` of the features. The matrix A holds the spread of the targets, or the two
probabilities [-1, 1] of a binary classifier that has one output. By the chain rule, the Jacobian is
A J / s.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnn._util import checks
from fastnn._util.checks.arrays import check_unmasked
from fastnn._util.conversion import as_numeric
from fastnn.estimators._fitting.fitted import Fitted
from fastnn.model import Sequential

Array = NDArray[Any]


class Differentiable(Fitted):
    """Methods that return derivatives of a fitted estimator."""

    _OUTPUTS: ClassVar[tuple[str, ...]]
    """The methods whose derivatives can be computed; the first is the default."""

    def _get_output_matrix(self, of: str) -> Array | None:
        """The matrix A (n_predictions, n_outputs) for the method `of`; None for the identity."""
        raise NotImplementedError

    @property
    def _n_outputs(self) -> int:
        """Number of outputs of the network."""
        return len(self._trained.network.weights[-1].T)

    def jacobian(self, X: Any, *, of: str | None = None, mode: str = "auto") -> Array:
        """Compute the derivatives of all predictions with respect to all features.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
            Features.
        of : str, optional
            The method whose result is differentiated: of a regressor "predict" (default), where
            loss="gaussian_nll" gives the mean; of a classifier "predict_proba" (default) or
            "decision_function".
        mode : "auto" (default), "forward" or "reverse"
            See `Sequential.jacobian`.

        Returns
        -------
        ndarray, shape (n, n_predictions, n_features)
            In units of the predictions per unit of the features. A single target has
            n_predictions = 1.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import MLPRegressor
        >>> X = np.linspace(0, 100, 50).reshape(-1, 1)
        >>> model = MLPRegressor(
        ...     hidden_layer_sizes=(), scale="standard", scale_target="standard", solver="lbfgs"
        ... )
        >>> model.fit(X, 3 * X[:, 0] + 2).jacobian(X[:1]).round(3)
        array([[[3.]]])
        """
        of, network, features = self._prepare(X, of)
        A = self._get_output_matrix(of)
        result = network.jacobian(features, mode=mode)
        if A is not None:
            result = np.einsum("kj,rji->rki", A, result).astype(result.dtype, copy=False)
        return self._per_feature(result)

    def jvp(self, X: Any, V: Any, *, of: str | None = None) -> Array:
        """Compute directional derivatives of the predictions, by forward mode.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
            Features.
        V : array-like, shape (n, n_features)
            A direction for each row, in units of the features.
        of : str, optional
            As for `jacobian`.

        Returns
        -------
        ndarray, shape (n, n_predictions)

        Examples
        --------
        >>> from fastnn import MLPRegressor
        >>> X, y = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0.0, 3.0, 5.0]
        >>> model = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0).fit(X, y)
        >>> model.jvp([[0.0, 0.0]], [[1.0, 2.0]]).round(2)
        array([[13.]])
        """
        of, network, features = self._prepare(X, of)
        A, directions = self._get_output_matrix(of), _as_rows("V", V, features.shape)
        result = network.jvp(features, self._per_feature(directions))
        return result if A is None else (result @ A.T).astype(result.dtype, copy=False)

    def vjp(self, X: Any, U: Any, *, of: str | None = None) -> Array:
        """Compute gradients of combinations of the predictions, by reverse mode.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
            Features.
        U : array-like, shape (n, n_predictions)
            For each row, the coefficients of the predictions.
        of : str, optional
            As for `jacobian`.

        Returns
        -------
        ndarray, shape (n, n_features)

        Examples
        --------
        >>> from fastnn import MLPRegressor
        >>> X, y = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0.0, 3.0, 5.0]
        >>> model = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0).fit(X, y)
        >>> model.vjp([[0.0, 0.0]], [[2.0]]).round(2)
        array([[ 6., 10.]])
        """
        of, network, features = self._prepare(X, of)
        A = self._get_output_matrix(of)
        n_predictions = self._n_outputs if A is None else len(A)
        coefficients = _as_rows("U", U, (len(features), n_predictions))
        return self._per_feature(
            network.vjp(features, coefficients if A is None else coefficients @ A)
        )

    def hessian(self, X: Any, *, output: int = 0, of: str | None = None) -> Array:
        """Compute the second derivatives of one prediction with respect to the features.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
            Features.
        output : int, default 0
            Index of the prediction: of the target, or of the class in `classes_`.
        of : str, optional
            As for `jacobian`.

        Returns
        -------
        ndarray, shape (n, n_features, n_features)

        Examples
        --------
        >>> from fastnn import LogisticRegression
        >>> model = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
        >>> bool(model.hessian([[0.0]], output=1).round(12).item() == 0)    # a point of inflection
        True
        """
        of, network, features = self._prepare(X, of)
        A, scale = self._get_output_matrix(of), 1.0
        if A is not None:  # each prediction depends on one output
            output = checks.whole("output", output, at_least=0)
            if output >= len(A):
                raise ValueError(f"output: expected an index below {len(A)}; got {output}")
            source = int(np.flatnonzero(A[output])[0])
            output, scale = source, float(A[output, source])
        result = network.hessian(features, output=output)
        result *= scale
        return self._per_feature(self._per_feature(result).transpose(0, 2, 1))

    def _prepare(self, X: Any, of: str | None) -> tuple[str, Sequential, Array]:
        """The name of the method, its network, and its scaled features, dense."""
        check_is_fitted(self)
        of = self._OUTPUTS[0] if of is None else checks.choice("of", of, self._OUTPUTS)
        network = self._trained.get_network(of == "decision_function")
        check_unmasked("X", X)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        features = X.toarray() if hasattr(X, "toarray") else X
        return of, network, self._scale_features(network, features)

    def _per_feature(self, values: Array) -> Array:
        """Divide the last axis by the spread of the features, in the dtype of `values`."""
        if self._scaling is None:
            return values
        return (values / self._scaling.spread).astype(values.dtype, copy=False)


def _as_rows(name: str, values: Any, shape: tuple[int, int]) -> Array:
    """An array of numbers of the given shape."""
    array = as_numeric(name, values)
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}; got {array.shape}")
    return array.astype(np.float64, copy=False)
