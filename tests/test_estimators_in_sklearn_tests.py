"""The installed scikit-learn's tests of its perceptrons, run with fastnn's classes."""

import importlib.util
import inspect
import re

import pytest

pytest.importorskip("sklearn")

import sklearn
from sklearn import neural_network
from sklearn.utils.fixes import parse_version

import fastnn

# scikit-learn's tests have filters for warnings.
pytestmark = pytest.mark.filterwarnings("default")

# Tests that read scikit-learn's private attributes or call its private functions, with their names.
PRIVATE = {
    "test_fit": "_coef_velocity",
    "test_gradient": "_loss_grad_lbfgs",
    "test_learning_rate_warmstart": "_optimizer",
    "test_adaptive_learning_rate": "_optimizer",
    "test_n_iter_no_change": "_no_improvement_count",
    "test_n_iter_no_change_inf": "_no_improvement_count",
}


def load_tests():
    """The functions of scikit-learn's test module, with fastnn's MLPClassifier and MLPRegressor."""
    try:
        spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        pytest.skip("this scikit-learn was installed without its tests", allow_module_level=True)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLPClassifier", "MLPRegressor"):
            patch.setattr(neural_network, name, getattr(fastnn, name))
        spec.loader.exec_module(module)
    return {name: value for name, value in vars(module).items() if name.startswith("test_")}


TESTS = load_tests()
globals().update({name: test for name, test in TESTS.items() if name not in PRIVATE})


@pytest.fixture
def global_random_seed():
    """scikit-learn's fixture with its default value."""
    return 42


@pytest.mark.parametrize("name", PRIVATE)
def test_skipped_tests_use_private_names(name):
    """Each skipped test exists and uses a private name of the estimator."""
    if name not in TESTS and parse_version(sklearn.__version__) < parse_version("1.9"):
        pytest.skip("not in this version of scikit-learn")
    assert re.search(rf"\b(mlp|clf)\.{PRIVATE[name]}\b", inspect.getsource(TESTS[name]))


def test_the_tested_classes_are_those_of_fastnn():
    classes = {value for test in TESTS.values() for value in test.__globals__.values()
             if getattr(value, "__name__", "") in ("MLPClassifier", "MLPRegressor")}  # fmt: skip
    assert classes == {fastnn.MLPClassifier, fastnn.MLPRegressor}
    assert len(TESTS) > 30
