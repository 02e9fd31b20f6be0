"""What the estimators share: from the user's data to a fit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight

from fastnn._util.checks.arrays import check_unmasked
from fastnn._util.scaling import fit_scaling
from fastnn.estimators._fitting import architecture
from fastnn.estimators._fitting.architecture import Hidden
from fastnn.estimators._fitting.commit import whole_fit
from fastnn.estimators._fitting.fitted import Fitted
from fastnn.estimators._fitting.objective import Objective
from fastnn.estimators._fitting.samples import (
    Rows,
    Sample,
    encoded,
    picked,
    split,
    without_weightless,
)
from fastnn.estimators._fitting.estimator_fit import Outcome, Session
from fastnn.estimators._fitting.sklearn_callbacks import (
    CallbackSupportMixin,
    Trace,
    with_callbacks,
)
from fastnn.estimators._fitting.solvers import Trained
from fastnn.estimators._fitting.validation import HeldOut
from fastnn.schedules import Schedule

Array = NDArray[Any]

# scikit-learn's names for the activations of a last layer.
_OUT_ACTIVATIONS = {"linear": "identity", "sigmoid": "logistic"}


@dataclass(frozen=True)
class Given:
    """What a fit was given, checked and encoded."""

    hidden: Hidden
    sample: Sample
    targets: Array
    """The numbers (n, n_targets) that stand for the sample's y."""
    n_targets: int
    apart: Sample | None = None
    """Validation data of the user's."""
    incremental: bool = False


@lru_cache
def _draws(random_state: Any, n: int) -> list[int]:
    """Seeds of n trainings; scikit-learn takes a tenth of a millisecond to make a generator."""
    draws = check_random_state(random_state).randint(2**31 - 1, size=n)
    return [int(seed) for seed in draws]


