r"""
Error bars over seeds
=====================

A score depends on the seed of the initial weights and the shuffling. Two settings that are compared
by one run each may rank in the wrong order by chance. From :math:`n` seeds, the mean difference has
the standard error

.. math:: \mathrm{SE} = \frac{s}{\sqrt n},

with :math:`s` the standard deviation of the :math:`n` differences at equal seeds. Report the mean
with its standard error and with :math:`n`; a difference below two standard errors shows little.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.statistics import estimate, paired_difference

X, y = fn.datasets.load_digits()
X_train, X_test, y_train, y_test = fn.train_test_split(X / 16, y, random_state=0, stratify=y)

# %%
# Networks of 24 and of 32 units, with the same 40 seeds.
scores = {}
for units in (24, 32):
    nets = [
        fn.Sequential(fn.Dense(units, "relu"), fn.Dense(10, "softmax"), random_state=seed)
        for seed in range(40)
    ]
    runs = fn.fit_many(nets, X_train, y_train, epochs=20, validation_data=(X_test, y_test))
    scores[units] = np.array([run.score for run in runs])
    print(f"{units} units: test accuracy {estimate(scores[units])}")

# %%
# How often would one run of each have ranked them otherwise? All pairs of a run of one and a run of
# the other; a tie is no ranking.
gain = paired_difference(scores[32], scores[24])
misleading = np.mean(scores[32][:, None] <= scores[24])
result = {
    "difference": gain.mean, "standard error": gain.standard_error,
    "misleading": float(misleading),
}  # fmt: skip
print(f"difference {gain}; {misleading:.0%} of the pairs of single runs do not show it")

# %%
# Each point is a run; the bars are means and two standard errors.
plt.figure(figsize=(5, 3.6), layout="constrained")
jitter = np.random.default_rng(0).uniform(-0.15, 0.15, size=40)
for i, values in enumerate(scores.values()):
    e = estimate(values)
    plt.plot(i + jitter, values, "o", color="#0072B2", alpha=0.5, markersize=4)
    plt.errorbar(i + 0.25, e.mean, 2 * e.std / e.count**0.5, color="#D55E00", marker="s", capsize=5)
plt.xticks([0, 1], [f"{units} units" for units in scores])
plt.xlim(-0.5, 1.6)
plt.xlabel("hidden layer")
plt.ylabel("test accuracy")
