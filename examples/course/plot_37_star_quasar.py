r"""
Star or quasar?
===============

Quasars look like stars, but their light has another spectrum. A survey measures the magnitudes
:math:`u, g, r, i, z` of millions of objects through five filters; their differences, the *colors*
such as :math:`u - g`, are a coarse spectrum. A classical rule calls an object a quasar if it is
bright in the ultraviolet, :math:`u - g < 0.6`. A network uses all four colors,

.. math:: P(\text{quasar}) = \mathrm{sigmoid}\big(f(u-g,\; g-r,\; r-i,\; i-z)\big),

and also finds quasars at redshifts above 2.2, where this rule fails.

The data are **simulated** from published colors, see :func:`fastnn.datasets.make_star_quasar`.
With a table of SDSS (CSV with columns u, g, r, i, z and class), run
``python plot_37_star_quasar.py table.csv``.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn


def read_table(path):
    """Colors and labels (0 STAR, 1 QSO) of a CSV file; other rows, or -9999, are dropped."""
    table = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8")
    kinds = np.char.strip(table["class"])
    magnitudes = np.column_stack([table[band] for band in "ugriz"]).astype(float)
    used = np.isin(kinds, ["STAR", "QSO"]) & (magnitudes > 0).all(axis=1)
    return -np.diff(magnitudes[used], axis=1), (kinds[used] == "QSO").astype(int)


path = next((argument for argument in sys.argv[1:] if argument.endswith(".csv")), None)
X, y = fn.datasets.make_star_quasar(4000, random_state=0) if path is None else read_table(path)
X_train, X_test, y_train, y_test = fn.train_test_split(X, y, random_state=0, stratify=y)

# %%
# The network, and the rule on one color, on objects that were not used in training.
scaler = fn.Standardizer().fit(X_train)
net = fn.Sequential(fn.Dense(32, "tanh"), fn.Dense(1, "sigmoid"), random_state=0)
net.fit(scaler.transform(X_train), y_train, epochs=60, optimizer=fn.optimizers.Adam(0.01))
predicted = net.predict(scaler.transform(X_test))[:, 0] > 0.5
result = {
    "rows": len(X),
    "network": float(np.mean(predicted == y_test)),
    "rule": float(np.mean((X_test[:, 0] < 0.6) == y_test)),
}
print(f"accuracy: network {result['network']:.3f}, rule u - g < 0.6 {result['rule']:.3f}")

# %%
# The test objects in two of the four colors.
plt.figure(figsize=(5, 4), layout="constrained")
for label, name, color, marker in ((0, "star", "#0072B2", "o"), (1, "quasar", "#D55E00", "x")):
    plt.scatter(*X_test[y_test == label, :2].T, s=12, c=color, marker=marker, label=name, lw=0.8)
wrong = predicted != y_test
plt.scatter(*X_test[wrong, :2].T, s=60, facecolors="none", edgecolors="black", label="wrong")
plt.axvline(0.6, color="0.4", linestyle=":", label="u - g = 0.6")
plt.title("simulated data" if path is None else path)
plt.xlabel("u - g")
plt.ylabel("g - r")
plt.legend(framealpha=1)
