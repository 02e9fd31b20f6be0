r"""
Linear decay, then a constant learning rate
===========================================

With a constant learning rate, stochastic gradient descent does not converge: the noise of the
batches keeps the weights at a distance from the minimum that grows with the rate. A high rate is
fast and ends far away; a low rate ends close, but is slow. A decay has both advantages,

.. math:: \eta_t = (1 - t / \tau)\, \eta_0 + (t / \tau)\, \eta_\tau \quad (t < \tau), \qquad
          \eta_t = \eta_\tau \quad (t \geq \tau),

(I. Goodfellow, Y. Bengio, A. Courville, "Deep learning", equation 8.14).
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 3))
y = X @ [1.0, 2.0, -1.0] + rng.normal(size=200)
lowest = np.linalg.lstsq(np.column_stack([X, np.ones(200)]), y)[1][0] / 200

# %%
# A linear network with one row per batch, for which least squares gives the minimum. Means of the
# excess loss over 20 seeds.
HIGH, LOW, TAU = 0.05, 0.0002, 2000
decay = fn.schedules.LinearDecay(HIGH, LOW, n_steps=TAU)
excess = {}
for name, rate in {"high": HIGH, "low": LOW, "decay": decay}.items():
    nets = [fn.Sequential(fn.Dense(1), random_state=s, dtype="float64") for s in range(20)]
    runs = fn.fit_many(
        nets, X, y, optimizer=fn.optimizers.SGD(rate), epochs=20, batch_size=1,
        validation_data=(X, y),
    )  # fmt: skip
    excess[name] = np.mean([run.history["val_loss"] for run in runs], axis=0) - lowest

result = {name: float(values[-1]) for name, values in excess.items()}
for name, value in result.items():
    print(f"{name:5} mean loss above the minimum after 20 epochs: {value:.5f}")

# %%
# The schedule, and the excess loss of the three runs.
plt.figure(figsize=(5.4, 3.2), layout="constrained")
fn.plot.schedule(decay, 4000, ax=plt.subplot(1, 2, 1))
ax = plt.subplot(1, 2, 2)
for (name, values), color, line in zip(
    excess.items(), ("#D55E00", "#009E73", "#0072B2"), ("--", ":", "-"), strict=True
):
    ax.plot(200 * np.arange(1, 21), values, line, color=color, label=name, linewidth=2)
ax.set(xlabel="step", ylabel="loss above the minimum", yscale="log")
ax.legend()
