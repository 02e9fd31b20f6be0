"""fastnn: fast training and prediction of neural networks on the CPU.

Examples
--------
>>> import fastnn as fn
>>> X, y = fn.datasets.load_digits()
>>> X_train, X_test, y_train, y_test = fn.train_test_split(X / 16, y, random_state=0)
>>> net = fn.Sequential(fn.Dense(64, "relu"), fn.Dense(10, "softmax"), random_state=0)
>>> history = net.fit(X_train, y_train, epochs=20)
>>> net.predict(X_test).shape
(450, 10)

`MLPClassifier`, `MLPRegressor` and the other estimators need scikit-learn, the functions of `plot`
need matplotlib; both are imported on first use. Activations, losses, optimizers, schedules,
initializers and plots are documented in the modules of these names, for example
`help(fn.optimizers)`.
"""

import importlib
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fastnn import (
    activations,
    callbacks,
    datasets,
    initializers,
    losses,
    metrics,
    optimizers,
    preprocessing,
    schedules,
)
from fastnn._training.loop import DivergenceWarning
from fastnn.callbacks import Checkpoint, EarlyStopping, ReduceOnPlateau
from fastnn.config import __version__, show_config
from fastnn.experiments.ensemble import Ensemble
from fastnn.experiments.fit_many import fit_many
from fastnn.experiments.range_test import RangeTest, lr_range_test
from fastnn.experiments.runs import Runs
from fastnn.history import History
from fastnn.layers import Dense, Dropout, Residual, Scale
from fastnn.model import Sequential, load
from fastnn.preprocessing import Standardizer, one_hot, train_test_split
from fastnn.tracing.trace import trace

if TYPE_CHECKING:
    from fastnn import plot as plot
    from fastnn.estimators import LogisticRegression as LogisticRegression
    from fastnn.estimators import MLPClassifier as MLPClassifier
    from fastnn.estimators import MLPEnsemble as MLPEnsemble
    from fastnn.estimators import MLPRegressor as MLPRegressor
    from fastnn.estimators import MLPSearchCV as MLPSearchCV
    from fastnn.estimators import Perceptron as Perceptron
    from fastnn.estimators import TabularClassifier as TabularClassifier
    from fastnn.estimators import TabularRegressor as TabularRegressor
    from fastnn.estimators import learning_curve as learning_curve
    from fastnn.estimators import validation_curve as validation_curve

__all__ = [
    "Checkpoint",
    "Dense",
    "DivergenceWarning",
    "Dropout",
    "EarlyStopping",
    "Ensemble",
    "History",
    "RangeTest",
    "ReduceOnPlateau",
    "Residual",
    "Runs",
    "Scale",
    "Sequential",
    "Standardizer",
    "__version__",
    "activations",
    "callbacks",
    "datasets",
    "fit_many",
    "initializers",
    "load",
    "losses",
    "lr_range_test",
    "metrics",
    "one_hot",
    "optimizers",
    "plot",
    "preprocessing",
    "schedules",
    "show_config",
    "trace",
    "train_test_split",
]

_ESTIMATORS = [
    "LogisticRegression", "MLPClassifier", "MLPEnsemble", "MLPRegressor", "MLPSearchCV",
    "Perceptron", "TabularClassifier", "TabularRegressor", "learning_curve", "validation_curve",
]  # fmt: skip

if find_spec("sklearn") is not None:  # without importing it, which takes a second
    __all__.extend(_ESTIMATORS)


def __getattr__(name: str) -> Any:
    if name == "plot":  # imported on first use, as it imports SciPy
        return importlib.import_module("fastnn.plot")
    missing = f"module 'fastnn' has no attribute {name!r}"
    if name not in _ESTIMATORS:
        raise AttributeError(missing)
    try:
        from fastnn import estimators
    except ImportError as error:
        # `from fastnn import ...` replaces the message of an AttributeError by "cannot import
        # name", but not that of an ImportError. `hasattr` and `getattr` need an AttributeError.
        importing = "importlib._bootstrap>" in sys._getframe(1).f_code.co_filename
        kind = ImportError if importing else AttributeError
        raise kind(f"{missing}: {error}") from None
    return getattr(estimators, name)


def __dir__() -> list[str]:
    return __all__
