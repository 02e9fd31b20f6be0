r"""
Cross-validation of a learning rate
===================================

Which learning rate is best? The training loss does not say how a network predicts new rows, and one
held-out set is a matter of chance. *Cross-validation* divides the rows into :math:`k` folds, trains
:math:`k` networks, each without one fold, and averages their scores on the folds left out:

.. math:: \mathrm{CV}(\eta) = \frac{1}{k} \sum_{j=1}^{k}
          \mathrm{score}_j\big(w_{-j}(\eta)\big).

The choice is made on these scores, so the result is measured on test rows that had no part in it.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.statistics import estimate

X, y = fn.datasets.load_digits()
X_train, X_test, y_train, y_test = fn.train_test_split(X / 16, y, random_state=0, stratify=y)
RATES, K = np.geomspace(1e-4, 1.0, 9), 5
LAYERS = fn.Dense(32, "relu"), fn.Dense(10, "softmax")

# %%
# All networks of all folds and rates in one call.
folds = np.random.default_rng(0).permutation(len(X_train)) % K
settings = [(rate, fold) for rate in RATES for fold in range(K)]
runs = fn.fit_many(
    [fn.Sequential(*LAYERS, random_state=fold) for _, fold in settings],
    X_train, y_train, epochs=10,
    optimizer=[fn.optimizers.Adam(rate) for rate, _ in settings],
    subsets=[folds != fold for _, fold in settings], validation_data="held out",
)  # fmt: skip
scores = np.array([run.score for run in runs]).reshape(len(RATES), K)
best = int(scores.mean(axis=1).argmax())
for rate, values in zip(RATES, scores, strict=True):
    print(f"learning rate {rate:.4f}: accuracy {estimate(values)}")

# %%
# The network for use is trained on all training rows with the best rate.
net = fn.Sequential(*LAYERS, random_state=0)
net.fit(X_train, y_train, epochs=10, optimizer=fn.optimizers.Adam(RATES[best]))
result = {
    "rate": float(RATES[best]),
    "cross-validated": float(scores[best].mean()),
    "test": net.evaluate(X_test, y_test)["accuracy"],
}
print(f"best {result['rate']:.4f}: {result['cross-validated']:.3f}, on test rows ", end="")
print(f"{result['test']:.3f}")

# %%
# Mean and standard deviation over the folds.
plt.figure(figsize=(5, 3.6), layout="constrained")
spread = scores.std(axis=1, ddof=1)
plt.errorbar(RATES, scores.mean(axis=1), spread, color="#0072B2", marker="o", capsize=3)
chosen = {"color": "#D55E00", "markersize": 12, "fillstyle": "none", "label": "chosen"}
plt.plot(RATES[best], scores[best].mean(), "s", **chosen)
plt.xscale("log")
plt.xlabel("learning rate")
plt.ylabel("accuracy on the fold left out")
plt.legend(loc="lower center")
