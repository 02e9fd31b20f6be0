r"""
More data, and augmentation by noise
====================================

The surest cure for overfitting is more data. If there is none, *augmentation* makes new rows of the
old ones by changes that do not change the target, here Gaussian noise,

.. math:: \tilde x = x + \sigma \epsilon, \qquad \epsilon \sim \mathcal{N}(0, I).

For small :math:`\sigma` and squared error, training with such noise is like a penalty
:math:`\sigma^2 \lVert \partial f / \partial x \rVert^2` on the derivatives of the network: its
outputs become smooth around the rows (C. Bishop, Neural Computation 7, 1995).
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.statistics import estimate

X, y = fn.datasets.load_breast_cancer()
X = fn.Standardizer().fit_transform(X)
SIZES, COPIES, SIGMA, N_SETS = (50, 100, 200, 400), 20, 0.8, 10

# %%
# For each number of rows, ten random training sets: as they are, and as 20 noisy copies. Both have
# the same number of steps. The other rows, at least 169, are for testing.


def train(size, seed, copies, sigma):
    rng = np.random.default_rng(seed)
    train, test = np.split(rng.permutation(len(X)), [size])
    rows = np.tile(X[train], (copies, 1))
    rows += rng.normal(scale=sigma, size=rows.shape)
    net = fn.Sequential(fn.Dense(64, "relu"), fn.Dense(1, "sigmoid"), random_state=seed)
    net.fit(
        rows, np.tile(y[train], copies), epochs=16000 // len(rows),
        optimizer=fn.optimizers.Adam(0.003),
    )  # fmt: skip
    return net.evaluate(X[test], y[test])["loss"]


CASES = {"as they are": (1, 0.0), "with noise": (COPIES, SIGMA)}
losses = {
    name: [estimate([train(size, seed, *case) for seed in range(N_SETS)]) for size in SIZES]
    for name, case in CASES.items()
}
result = {}
for name, estimates in losses.items():
    for size, one in zip(SIZES, estimates, strict=True):
        result[f"{size}, {name}"] = one.mean
        print(f"{size} rows {name}: test loss {one}")

# %%
# Means and standard errors.
plt.figure(figsize=(5, 3.6), layout="constrained")
for (name, estimates), style in zip(losses.items(), ("o-", "^--"), strict=True):
    means, stds = zip(*[(one.mean, one.std) for one in estimates], strict=True)
    color = "#0072B2" if name == "as they are" else "#D55E00"
    plt.errorbar(
        SIZES, means, np.divide(stds, N_SETS**0.5), fmt=style, color=color, capsize=3, label=name
    )
plt.xscale("log")
plt.xticks(SIZES, SIZES)
plt.minorticks_off()
plt.xlabel("training rows")
plt.ylabel("test loss")
plt.legend()
