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
    """Multilayer perceptron classifier with the interface of scikit-learn's `MLPClassifier`.

    scikit-learn's parameters and attributes keep their names, order, defaults and meaning; the page
    "Coming from scikit-learn" lists the differences. Parameters from `alpha_scaling` on are
    additions, which are off by default.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default (100,)
        Number of units in each hidden layer.
    activation : str, Activation or list of one per hidden layer, default "relu"
        Activation of the hidden layers: scikit-learn's "identity", "logistic", "tanh" and "relu",
        or any of fastnn's except "step" and "softmax".
    solver : "adam" (default), "sgd" or "lbfgs"
        The optimizer. "lbfgs" reads all rows at each step.
    alpha : float, default 0.0001
        Strength of the L2 penalty, which adds `alpha / 2 * sum(w**2)` to the loss; see
        `alpha_scaling`.
    batch_size : int or "auto" (default)
        Rows per step; "auto" is min(200, n). Not used by "lbfgs".
    learning_rate : "constant" (default), "invscaling", "adaptive" or Schedule
        How the learning rate changes. "invscaling" and "adaptive" apply to solver="sgd" only. A
        schedule of `fastnn.schedules` replaces `learning_rate_init`.
    learning_rate_init : float, default 0.001
        Initial learning rate of "sgd" and "adam".
    power_t : float, default 0.5
        Exponent of learning_rate="invscaling".
    max_iter : int, default 200
        Maximum number of epochs, or of iterations of "lbfgs".
    shuffle : bool, default True
        Whether to shuffle the rows before each epoch.
    random_state : int, RandomState or None (default)
        Seed for initial weights, shuffling, dropout and the validation split.
    tol : float, default 0.0001
        Smallest change of the loss, or of the validation score, that counts as an improvement; the
        gradient tolerance of "lbfgs".
    verbose : bool or int, default False
        Whether to show the training: a progress bar in a notebook or on a terminal, otherwise
        scikit-learn's messages.
    warm_start : bool, default False
        Whether `fit` continues training from the last call.
    momentum : float, default 0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default True
        Whether "sgd" uses Nesterov's momentum.
    early_stopping : bool, default False
        Whether training stops when the validation score no longer improves. Without `X_val`,
        validation rows are split off the training data, stratified by class for two classes.
    validation_fraction : float, default 0.1
        Fraction of the rows to split off for validation.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay rates of Adam's estimates of the first and second moment.
    epsilon : float, default 1e-8
        Adam's constant for numerical stability.
    n_iter_no_change : int or inf, default 10
        Maximum number of consecutive epochs without improvement.
    max_fun : int, default 15000
        Maximum number of function evaluations of "lbfgs".
    alpha_scaling : "batch" (default) or "samples"
        Divides `alpha` and `l1` by the number of rows in a batch, as scikit-learn does, or by the
        number of all rows; the penalty then does not depend on `batch_size`. Rows are counted by
        their weights.
    l1 : float, default 0.0
        Strength of the L1 penalty, which adds `l1 * sum(abs(w))` to the loss.
    weight_decay : float, default 0.0
        Decoupled weight decay, which turns solver="adam" into AdamW.
    dropout : float or list of one per hidden layer, default 0.0
        Probability of setting a hidden unit to zero during training.
    residual : bool, default False
        Adds the input of a hidden layer to its output if both have the same width.
    n_layers, width : int, optional
        Number and width of the hidden layers. They override `hidden_layer_sizes`, and are easier to
        search over.
    clip_norm : float, optional
        Maximum norm of the gradient of a step.
    scale : "standard", "robust" or None (default)
        Scaling of the features inside the model.
    scoring : scorer, its name, or "loss"; default: accuracy
        The validation score for `early_stopping` and for the choice of the best weights.
    max_time : float, optional
        Time limit for the training in seconds. It also ends an epoch, after at least one step.
    n_init : int, default 1
        Number of trainings from different initial weights. The network with the best validation
        score, or else with the lowest training loss, is kept. They run in parallel, or one after
        another with `verbose` or callbacks.
    class_weight : dict, "balanced" or None (default)
        Factors of the sample weights by class; "balanced" gives all classes the same total weight.
    label_smoothing : float, default 0.0
        Fraction of each target that is distributed evenly over all classes.

    Attributes
    ----------
    classes_ : array
        The class labels.
    coefs_, intercepts_ : list of arrays
        Weights and biases of each layer.
    network_ : Sequential
        A copy of the network, with scaling merged into its weights.
    loss_, best_loss_ : float
        Training loss of the last epoch, and the lowest; `best_loss_` is None with `early_stopping`.
    loss_curve_ : list of float
        Training loss of each epoch.
    validation_scores_, validation_loss_curve_ : list of float, or None without validation data
        Score and loss on the validation data after each epoch.
    best_validation_score_ : float, or None without validation data
        The best of `validation_scores_`.
    stop_reason_ : str
        Why the training stopped.
    restarts_ : list of float
        The validation score of each training of `n_init`, or minus its training loss.
    n_iter_ : int
        Number of epochs of the last fit.
    t_ : int
        Number of rows seen during training.
    n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_
        As in scikit-learn.

    References
    ----------
    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010.

    D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015.

    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019.

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
    _OUTPUTS: ClassVar[tuple[str, ...]] = ("predict_proba", "decision_function")

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
            is_multilabel = type_of_target(y).startswith("multilabel")
            labels = to_dense(y) if is_multilabel else self.classes_
            self._set_classes(labels, labels)

    def _set_targets(self, y: Array, incremental: bool) -> int:
        if hasattr(self, "_label_kind") and (self.warm_start or incremental):
            self._check_known(y)
        else:
            self._set_classes(y, y)
        return 1 if self._labels.kind == "binary" else self._labels.n_classes

    def _set_classes(self, classes: Array, y: Array) -> None:
        # scikit-learn's check is slow, and passes integers that occur at least twice on average.
        is_integer = y.ndim == 1 and y.dtype.kind in "biu"
        if not is_integer or 2 * len(np.unique(y)) > len(y):
            check_classification_targets(y)
        # type_of_target is slow, and only 2-D targets can still be of several kinds.
        is_multilabel = y.ndim == 2
        if is_multilabel and type_of_target(y, input_name="y") != "multilabel-indicator":
            raise ValueError(
                "Multioutput target data is not supported with label binarization: y: expected "
                "one label per row, or rows of 0 and 1"
            )
        if is_multilabel:
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

    def _get_output_matrix(self, of: str) -> Array | None:
        """With two classes, the network has one output, the probability of the second."""
        two = of == "predict_proba" and self._n_outputs == 1
        return np.array([[-1.0], [1.0]]) if two else None

    def _get_strata(self, y: Array) -> Array | None:
        """A boolean column for two classes, as in scikit-learn, whose error messages of the split
        contain it."""
        return (y == self.classes_[-1])[:, np.newaxis] if self._labels.kind == "binary" else None

    # ---- calls ----

    @available_if(lambda self: self._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> Any:  # fmt: skip
        """Train for one epoch on the given rows; the first call builds the model.

        Not available with `early_stopping`, solver="lbfgs" or class_weight="balanced".

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array-like, optional
            All class labels; required in the first call.

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
        """Predict class labels (n,), or rows of 0 and 1 (n, n_labels) for multilabel targets."""
        outputs = self._compute_outputs(X)
        return self._labels.decode(outputs)

    def predict_proba(self, X: Any) -> Array:
        """Predict probabilities (n, n_classes), in the order of `classes_`."""
        outputs = self._compute_outputs(X)
        if outputs.shape[1] > 1:
            return outputs
        both = np.empty((len(outputs), 2), outputs.dtype)
        np.subtract(1, outputs[:, 0], out=both[:, 0])
        both[:, 1] = outputs[:, 0]
        return both

    def predict_log_proba(self, X: Any) -> Array:
        """Predict log-probabilities (n, n_classes). They are computed from the raw outputs, so that
        they are finite even if the probability rounds to 0."""
        raw = self._compute_outputs(X, linear=True)
        if self._labels.kind == "multiclass":
            return np.asarray(log_softmax(raw, axis=1))
        exact = log_expit(raw if raw.shape[1] > 1 else np.hstack([-raw, raw]))
        # Labels whose probabilities round to 1 get equal logarithms, and thus the same argmax as
        # predict_proba.
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=exact, where=probabilities > 0.5)

    def decision_function(self, X: Any) -> Array:
        """Outputs before softmax or sigmoid, of shape (n,) for two classes and otherwise
        (n, n_classes)."""
        raw = self._compute_outputs(X, linear=True)
        return raw[:, 0] if raw.shape[1] == 1 else raw

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
