"""`MLPEnsemble`: networks that differ by their seed, as one model."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context, get_config
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    _fit_context,
    clone,
    is_classifier,
)
from sklearn.utils import get_tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnn._parallel import pool
from fastnn._parallel.pool import Task
from fastnn._util.checks.arrays import check_unmasked
from fastnn.estimators._fitting import architecture, ensemble_files
from fastnn.estimators._fitting.base import Given
from fastnn.estimators._fitting.commit import whole_fit
from fastnn.estimators._fitting.parameters import twin
from fastnn.estimators._fitting.samples import dense
from fastnn.estimators._fitting.session import Note
from fastnn.estimators._fitting.sklearn_callbacks import Trace
from fastnn.estimators._fitting.solvers import NonFiniteError
from fastnn.estimators.search.candidates import check_estimator, seeds_of

Array = NDArray[Any]


class MLPEnsemble(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Networks with the same parameters and other seeds, trained side by side, whose predictions
    are averaged; where they disagree, the mean should not be trusted.
    B. Lakshminarayanan, A. Pritzel, C. Blundell, "Simple and scalable predictive uncertainty
    estimation using deep ensembles", 2017.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or LogisticRegression
        It is never fitted itself. Its `random_state` is the seed of the first member, and what the
        others' are drawn by.
    n_estimators : int, default 10
        Number of members.
    bootstrap : bool, default False
        Trains each member on as many rows as there are, drawn with replacement (L. Breiman,
        "Bagging predictors", 1996); with `early_stopping` it is validated on those not drawn.
    n_threads : int, optional
        Members in training at a time; by default as many as the process may use threads.
    verbose : bool or int, default 0
        1 shows how many of the members are done: see `Sequential.fit`.

    Attributes
    ----------
    estimators_ : list of fitted estimators
        Without those that diverged or that Ctrl-C left unfinished.
    classes_ : array, of a classifier
    n_features_in_, feature_names_in_, n_outputs_
        As of a member.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> base = fn.MLPClassifier((8,), scale="standard", solver="lbfgs", random_state=0)
    >>> ensemble = fn.MLPEnsemble(base, n_estimators=5).fit(X[:400], y[:400])
    >>> labels, std = ensemble.predict(X[400:], return_std=True)
    >>> right = labels == y[400:]
    >>> std[right].mean() < std[~right].mean()
    np.True_
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": "no_validation",  # type: ignore[dict-item]
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "bootstrap": ["boolean"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any,
        n_estimators: int = 10,
        *,
        bootstrap: bool = False,
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.n_estimators = n_estimators
        self.bootstrap = bootstrap
        self.n_threads = n_threads
        self.verbose = verbose

    # ---- fitting ----

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train the members.

        Parameters
        ----------
        X, y, sample_weight
            As for the estimator's `fit`.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or an array is not as described, before any work; or if the training of
            every member diverged.
        KeyboardInterrupt
            On Ctrl-C before a member was finished.

        Warns
        -----
        UserWarning
            If members are missing: their training diverged, or Ctrl-C ended it.
        """
        with whole_fit(self) as own:
            done = own._train(X, y, sample_weight)
        _warn(done)
        return self

    def _train(self, X: Any, y: Any, sample_weight: Any) -> list[pool.TaskResult]:
        """Train the members and keep those that were finished."""
        check_estimator(
            self.estimator,
            "trained networks are averaged by fastnn.Ensemble, other estimators by "
            "sklearn.ensemble.BaggingClassifier and BaggingRegressor",
        )
        model = clone(self.estimator)
        if "verbose" in model.get_params(deep=False):  # LogisticRegression has none
            model.set_params(verbose=False)
        model._validate_params()
        given = _contiguous(model._check(X, y, sample_weight, None, incremental=False))
        members = [
            twin(model, random_state=seed)
            for seed in seeds_of(model.random_state, self.n_estimators)
        ]
        sample = given.sample
        size = architecture.n_weights(given.hidden, sample.X.shape[1], given.n_targets)
        wide = architecture.is_wide(size, sample.X.dtype)
        tasks = [Task(partial(_fit, one, given, self.bootstrap, get_config()), wide=wide)
                 for one in members]  # fmt: skip
        done = pool.run_tasks(tasks, self.n_threads, verbose=int(self.verbose))
        self._keep(members, done)
        for name in ("n_features_in_", "feature_names_in_", "classes_"):
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))
            elif hasattr(self, name):
                delattr(self, name)
        self.n_outputs_ = given.n_targets
        return done

    def _keep(self, members: list[Any], done: list[pool.TaskResult]) -> None:
        errors = [one.error for one in done if one.error is not None]
        finished = [one.value is not None for one in done]
        for error in errors:
            if not isinstance(error, NonFiniteError) or len(errors) == len(done):
                raise error
        if not any(finished):
            raise KeyboardInterrupt
        # Their X is an array, whatever its columns were called.
        self.estimators_ = [
            _nameless(member) for member, whole in zip(members, finished, strict=True) if whole
        ]

    # ---- predicting ----

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Labels of the mean probabilities, or means of the members' predictions.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
        return_std : bool, default False
            Return (predictions, standard deviations). Of a classifier they are those of the
            members' probabilities of the predicted class, or of each label; of a regressor those
            of their predictions; both of a sample of networks (n - 1). With loss="gaussian_nll"
            they are those of the mixture of the members' distributions, noise included:
            `std**2 = mean(std_m**2 + mean_m**2) - mean**2` (section 2.4 of the paper).
        """
        if is_classifier(self.estimator):
            return self._labels(X, return_std)
        X = self._checked(X)
        mixture = return_std and self.estimator.loss == "gaussian_nll"
        if not mixture:
            found = np.stack([member.predict(X) for member in self.estimators_])
            return (found.mean(axis=0), _spread(found)) if return_std else found.mean(axis=0)
        means, stds = (
            np.stack(parts)
            for parts in zip(*(one.predict(X, return_std=True) for one in self.estimators_),
                             strict=True)
        )  # fmt: skip
        # The mean of squares less the square of the mean, without the difference of large numbers.
        variance = (stds * stds).mean(axis=0) + means.var(axis=0)
        return means.mean(axis=0), np.sqrt(variance)

    def _labels(self, X: Any, return_std: bool) -> Any:
        found = self._probabilities(X)
        labels = self.estimators_[0]._labels
        mean, multilabel = found.mean(axis=0), labels.kind == "multilabel"
        decided = labels.decode(mean)
        if not return_std:
            return decided
        spread = _spread(found)
        if labels.kind == "multiclass":
            spread = np.take_along_axis(spread, mean.argmax(axis=1)[:, None], axis=1)
        return decided, spread if multilabel else spread[:, 0]

    @available_if(lambda self: is_classifier(self.estimator))
    def predict_proba(self, X: Any) -> Array:
        """Means of the members' probabilities (n, n_classes), in the order of `classes_`."""
        mean = self._probabilities(X).mean(axis=0)
        return np.asarray(mean if mean.shape[1] > 1 else np.hstack([1 - mean, mean]))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of a classifier, R2 of a regressor."""
        kind = ClassifierMixin if is_classifier(self.estimator) else RegressorMixin
        return float(kind.score(self, X, y, sample_weight))

    # ---- files ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and members to one safetensors file: whole, or not at all. `load` reads
        it.

        Raises
        ------
        ValueError
            If a parameter is an object that only pickle can hold, or the estimator is of a class
            that is not fastnn's own.
        """
        check_is_fitted(self)
        ensemble_files.save(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an ensemble that `save` wrote; reading runs no code from the file.

        Raises
        ------
        ValueError
            If the file is damaged, or holds no ensemble.
        OSError
            If it cannot be read.

        Examples
        --------
        >>> import fastnn as fn, tempfile, os
        >>> X, y = fn.datasets.load_breast_cancer()
        >>> base = fn.MLPClassifier((8,), scale="standard", solver="lbfgs", random_state=0)
        >>> ensemble = fn.MLPEnsemble(base, n_estimators=2).fit(X, y)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "ensemble.safetensors")
        ...     ensemble.save(path)
        ...     same = fn.MLPEnsemble.load(path)
        >>> bool((same.predict_proba(X) == ensemble.predict_proba(X)).all())
        True
        """
        ensemble: Self = ensemble_files.load(path, cls)
        return ensemble

    # ---- what the calls share ----

    def _probabilities(self, X: Any) -> Array:
        """Of each member as its network gives them, (n_members, n, n_outputs)."""
        X = self._checked(X)
        return np.stack([member._outputs(X) for member in self.estimators_])

    def _checked(self, X: Any) -> Any:
        check_is_fitted(self)
        check_unmasked("X", X)
        return validate_data(
            self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False
        )

    def __sklearn_tags__(self) -> Any:
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = own.estimator_type
        tags.classifier_tags, tags.regressor_tags = own.classifier_tags, own.regressor_tags
        tags.target_tags, tags.input_tags = own.target_tags, own.input_tags
        return tags


def _warn(done: list[pool.TaskResult]) -> None:
    """One warning for all that is to be said of the members."""
    diverged = sum(one.error is not None for one in done)
    left = sum(one.error is None and one.value is None for one in done)
    for n, why in ((diverged, "diverged"), (left, "was interrupted by the user")):
        if n:
            text = f"the training of {n} of {len(done)} members {why}; they are left out"
            warnings.warn(text, stacklevel=4)
    notes = dict.fromkeys(note for one in done for note in one.value or ())
    for note in notes:
        warnings.warn(note.text, note.category, stacklevel=4)


def _spread(found: Array) -> Array:
    """Standard deviations over the members, of a sample; 0 of a single one."""
    return np.asarray(found.std(axis=0, ddof=min(1, len(found) - 1)))


def _nameless(member: Any) -> Any:
    vars(member).pop("feature_names_in_", None)
    return member


# ---- one member ----------------------------------------------------------------------------------


def _contiguous(given: Given) -> Given:
    """With one X that all members read."""
    X = np.require(dense(given.sample.X), requirements=("C", "A"))
    return replace(given, sample=replace(given.sample, X=X))


def _fit(member: Any, given: Given, bootstrap: bool, config: dict[str, Any]) -> list[Note] | None:
    """Train a member; returns what is to be said of it, None where Ctrl-C came first."""
    with config_context(**config):  # scikit-learn has one for each thread
        own = _drawn(given, member) if bootstrap else given
        session = member._open(own, Trace(member, member, 0, {}, listens=False))
        outcomes = session.outcomes(None)
        if any(outcome.interrupted for outcome in outcomes):
            return None
        member._finish(session, outcomes)
    notes: list[Note] = session.notes
    return notes


def _drawn(given: Given, member: Any) -> Given:
    """Rows drawn with replacement, by their positions."""
    n = len(given.sample)
    rows = np.sort(np.random.default_rng(member.random_state).integers(n, size=n))
    apart = None
    if member.early_stopping:
        apart = given.sample.part(np.setdiff1d(np.arange(n), rows)).gathered()
    return replace(given, sample=given.sample.part(rows), apart=apart)
