"""Comparison of the estimators with scikit-learn's: every parameter, attribute, warning and error.

From the same initial weights, and with the rows in the same order, both train the same way."""

import inspect
import itertools
import re
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
from scipy import sparse
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.utils.fixes import parse_version

import fastnn
from fastnn.estimators._fitting import architecture
from fastnn.estimators._fitting.early_stopping import EpochMonitor

PAIRS = {
    "MLPClassifier": (neural_network.MLPClassifier, fastnn.MLPClassifier),
    "MLPRegressor": (neural_network.MLPRegressor, fastnn.MLPRegressor),
}
KINDS = list(PAIRS)

if parse_version(sklearn.__version__) < parse_version("1.7"):
    pytest.skip("perceptrons without sample_weight and loss", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(rng, kind, n=60, y=None):
    X = rng.normal(size=(n, 5))
    if y == "binary":
        return X, (X[:, 0] * X[:, 1] > 0).astype(int)
    if y == "multilabel":
        return X, (X[:, :3] > 0.2).astype(int)
    if y == "multioutput":
        return X, np.column_stack([X[:, 0], X[:, 1] * X[:, 2]])
    if y == "counts":
        return X, rng.poisson(np.exp(X[:, 0]))
    if kind == "MLPRegressor":
        return X, X[:, 0] * X[:, 1] + X[:, 2]
    return X, np.digitize(X[:, 0] + X[:, 1], [-0.7, 0.7])


@pytest.fixture
def same_initial_weights(monkeypatch):
    """Gives both estimators the same initial weights. A negligible epsilon hides that
    scikit-learn's Adam adds it in another place."""

    def make(kind, **params):
        params = {"epsilon": 1e-30} | params
        theirs, ours = (estimator(**params) for estimator in PAIRS[kind])
        draw = architecture.draw

        def init_coef(self, fan_in, fan_out, dtype):
            bound = np.sqrt((2 if self.activation == "logistic" else 6) / (fan_in + fan_out))
            rng = np.random.default_rng(fan_in * 1000 + fan_out)
            return (rng.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype),
                    rng.uniform(-bound, bound, fan_out).astype(dtype))  # fmt: skip

        def drawn(layers, n_features, seed, dtype):
            network = draw(layers, n_features, seed, dtype)
            for W, b in zip(network.weights, network.biases, strict=True):
                W[:], b[:] = init_coef(theirs, *W.shape, dtype)
            return network

        monkeypatch.setattr(type(theirs), "_init_coef", init_coef)
        monkeypatch.setattr(architecture, "draw", drawn)
        return theirs, ours

    return make


def test_signatures():
    for theirs, ours in PAIRS.values():
        expected = inspect.signature(theirs).parameters
        parameters = inspect.signature(ours).parameters
        assert list(parameters)[: len(expected)] == list(expected)
        for name, parameter in expected.items():
            assert parameters[name].default == parameter.default, name
            assert parameters[name].kind == parameter.kind, name


# ---- training ----------------------------------------------------------------------------------

