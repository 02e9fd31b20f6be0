r"""
Underfitting and overfitting
============================

A network with too few units cannot follow the data: its errors on training rows and on new rows are
both high (*underfitting*). With too many, it also follows the noise of the training rows: the
training error falls, and the error on new rows rises (*overfitting*). The expected squared error on
new rows is the sum

.. math:: \mathrm{E}\,(y - \hat y)^2 = \sigma^2 + \mathrm{bias}^2 + \mathrm{variance},

of the noise, which no model can avoid, the bias, which falls with the number of units, and the
variance between training sets, which grows once the network can follow their noise.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

SIGMA, SIZES, N_SETS = 0.3, (1, 2, 3, 5, 10, 30), 12
rng = np.random.default_rng(0)
x = np.linspace(-1, 1, 15)[:, None]
x_new = np.linspace(-1, 1, 100)[:, None]


def draw(points):
    return np.sin(np.pi * points[:, 0]) + rng.normal(scale=SIGMA, size=len(points))


# %%
# 12 training sets of 15 noisy points; networks of 1 to 30 tanh units, trained by
# the Levenberg-Marquardt method.
targets = [draw(x) for _ in range(N_SETS)]
validation = [(x_new, draw(x_new)) for _ in range(N_SETS)]
errors = {"training": [], "new rows": []}
for units in SIZES:
    nets = [
        fn.Sequential(fn.Dense(units, "tanh"), fn.Dense(1), random_state=seed, dtype="float64")
        for seed in range(N_SETS)
    ]
    runs = fn.fit_many(
        nets, x, targets, optimizer="levenberg_marquardt", epochs=100, validation_data=validation
    )
    errors["training"].append(np.mean([run.history["loss"][-1] for run in runs]))
    errors["new rows"].append(np.mean([run.history["val_loss"][-1] for run in runs]))

best = int(np.argmin(errors["new rows"]))
result = {"best units": SIZES[best]}
for name, i in (("underfit", 0), ("best", best), ("overfit", len(SIZES) - 1)):
    result[f"{name}, training"] = float(errors["training"][i])
    result[f"{name}, new rows"] = float(errors["new rows"][i])
for name, value in result.items():
    print(f"{name:18} {value:.3g}")

# %%
# The two errors part where overfitting begins.
plt.figure(figsize=(5, 3.6), layout="constrained")
plt.loglog(SIZES, errors["training"], "o-", color="#0072B2", label="training rows")
plt.loglog(SIZES, errors["new rows"], "^--", color="#D55E00", label="new rows")
plt.axhline(SIGMA**2, color="0.4", linestyle=":", label="noise, $\\sigma^2$")
plt.xticks(SIZES, SIZES)
plt.minorticks_off()
plt.ylim(1e-3, 0.5)
plt.xlabel("hidden units")
plt.ylabel("mean squared error")
plt.legend()
