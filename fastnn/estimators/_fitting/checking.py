"""Checks of an estimator's parameters and data before its fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _check_sample_weight

from fastnn._util.checks.arrays import check_unmasked
from fastnn._util.sparse_rows import is_sparse
from fastnn.estimators._fitting import architecture
from fastnn.estimators._fitting.architecture import HiddenLayers
from fastnn.estimators._fitting.derivatives import Differentiable
from fastnn.estimators._fitting.parameters import FULL_BATCH_SOLVERS
from fastnn.estimators._fitting.samples import Sample
from fastnn.estimators._fitting.solvers import TrainedNetwork
from fastnn.schedules import Schedule

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class CheckedData:
    """The data of a fit, checked and encoded; fits to any of their rows need no further checks."""

    hidden: HiddenLayers
    sample: Sample
    targets: Array
    """The sample's y as the network learns it, (n, n_targets)."""
    n_targets: int
    validation: Sample | None = None
    """Validation data that the user passed."""
    incremental: bool = False
    """Whether the fit is a call of `partial_fit`."""


@dataclass(eq=False, repr=False, kw_only=True)
class CheckedEstimator(Differentiable):
    """What `_check_fit` checks, with the methods that classifiers and regressors override."""

    # ---- overridden by classifiers and regressors ----

    def _check_data(self, X: Any, y: Any, reset: bool) -> tuple[Any, Array]:
        """Check X and y by scikit-learn's rules, and return them as arrays."""
        raise NotImplementedError

    def _check_range(self, y: Array) -> None:
        """Raise an error if the loss is not defined for these targets."""

    def _declare_classes(self, y: Any, classes: Any) -> None:
        """Store the classes that the first `partial_fit` declares."""

    def _set_targets(self, y: Array, incremental: bool) -> int:
        """Store the classes of y; returns the number of targets."""
        raise NotImplementedError

    def _check_targets(self, y: Array, n_targets: int) -> None:
        """Raise an error if validation targets are not of the kind of the training targets."""
        width = 1 if y.ndim == 1 else y.shape[1]
        if width != n_targets:
            raise ValueError(
                f"y: expected {n_targets} columns, as in the training data; got {width}"
            )

    def _encode(self, y: Array, dtype: Any) -> Array:
        """Encode y as the targets that the network learns, (n, n_targets)."""
        raise NotImplementedError

    # ---- checks ----

    def _check_fit(
        self, X: Any, y: Any, sample_weight: Any, validation_data: Any, incremental: bool
    ) -> CheckedData:
        """Check parameters and data, and encode the targets."""
        hidden = self._check_parameters(incremental)
        before = self._get_trained(incremental)
        sample = self._check_sample(
            X, y, sample_weight, dtype=before and before.network.dtype, reset=before is None
        )
        if is_sparse(sample.X):
            check_sparse_fit(self)
        n_targets = self._set_targets(sample.y, incremental)
        validation = None
        if validation_data is not None:
            validation = self._check_validation(validation_data, sample.X.dtype, n_targets)
        return CheckedData(
            hidden=hidden,
            sample=sample,
            targets=self._encode(sample.y, sample.X.dtype),
            n_targets=n_targets,
            validation=validation,
            incremental=incremental,
        )

    def _get_trained(self, incremental: bool) -> TrainedNetwork | None:
        """The network that this fit continues to train, None for a new one."""
        continues = incremental or self.warm_start
        return self._trained if continues and hasattr(self, "_trained") else None

    def _check_parameters(self, incremental: bool) -> HiddenLayers:
        """Check combinations of parameters; `_parameter_constraints` describe each by itself."""
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        unsupported_on_all_rows = {
            "dropout": np.any(self.dropout), "l1": self.l1, "clip_norm": self.clip_norm,
            "learning_rate": isinstance(self.learning_rate, Schedule),
        }  # fmt: skip
        for name, used in unsupported_on_all_rows.items():
            if used and self.solver in FULL_BATCH_SOLVERS:
                raise ValueError(
                    f"{name}: expected its default with solver={self.solver!r}; got "
                    f"{getattr(self, name)!r}"
                )
        if self.weight_decay and self.solver != "adam":
            raise ValueError(
                f"weight_decay: expected 0 with solver={self.solver!r}, as it is a part of AdamW; "
                f"got {self.weight_decay!r} (alpha is a penalty for every solver)"
            )
        return architecture.make_hidden(
            self.hidden_layer_sizes, self.activation, self.dropout, self.residual, self.n_layers,
            self.width,
        )  # fmt: skip

    def _check_sample(
        self, X: Any, y: Any, sample_weight: Any, *, dtype: Any, reset: bool
    ) -> Sample:
        """Check data and convert them to `dtype`, that of a network to continue; None keeps X's."""
        for name, value in (("X", X), ("y", y), ("sample_weight", sample_weight)):
            check_unmasked(name, value)
        X, y = self._check_data(X, y, reset)
        self._check_range(y)
        X = X if dtype is None else X.astype(dtype, copy=False)
        if sample_weight is None:
            return Sample(X, y, None)
        weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        return Sample(X, y, weights)

    def _check_validation(self, validation_data: Any, dtype: Any, n_targets: int) -> Sample:
        """Check validation data; errors name the parameters X_val, y_val and sample_weight_val."""
        X, y, sample_weight = validation_data
        try:
            sample = self._check_sample(X, y, sample_weight, dtype=dtype, reset=False)
            self._check_targets(sample.y, n_targets)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"X_val, y_val, sample_weight_val: {error}") from None
        return sample


def check_sparse_fit(estimator: Any) -> None:
    """Raise an error for parameters that need dense features."""
    if estimator.scale is not None:
        raise ValueError(
            f"scale: expected None with a sparse X, whose centered columns would be dense; got "
            f"{estimator.scale!r} (sklearn.preprocessing.MaxAbsScaler keeps zeros)"
        )
    if estimator.solver == "lm":
        raise ValueError("solver: expected 'adam', 'sgd' or 'lbfgs' with a sparse X; got 'lm'")
