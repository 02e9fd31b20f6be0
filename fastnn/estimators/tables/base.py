"""What the classifier and the regressor for tables share."""

from __future__ import annotations

import math
import os
import time
import warnings
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.metrics import get_scorer_names
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fastnn._parallel.limits import get_thread_limit
from fastnn._util.checks.arrays import check_unmasked
from fastnn.estimators._fitting.commit import atomic_fit
from fastnn.estimators.tables import members, table_files
from fastnn.estimators.tables.folds import assign_folds
from fastnn.estimators.tables.members import Member, TrainingData
from fastnn.estimators.tables.recipe import PRESETS, Recipe, fit_into_time
from fastnn.estimators.tables.report import TableReport, make_report
from fastnn.losses import Loss
from fastnn.model import Sequential
from fastnn.preprocessing import TableEncoder
from fastnn.preprocessing.table_columns import convert_rows
from fastnn.preprocessing.table_encoder import ENCODINGS

Array = NDArray[Any]
Floats = NDArray[np.float64]

# Share of `max_time` that training is planned for; predicting the held-out rows takes the rest.
PLANNED_SHARE = 0.9

# Rows that are encoded and predicted at a time, which bounds the memory.
CHUNK_ROWS = 2**16


class TabularEstimator(BaseEstimator):  # type: ignore[misc]
    """Encodes a table, trains an ensemble of networks on it, and averages their predictions."""

    encoder_: TableEncoder
    networks_: list[list[Sequential]]
    report_: TableReport

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "preset": [StrOptions(set(PRESETS))],
        "categorical_features": [StrOptions({"auto"}), "array-like"],
        "n_members": [Interval(Integral, 1, None, closed="left"), None],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "width": [Interval(Integral, 1, None, closed="left"), None],
        "n_layers": [Interval(Integral, 1, None, closed="left"), None],
        "numeric_encoding": [StrOptions(set(ENCODINGS)), None],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # ---- overridden ----

    def _check_y(self, y: Any, n: int) -> Array:
        """Check the targets of n rows, and store what they determine."""
        raise NotImplementedError

    def _train(
        self, X: Array, y: Array, weights: Array | None, recipe: Recipe, seeds: list[int],
        deadline: float,
    ) -> tuple[list[list[Member]], list[str]]:  # fmt: skip
        """Train the groups of networks, and set the fitted attributes that they determine. Returns
        the members of each group, and warnings."""
        raise NotImplementedError

    # ---- fitting ----

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model to a table.

        If an error is raised, the estimator stays as it was before the call. Ctrl-C ends the
        training with a warning and keeps the networks trained so far; before the first epoch,
        KeyboardInterrupt is raised.

        Parameters
        ----------
        X : data frame or array-like, shape (n, n_features)
            Numbers, categories and dates, with missing values; see
            `fastnn.preprocessing.TableEncoder`.
        y : array-like, shape (n,) or, for a regressor, (n, n_targets)
            Class labels or target values.
        sample_weight : array-like, shape (n,), optional
            Weights of at least 0. A row with weight 0 is ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is not as described, or training diverged.
        """
        with atomic_fit(self) as fitted:
            texts = fitted._fit(X, y, sample_weight)
        for text in texts:
            warnings.warn(text, stacklevel=2)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> list[str]:
        started, clock = time.monotonic(), time.perf_counter()
        X = self._check_X(X, reset=True)
        n = len(X)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        y = self._check_y(y, n)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
            kept = np.flatnonzero(weights)
            if len(kept) < n:
                X, y, weights = _safe_indexing(X, kept), y[kept], weights[kept]
            if len(kept) < 2:
                raise ValueError(
                    f"sample_weight: expected at least 2 weights above 0; got {len(kept)}"
                )
        recipe = self._make_recipe()
        self.encoder_ = TableEncoder(
            self.categorical_features, numeric_encoding=recipe.numeric_encoding,
            n_bins=recipe.n_bins,
        ).fit(X)  # fmt: skip
        features = self._encode(X)
        encoded = time.perf_counter()
        random = check_random_state(self.random_state)
        seeds = [int(seed) for seed in random.randint(2**31 - 1, size=recipe.n_members + 1)]
        deadline = math.inf if self.max_time is None else started + self.max_time
        groups, texts = self._train(features, y, weights, recipe, seeds, deadline)
        self.networks_ = [[member.network for member in group] for group in groups]
        seconds = {"encoding": encoded - clock, "training": time.perf_counter() - encoded}
        everyone = [member for group in groups for member in group]
        self.report_ = make_report(self.encoder_.columns_, everyone, seconds)
        return texts

    def _make_recipe(self) -> Recipe:
        """The recipe of the preset, with the parameters that are set."""
        names = ("n_members", "epochs", "width", "n_layers", "numeric_encoding")
        values = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(PRESETS[self.preset], **values)

    def _train_group(self, data: TrainingData, recipe: Recipe, seeds: list[int], deadline: float,
                     share: float = 1.0) -> tuple[list[Member], list[str]]:  # fmt: skip
        """Train one ensemble, in this share of the time until the deadline."""
        if math.isfinite(deadline):
            start = time.monotonic()
            n_workers = min(recipe.n_members, self.n_threads or get_thread_limit())
            deadline = start + share * max(deadline - start, 0.0)
            seconds_per_epoch = members.measure_epoch(data, recipe, n_workers, deadline)
            left = deadline - time.monotonic()
            recipe = fit_into_time(recipe, PLANNED_SHARE * left, seconds_per_epoch, n_workers)
        return members.train(data, recipe, seeds, self.n_threads, deadline, int(self.verbose))

    def _make_data(
        self, X: Array, y: Array, weights: Array | None, recipe: Recipe, seed: int, loss: Loss,
        n_outputs: int, score: Any, strata: Array | None = None,
    ) -> TrainingData:  # fmt: skip
        folds = assign_folds(strata, len(X), recipe.n_folds, seed)
        if weights is not None:
            weights = weights.astype(np.float32)
        return TrainingData(X, y, weights, folds, loss, n_outputs, strata is not None, score)

    # ---- predicting ----

    def _check_X(self, X: Any, reset: bool) -> Any:
        check_unmasked("X", X)
        if hasattr(X, "columns") and hasattr(X, "dtypes"):
            validate_data(self, X, skip_check_array=True, reset=reset)
            return X
        if isinstance(X, list | tuple):
            X = convert_rows(X)  # NumPy would turn the numbers of mixed rows into text
        return validate_data(
            self, X, dtype=None, ensure_all_finite="allow-nan", reset=reset,
            ensure_min_samples=2 if reset else 1,
        )  # fmt: skip

    def _encode(self, X: Any) -> Array:
        """The features of the networks, (n, n_encoded); a column of zeros if all are constant."""
        features: Array = self.encoder_.set_output(transform="default").transform(X)
        return features if features.shape[1] else np.zeros((len(features), 1), np.float32)

    def _predict_groups(self, X: Any) -> list[Floats]:
        """For each group of networks, the mean of their outputs (n, n_outputs) in float64."""
        check_is_fitted(self, "networks_")
        X = self._check_X(X, reset=False)
        chunks = []
        for start in range(0, len(X), CHUNK_ROWS):
            features = self._encode(_safe_indexing(X, slice(start, start + CHUNK_ROWS)))
            chunks.append([average(group, features, self.n_threads) for group in self.networks_])
        return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]

    # ---- files ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save parameters, encoder and networks to one safetensors file. The file is written
        atomically; `load` reads it.

        Raises
        ------
        ValueError
            If the estimator is not fitted, or only pickle can hold a parameter.
        OSError
            If the file cannot be written; an existing file stays unchanged.
        """
        check_is_fitted(self, "networks_")
        table_files.save(path, self)

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
        estimator: Self = table_files.load(path, cls)
        return estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        tags.non_deterministic = self.random_state is None
        return tags


def average(networks: list[Sequential], features: Array, n_threads: int | None) -> Floats:
    """The mean of the networks' outputs in float64."""
    total = networks[0].predict(features, n_threads=n_threads).astype(np.float64)
    for network in networks[1:]:
        total += network.predict(features, n_threads=n_threads)
    return total / len(networks)