@dataclass(eq=False, repr=False, kw_only=True)
class MultilayerPerceptron(CallbackSupportMixin, Fitted):  # type: ignore[misc]
    """Base of the estimators."""

    # ---- what the two kinds of estimator say for themselves ----

    def _check_data(self, X: Any, y: Any, reset: bool) -> tuple[Any, Array]:
        """X and y, checked by scikit-learn's rules."""
        raise NotImplementedError

    def _check_range(self, y: Array) -> None:
        """An error unless y are numbers, or labels, that the loss can learn."""

    def _declare_classes(self, y: Any, classes: Any) -> None:
        """Take note of the classes that a first `partial_fit` names."""

    def _learn_targets(self, y: Array, incremental: bool) -> int:
        """Take note of the classes; returns the number of targets."""
        raise NotImplementedError

    def _check_targets(self, y: Array, n_targets: int) -> None:
        """An error unless validation targets are of the kind that is trained on."""
        width = 1 if y.ndim == 1 else y.shape[1]
        if width != n_targets:
            raise ValueError(f"y: expected {n_targets} columns, as to train on; got {width}")

    def _encode(self, y: Array, dtype: Any) -> Array:
        """The numbers (n, n_targets) that the network learns."""
        raise NotImplementedError

    def _row_weights(self, sample: Sample) -> Array | None:
        """The weights of rows, those of their classes included."""
        return sample.weights

    def _objective(self, targets: Array, weights: Array | None) -> Objective:
        """What is minimized."""
        raise NotImplementedError

    def _stratify(self, y: Array) -> Array | None:
        """What the validation split keeps the shares of."""
        return None

    def _target_scaling_kind(self) -> str | None:
        """How targets are scaled."""
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
        """Train; with `warm_start`, go on where the last call ended.

        If it raises an error, the estimator is as it was before. Ctrl-C ends the training with a
        warning and keeps what was trained; before the first step it is raised.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
            float32 is computed in float32, everything else in float64. A sparse matrix is made
            dense.
        y : array-like, shape (n,) or (n, n_outputs)
        sample_weight : array-like, shape (n,), optional
            At least 0. A row of weight k counts as k rows, a row of weight 0 as none.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, optional
            Scored after each epoch; the weights of the best score are kept.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is not as described; or if training diverged with no
            earlier weights to keep.
        RuntimeError
            If another thread is fitting the same estimator.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` ended the training.
        """
        if (X_val is None) != (y_val is None):
            raise ValueError("y_val: expected X_val and y_val together; got only one of them")
        if sample_weight_val is not None and X_val is None:
            raise ValueError("X_val: expected validation data for sample_weight_val; got None")
        validation = None if X_val is None else (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=False)

    def _check_solver(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. "
                f"{self.solver} is not stochastic."
            )
        return True

    @available_if(lambda self: self._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One more epoch, on these rows; the first call builds the model. Parameters and errors as
        for `fit`; not with `early_stopping` or solver="lbfgs".

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
        with whole_fit(self) as fitted:
            if incremental:
                fitted._declare_classes(y, classes)
            given = fitted._check(X, y, sample_weight, validation, incremental)
            trace = Trace(self, fitted, self.max_iter * self.n_init, {"X": X, "y": y},
                          listens=not incremental)  # fmt: skip
            session = fitted._open(given, trace)
            fitted._finish(session, session.outcomes(fitted._trained_before(incremental)))
        for note in session.notes:
            warnings.warn(note.text, note.category, stacklevel=5)
        return self

    def _check(
        self, X: Any, y: Any, sample_weight: Any, validation: Any, incremental: bool
    ) -> Given:
        """All checks, and what they make of the data: enough for fits to any rows of them."""
        hidden = self._check_parameters(incremental)
        before = self._trained_before(incremental)
        sample = self._check_sample(
            X, y, sample_weight, dtype=before and before.network.dtype, reset=before is None
        )
        n_targets = self._learn_targets(sample.y, incremental)
        apart = None
        if validation is not None:
            apart = self._check_validation(validation, sample.X.dtype, n_targets)
        targets = self._encode(sample.y, sample.X.dtype)
        return Given(hidden, sample, targets, n_targets, apart, incremental)

    def _trained_before(self, incremental: bool) -> Trained | None:
        """What this fit continues."""
        continues = incremental or self.warm_start
        return self._trained if continues and hasattr(self, "_trained") else None

    def _open(self, given: Given, trace: Trace) -> Session:
        """A fit to checked data, up to its first step. No process-wide state is touched from here
        on, so that several threads may fit at a time."""
        before = self._trained_before(given.incremental)
        seeds = self._seeds(before is not None)
        sample, apart, apart_targets = given.sample, given.apart, given.targets
        if apart is not None:
            apart_targets = self._encode(apart.y, apart.X.dtype)
        elif self.early_stopping and self.solver != "lbfgs":
            stratify = self._stratify(picked(sample.y, sample.index))
            sample, apart = split(sample, self.validation_fraction, seeds[0], stratify)
        rows = without_weightless(self._encoded(sample, given.targets))
        if self.solver == "lbfgs":  # it reads all rows at every step
            rows = rows.gathered()
        objective = self._objective(rows.targets, rows.shares)
        if before is None:
            self._fit_scalings(rows)
            self.t_ = 0
        held_out = None
        if apart is not None:
            held_out = HeldOut(apart, self._scaled(self._encoded(apart, apart_targets)), objective)
        session = Session(
            self, given.hidden, self._scaled(rows), objective, held_out, trace, given.incremental,
            seeds,
        )  # fmt: skip
        if before is not None:
            session.check_shape(before.network)
        self.n_outputs_ = given.n_targets
        self.n_layers_ = len(given.hidden.widths) + 2
        self.out_activation_ = _OUT_ACTIVATIONS.get(objective.head, objective.head)
        return session

    def _finish(self, session: Session, outcomes: list[Outcome]) -> None:
        """Keep the best of what was trained."""
        best = max(outcomes, key=lambda outcome: outcome.merit)
        self._adopt(best, len(session.rows))
        self.restarts_ = [outcome.merit for outcome in outcomes]
        session.finish(best)

    def _fit_scalings(self, rows: Rows) -> None:
        self._scaling = self._target_scaling = None
        if self.scale is not None:
            self._scaling = fit_scaling(self.scale, picked(rows.X, rows.index), rows.shares)
        if self._target_scaling_kind() is not None:
            kind = self._target_scaling_kind()
            self._target_scaling = fit_scaling(kind, rows.targets, rows.shares)

    def _check_parameters(self, incremental: bool) -> Hidden:
        """What the constraints of single parameters do not say."""
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        unknown_to_lbfgs = {
            "dropout": np.any(self.dropout), "l1": self.l1, "clip_norm": self.clip_norm,
            "learning_rate": isinstance(self.learning_rate, Schedule),
        }  # fmt: skip
        for name, used in unknown_to_lbfgs.items():
            if used and self.solver == "lbfgs":
                raise ValueError(
                    f"{name}: expected its default with solver='lbfgs'; got {getattr(self, name)!r}"
                )
        if self.weight_decay and self.solver != "adam":
            raise ValueError(
                f"weight_decay: expected 0 with solver={self.solver!r}, as it is a part of AdamW; "
                f"got {self.weight_decay!r} (alpha is a penalty for every solver)"
            )
        return architecture.hidden(
            self.hidden_layer_sizes, self.activation, self.dropout, self.residual, self.n_layers,
            self.width,
        )  # fmt: skip

    def _seeds(self, continues: bool) -> list[int]:
        """A seed for each restart, which decides weights, shuffles, masks and the validation
        rows; a continued fit keeps its own."""
        if continues:
            return [self._trained.network.seed]
        if isinstance(self.random_state, Integral):
            return list(_draws(int(self.random_state), self.n_init))
        return _draws.__wrapped__(self.random_state, self.n_init)

    def _check_sample(
        self, X: Any, y: Any, sample_weight: Any, *, dtype: Any, reset: bool
    ) -> Sample:
        """Checked data; of this dtype, where a network has one already."""
        for name, value in (("X", X), ("y", y), ("sample_weight", sample_weight)):
            check_unmasked(name, value)
        X, y = self._check_data(X, y, reset)
        self._check_range(y)
        X = X if dtype is None else X.astype(dtype, copy=False)
        if sample_weight is None:
            return Sample(X, y, None)
        weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        return Sample(X, y, weights)

    def _check_validation(self, validation: Any, dtype: Any, n_targets: int) -> Sample:
        """The same of validation data, in errors by their own names."""
        X, y, sample_weight = validation
        try:
            sample = self._check_sample(X, y, sample_weight, dtype=dtype, reset=False)
            self._check_targets(sample.y, n_targets)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"X_val, y_val, sample_weight_val: {error}") from None
        return sample

    def _encoded(self, sample: Sample, targets: Array) -> Rows:
        """The numbers that stand for a sample, not yet scaled."""
        here = Sample(
            sample.X, *(picked(part, sample.index) for part in (sample.y, sample.weights))
        )
        return encoded(sample, targets, self._row_weights(here))

    def _scaled(self, rows: Rows) -> Rows:
        """Scaled rows, which are copies of those that are meant alone."""
        if self._scaling is None and self._target_scaling is None:
            return rows
        rows = rows.gathered()
        X = rows.X if self._scaling is None else self._scaling.apply(rows.X)
        y = rows.y if self._target_scaling is None else self._target_scaling.apply(rows.y)
        return Rows(X, y, rows.weights)

    def _adopt(self, outcome: Outcome, n_rows: int) -> None:
        """The attributes of a fit."""
        progress = outcome.progress
        validated = bool(progress.validation_scores)
        self._trained, self._progress = outcome.trained, progress
        self.n_iter_ = outcome.n_iter
        self.t_ += 0 if self.solver == "lbfgs" else outcome.n_iter * n_rows
        self.loss_ = outcome.loss
        self.loss_curve_ = progress.loss_curve
        self.best_loss_ = None if self.early_stopping else progress.best_loss
        self.validation_scores_ = progress.validation_scores if validated else None
        self.validation_loss_curve_ = progress.validation_loss_curve if validated else None
        self.best_validation_score_ = progress.best_score if validated else None
        self.stop_reason_ = outcome.stop_reason or f"max_iter of {self.max_iter} epochs reached"
