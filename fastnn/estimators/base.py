"""What the estimators share: from the user's data to a fit, and from a fit to predictions."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fastnn.estimators import architecture, storage
from fastnn.estimators.architecture import Hidden
from fastnn.estimators.objective import Objective
from fastnn.estimators.parameters import Parameters
from fastnn.estimators.scaling import fit_scaling
from fastnn.estimators.session import Outcome, Sample, Session
from fastnn.estimators.solvers import Rows, Trained
from fastnn.estimators.tracing import CallbackSupportMixin, Trace, with_callbacks
from fastnn.model import Sequential
from fastnn.schedules import Schedule

Array = NDArray[Any]

# scikit-learn's names for the activations of a last layer.
_OUT_ACTIVATIONS = {"linear": "identity", "sigmoid": "logistic"}

# Rows of a sparse matrix that are made dense at a time to predict.
_DENSE_ROWS = 4096


@dataclass(eq=False, repr=False, kw_only=True)
class MultilayerPerceptron(CallbackSupportMixin, Parameters):  # type: ignore[misc]
    """Base of the estimators. What it keeps of a fit is `_trained` (network and optimizer),
    `_progress` (patience, curves, best weights) and the two scalings."""

    # ---- what the two kinds of estimator say for themselves ----

    def _check_data(self, X: Any, y: Any, reset: bool) -> tuple[Any, Array]:
        """X and y, checked by scikit-learn's rules."""
        raise NotImplementedError

    def _learn_targets(self, y: Array, incremental: bool) -> int:
        """Take note of the classes; returns the number of targets."""
        raise NotImplementedError

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

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation: Any, incremental: bool) -> Any:
        hidden = self._check_parameters(incremental)
        continues = hasattr(self, "_trained") and (incremental or self.warm_start)
        sample = self._check_sample(X, y, sample_weight, reset=not continues)
        n_targets = self._learn_targets(sample.y, incremental)
        held_out = None if validation is None else self._check_sample(*validation)
        seeds = self._seeds(continues)
        if held_out is None and self.early_stopping and self.solver != "lbfgs":
            sample, held_out = self._split(sample, seeds[0])
        rows = self._encoded(sample, drop=True)
        objective = self._objective(rows.y, rows.weights)
        if not continues:
            self._scaling = fit_scaling(self.scale, rows.X, rows.weights)
            self._target_scaling = fit_scaling(self._target_scaling_kind(), rows.y, rows.weights)
            self.t_ = 0
        self.n_outputs_ = n_targets
        self.n_layers_ = len(hidden.widths) + 2
        self.out_activation_ = _OUT_ACTIVATIONS.get(objective.head, objective.head)
        epochs = self.max_iter * self.n_init
        session = Session(
            self, hidden, self._scaled(rows), objective,
            (held_out, self._scaled(self._encoded(held_out))) if held_out else None,
            Trace(self, epochs, {"X": X, "y": y}, listens=not incremental), incremental,
        )  # fmt: skip
        if continues:
            session.take_up(self._trained.network)
            outcomes = [session.run(self._trained, self._progress)]
        else:
            outcomes = session.restarts(seeds)
        best = max(outcomes, key=lambda outcome: outcome.merit)
        self._adopt(best, len(rows))
        self.restarts_ = [outcome.merit for outcome in outcomes]
        session.finish(best)
        return self

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
        draws = check_random_state(self.random_state).randint(2**31 - 1, size=self.n_init)
        return [int(seed) for seed in draws]

    def _check_sample(self, X: Any, y: Any, sample_weight: Any, reset: bool = False) -> Sample:
        X, y = self._check_data(X, y, reset)
        if sample_weight is None:
            return Sample(X, y, None)
        weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        if not weights.any():
            raise ValueError("sample_weight: expected at least one weight above 0; got none")
        return Sample(X, y, weights)

    def _split(self, sample: Sample, seed: int) -> tuple[Sample, Sample]:
        """Training rows and validation rows."""
        arrays = [part for part in (sample.X, sample.y, sample.weights) if part is not None]
        parts = train_test_split(
            *arrays, random_state=seed, test_size=self.validation_fraction,
            stratify=self._stratify(sample.y),
        )  # fmt: skip
        training, held_out = (
            Sample(X, y, weights[0] if weights else None)
            for X, y, *weights in (parts[::2], parts[1::2])
        )
        if held_out.X.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        return training, held_out

    def _encoded(self, sample: Sample, drop: bool = False) -> Rows:
        """The numbers that stand for a sample, not yet scaled; `drop` leaves out rows without
        weight, which else would make batches smaller than they look."""
        X = sample.X.toarray() if hasattr(sample.X, "toarray") else sample.X
        y, weights = self._encode(sample.y, X.dtype), self._row_weights(sample)
        if drop and weights is not None and not weights.all():
            kept = weights > 0
            X, y, weights = X[kept], y[kept], weights[kept]
        return Rows(np.require(X, requirements=("C", "A")), y, weights)

    def _scaled(self, rows: Rows) -> Rows:
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

    # ---- the fitted network ----

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
        trained: Trained = self._trained
        return trained.network

    def _outputs(self, X: Any, network: Sequential | None = None) -> Array:
        """The network's outputs, (n, n_outputs), for data in the user's terms."""
        check_is_fitted(self)
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
