"""`fastnn.plot`: what each function draws, compared with pictures of earlier runs in `baselines`,
and the input that it rejects."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fastnn as fn

matplotlib = pytest.importorskip("matplotlib")

BASELINES = Path(__file__).parent / "baselines"

# Root mean square of the differences of pixels from 0 to 255. Another version of matplotlib that
# places text one pixel further gives about 5; a missing line gives more.
TOLERANCE = 8.0


@pytest.fixture(autouse=True)
def pyplot():
    """Default settings, whatever the user's are, and no figures or settings left."""
    before = matplotlib.get_backend()
    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield pyplot
    pyplot.close("all")
    matplotlib.use(before)


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
            "dead_fraction": np.minimum(1, 0.02 * epoch * layer),
            "saturated_fraction": np.where(layer == 2, np.nan, 0.04 * epoch),
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


EXAMPLES = {name[5:]: draw for name, draw in list(globals().items()) if name.startswith("draw_")}
del EXAMPLES["directions"]  # a function of fastnn


# ---- pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES)
def test_picture(name, ax, tmp_path):
    """To accept a changed picture, look at it and copy it to the baselines: `WRITE=1` in the
    environment does that."""
    from matplotlib.testing.compare import compare_images

    figure = EXAMPLES[name](ax).figure
    figure.savefig(tmp_path / f"{name}.png", dpi=100, metadata={"Software": None})
    baseline = BASELINES / f"{name}.png"
    assert compare_images(str(baseline), str(tmp_path / f"{name}.png"), TOLERANCE) is None
