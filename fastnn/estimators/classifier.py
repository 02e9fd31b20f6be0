"""`MLPClassifier`."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, log_softmax
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)

from fastnn.estimators._fitting import objective
from fastnn.estimators._fitting.base import MultilayerPerceptron
from fastnn.estimators._fitting.objective import Objective
from fastnn.estimators._fitting.parameters import Parameters
from fastnn.estimators._fitting.samples import Sample, check_data, to_dense
from fastnn.estimators._fitting.targets import Labels, find_classes

Array = NDArray[Any]


@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, MultilayerPerceptron):  # type: ignore[misc]
    """A classifier: scikit-learn's `MLPClassifier`, faster and with more to choose.

    Parameters and attributes of scikit-learn's have its names, order, defaults and meaning; the
    page "Coming from scikit-learn" lists the differences. These are added:

    Parameters
    ----------
    activation : also any of fastnn's, or a list with one for each hidden layer
    learning_rate : also any schedule of `fastnn.schedules`, in place of `learning_rate_init`
    alpha_scaling : "batch" (default) or "samples"
        What `alpha` and `l1` are divided by: the rows of a batch, as scikit-learn does, or all
        rows, so that the penalty does not depend on `batch_size`. Rows count by weight.
    l1 : float, default 0.0
        Adds `l1 * sum(abs(w))`, scaled as `alpha`, which adds `alpha / 2 * sum(w**2)`.
    weight_decay : float, default 0.0
        Makes solver="adam" AdamW.
    dropout : float or list of one for each hidden layer, default 0.0
    residual : bool, default False
        Adds to a hidden layer the one before, where both have the same width.
    n_layers, width : int, optional
        Number and width of hidden layers, in place of what `hidden_layer_sizes` says.
    clip_norm : float, optional
        The greatest length of a step's gradient.
    scale : "standard", "robust" or None (default)
        Shifts and scales the inputs inside the model.
    scoring : scorer, its name, or "loss"; default: accuracy
        What `early_stopping`, and the choice of the best weights, look at.
    max_time : float, optional
        Seconds after which training ends, within an epoch too; at least one step is made.
    n_init : int, default 1
        Trainings from other initial weights, of which the best is kept: by validation score, or
        by training loss. They run side by side, unless `verbose` or callbacks tell of each.
    class_weight : dict, "balanced" or None (default)
        Factors of the sample weights; "balanced" gives all classes the same total.
    label_smoothing : float, default 0.0

    Attributes
    ----------
    validation_loss_curve_ : list, or None without validation data
    stop_reason_ : str
    restarts_ : list of the score of each training

    Examples
    --------
    >>> from fastnn import MLPClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier((16,), scale="standard", solver="lbfgs", random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.97
    True
    >>> clf.predict_proba(X[:2]).shape
    (2, 3)
    """

    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    class_weight: Any = None
    label_smoothing: float = 0.0

    loss: ClassVar[str] = "log_loss"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Parameters._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    # ---- targets ----

    def _check_data(self, X: Any, y: Any, reset: bool) -> tuple[Any, Array]:
        return check_data(self, X, y, reset, y_numeric=False)

    def _declare_classes(self, y: Any, classes: Any) -> None:
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            labels = to_dense(y) if several else self.classes_
            self._set_classes(labels, labels)

    def _set_targets(self, y: Array, incremental: bool) -> int:
        if hasattr(self, "_label_kind") and (self.warm_start or incremental):
            self._check_known(y)
        else:
            self._set_classes(y, y)
        return 1 if self._labels.kind == "binary" else self._labels.n_classes

    def _set_classes(self, classes: Array, y: Array) -> None:
        # Whole numbers that come several times each are classes; to have it said takes time.
        whole = y.ndim == 1 and y.dtype.kind in "biu"
        if not whole or 2 * len(np.unique(y)) > len(y):
            check_classification_targets(y)
        # Only of rows of targets is the kind still open; to ask for it again takes time.
        several = y.ndim == 2
        if several and type_of_target(y, input_name="y") != "multilabel-indicator":
            raise ValueError(
                "Multioutput target data is not supported with label binarization: y: expected "
                "one label per row, or rows of 0 and 1"
            )
        if several:
            self.classes_, self._label_kind = np.arange(y.shape[1]), "multilabel"
        else:
            self.classes_ = find_classes(classes)
            self._label_kind = "multiclass" if len(self.classes_) > 2 else "binary"

    @property
    def _labels(self) -> Labels:
        return Labels(self.classes_, self._label_kind)

    def _check_known(self, y: Array) -> None:
        self._labels.check_width(y)
        classes = unique_labels(y)
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _check_targets(self, y: Array, n_targets: int) -> None:
        self._labels.check_labels(y)

    def _encode(self, y: Array, dtype: Any) -> Array:
        return self._labels.encode(y, dtype, self.label_smoothing)

    def _compute_row_weights(self, sample: Sample) -> Array | None:
        factors = self._labels.compute_class_factors(self.class_weight, sample.y, sample.weights)
        if factors is None:
            return sample.weights
        weights = factors if sample.weights is None else factors * sample.weights
        return weights.astype(sample.X.dtype, copy=False)

    def _make_objective(self, targets: Array, weights: Array | None) -> Objective:
        return objective.make_classification_objective(
            self._labels.kind, self._labels.n_classes, self.label_smoothing
        )

    def _get_strata(self, y: Array) -> Array | None:
        """A column of truth values for two classes, which errors of the split show, as in
        scikit-learn."""
        return (y == self.classes_[-1])[:, np.newaxis] if self._labels.kind == "binary" else None

    # ---- calls ----

    @available_if(lambda self: self._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> Any:  # fmt: skip
        """One more epoch, on these rows; the first call builds the model and needs all `classes`.
        Other parameters and errors as for `fit`; not with `early_stopping`, solver="lbfgs" or
        class_weight="balanced".

        Returns
        -------
        self
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight: expected a dict or None in partial_fit, which does not see all "
                f"rows; got {self.class_weight!r}"
            )
        return self._fit(X, y, sample_weight, None, incremental=True, classes=classes)

    def predict(self, X: Any) -> Array:
        """Classes (n,), or rows of 0 and 1 (n, n_labels)."""
        outputs = self._compute_outputs(X)
        return self._labels.decode(outputs)

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n, n_classes), in the order of `classes_`."""
        outputs = self._compute_outputs(X)
        if outputs.shape[1] > 1:
            return outputs
        both = np.empty((len(outputs), 2), outputs.dtype)
        np.subtract(1, outputs[:, 0], out=both[:, 0])
        both[:, 1] = outputs[:, 0]
        return both

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of `predict_proba`, also of probabilities that round to 0."""
        raw = self._compute_outputs(X, linear=True)
        if self._labels.kind == "multiclass":
            return np.asarray(log_softmax(raw, axis=1))
        exact = log_expit(raw if raw.shape[1] > 1 else np.hstack([-raw, raw]))
        # Equal for labels whose probabilities both round to 1, so that the likeliest is the same.
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=exact, where=probabilities > 0.5)

    def decision_function(self, X: Any) -> Array:
        """Outputs before softmax or sigmoid: (n,) for two classes, otherwise (n, n_classes)."""
        raw = self._compute_outputs(X, linear=True)
        return raw[:, 0] if raw.shape[1] == 1 else raw

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
