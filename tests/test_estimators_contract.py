"""scikit-learn's checks of estimators; none is expected to fail."""

import pytest

pytest.importorskip("sklearn")

from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastnn

KINDS = [fastnn.MLPClassifier, fastnn.MLPRegressor, fastnn.LogisticRegression, fastnn.Perceptron]
ESTIMATORS = [kind(max_iter=30) if kind is fastnn.Perceptron else kind() for kind in KINDS]


@parametrize_with_checks(ESTIMATORS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    "name",
    [
        "check_dataframe_column_names_consistency",
        "check_param_validation",
        "check_inplace_ensure_writeable",
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_checks_outside_check_estimator(estimator, name):
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)
