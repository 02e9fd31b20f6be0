"""What `dir`, `help` and `from ... import` show of fastnn, with scikit-learn and without."""

import importlib
import subprocess
import sys
import types
from importlib.util import find_spec

import pytest

import fastnn as fn

PUBLIC = [
    "activations", "callbacks", "datasets", "initializers", "layers", "losses", "metrics",
    "optimizers", "plot", "preprocessing", "reference", "schedules",
]  # fmt: skip
ESTIMATORS = {
    "LogisticRegression", "MLPClassifier", "MLPEnsemble", "MLPRegressor", "MLPSearchCV",
    "Perceptron", "learning_curve", "validation_curve",
}  # fmt: skip
HAS_SKLEARN = find_spec("sklearn") is not None


@pytest.mark.parametrize("name", PUBLIC + ["estimators"] * HAS_SKLEARN)
def test_dir_of_a_public_module_shows_its_all(name):
    module = importlib.import_module(f"fastnn.{name}")
    assert dir(module) == sorted(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        value = getattr(module, public)
        assert not isinstance(value, types.ModuleType)
        if isinstance(value, type | types.FunctionType):
            assert value.__module__.startswith(f"fastnn.{name}"), public


def test_all_of_a_module_has_its_public_classes():
    for name in PUBLIC:
        module = importlib.import_module(f"fastnn.{name}")
        own = {
            title for title, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == module.__name__
            and not title.startswith("_")
        }  # fmt: skip
        assert own - {"Running"} <= set(module.__all__), name


def test_help_on_activations_has_a_formula_for_each():
    rows = {line.split()[0] for line in fn.activations.__doc__.splitlines() if "  " in line}
    assert set(fn.activations.NAMES) <= rows


def test_the_package_shows_public_names_only():
    assert dir(fn) == sorted(fn.__all__)
    for name in ("Any", "TYPE_CHECKING", "checks", "native", "find_spec"):
        assert name not in dir(fn)
    for name in fn.__all__:
        assert getattr(fn, name) is not None


def test_the_estimators_are_in_all_if_scikit_learn_is_installed():
    assert set(fn.__all__) & ESTIMATORS == (ESTIMATORS if HAS_SKLEARN else set())


def test_import_star_includes_the_estimators():
    pytest.importorskip("sklearn")
    names = {}
    exec("from fastnn import *", names)
    assert set(names) >= ESTIMATORS | {"Sequential", "losses"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fastnn' has no attribute 'MLPClasifier'"):
        fn.MLPClasifier  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'MLPClasifier'"):
        exec("from fastnn import MLPClasifier")


WITHOUT = """
import sys
sys.modules["sklearn"] = None
import inspect, pydoc
import fastnn

ADVICE = "fastnn's estimators need scikit-learn: pip install scikit-learn"
assert "MLPClassifier" not in dir(fastnn) + fastnn.__all__
assert "Sequential" in pydoc.render_doc(fastnn)
assert dict(inspect.getmembers(fastnn))["Sequential"] is fastnn.Sequential
assert not hasattr(fastnn, "MLPClassifier")
assert getattr(fastnn, "MLPClassifier", None) is None
assert not hasattr(fastnn, "no_such_name")
try:
    fastnn.MLPClassifier
except AttributeError as error:
    assert ADVICE in str(error), error
else:
    raise AssertionError("no error")
for code in ("from fastnn import MLPClassifier", "from fastnn import Sequential, MLPClassifier"):
    try:
        exec(code)
    except ImportError as error:
        assert ADVICE in str(error), error
    else:
        raise AssertionError("no error")
try:
    import fastnn.estimators
except ImportError as error:
    assert ADVICE in str(error), error
else:
    raise AssertionError("no error")
names = {}
exec("from fastnn import *", names)
assert "Sequential" in names and "MLPClassifier" not in names
net = fastnn.Sequential(fastnn.Dense(1), random_state=0)
net.fit([[0.0], [1.0]], [1.0, 3.0])
assert net.predict([[1.0]]).shape == (1, 1)
"""


@pytest.mark.process
def test_without_scikit_learn():
    subprocess.run([sys.executable, "-c", WITHOUT], check=True, timeout=60)


@pytest.mark.process
def test_importing_fastnn_and_its_plots_imports_no_matplotlib():
    code = """
import sys, fastnn
assert "fastnn.plot" not in sys.modules
assert fastnn.plot.network and "matplotlib" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.process
def test_importing_fastnn_imports_no_scikit_learn():
    code = "import sys, fastnn; assert not any(n.startswith('sklearn') for n in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
