"""`MLPEnsemble`: an average of networks that differ by their seed."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
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
from fastnn._util.checks.arrays import check_unmasked
from fastnn.estimators._fitting import ensemble_files, ensemble_members
from fastnn.estimators._fitting.commit import atomic_fit
from fastnn.estimators.search.candidates import check_estimator, make_seeds

Array = NDArray[Any]


class MLPEnsemble(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A deep ensemble: networks with the same parameters and different seeds, trained in parallel,
    whose predictions are averaged. The standard deviation over the networks estimates the
    uncertainty of a prediction.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or LogisticRegression
        The ensemble fits copies of it. Its `random_state` is the seed of the first member; the
        seeds of the others are drawn from it.
    n_estimators : int, default 10
        Number of networks, the members.
    bootstrap : bool, default False
        Trains each member on a bootstrap sample: n of the n rows, drawn with replacement. With
        `early_stopping`, the rows not drawn are its validation data.
    n_threads : int, optional
        Number of members trained at the same time; by default all threads that the process may use.
    verbose : bool or int, default 0
        1 shows the number of trained members; see `Sequential.fit`.

    Attributes
    ----------
    estimators_ : list of fitted estimators
        The members, without those that diverged or that Ctrl-C left unfinished.
    classes_ : array
        The class labels, for classifiers only.
    n_features_in_, feature_names_in_, n_outputs_
        As in the members.

    References
    ----------
    B. Lakshminarayanan, A. Pritzel, C. Blundell, "Simple and scalable predictive uncertainty
    estimation using deep ensembles", 2017.

    L. Breiman, "Bagging predictors", 1996.

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
        """Fit the members to data.

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
            If a parameter or an array is not as described, before any training; or if the training
            of every member diverged.
        KeyboardInterrupt
            On Ctrl-C before a member was finished.

        Warns
        -----
        UserWarning
            If members are missing, because their training diverged or Ctrl-C ended it.
        """
        with atomic_fit(self) as fitted:
            done = fitted._train(X, y, sample_weight)
        ensemble_members.emit_warnings(done)
        return self

    def _train(self, X: Any, y: Any, sample_weight: Any) -> list[pool.TaskResult]:
        """Train the members and set the fitted attributes; returns the results of all trainings."""
        check_estimator(
            self.estimator,
            "trained networks are averaged by fastnn.Ensemble, other estimators by "
            "sklearn.ensemble.BaggingClassifier and BaggingRegressor",
        )
        model = clone(self.estimator)
        if "verbose" in model.get_params(deep=False):  # LogisticRegression has none
            model.set_params(verbose=False)
        model._validate_params()
        data = model._check_fit(X, y, sample_weight, None, incremental=False)
        self.estimators_, done = ensemble_members.train_members(
            model, make_seeds(model.random_state, self.n_estimators), data, self.bootstrap,
            self.n_threads, int(self.verbose),
        )  # fmt: skip
        for name in ("n_features_in_", "feature_names_in_", "classes_"):
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))
            elif hasattr(self, name):
                delattr(self, name)
        self.n_outputs_ = data.n_targets
        return done

    # ---- predicting ----

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the labels with the highest mean probability, or the mean of the members'
        predictions for a regressor.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
        return_std : bool, default False
            Return (predictions, standard deviations). For a classifier, these are the standard
            deviations over the members of the probability of the predicted class, or of each label
            for multilabel targets; for a regressor, those of the members' predictions; both with
            n - 1 in the denominator. With loss="gaussian_nll", they are the standard deviations of
            the mixture of the members' distributions, noise included:
            `std**2 = mean(std_m**2 + mean_m**2) - mean**2` (Lakshminarayanan et al., section 2.4).
        """
        if is_classifier(self.estimator):
            return self._predict_labels(X, return_std)
        X = self._check_X(X)
        mixture = return_std and self.estimator.loss == "gaussian_nll"
        if not mixture:
            outputs = np.stack([member.predict(X) for member in self.estimators_])
            mean = outputs.mean(axis=0)
            return (mean, _compute_std(outputs)) if return_std else mean
        means, stds = (
            np.stack(parts)
            for parts in zip(*(one.predict(X, return_std=True) for one in self.estimators_),
                             strict=True)
        )  # fmt: skip
        # The same as mean(stds**2 + means**2) - mean(means)**2, without cancellation.
        variance = (stds * stds).mean(axis=0) + means.var(axis=0)
        return means.mean(axis=0), np.sqrt(variance)

    def _predict_labels(self, X: Any, return_std: bool) -> Any:
        probabilities = self._predict_members(X)
        labels = self.estimators_[0]._labels
        mean = probabilities.mean(axis=0)
        predicted = labels.decode(mean)
        if not return_std:
            return predicted
        std = _compute_std(probabilities)
        if labels.kind == "multiclass":
            std = np.take_along_axis(std, mean.argmax(axis=1)[:, None], axis=1)
        return predicted, std if labels.kind == "multilabel" else std[:, 0]

    @available_if(lambda self: is_classifier(self.estimator))
    def predict_proba(self, X: Any) -> Array:
        """Mean probabilities of the members, (n, n_classes), in the order of `classes_`."""
        mean = self._predict_members(X).mean(axis=0)
        return np.asarray(mean if mean.shape[1] > 1 else np.hstack([1 - mean, mean]))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of a classifier, R2 of a regressor."""
        kind = ClassifierMixin if is_classifier(self.estimator) else RegressorMixin
        return float(kind.score(self, X, y, sample_weight))

    # ---- files ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the parameters and the members to one safetensors file. The file is written
        atomically; `load` reads it.

        Raises
        ------
        ValueError
            If only pickle can hold a parameter, or the class of the estimator is not one of
            fastnn's.
        """
        check_is_fitted(self)
        ensemble_files.save(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load an ensemble that `save` wrote. No code from the file is executed.

        Raises
        ------
        ValueError
            If the file is damaged or holds no ensemble.
        OSError
            If the file cannot be read.

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

    # ---- shared by the methods above ----

    def _predict_members(self, X: Any) -> Array:
        """The outputs of each member's network, (n_members, n, n_outputs)."""
        X = self._check_X(X)
        return np.stack([member._compute_outputs(X) for member in self.estimators_])

    def _check_X(self, X: Any) -> Any:
        check_is_fitted(self)
        check_unmasked("X", X)
        return validate_data(
            self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False
        )

    def __sklearn_tags__(self) -> Any:
        tags, base_tags = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = base_tags.estimator_type
        tags.classifier_tags = base_tags.classifier_tags
        tags.regressor_tags = base_tags.regressor_tags
        tags.target_tags, tags.input_tags = base_tags.target_tags, base_tags.input_tags
        return tags


def _compute_std(outputs: Array) -> Array:
    """Standard deviations over the members with n - 1 in the denominator; 0 for one member."""
    return np.asarray(outputs.std(axis=0, ddof=min(1, len(outputs) - 1)))
