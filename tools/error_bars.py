"""Draw docs/error-bars.png, the figure of docs/error-bars.md, with the computations of that page.

Run `python tools/error_bars.py [file]` from the root of a clone; needs matplotlib and scikit-learn.
"""

import sys
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import numpy as np
from matplotlib import pyplot
from matplotlib.ticker import MaxNLocator

import fastnn as fn
from fastnn.statistics import estimate

SEEDS, FOLDS = 20, 5


def draw_seeds(axes):
    """Draw the accuracy of each seed, with the mean and standard deviation."""
    X, y = fn.datasets.load_digits()
    X_train, X_test, y_train, y_test = fn.train_test_split(X / 16, y, random_state=0, stratify=y)
    nets = [fn.Sequential(fn.Dense(32, "relu"), fn.Dense(10, "softmax"), random_state=seed)
            for seed in range(SEEDS)]  # fmt: skip
    runs = fn.fit_many(nets, X_train, y_train, epochs=10, validation_data=(X_test, y_test))
    scores = [run.score for run in runs]
    mean, std = estimate(scores).mean, estimate(scores).std
    axes.plot(range(SEEDS), scores, "o", markersize=4)
    axes.axhline(mean, color="black", linewidth=1)
    axes.axhspan(mean - std, mean + std, color="black", alpha=0.1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(title=f"one network, {SEEDS} seeds: {estimate(scores)}", xlabel="seed",
             ylabel="test accuracy")  # fmt: skip


def draw_pairs(axes):
    """Draw R2 of two activations, one point for each pair of fold and seed."""
    X, y = fn.datasets.load_concrete()
    X, y = fn.Standardizer().fit_transform(X), (y - y.mean()) / y.std()
    rows = np.random.default_rng(0).permutation(len(X))
    folds = [np.delete(rows, np.s_[k::FOLDS]) for k in range(FOLDS)]
    nets, subsets = [], []
    for activation in ("relu", "tanh"):
        for fold in folds:
            for seed in range(4):
                hidden = fn.Dense(32, activation)
                nets.append(fn.Sequential(hidden, hidden, fn.Dense(1), random_state=seed))
                subsets.append(fold)
    runs = fn.fit_many(nets, X, y, epochs=50, optimizer=fn.optimizers.Adam(0.003),
                       subsets=subsets, validation_data="held out")  # fmt: skip
    relu, tanh = np.array([run.score for run in runs]).reshape(2, FOLDS, -1)
    gain = runs.compare({"layers": "32 relu, 32 relu, 1 linear"},
                        {"layers": "32 tanh, 32 tanh, 1 linear"})  # fmt: skip
    for k in range(FOLDS):
        axes.plot(tanh[k], relu[k], "o", markersize=4, label=f"fold {k + 1}")
    ends = [min(relu.min(), tanh.min()), max(relu.max(), tanh.max())]
    axes.plot(ends, ends, color="black", linewidth=1)
    axes.legend(fontsize=7)
    axes.set(title=f"relu - tanh: {gain.mean:.4f}, standard error {gain.standard_error:.4f}",
             xlabel="held-out R2 with tanh", ylabel="held-out R2 with relu")  # fmt: skip


def draw_rows(axes):
    """Draw a learning curve with bands of one standard deviation."""
    X, y = fn.datasets.load_digits()
    model = fn.MLPClassifier((32,), batch_size=32, max_iter=20, tol=0, random_state=0)
    curve = fn.learning_curve(model, X / 16, y, train_sizes=[100, 200, 400, 800, 1437],
                              shuffle=True, random_state=0)  # fmt: skip
    curve.plot(axes)
    n = curve.table()["count"][0]
    axes.set(title=f"mean ± standard deviation (n = {n} each)", xlabel="training rows",
             ylabel="accuracy")  # fmt: skip


def draw_disagreement(axes):
    """Draw histograms of an ensemble's disagreement, for digits classified right and wrong."""
    X, y = fn.datasets.load_digits()
    X_train, X_test, y_train, y_test = fn.train_test_split(X / 16, y, random_state=0, stratify=y)
    base = fn.MLPClassifier((32,), batch_size=32, max_iter=20, random_state=0)
    ensemble = fn.MLPEnsemble(base, n_estimators=10).fit(X_train, y_train)
    labels, std = ensemble.predict(X_test, return_std=True)
    correct, edges = labels == y_test, np.linspace(0, std.max(), 16)
    for name, chosen in (("correct", correct), ("wrong", ~correct)):
        weights = np.full(chosen.sum(), 1 / chosen.sum())
        axes.hist(std[chosen], edges, weights=weights, alpha=0.6, label=f"{chosen.sum()} {name}")
    axes.legend()
    axes.set(title="an ensemble of ten", xlabel="standard deviation of the predicted probability",
             ylabel="fraction of test digits")  # fmt: skip


def main(path):
    """Draw all four plots into one file."""
    warnings.simplefilter("ignore")  # the fits end by max_iter, as intended
    figure, axes = pyplot.subplots(2, 2, figsize=(10, 7), layout="constrained")
    for draw, ax in zip(
        (draw_seeds, draw_pairs, draw_rows, draw_disagreement), axes.ravel(), strict=True
    ):
        draw(ax)
        ax.title.set_fontsize(10)
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs/error-bars.png")
