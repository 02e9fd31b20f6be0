"""`fastnn.plot`: what each function draws, compared with pictures of earlier runs in `baselines`,
and the input that it rejects."""

import inspect
import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fastnn as fn
from fastnn.activations import NAMES, PARAMETERS, Activation
from fastnn.plot.directions import draw_directions, project
from fastnn.plot.reliability import compute_calibration
from fastnn.reference import FUNCTIONS, softmax

matplotlib = pytest.importorskip("matplotlib")

BASELINES = Path(__file__).parent / "baselines"

# Root mean square of the differences of pixels, from 0 to 255.
TOLERANCE = 2.0


@pytest.fixture(autouse=True)
def pyplot(pyplot):
    """With the default settings, whatever the user's are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield pyplot


@pytest.fixture
def ax(pyplot):
    """Axes of a picture 400 pixels wide."""
    return pyplot.subplots(figsize=(4, 3), dpi=100, layout="constrained")[1]


# ---- examples ------------------------------------------------------------------------------------


def make_moons(n=150):
    """Two interleaved half circles with noise, and their labels."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    angle = np.pi * rng.random(n)
    X = np.column_stack([np.cos(angle), np.sin(angle)]) * np.where(y, -1, 1)[:, None]
    return X + [0, 0.5] * y[:, None] + [1, 0] * y[:, None] + 0.15 * rng.normal(size=(n, 2)), y


def make_blobs(n=120):
    """Three clusters, and their labels."""
    rng = np.random.default_rng(1)
    y = np.arange(n) % 3
    return np.array([[0, 0], [3, 1], [1, 3]])[y] + 0.6 * rng.normal(size=(n, 2)), y


def fit_moons(**options):
    X, y = make_moons()
    net = fn.Sequential(fn.Dense(16, "tanh"), fn.Dense(1, "sigmoid"), random_state=0)
    net.fit(X, y, epochs=60, optimizer=fn.optimizers.Adam(0.03), **options)
    return net


def draw_two_classes(ax):
    return fn.plot.decision_boundary(fit_moons(), *make_moons(), eps=0.5, ax=ax)


def draw_three_classes(ax):
    X, y = make_blobs()
    net = fn.Sequential(fn.Dense(16, "tanh"), fn.Dense(3, "softmax"), random_state=0)
    net.fit(X, y, epochs=60)
    return fn.plot.decision_boundary(net, X, y, ax=ax)


def draw_regression(ax):
    X, _ = make_moons()
    y = X[:, 0] ** 2 - X[:, 1]
    net = fn.Sequential(fn.Dense(16, "tanh"), fn.Dense(1), random_state=0)
    net.fit(X, y, epochs=60)
    return fn.plot.decision_boundary(net, X, y, eps=0.5, ax=ax)


def draw_network(ax):
    layers = [fn.Dense(8, "relu"), fn.Residual(fn.Dense(20, "relu"), fn.Dense(8)), fn.Dense(2)]
    net = fn.Sequential(*layers, random_state=0).build(n_features=3)
    return fn.plot.network(net, max_units=6, ax=ax)


def draw_activation(ax):
    return fn.plot.activation("gelu", ax=ax)


def draw_schedule(ax):
    return fn.plot.schedule(fn.schedules.OneCycle(0.01), 200, ax=ax)


def draw_surface(ax):
    X, y = make_moons()
    path = []
    net = fit_moons(callbacks=[lambda epoch: path.append(epoch.network.parameters.copy())])
    options = {"path": path[::4], "directions": "pca", "grid_resolution": 15}
    return fn.plot.loss_surface(net, X, y, ax=ax, **options)


def draw_confusion(ax):
    X, y = make_blobs()
    net = fn.Sequential(fn.Dense(3, "softmax"), random_state=0)
    net.fit(X, y, epochs=30, optimizer=fn.optimizers.Adam(0.02))
    return fn.plot.confusion(y, net, X, display_labels=["setosa", "versicolor", "virginica"], ax=ax)


def make_probabilities(n=5000):
    """Overconfident probabilities, and labels."""
    rng = np.random.default_rng(0)
    z = 2 * rng.normal(size=n)
    return (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int), 1 / (1 + np.exp(-2 * z))


def draw_calibration(ax):
    y, p = make_probabilities()
    return fn.plot.calibration(y, p, n_bins=8, name="overconfident", ax=ax)


def make_range_test():
    X, y = make_blobs()
    net = fn.Sequential(fn.Dense(16, "tanh"), fn.Dense(3, "softmax"), random_state=0)
    return fn.lr_range_test(net, X, y, n_seeds=4)


def draw_lr_range(ax):
    return fn.plot.lr_range(make_range_test(), ax=ax)


