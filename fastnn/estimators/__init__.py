"""Estimators with scikit-learn's interface: its multilayer perceptrons with the same names and
parameters, and ensembles, searches and learning curves of them."""

try:
    import sklearn  # noqa: F401
except ImportError:
    raise ImportError("fastnn's estimators need scikit-learn: pip install scikit-learn") from None

from fastnn.estimators.classifier import MLPClassifier
from fastnn.estimators.curves import learning_curve, validation_curve
from fastnn.estimators.ensemble import MLPEnsemble
from fastnn.estimators.logistic import LogisticRegression
from fastnn.estimators.perceptron import Perceptron
from fastnn.estimators.regressor import MLPRegressor
from fastnn.estimators.score_curve import Curve
from fastnn.estimators.search.search import MLPSearchCV
from fastnn.estimators.tables.classifier import TabularClassifier
from fastnn.estimators.tables.regressor import TabularRegressor

__all__ = [
    "Curve",
    "LogisticRegression",
    "MLPClassifier",
    "MLPEnsemble",
    "MLPRegressor",
    "MLPSearchCV",
    "Perceptron",
    "TabularClassifier",
    "TabularRegressor",
    "learning_curve",
    "validation_curve",
]


def __dir__() -> list[str]:
    return __all__