WAYS = {
    "defaults": ("MLPClassifier", {}, None),
    "regression": ("MLPRegressor", {}, None),
    "binary": ("MLPClassifier", {}, "binary"),
    "multilabel": ("MLPClassifier", {}, "multilabel"),
    "no hidden layer": ("MLPClassifier", {"hidden_layer_sizes": ()}, None),
    "hidden_layer_sizes int": ("MLPClassifier", {"hidden_layer_sizes": 7}, None),
    "hidden_layer_sizes": ("MLPRegressor", {"hidden_layer_sizes": [7, 4]}, None),
    "identity": ("MLPClassifier", {"activation": "identity"}, None),
    "logistic": ("MLPClassifier", {"activation": "logistic"}, None),
    "tanh": ("MLPRegressor", {"activation": "tanh"}, None),
    "sgd": ("MLPClassifier", {"solver": "sgd", "learning_rate_init": 0.05}, None),
    "sgd multilabel": ("MLPClassifier", {"solver": "sgd"}, "multilabel"),
    "sgd regression": ("MLPRegressor", {"solver": "sgd"}, None),
    "sgd multioutput": ("MLPRegressor", {"solver": "sgd", "alpha": 0.0}, "multioutput"),
    "momentum": ("MLPClassifier", {"solver": "sgd", "momentum": 0.5}, None),
    "no momentum": ("MLPClassifier", {"solver": "sgd", "momentum": 0.0}, None),
    "nesterovs_momentum": ("MLPRegressor", {"solver": "sgd", "nesterovs_momentum": False}, None),
    "invscaling": (
        "MLPRegressor",
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.2, "learning_rate_init": 0.1},
        None,
    ),
    "adaptive": (
        "MLPClassifier",
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.2, "n_iter_no_change": 2},
        None,
    ),
    "adaptive regression": (
        "MLPRegressor",
        {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "tol": 0.2,
            "n_iter_no_change": 2,
            "alpha": 0.0,
        },
        "multioutput",
    ),
    "learning_rate_init": ("MLPClassifier", {"learning_rate_init": 0.02}, None),
    "beta_1": ("MLPClassifier", {"beta_1": 0.5}, None),
    "beta_2": ("MLPClassifier", {"beta_2": 0.9}, None),
    "alpha": ("MLPClassifier", {"alpha": 3.0}, None),
    "alpha regression": ("MLPRegressor", {"alpha": 3.0, "solver": "sgd"}, None),
    "batch_size": ("MLPClassifier", {"batch_size": 20, "alpha": 0.5}, None),
    "tol": ("MLPRegressor", {"tol": 0.05, "n_iter_no_change": 1, "max_iter": 100}, None),
    "n_iter_no_change": ("MLPClassifier", {"n_iter_no_change": 3, "tol": 0.1}, None),
    "patience without end": ("MLPClassifier", {"n_iter_no_change": np.inf, "tol": 0.5}, None),
    "poisson": ("MLPRegressor", {"loss": "poisson", "learning_rate_init": 0.01}, "counts"),
}


@pytest.mark.parametrize("name", WAYS)
def test_training_matches_scikit_learn(name, same_initial_weights, rng):
    kind, params, y = WAYS[name]
    X, y = data(rng, kind, y=y)
    theirs, ours = same_initial_weights(kind, **{"max_iter": 40, "shuffle": False} | params)
    theirs.fit(X, y)
    ours.fit(X, y)
    assert_same_attributes(theirs, ours)
    assert_close(theirs.predict(X), ours.predict(X))
    assert theirs.score(X, y) == pytest.approx(ours.score(X, y))
    for call in ("predict_proba", "predict_log_proba"):
        if hasattr(theirs, call) and not (call.endswith("log_proba") and y.ndim == 2):
            assert_close(getattr(theirs, call)(X), getattr(ours, call)(X))


SAME = ["n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_",
        "validation_scores_", "best_validation_score_"]  # fmt: skip
CLOSE = ["loss_", "best_loss_", "loss_curve_", "classes_"]


def assert_same_attributes(theirs, ours):
    """Compare all public attributes of scikit-learn's fitted estimator."""
    attributes = {name for name in dir(theirs) if name.endswith("_") and not name.startswith("_")}
    assert attributes - {"classes_"} <= {*SAME, *CLOSE, "coefs_", "intercepts_"}
    for name in attributes & set(SAME):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in attributes & set(CLOSE):
        assert_close(getattr(theirs, name), getattr(ours, name), name=name)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            assert_close(a, b, name=name)