def make_history():
    """An object with the table `layers` of a fit: 3 layers, 20 epochs."""
    epoch, layer = (a.ravel() for a in np.meshgrid(np.arange(1, 21), np.arange(3), indexing="ij"))
    return SimpleNamespace(
        layers={
            "epoch": epoch,
            "layer": layer,
            "gradient_norm": 10.0 ** (-epoch / 10 - layer),
            "update_ratio": 0.01 / epoch * (1 + layer),
            "dead": np.minimum(1, 0.02 * epoch * layer),
            "saturated": np.where(layer == 2, np.nan, 0.04 * epoch),
        }
    )


def draw_diagnostics(ax):
    figure = ax.figure
    figure.clf()
    figure.set_size_inches(4, 5)
    return fn.plot.diagnostics(make_history(), ax=figure.subplots(4, 1, sharex=True))[0]


def make_fit():
    X, y = make_moons()
    net = fn.Sequential(fn.Dense(16, "tanh"), fn.Dense(1, "sigmoid"), random_state=0)
    adam = fn.optimizers.Adam(fn.schedules.CosineDecay(0.1))
    options = {"validation_data": make_moons(60), "optimizer": adam, "batch_size": 8}
    return net.fit(X, y, epochs=30, **options)


def draw_history(ax):
    return make_fit().plot(ax)


EXAMPLES = {
    "activation": draw_activation,
    "calibration": draw_calibration,
    "confusion": draw_confusion,
    "diagnostics": draw_diagnostics,
    "history": draw_history,
    "loss_surface": draw_surface,
    "lr_range": draw_lr_range,
    "network": draw_network,
    "regression": draw_regression,
    "schedule": draw_schedule,
    "three_classes": draw_three_classes,
    "two_classes": draw_two_classes,
}


# ---- pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES)
def test_picture(name, ax, tmp_path):
    """To accept changed pictures, run the test with `FASTNN_WRITE_BASELINES=1` in the environment,
    and look at them."""
    from matplotlib.testing.compare import compare_images

    drawn, baseline = tmp_path / f"{name}.png", BASELINES / f"{name}.png"
    figure = EXAMPLES[name](ax).figure
    hide_texts(figure)
    figure.savefig(drawn, dpi=100, metadata={"Software": None})
    if os.environ.get("FASTNN_WRITE_BASELINES"):
        write_small(drawn, baseline)
    assert compare_images(str(baseline), str(drawn), TOLERANCE) is None


def hide_texts(figure):
    """Texts and legends are checked by their contents: each version of matplotlib draws letters in
    other sizes."""
    for text in figure.findobj(matplotlib.text.Text):
        text.set_visible(False)
    for ax in figure.axes:
        ax.tick_params(which="both", labelleft=False, labelright=False, labelbottom=False)
        if ax.get_legend():
            ax.get_legend().remove()


def write_small(source, target):
    """Copy a picture with 256 colors, in a third of the bytes."""
    from PIL import Image

    with Image.open(source) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)


@pytest.mark.parametrize("name", EXAMPLES)
def test_texts_are_legible_and_within_the_picture(name, ax):
    """At a width of 400 pixels, the letters are at least 8 points high."""
    figure = EXAMPLES[name](ax).figure
    figure.canvas.draw()
    texts = [t for t in figure.findobj(matplotlib.text.Text) if t.get_visible() and t.get_text()]
    shown = [text for text in texts if is_drawn(text, figure)]
    assert len(shown) > 5
    for text in shown:
        box = text.get_window_extent()
        assert text.get_fontsize() >= 8, text
        assert min(box.x0, box.y0) >= -1, text
        assert box.x1 <= figure.bbox.width + 1, text
        assert box.y1 <= figure.bbox.height + 1, text


def is_drawn(text, figure):
    """Whether a text is drawn: labels of ticks beyond the limits of an axis are not."""
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            if any(text in (tick.label1, tick.label2) for tick in ticks):
                low, high = sorted(axis.get_view_interval())
                tick = next(t for t in ticks if text in (t.label1, t.label2))
                return low <= tick.get_loc() <= high
    return True


def test_baselines_are_those_of_the_examples():
    assert {path.stem for path in BASELINES.iterdir()} == set(EXAMPLES)
    for path in BASELINES.iterdir():
        assert path.stat().st_size < 40_000, path


def test_settings_of_matplotlib_do_not_change(ax, pyplot):
    before = dict(matplotlib.rcParams)
    for draw in (draw_network, draw_two_classes, draw_history):
        draw(None)
    assert dict(matplotlib.rcParams) == before


def test_new_figures_are_made_without_axes(pyplot):
    axes = [draw(None) for draw in (draw_activation, draw_schedule, draw_calibration)]
    assert [one.figure.number for one in axes] == pyplot.get_fignums()


# ---- decision_boundary ---------------------------------------------------------------------------


