"""The base class of the estimators: from the user's data to a fit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral
from typing import Any

from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from fastnn._util.scaling import fit_scaling
from fastnn._util.sparse_rows import require_dense
from fastnn.estimators._fitting import restarts
from fastnn.estimators._fitting.checking import CheckedData, CheckedEstimator
from fastnn.estimators._fitting.commit import atomic_fit
from fastnn.estimators._fitting.estimator_fit import EstimatorFit
from fastnn.estimators._fitting.objective import Objective
from fastnn.estimators._fitting.outcome import TrainingOutcome
from fastnn.estimators._fitting.parameters import FULL_BATCH_SOLVERS
from fastnn.estimators._fitting.samples import (
    EncodedRows,
    Sample,
    drop_zero_weights,
    encode,
    split,
    take,
)
from fastnn.estimators._fitting.sklearn_callbacks import (
    CallbackNotifier,
    CallbackSupportMixin,
    with_callbacks,
)
from fastnn.estimators._fitting.validation import ValidationData

Array = NDArray[Any]

# scikit-learn's names for the activations of a last layer.
_OUT_ACTIVATIONS = {"linear": "identity", "sigmoid": "logistic"}


@lru_cache
def _draw_seed_list(random_state: Any, n: int) -> list[int]:
    """Seeds of n training runs. Cached, because scikit-learn takes 0.1 ms to make a generator."""
    draws = check_random_state(random_state).randint(2**31 - 1, size=n)
    return [int(seed) for seed in draws]


@dataclass(eq=False, repr=False, kw_only=True)
class MultilayerPerceptron(CallbackSupportMixin, CheckedEstimator):  # type: ignore[misc]
    """Base class of the estimators: `fit` and `partial_fit`."""

    # ---- overridden by classifiers and regressors ----

    def _compute_row_weights(self, sample: Sample) -> Array | None:
        """Sample weights multiplied by class weights."""
        return sample.weights

    def _make_objective(self, targets: Array, weights: Array | None) -> Objective:
        """The objective that training minimizes."""
        raise NotImplementedError

    def _get_strata(self, y: Array) -> Array | None:
        """Labels to stratify the validation split by, None for a split without strata."""
        return None

    def _get_target_scaling(self) -> str | None:
        """The kind of target scaling, None for unscaled targets."""
        return None

    # ---- calls ----

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Any:
        """Fit the model to data. With `warm_start=True`, continue training from the last call.

        If an error is raised, the estimator stays as it was before the call. Ctrl-C ends the
        training with a warning and keeps the network trained so far; before the first step,
        KeyboardInterrupt is raised.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
            Training data. float32 data are trained on in float32, all others in float64. A sparse
            matrix is converted to a dense array.
        y : array-like, shape (n,) or (n, n_outputs)
            Class labels or target values.
        sample_weight : array-like, shape (n,), optional
            Weights of at least 0. A row with weight k counts as k rows; a row with weight 0 is
            ignored.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, optional
            Validation data. They are scored after each epoch, and the network's weights with the
            best score are kept.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is not as described; or if training diverged and no earlier
            weights can be kept.
        RuntimeError
            If another thread is fitting the same estimator.

        Warns
        -----
        ConvergenceWarning
            If training stopped at `max_iter` epochs.
        """
        if (X_val is None) != (y_val is None):
            raise ValueError("y_val: expected X_val and y_val together; got only one of them")
        if sample_weight_val is not None and X_val is None:
            raise ValueError("X_val: expected validation data for sample_weight_val; got None")
        validation = None if X_val is None else (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=False)

    def _check_solver(self) -> bool:
        if self.solver in FULL_BATCH_SOLVERS:
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. "
                f"{self.solver} is not stochastic."
            )
        return True

    @available_if(lambda self: self._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train for one epoch on the given rows; the first call builds the model.

        Parameters and errors are those of `fit`. Not available with `early_stopping` or
        the solvers that read all rows, "lbfgs" and "lm".

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, None, incremental=True)

    # ---- fitting ----

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation: Any, incremental: bool,
        classes: Any = None,
    ) -> Any:  # fmt: skip
        with atomic_fit(self) as fitted:
            if incremental:
                fitted._declare_classes(y, classes)
            data = fitted._check_fit(X, y, sample_weight, validation, incremental)
            max_epochs, arrays = self.max_iter * self.n_init, {"X": X, "y": y}
            callbacks = CallbackNotifier(self, fitted, max_epochs, arrays, enabled=not incremental)
            fit = fitted._start_fit(data, callbacks)
            outcomes = restarts.run_restarts(fit, fitted._get_trained(incremental))
            fitted._finish_fit(fit, outcomes)
        for warning in fit.deferred_warnings:
            warnings.warn(warning.text, warning.category, stacklevel=5)
        return self

    def _start_fit(self, data: CheckedData, callbacks: CallbackNotifier) -> EstimatorFit:
        """Prepare a fit to checked data, up to its first step. From here on no process-wide state
        is touched, so that several threads may fit at the same time."""
        before = self._get_trained(data.incremental)
        seeds = self._draw_seeds(before is not None)
        sample, validation_sample, validation_targets = data.sample, data.validation, data.targets
        if validation_sample is not None:
            validation_targets = self._encode(validation_sample.y, validation_sample.X.dtype)
        elif self.early_stopping and self.solver != "lbfgs":
            strata = self._get_strata(take(sample.y, sample.index))
            sample, validation_sample = split(sample, self.validation_fraction, seeds[0], strata)
        rows = drop_zero_weights(self._encode_rows(sample, data.targets))
        if self.solver in FULL_BATCH_SOLVERS:  # they read all rows at every step
            rows = rows.gather()
        objective = self._make_objective(rows.targets, rows.sample_weight)
        if before is None:
            self._fit_scalings(rows)
            self.t_ = 0
        validation = None
        if validation_sample is not None:
            encoded = self._encode_rows(validation_sample, validation_targets)
            validation = ValidationData(validation_sample, self._scale_rows(encoded), objective)
        fit = EstimatorFit(
            self,
            hidden=data.hidden,
            rows=self._scale_rows(rows),
            objective=objective,
            validation=validation,
            callbacks=callbacks,
            incremental=data.incremental,
            seeds=seeds,
        )
        if before is not None:
            fit.check_shape(before.network)
        self.n_outputs_ = data.n_targets
        self.n_layers_ = len(data.hidden.widths) + 2
        self.out_activation_ = _OUT_ACTIVATIONS.get(objective.head, objective.head)
        return fit

    def _finish_fit(self, fit: EstimatorFit, outcomes: list[TrainingOutcome]) -> None:
        """Store the best of the trained networks."""
        best = max(outcomes, key=lambda outcome: outcome.score)
        self._set_fit_attributes(best, len(fit.rows))
        self.restarts_ = [outcome.score for outcome in outcomes]
        fit.finish(best)

    def _fit_scalings(self, rows: EncodedRows) -> None:
        self._scaling = self._target_scaling = None
        if self.scale is not None:
            self._scaling = fit_scaling(self.scale, take(rows.X, rows.index), rows.sample_weight)
        if self._get_target_scaling() is not None:
            kind = self._get_target_scaling()
            self._target_scaling = fit_scaling(kind, rows.targets, rows.sample_weight)

    def _draw_seeds(self, continues: bool) -> list[int]:
        """Draw one seed per restart, for initial weights, shuffling, dropout masks and the
        validation split; a continued fit keeps the seed of its network."""
        if continues:
            return [self._trained.network.seed]
        if isinstance(self.random_state, Integral):
            return list(_draw_seed_list(int(self.random_state), self.n_init))
        return _draw_seed_list.__wrapped__(self.random_state, self.n_init)

    def _encode_rows(self, sample: Sample, targets: Array) -> EncodedRows:
        """Encode a sample, without scaling it."""
        y, weights = take(sample.y, sample.index), take(sample.weights, sample.index)
        row_weights = self._compute_row_weights(Sample(sample.X, y, weights))
        return encode(sample, targets, row_weights)

    def _scale_rows(self, rows: EncodedRows) -> EncodedRows:
        """Scale features and targets: a copy of the selected rows, or `rows` without scaling."""
        if self._scaling is None and self._target_scaling is None:
            return rows
        rows = rows.gather()
        X = rows.X
        if self._scaling is not None:
            X = self._scaling.apply(require_dense(X, f"scale={self.scale!r}"))
        y = rows.y if self._target_scaling is None else self._target_scaling.apply(rows.y)
        return EncodedRows(X, y, rows.weights)

    def _set_fit_attributes(self, outcome: TrainingOutcome, n_rows: int) -> None:
        """Set the attributes that a fit produces."""
        progress = outcome.progress
        validated = bool(progress.validation_scores)
        self._trained, self._progress = outcome.trained, progress
        self.n_iter_ = outcome.n_iter
        self.t_ += 0 if self.solver in FULL_BATCH_SOLVERS else outcome.n_iter * n_rows
        self.loss_ = outcome.loss
        self.loss_curve_ = progress.loss_curve
        self.best_loss_ = None if self.early_stopping else progress.best_loss
        self.validation_scores_ = progress.validation_scores if validated else None
        self.validation_loss_curve_ = progress.validation_loss_curve if validated else None
        self.best_validation_score_ = progress.best_score if validated else None
        self.stop_reason_ = outcome.stop_reason or f"max_iter of {self.max_iter} epochs reached"
