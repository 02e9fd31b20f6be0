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

X, y = fn.datasets.load_digits()
X_pool, X_test, y_pool, y_test = fn.train_test_split(X / 16, y, random_state=0, stratify=y)
SIZES, COPIES, SIGMA, N_SETS = (50, 100, 200, 400, 800), 20, 0.3, 10

# %%
# For each number of rows, ten random training sets: as they are, and as 20 noisy copies. Both have
# the same number of steps.


def train(X, y, epochs, seed):
    net = fn.Sequential(fn.Dense(64, "relu"), fn.Dense(10, "softmax"), random_state=seed)
    net.fit(X, y, epochs=epochs)
    return net.evaluate(X_test, y_test)["accuracy"]


rng = np.random.default_rng(0)
scores = {"as they are": [], "with noise": []}
for size in SIZES:
    subsets = [rng.choice(len(X_pool), size, replace=False) for _ in range(N_SETS)]
    epochs = 16000 // size
    plain = [train(X_pool[s], y_pool[s], epochs, seed) for seed, s in enumerate(subsets)]
    noisy = []
    for seed, s in enumerate(subsets):
        copies = np.tile(X_pool[s], (COPIES, 1))
        copies += rng.normal(scale=SIGMA, size=copies.shape)
        noisy.append(train(copies, np.tile(y_pool[s], COPIES), epochs // COPIES, seed))
    scores["as they are"].append(estimate(plain))
    scores["with noise"].append(estimate(noisy))

result = {f"{size}, {name}": scores[name][i].mean for i, size in enumerate(SIZES) for name in scores}
for name, value in result.items():
    print(f"{name:16} mean test accuracy {value:.3f}")

# %%
# Means and standard errors.
plt.figure(figsize=(5, 3.6), layout="constrained")
for (name, e), color, style in zip(scores.items(), ("#0072B2", "#D55E00"), "o^", strict=True):
    errors = [one.std / N_SETS**0.5 for one in e]
    plt.errorbar(
        SIZES, [one.mean for one in e], errors, color=color, marker=style, capsize=3, label=name
    )
plt.xscale("log")
plt.xticks(SIZES, SIZES)
plt.xlabel("training rows")
plt.ylabel("test accuracy")
plt.legend()