def read_legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def read_boundary(ax):
    """The points of the black contour."""
    return np.concatenate([
        path.vertices for lines in ax.collections
        if (lines.get_edgecolor() == (0, 0, 0, 1)).all() and not lines.get_fill()
        for path in lines.get_paths()
    ])  # fmt: skip


def make_separator(activation="sigmoid", n_features=2):
    """A network whose boundary is the line x + 2 y = 1 of its first two features."""
    net = fn.Sequential(fn.Dense(1, activation)).build(n_features=n_features)
    net.weights[0] = np.eye(n_features, 2) @ [[1.0], [2.0]]
    net.biases[0] = [-1.0]
    return net


def test_boundary_is_where_the_probability_is_one_half(ax):
    X, y = make_moons()
    fn.plot.decision_boundary(make_separator(), X, y, ax=ax)
    x = read_boundary(ax)
    assert len(x) > 20
    np.testing.assert_allclose(x @ [1, 2], 1, atol=0.02)
    assert read_legend(ax) == ["0", "1"]
    points = [c.get_offsets() for c in ax.collections if len(c.get_offsets()) > 1]
    assert [len(p) for p in points] == [75, 75]
    np.testing.assert_allclose(points[1], X[y == 1])


def test_boundary_of_logits_is_at_zero(ax):
    net = make_separator("linear")
    net.fit(*make_moons(), loss="binary_cross_entropy", epochs=0)
    net.partial_fit(*make_moons(), loss="hinge", optimizer=fn.optimizers.SGD(1e-9))
    fn.plot.decision_boundary(net, make_moons()[0], ax=ax)
    np.testing.assert_allclose(read_boundary(ax) @ [1, 2], 1, atol=0.02)