def assert_close(theirs, ours, rtol=1e-8, name=""):
    np.testing.assert_allclose(ours, theirs, rtol, rtol, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_sample_weight(kind, same_initial_weights, rng):
    X, y = data(rng, kind)
    weight = rng.uniform(0.2, 3, len(X))
    theirs, ours = same_initial_weights(kind, max_iter=30, shuffle=False, alpha=2.0)
    theirs.fit(X, y, weight)
    ours.fit(X, y, weight)
    assert_same_attributes(theirs, ours)
    assert theirs.score(X, y, weight) == pytest.approx(ours.score(X, y, weight))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("params", [{}, {"max_iter": 5}, {"tol": 1e-2}, {"max_fun": 4}])
def test_lbfgs(kind, params, same_initial_weights, rng):
    X, y = data(rng, kind)
    theirs, ours = same_initial_weights(
        kind, solver="lbfgs", alpha=1.0, hidden_layer_sizes=(6,), **params
    )
    theirs.fit(X, y)
    ours.fit(X, y)
    for name in (*SAME, "loss_"):
        if hasattr(theirs, name):
            same = getattr(theirs, name)
            rel = 1e-6 if params else 0.05
            expected = pytest.approx(same, rel=rel) if name == "loss_" else same
            assert name == "n_iter_" or getattr(ours, name) == expected, name
    if params:  # few steps, before rounding errors grow
        assert ours.n_iter_ == theirs.n_iter_
        assert_close(theirs.predict(X), ours.predict(X), 1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_dtypes(kind, dtype, rng):
    X, y = data(rng, kind)
    for model in (estimator(max_iter=3).fit((X * 8).astype(dtype), y) for estimator in PAIRS[kind]):
        wanted = np.float32 if dtype == "float32" else np.float64
        assert {array.dtype.type for array in model.coefs_ + model.intercepts_} == {wanted}
        assert kind == "MLPClassifier" or model.predict((X * 8).astype(dtype)).dtype == wanted


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
def test_sparse_input(kind, form, same_initial_weights, rng):
    X, y = data(rng, kind)
    X[X < 0] = 0
    theirs, ours = same_initial_weights(kind, max_iter=15, shuffle=False)
    assert_same_attributes(theirs.fit(form(X), y), ours.fit(form(X), y))
    assert_close(theirs.predict(form(X)), ours.predict(form(X)))
    assert_close(ours.predict(X), ours.predict(form(X)), 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("params", [{}, {"solver": "sgd"}, {"batch_size": 20}])
def test_partial_fit(kind, params, same_initial_weights, rng):
    X, y = data(rng, kind)
    theirs, ours = same_initial_weights(kind, shuffle=False, **params)
    first = {"classes": np.unique(y)} if kind == "MLPClassifier" else {}
    for call in range(6):
        for model in (theirs, ours):
            model.partial_fit(X, y, **(first if call == 0 else {}))
        assert_same_attributes(theirs, ours)


def test_partial_fit_invscaling(same_initial_weights, rng):
    X, y = data(rng, "MLPRegressor")
    theirs, ours = same_initial_weights(
        "MLPRegressor", shuffle=False, solver="sgd", learning_rate="invscaling", power_t=0.3
    )
    for rows in (slice(20), slice(20, 50), slice(60), slice(10)):
        for model in (theirs, ours):
            model.partial_fit(X[rows], y[rows])
        assert_same_attributes(theirs, ours)


LONG = {"hidden_layer_sizes": (4,), "activation": "tanh", "shuffle": False, "solver": "sgd"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "params",
    [{"solver": "adam"}, {}, {"learning_rate": "invscaling"}, {"learning_rate": "adaptive"}],
)
def test_partial_fit_beyond_patience(kind, params, same_initial_weights, rng):
    X, y = data(rng, kind)
    theirs, ours = same_initial_weights(kind, learning_rate_init=0.1, **LONG | params)
    first, waited = get_classes(type(ours), y), 0
    for n in rng.integers(1, 61, 300):
        rows = rng.choice(60, n)
        for model in (theirs, ours):
            model.partial_fit(X[rows], y[rows], **first)
        first, waited = {}, max(waited, theirs._no_improvement_count)
    if "adaptive" not in params.values():  # which resets the count when it lowers the rate
        assert waited > theirs.n_iter_no_change
    assert_same_attributes(theirs, ours)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_iter", [1, 3, 200])
def test_warm_start_beyond_patience(kind, max_iter, same_initial_weights, rng):
    """Momentum is off, because scikit-learn does not keep its velocity between fits."""
    X, y = data(rng, kind)
    theirs, ours = same_initial_weights(
        kind, warm_start=True, max_iter=max_iter, momentum=0.0, tol=0.01, learning_rate_init=0.1,
        **LONG,
    )  # fmt: skip
    for call in range(70):
        for model in (theirs, ours):
            model.set_params(n_iter_no_change=10 if call < 50 else 3)
        results = [run_and_record(lambda m=m: m.fit(X, y)) for m in (theirs, ours)]
        assert results[0] == results[1]
        assert (theirs.n_iter_, theirs.loss_curve_) == (
            ours.n_iter_, pytest.approx(ours.loss_curve_, rel=1e-8)
        )  # fmt: skip
    assert theirs._no_improvement_count > 3


@pytest.mark.parametrize("kind", KINDS)
def test_early_stopping(kind, rng):
    """The splits use different random numbers, so that only types and lengths are compared."""
    X, y = data(rng, kind, n=200)
    params = {"early_stopping": True, "validation_fraction": 0.2, "max_iter": 30,
              "random_state": 0, "n_iter_no_change": 3}  # fmt: skip
    theirs, ours = (estimator(**params).fit(X, y) for estimator in PAIRS[kind])
    for model in (theirs, ours):
        assert model.best_loss_ is None
        assert len(model.validation_scores_) == model.n_iter_ == len(model.loss_curve_)
        assert model.best_validation_score_ == max(model.validation_scores_)
        assert model.t_ == 160 * model.n_iter_
        assert isinstance(model.best_validation_score_, float)
    assert ours.best_validation_score_ == pytest.approx(theirs.best_validation_score_, abs=0.4)


@pytest.mark.parametrize("kind", KINDS)
def test_warm_start(kind, rng):
    X, y = data(rng, kind)
    for estimator in PAIRS[kind]:
        model = estimator(warm_start=True, max_iter=5, random_state=0).fit(X, y)
        loss = model.loss_
        model.fit(X, y)
        assert model.loss_ < loss
        assert model.n_iter_ == 5
        assert model.t_ == 10 * len(X)
        assert len(model.loss_curve_) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_verbose(kind, rng, capsys):
    """Without a terminal, both print lines of the same form."""
    X, y = data(rng, kind)
    printed = []
    for estimator in PAIRS[kind]:
        estimator(max_iter=3, verbose=True, early_stopping=True, random_state=0).fit(X, y)
        printed.append([line.split(" = ")[0].split(": ")[0]
                        for line in capsys.readouterr().out.splitlines()])  # fmt: skip
    assert printed[0] == printed[1]


def test_verbose_reasons(rng, capsys):
    X, y = data(rng, "MLPClassifier")
    params = {"solver": "sgd", "tol": 10.0, "verbose": True, "n_iter_no_change": 1, "max_iter": 99}
    for rule in ("constant", "adaptive"):
        printed = []
        for estimator in PAIRS["MLPClassifier"]:
            estimator(learning_rate=rule, **params).fit(X, y)
            lines = capsys.readouterr().out.splitlines()
            printed.append([line for line in lines if not line.startswith("Iteration")])
        assert printed[0] == printed[1] != []


@pytest.mark.parametrize("kind", KINDS)
def test_random_state(kind, rng):
    X, y = data(rng, kind)
    for estimator in PAIRS[kind]:
        a, b, c = (estimator(max_iter=3, random_state=seed).fit(X, y) for seed in (1, 1, 2))
        assert a.loss_curve_ == b.loss_curve_ != c.loss_curve_
        state = np.random.RandomState(1)
        d, e = (estimator(max_iter=3, random_state=state).fit(X, y) for _ in range(2))
        assert d.loss_curve_ == a.loss_curve_ != e.loss_curve_


@pytest.mark.parametrize("activation", ["relu", "logistic"])
def test_initial_weights_have_the_same_distribution(activation, rng):
    X, y = data(rng, "MLPClassifier")
    still = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1, "alpha": 0,
             "random_state": 0}  # fmt: skip
    theirs, ours = (estimator((300,), activation, **still).fit(X, y)
                    for estimator in PAIRS["MLPClassifier"])  # fmt: skip
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            if a.size > 200:
                np.testing.assert_allclose(b.std(), a.std(), rtol=0.1)
                np.testing.assert_allclose(np.abs(b).max(), np.abs(a).max(), rtol=0.05)


# ---- warnings and errors -------------------------------------------------------------------------


def run_and_record(action):
    """Call a function and return its exception or its warnings as (class, text)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            action()
        except Exception as error:  # any exception is compared, except the order of lists in it
            listed = re.sub(r"{.*?}", lambda match: str(sorted(match[0])), str(error))
            return [(type(error), listed)]
    return [(w.category, str(w.message)) for w in caught]


BAD_PARAMETERS = {
    "hidden_layer_sizes": ["7", -1, 0, 2.5, {3}],
    "alpha": [-1, "1"],
    "batch_size": [0, -3, 1.5, "all"],
    "learning_rate_init": [0, -1, "fast"],
    "power_t": [-1, "x"],
    "max_iter": [0, -1, 2.5],
    "shuffle": ["yes", 3],
    "random_state": ["x", -1],
    "tol": [-1, "x"],
    "verbose": ["loud", -1],
    "warm_start": ["yes"],
    "momentum": [-0.1, 1.1],
    "nesterovs_momentum": ["yes"],
    "early_stopping": ["yes"],
    "validation_fraction": [-0.1, 1.0],
    "beta_1": [-0.1, 1.0],
    "beta_2": [-0.1, 1.0],
    "epsilon": [0, -1],
    "n_iter_no_change": [0, -1, 2.5],
    "max_fun": [0, 2.5],
}
WIDER = {
    "activation": ["softmax", 3],
    "learning_rate": ["warm", 3],
    "loss": ["log_loss", 3],
    "solver": ["newton", 3],
}


@pytest.mark.parametrize("kind", KINDS)
def test_bad_parameters(kind, rng):
    X, y = data(rng, kind)
    theirs, _ = PAIRS[kind]
    known = inspect.signature(theirs).parameters
    assert set(known) <= {*BAD_PARAMETERS, *WIDER}
    for name in known:
        for value in BAD_PARAMETERS.get(name, []):
            a, b = record_bad_fits(kind, {name: value}, X, y)
            assert a == b, (name, value)
        for value in WIDER.get(name, []):
            a, b = record_bad_fits(kind, {name: value}, X, y)
            assert a[0][0] is b[0][0]
            assert a[0][1].split(" must be ")[0] == b[0][1].split(" must be ")[0]


def record_bad_fits(kind, params, X, y):
    return [run_and_record(lambda e=e: e(**params).fit(X, y)) for e in PAIRS[kind]]


@pytest.mark.parametrize("sizes", [(3, 0), (-2,), [0]])
def test_hidden_layer_sizes_must_be_positive(sizes, rng):
    X, y = data(rng, "MLPClassifier")
    theirs, ours = (run_and_record(lambda e=e: e(sizes).fit(X, y)) for e in PAIRS["MLPClassifier"])
    assert theirs == ours


def fits(**params):
    return lambda estimator, X, y: estimator(**params).fit(X, y)


def call_again(model, call):
    call(model)
    return model


SITUATIONS = {
    "not converged": fits(max_iter=2),
    "converged": fits(tol=10.0),
    "lbfgs not converged": fits(solver="lbfgs", max_iter=2),
    "batch_size too large": fits(batch_size=1000, max_iter=1, tol=10.0),
    "NaN in X": lambda e, X, y: e().fit(np.where(X > 0, X, np.nan), y),
    "infinity in X": lambda e, X, y: e().fit(np.where(X > 0, X, np.inf), y),
    "text in X": lambda e, X, y: e().fit(np.full(X.shape, "x"), y),
    "one dimension": lambda e, X, y: e().fit(X[:, 0], y),
    "no rows": lambda e, X, y: e().fit(X[:0], y[:0]),
    "rows do not fit": lambda e, X, y: e().fit(X, y[:-1]),
    "y missing": lambda e, X, y: e().fit(X, None),
    "a column as y": lambda e, X, y: e(tol=10.0).fit(X, y.reshape(-1, 1)),
    "complex X": lambda e, X, y: e().fit(X + 1j, y),
    "predict before fit": lambda e, X, y: e().predict(X),
    "other features": lambda e, X, y: e(tol=10.0).fit(X, y).predict(X[:, :2]),
    "NaN to predict": lambda e, X, y: e(tol=10.0).fit(X, y).predict(X * np.nan),
    "validation set too small": fits(early_stopping=True, validation_fraction=0.01),
    "partial_fit with early_stopping": lambda e, X, y: e(early_stopping=True).partial_fit(
        X, y, **get_classes(e, y)
    ),
    "partial_fit with other features": lambda e, X, y: call_again(
        e(), lambda m: m.partial_fit(X, y, **get_classes(e, y))
    ).partial_fit(X[:, :2], y),
    "too large": lambda e, X, y: e(solver="sgd", random_state=0).fit(X * 1e200, y),
}
CLASSIFIER_SITUATIONS = {
    "partial_fit with lbfgs": lambda e, X, y: e(solver="lbfgs").partial_fit,
    "partial_fit without classes": lambda e, X, y: e().partial_fit(X, y),
    "partial_fit with other classes": lambda e, X, y: call_again(
        e(), lambda m: m.partial_fit(X, y, classes=[0, 1, 2])
    ).partial_fit(X, y, classes=[0, 1]),
    "partial_fit with new classes": lambda e, X, y: call_again(
        e(), lambda m: m.partial_fit(X, y, classes=[0, 1, 2])
    ).partial_fit(X, y + 1),
    "warm_start with other classes": lambda e, X, y: (
        e(warm_start=True, tol=10.0).fit(X, y).fit(X, y % 2)
    ),
    "numbers as classes": lambda e, X, y: e().fit(X, y + 0.5),
    "several classes per row": lambda e, X, y: e().fit(X, np.column_stack([y, y])),
}


def get_classes(estimator, y):
    return {"classes": np.unique(y)} if "Classifier" in estimator.__name__ else {}


def get_beginning(text):
    """The beginning of a message, to which fastnn may add advice."""
    return re.split(r" \(|: y: |(?<=label type:)", text)[0]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, name) for kind in KINDS for name in SITUATIONS),
        *(("MLPClassifier", name) for name in CLASSIFIER_SITUATIONS),
    ],
)
def test_warnings_and_errors(kind, name, rng):
    X, y = data(rng, kind)
    situation = SITUATIONS.get(name) or CLASSIFIER_SITUATIONS[name]
    theirs, ours = (
        run_and_record(lambda e=e: situation(e, X.copy(), y.copy())) for e in PAIRS[kind]
    )
    theirs = [(cls, text) for cls, text in theirs if cls is not RuntimeWarning]  # from NumPy
    assert len(ours) == len(theirs)
    assert all(issubclass(a, b) for (a, _), (b, _) in zip(ours, theirs, strict=True))
    if name != "lbfgs not converged":  # whose text depends on scipy
        assert [get_beginning(text) for _, text in ours] == [
            get_beginning(text) for _, text in theirs
        ]
    silent = {"converged"}
    assert bool(theirs) == (name not in silent)


def test_situations_cover_all_warnings_and_errors():
    """The situations above raise every class of warning and error in scikit-learn's module."""
    source = inspect.getsource(neural_network._multilayer_perceptron)
    for named in (ConvergenceWarning, ValueError, AttributeError):
        assert named.__name__ in source
    assert issubclass(NotFittedError, ValueError)
    assert issubclass(DataConversionWarning, UserWarning)


@pytest.mark.parametrize("kind", KINDS)
def test_keyboard_interrupt(kind, rng, monkeypatch):
    X, y = data(rng, kind)
    theirs, ours = (estimator(random_state=0) for estimator in PAIRS[kind])
    for where, name in ((type(theirs), "_update_no_improvement_count"), (EpochMonitor, "after")):
        monkeypatch.setattr(where, name, interrupted_at(4, getattr(where, name)))
    for model in (theirs, ours):
        with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
            model.fit(X, y)
        assert model.n_iter_ == 4
        assert len(model.predict(X)) == len(X)
    assert ours.stop_reason_ == "interrupted by the user"


def interrupted_at(call, method):
    """The method, interrupted by Ctrl-C at the end of its n-th call."""
    calls = itertools.count(1)

    def interrupted(*args):
        method(*args)
        if next(calls) == call:
            raise KeyboardInterrupt

    return interrupted