def test_features_and_fixed_values(ax):
    """Other features have their mean, unless fixed."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4)) + np.array([0, 0, 3, 0])
    net = make_separator(n_features=4)
    net.weights[0] = [[1.0], [2.0], [1.0], [1.0]]
    fn.plot.decision_boundary(net, X, features=(1, 0), fixed={3: 5.0}, ax=ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("feature 1", "feature 0")
    expected = 1 - X[:, 2].mean() - 5.0
    np.testing.assert_allclose(read_boundary(ax) @ [2, 1], expected, atol=0.05)


def test_data_frames_have_named_features(ax):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=["a", "b", "c"])
    net = fn.Sequential(fn.Dense(1), random_state=0)
    net.fit(X, X["a"], epochs=1)
    fn.plot.decision_boundary(net, X, X["a"], features=("c", 0), fixed={"b": 1.0}, ax=ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("c", "a")
    # scikit-learn warns if a model that was fitted on named features predicts others.
    linear_model = pytest.importorskip("sklearn.linear_model")
    model = linear_model.LinearRegression().fit(X, X["a"])
    fn.plot.decision_boundary(model, X, features=("a", "b"), ax=ax)


def test_estimators_of_scikit_learn(pyplot):
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.svm import SVC, LinearSVC

    (X, y), (X3, y3) = make_moons(), make_blobs()
    names = np.array(["red", "green", "blue"])
    for model in (LogisticRegression(), LinearSVC()):
        ax = fn.plot.decision_boundary(model.fit(X, y), X, y)
        w, b = model.coef_[0], model.intercept_[0]
        np.testing.assert_allclose(read_boundary(ax) @ w, -b, atol=0.02)
    for method in ("decision_function", "predict"):
        ax = fn.plot.decision_boundary(
            SVC().fit(X3, names[y3]), X3, names[y3], response_method=method, grid_resolution=20
        )
        assert read_legend(ax) == ["blue", "green", "red"]
    ax = fn.plot.decision_boundary(LinearRegression().fit(X, X[:, 0]), X, X[:, 0])
    assert ax.figure.axes[1].get_ylabel() == "prediction"


def test_estimators_of_fastnn(pyplot):
    pytest.importorskip("sklearn")
    X, y = make_blobs()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fit has not converged
        model = fn.MLPClassifier((8,), max_iter=5, random_state=0).fit(X, y)
    assert read_legend(fn.plot.decision_boundary(model, X, y)) == ["0", "1", "2"]
    nets = [fn.Sequential(fn.Dense(3, "softmax"), random_state=seed) for seed in range(2)]
    ensemble = fn.fit_many(nets, X, y, epochs=1).ensemble()
    assert read_legend(fn.plot.decision_boundary(ensemble, X)) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"X": np.ones((5, 3))}, ValueError, r"X: expected 2 features; got 3: .*features=\(0, 1\)"),
        ({"X": np.ones(5)}, ValueError, r"X: expected shape \(n, m\)"),
        ({"X": [["a", "b"]]}, TypeError, "X: expected real numbers"),
        ({"features": (0, 2)}, ValueError, "features: expected a whole number .* at most 1; got 2"),
        ({"features": (0, 0)}, ValueError, "features: expected two different features"),
        ({"features": 1}, ValueError, "features: expected two features; got 1"),
        ({"features": (0, "b")}, ValueError, "features: expected one of"),
        ({"fixed": {0: 1.0}}, ValueError, "fixed: expected features other than"),
        ({"fixed": [1.0]}, TypeError, "fixed: expected a dictionary"),
        ({"grid_resolution": 1}, ValueError, "grid_resolution: expected"),
        ({"eps": -1}, ValueError, "eps: expected"),
        ({"response_method": "score"}, ValueError, "response_method: expected one of"),
        ({"response_method": "predict_proba"}, TypeError, "model: expected an object with the"),
        ({"model": np.sin}, TypeError, "model: expected an object with the method predict"),
        ({"model": fn.Sequential(fn.Dense(1))}, ValueError, "model: expected a built network"),
        (
            {"model": fn.Sequential(fn.Dense(2)).build(2)}, ValueError,
            "model: expected one output, or classes; got 2 outputs",
        ),
        ({"y": np.ones(3)}, ValueError, r"y: expected one value per row of X, \(150,\)"),
        ({"y": np.full(150, 2)}, ValueError, r"y: expected the classes .*, \[0, 1\]; got 2"),
        ({"ax": 1}, TypeError, "ax: expected matplotlib axes; got 1"),
    ],
)  # fmt: skip
def test_bad_input_of_decision_boundary(change, kind, message, pyplot):
    arguments = {"model": make_separator(), "X": make_moons()[0], "y": make_moons()[1]} | change
    with pytest.raises(kind, match=message):
        fn.plot.decision_boundary(**arguments)
    assert not pyplot.get_fignums()


# ---- network -------------------------------------------------------------------------------------


def test_edges_of_a_network(ax):
    net = fn.Sequential(fn.Dense(2, "tanh"), fn.Dense(1)).build(n_features=2)
    net.weights[0] = [[1.0, -2.0], [0.0, 4.0]]
    net.weights[1] = [[-1.0], [-1.0]]
    fn.plot.network(net, ax=ax)
    edges = [c for c in ax.collections if isinstance(c, matplotlib.collections.LineCollection)]
    positive, negative, none, last = edges
    assert list(positive.get_linewidths()) == pytest.approx([0.75, 3.0])  # the largest is 3
    assert list(negative.get_linewidths()) == pytest.approx([1.5])
    assert (len(none.get_segments()), len(last.get_segments())) == (0, 2)
    colors = {str(c.get_color()) for c in (positive, negative)}
    assert len(colors) == 2
    assert positive.get_linestyle() != negative.get_linestyle()
    (x0, y0), (x1, y1) = negative.get_segments()[0]  # from the first input to the second unit
    assert (x0, x1) == (0, 1)
    assert y0 > 0 > y1
    assert read_legend(ax) == ["weight > 0", "weight < 0"]


def count_nodes(ax):
    """The number of units of each layer that are drawn, and whether there is an ellipsis."""
    nodes = [c for c in ax.collections if isinstance(c, matplotlib.collections.PathCollection)]
    counts = {}
    for column in nodes:
        x = column.get_offsets()[0][0]
        counts.setdefault(x, []).append(len(column.get_offsets()))
    return list(counts.values())


def test_wide_layers_have_an_ellipsis(ax):
    net = fn.Sequential(fn.Dense(100, "relu"), fn.Dense(6)).build(n_features=7)
    fn.plot.network(net, max_units=6, ax=ax)
    assert count_nodes(ax) == [[6, 3], [6, 3], [6]]
    assert [text.get_text() for text in ax.texts] == ["input\n7", "relu\n100", "linear\n6"]


def test_skip_connections_are_drawn(ax):
    inner = fn.Residual(fn.Dense(4, "relu"))
    layers = [fn.Dense(4), fn.Dropout(0.5), fn.Residual(fn.Dense(3), inner, fn.Dense(4))]
    with pytest.raises(ValueError, match="Residual"):
        fn.Sequential(*layers).build(2)  # the sizes of `inner` differ
    inner = fn.Residual(fn.Dense(3, "relu"))
    layers[2] = fn.Residual(fn.Dense(3), inner, fn.Dense(4))
    fn.plot.network(fn.Sequential(*layers).build(2), ax=ax)
    arcs = [line for line in ax.get_lines() if line.get_label() == "skip"]
    ends = [(line.get_xdata()[0], line.get_xdata()[-1]) for line in arcs]
    assert ends == [(1, 4), (2, 3)]


def test_bad_input_of_network(pyplot):
    with pytest.raises(ValueError, match="network: expected a built one"):
        fn.plot.network(fn.Sequential(fn.Dense(1)))
    with pytest.raises(TypeError, match="net: expected a Sequential"):
        fn.plot.network(fn.Dense(1))
    with pytest.raises(ValueError, match="max_units: expected"):
        fn.plot.network(make_separator(), max_units=1)
    assert not pyplot.get_fignums()


# ---- activation, schedule, lr_range --------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_activation_is_drawn_with_its_derivative(name, ax):
    value, derivative = fn.plot.activation(name, span=2, ax=ax).get_lines()
    z = value.get_xdata()
    assert (z[0], z[-1]) == (-2, 2)
    np.testing.assert_allclose(value.get_ydata(), Activation(name)(z), atol=1e-12)
    inner = (np.abs(z) > 0.01) & (np.abs(z) < 1.99)  # without the corner at 0, and the ends
    slopes = np.gradient(value.get_ydata(), z)
    np.testing.assert_allclose(derivative.get_ydata()[inner], slopes[inner], atol=1e-3)
    assert value.get_linestyle() != derivative.get_linestyle()
    assert value.get_color() != derivative.get_color()


def test_legend_of_an_activation_has_its_parameter(ax):
    fn.plot.activation(fn.activations.leaky_relu(0.2), ax=ax)
    assert read_legend(ax) == ["f(z) = leaky_relu(z), slope 0.2", "f'(z)"]


def test_schedule_is_drawn_step_by_step(ax):
    schedule = fn.schedules.Warmup(fn.schedules.CosineDecay(0.1), 5)
    (line,) = fn.plot.schedule(schedule, 20, ax=ax).get_lines()
    assert line.get_xdata().tolist() == list(range(20))
    expected = fn.schedules.rates(schedule, np.arange(20.0), 20)
    assert line.get_ydata().tolist() == expected.tolist()
    assert fn.plot.schedule(0.1, 3, ax=ax).get_lines()[1].get_ydata().tolist() == [0.1] * 3


def test_range_test_is_drawn_as_by_its_method(ax, pyplot):
    test = make_range_test()
    drawn = [line.get_xydata().tolist() for line in fn.plot.lr_range(test, ax=ax).get_lines()]
    assert drawn == [line.get_xydata().tolist() for line in test.plot().get_lines()]
    low, high = test.suggest()
    assert read_legend(ax) == [f"low {low:.2g}", f"high {high:.2g}"]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: fn.plot.activation("softmax"), ValueError, "name: expected an elementwise"),
        (lambda: fn.plot.activation("rely"), ValueError, "Did you mean 'relu'"),
        (lambda: fn.plot.activation("relu", span=0), ValueError, "span: expected"),
        (lambda: fn.plot.schedule(-0.1, 3), ValueError, "schedule: expected"),
        (lambda: fn.plot.schedule("cosine", 3), TypeError, "schedule: expected"),
        (lambda: fn.plot.schedule(0.1, 0), ValueError, "n_steps: expected"),
        (lambda: fn.plot.lr_range([0.1]), TypeError, "result: expected a result of"),
    ],
)
def test_bad_input_of_curves(call, kind, message, pyplot):
    with pytest.raises(kind, match=message):
        call()
    assert not pyplot.get_fignums()


# ---- loss_surface --------------------------------------------------------------------------------


def test_random_directions_have_the_norms_of_the_units():
    net = fit_moons()
    for direction in draw_directions(net, np.random.default_rng(0)):
        first, bias, last = np.split(direction, [32, 48])
        np.testing.assert_allclose(
            np.linalg.norm(first.reshape(2, 16), axis=0), np.linalg.norm(net.weights[0], axis=0)
        )
        assert np.linalg.norm(last[:-1]) == pytest.approx(np.linalg.norm(net.weights[1]), rel=1e-6)
        assert not bias.any()
        assert last[-1] == 0


def test_directions_of_units_without_weights_are_zero():
    net = make_separator()
    net.weights[0] = [[0.0], [0.0]]
    assert not draw_directions(net, np.random.default_rng(0)).any()


def test_projection_is_orthogonal(rng):
    plane, offsets = rng.normal(size=(2, 9)), rng.normal(size=(4, 9))
    coordinates = project(offsets, plane)
    np.testing.assert_allclose((offsets - coordinates @ plane) @ plane.T, 0, atol=1e-12)
    np.testing.assert_allclose(project([[2.0, 3.0]] @ plane, plane), [[2, 3]])


def test_loss_surface_does_not_change_the_network(ax):
    X, y = make_moons()
    net = fit_moons()
    before, history = net.parameters.copy(), net.history
    path = [before + 0.01, before]
    fn.plot.loss_surface(net, X, y, path=path, grid_resolution=4, ax=ax)
    assert (net.parameters == before).all()
    assert net.history is history
    assert (path[1] == before).all()
    net.partial_fit(X, y)
    other = fit_moons()
    assert (net.parameters == other.partial_fit(X, y).parameters).all()


def test_loss_surface_has_the_loss_of_the_network_in_its_center(ax, monkeypatch):
    """With a quadratic loss of two weights, all values are known."""
    from fastnn.plot import surface

    drawn = []
    monkeypatch.setattr(surface, "_draw_surface", lambda ax, result: drawn.append(result))
    net = fn.Sequential(fn.Dense(1, use_bias=False), dtype="float64").build(2)
    net.weights[0] = [[3.0], [4.0]]
    path = [[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]]
    X, y = np.eye(2), np.zeros(2)
    options = {"path": path, "directions": "pca", "grid_resolution": 5, "ax": ax}
    fn.plot.loss_surface(net, X, y, loss="squared_error", **options)
    (result,) = drawn
    assert result.losses[2, 2] == pytest.approx(12.5)
    np.testing.assert_allclose(np.linalg.norm(result.path, axis=1), [5, 0, 4])
    assert np.abs(result.path).max(axis=0) == pytest.approx(
        [result.a[-1] / 1.15, result.b[-1] / 1.15]
    )
    # The first point of the path are weights of 0, whose loss is 0.
    squares = (result.a - result.path[0, 0]) ** 2 + (result.b[:, None] - result.path[0, 1]) ** 2
    np.testing.assert_allclose(result.losses, squares / 2, atol=1e-12)


def test_an_infinite_loss_everywhere_is_an_error(pyplot):
    net = fn.Sequential(fn.Dense(1, "exp")).build(1)
    net.biases[0] = [1e4]
    with pytest.raises(ValueError, match="net: expected finite losses; got infinity or NaN"):
        fn.plot.loss_surface(net, [[0.0]], [1.0], loss="squared_error", grid_resolution=2)
    assert not pyplot.get_fignums()


def test_an_infinite_loss_is_left_out(ax):
    net = fn.Sequential(fn.Dense(1, "exp")).build(1)
    net.weights[0] = [[10.0]]
    fn.plot.loss_surface(
        net, [[1.0], [5.0]], [1.0, 2.0], loss="squared_error", span=50, grid_resolution=5, ax=ax
    )
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"net": fn.Dense(1)}, TypeError, "net: expected a Sequential"),
        ({"net": fn.Sequential(fn.Dense(1))}, ValueError, "network: expected a built one"),
        ({"X": np.ones((150, 3))}, ValueError, "X: expected 2 features"),
        ({"y": np.ones(3)}, ValueError, "y: expected"),
        ({"loss": "nothing"}, ValueError, "loss: expected one of"),
        ({"span": 0}, ValueError, "span: expected"),
        ({"grid_resolution": 1}, ValueError, "grid_resolution: expected"),
        ({"directions": "eigenvectors"}, ValueError, "directions: expected one of"),
        ({"directions": "pca"}, ValueError, "path: expected at least 2 points .*; got None"),
        ({"path": [[1.0, 2.0]]}, ValueError, r"path: expected shape \(n, 3\); got \(1, 2\)"),
        ({"path": [[1.0, 2.0], [1.0]]}, ValueError, "path: expected rows of equal length"),
        ({"path": [[1.0, 2.0, np.nan]]}, ValueError, "path: expected finite numbers"),
        ({"random_state": -1}, ValueError, "random_state: expected"),
    ],
)
def test_bad_input_of_loss_surface(change, kind, message, pyplot):
    arguments = {"net": make_separator(), "X": make_moons()[0], "y": make_moons()[1]} | change
    with pytest.raises(kind, match=message):
        fn.plot.loss_surface(**arguments)
    assert not pyplot.get_fignums()


# ---- confusion, calibration ----------------------------------------------------------------------

TRUE, PREDICTED = ["a", "a", "a", "b", "c", "c"], ["a", "a", "b", "b", "a", "c"]


def read_matrix(ax):
    return ax.collections[0].get_array().tolist()


def test_confusion_counts(ax):
    fn.plot.confusion(TRUE, PREDICTED, ax=ax)
    assert read_matrix(ax) == [[2, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert [text.get_text() for text in ax.texts] == list("210010101")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Predicted label", "True label")


@pytest.mark.parametrize("normalize", ["true", "pred", "all", None])
@pytest.mark.parametrize("labels", [None, ["c", "a"]])
def test_confusion_is_that_of_scikit_learn(normalize, labels, ax):
    metrics = pytest.importorskip("sklearn.metrics")
    fn.plot.confusion(TRUE, PREDICTED, normalize=normalize, labels=labels, ax=ax)
    expected = metrics.confusion_matrix(TRUE, PREDICTED, normalize=normalize, labels=labels)
    np.testing.assert_allclose(read_matrix(ax), expected)


def test_confusion_of_a_network_and_of_its_outputs(pyplot):
    X, y = make_blobs()
    net = fn.Sequential(fn.Dense(3, "softmax"), random_state=0)
    net.fit(X, y, epochs=20)
    expected = fn.metrics.confusion_matrix(y, net.predict(X).argmax(axis=1)).tolist()
    assert read_matrix(fn.plot.confusion(y, net, X)) == expected
    assert read_matrix(fn.plot.confusion(y, net.predict(X))) == expected
    X, y = make_moons()
    ax = fn.plot.confusion(y, make_separator(), X, include_values=False, colorbar=False)
    predicted = (X @ [1, 2] > 1).astype(int)
    assert read_matrix(ax) == fn.metrics.confusion_matrix(y, predicted).tolist()
    assert len(ax.texts) == 0
    assert len(ax.figure.axes) == 1


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_calibration_is_that_of_scikit_learn(strategy):
    reference = pytest.importorskip("sklearn.calibration")
    y, p = make_probabilities(300)
    p[:5] = 0.4  # on an edge
    expected = reference.calibration_curve(y, p, n_bins=5, strategy=strategy)
    fraction, mean = expected
    got = compute_calibration(y == 1, p, 5, strategy)
    np.testing.assert_allclose(got, [mean, fraction])


def test_calibration_of_several_models_on_the_same_axes(ax):
    y, p = make_probabilities()
    fn.plot.calibration(y, p, name="first", ax=ax)
    fn.plot.calibration(y, p**2, name="second", ax=ax)
    assert read_legend(ax) == ["perfectly calibrated", "first", "second"]
    assert len({line.get_color() for line in ax.get_lines()}) == 3
    assert ax.get_xlabel() == "mean predicted probability (positive class: 1)"


def test_calibration_of_columns(pyplot):
    def read(*args, **options):
        return fn.plot.calibration(*args, **options).get_lines()[-1].get_xydata().tolist()

    y, p = make_probabilities()
    both = np.column_stack([1 - p, p])
    three = np.column_stack([p / 2, 1 - p, p / 2])
    expected = read(y, p)
    assert read(y, both) == read(y[:, None], p[:, None]) == expected
    assert read(np.where(y == 0, 1, 2), three, pos_label=1) == read(1 - y, 1 - p)
    assert read(np.where(y, "yes", "no"), p, pos_label="yes") == expected


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: fn.plot.confusion([0, 1], [0]), ValueError, "y_pred: expected one label per row"),
        (lambda: fn.plot.confusion([0, 1], ["a", "b"]), TypeError, "y_pred: expected numbers"),
        (lambda: fn.plot.confusion(np.eye(2), [0, 1]), ValueError, r"y_true: expected shape"),
        (lambda: fn.plot.confusion([0, 1], make_separator()), ValueError, "X: expected the rows"),
        (
            lambda: fn.plot.confusion([0, 1], fn.Sequential(fn.Dense(1)).build(2), np.eye(2)),
            ValueError, "y_pred: expected a classifier",
        ),
        (
            lambda: fn.plot.confusion([0, 1], [0, 1], normalize="rows"), ValueError,
            "normalize: expected one of",
        ),
        (lambda: fn.plot.confusion([0, 1], [0, 1], labels=[5]), ValueError, "labels: expected s"),
        (
            lambda: fn.plot.confusion([0, 1], [0, 1], labels=[1, 1]), ValueError,
            "labels: expected different",
        ),
        (
            lambda: fn.plot.confusion([0, 1], [0, 1], display_labels=["a"]), ValueError,
            "display_labels: expected 2 names; got 1",
        ),
        (lambda: fn.plot.calibration([0, 1], [0.5]), ValueError, "y_true: expected shape"),
        (lambda: fn.plot.calibration([0, 1], [0.5, 1.5]), ValueError, "y_prob: expected numbers"),
        (lambda: fn.plot.calibration([0, 2], [0.5, 0.5]), ValueError, "pos_label: expected one of"),
        (
            lambda: fn.plot.calibration([0, 1], [0.5, 0.5], pos_label=3), ValueError,
            "pos_label: expected a label of y_true; got 3",
        ),
        (
            lambda: fn.plot.calibration([0, 1], np.ones((2, 3)) / 3), ValueError,
            "pos_label: expected a class from 0 to 2; got None",
        ),
        (lambda: fn.plot.calibration([0, 1], [0, 1], n_bins=0), ValueError, "n_bins: expected"),
        (
            lambda: fn.plot.calibration([0, 1], [0, 1], strategy="log"), ValueError,
            "strategy: expected one of",
        ),
    ],
)  # fmt: skip
def test_bad_input_of_classification(call, kind, message, pyplot):
    with pytest.raises(kind, match=message):
        call()
    assert not pyplot.get_fignums()


# ---- diagnostics ---------------------------------------------------------------------------------


def test_diagnostics_draws_layers_and_epochs(pyplot):
    panels = fn.plot.diagnostics(make_history())
    assert [panel.get_ylabel() for panel in panels] == ["layer"] * 4
    assert panels[-1].get_xlabel() == "epoch"
    grid = panels[0].collections[0].get_array()
    assert grid.shape == (3, 20)
    np.testing.assert_allclose(grid, 10.0 ** (-np.arange(1, 21) / 10 - np.arange(3)[:, None]))
    low, high = panels[0].get_ylim()
    assert low > high  # the first layer on top
    saturated = panels[3].collections[0]
    assert saturated.get_array().mask.tolist() == [[False] * 20, [False] * 20, [True] * 20]
    assert (saturated.norm.vmin, saturated.norm.vmax) == (0, 1)
    assert isinstance(panels[1].collections[0].norm, matplotlib.colors.LogNorm)


def test_diagnostics_of_a_value_on_existing_axes(ax):
    (panel,) = fn.plot.diagnostics(make_history(), "dead", ax=ax)
    assert panel is ax


def test_diagnostics_of_named_layers_and_a_missing_epoch(ax):
    layers = {"epoch": [2, 2, 5], "layer": ["b", "a", "b"], "gradient_norm": [0.0, 0.0, 0.0]}
    fn.plot.diagnostics(SimpleNamespace(layers=layers), ["gradient_norm"], ax=[ax])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "a"]
    assert ax.collections[0].get_array().tolist() == [[0, 0], [0, None]]
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    ("history", "options", "message"),
    [
        (fn.History(), {}, "history: expected one with values of the layers; got"),
        (SimpleNamespace(layers={"epoch": []}), {}, "history: expected one with values"),
        (make_history(), {"values": ["loss"]}, "values: expected one of"),
        (make_history(), {"values": []}, "values: expected at least one name"),
        (make_history(), {"values": ["std"]}, "values: expected some of"),
        (make_history(), {"ax": []}, "ax: expected 4 axes, one for each value; got 0"),
    ],
)
def test_bad_input_of_diagnostics(history, options, message, pyplot):
    with pytest.raises(ValueError, match=message):
        fn.plot.diagnostics(history, **options)
    assert not pyplot.get_fignums()


# ---- without matplotlib --------------------------------------------------------------------------


@pytest.mark.parametrize("name", fn.plot.__all__)
def test_without_matplotlib_the_error_names_the_extra(name, monkeypatch):
    """Before any other error: the arguments are wrong."""
    function = getattr(fn.plot, name)
    parameters = inspect.signature(function).parameters.values()
    wrong = [None for parameter in parameters if parameter.default is parameter.empty]
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(ImportError, match=rf"plot\.{name} needs matplotlib: .*'\.\[plot\]'"):
            function(*wrong)


# ---- activations and schedules as functions ------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_activation_can_be_called(name, dtype, rng):
    z = 3 * rng.normal(size=(4, 5)).astype(dtype)
    before = z.copy()
    activation = Activation(name)
    got = activation(z[:, ::2])
    assert (z == before).all()
    assert got.dtype == dtype
    wide = z[:, ::2].astype(np.float64)
    expected = (
        softmax(wide) if name == "softmax" else FUNCTIONS[name][0](wide, activation.parameter)
    )
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_an_activation_of_other_values():
    relu = Activation("relu")
    assert relu(-1).shape == ()
    assert relu([True, False]).tolist() == [1.0, 0.0]
    assert relu(np.empty((0, 3))).shape == (0, 3)
    with pytest.raises(TypeError, match="z: expected real numbers; got 'a'"):
        relu("a")
    for name, (_, default, _) in PARAMETERS.items():
        assert Activation(name, 2 * default)(-1.0) == 2 * Activation(name)(-1.0)


def test_a_schedule_can_be_called():
    linear = fn.schedules.LinearDecay(1.0)
    assert linear([[0, 5], [10, 20]], n_steps=10).tolist() == [[1.0, 0.5], [0.0, 0.0]]
    assert float(fn.schedules.Constant(0.5)(3)) == 0.5
    with pytest.raises(ValueError, match="n_steps: expected LinearDecay"):
        linear([1])
    with pytest.raises(ValueError, match="steps: expected numbers of at least 0; got -1"):
        linear([-1], 10)
    with pytest.raises(TypeError, match="steps: expected real numbers"):
        linear("3", 10)
    with pytest.raises(ValueError, match="n_steps: expected a whole number"):
        linear([1], 0)
