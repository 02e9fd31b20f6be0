r"""
L1 and L2 penalties
===================

A penalty on the weights is added to the loss,

.. math:: L(w) + \lambda_1 \sum_j |w_j| \qquad \text{or} \qquad
          L(w) + \frac{\lambda_2}{2} \sum_j w_j^2 .

L1 pulls each weight towards 0 with the same force :math:`\lambda_1`, however small it is: weights
that hardly lower the loss become 0, and the model is *sparse*; of two features that say the same,
one may remain. The force of L2 is :math:`\lambda_2 w_j`: it fades for small weights, so hardly any
becomes 0, and of features that say the same, each has a small and even part.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

# %%
# Of twenty features three matter. Feature 3 is a noisy copy of feature 2, and 4 to 19 are noise.
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 20))
X[:, 3] = X[:, 2] + rng.normal(scale=0.05, size=60)
y = X[:, 0] - 2 * X[:, 1] + 2 * X[:, 2] + rng.normal(scale=0.5, size=60)

# %%
# One linear layer, with no penalty and with each. A decaying rate lets the weights settle; what
# remains below 0.01 counts as 0.
PENALTIES = {"none": {}, "L1": {"l1": 0.3}, "L2": {"l2": 0.3}}
weights = {}
for name, penalty in PENALTIES.items():
    net = fn.Sequential(fn.Dense(1, **penalty), random_state=0, dtype="float64")
    adam = fn.optimizers.Adam(fn.schedules.LinearDecay(0.02))
    net.fit(X, y, optimizer=adam, epochs=3000, batch_size="full")
    weights[name] = net.weights[0][:, 0].copy()

result = {}
for name, w in weights.items():
    result[f"{name}, zeros"] = float((np.abs(w) < 0.01).sum())
    result[f"{name}, share"] = float(w[3] / (w[2] + w[3]))
    print(f"{name:4} zeros: {result[f'{name}, zeros']:.0f} of 20; ", end="")
    print(f"of the two copies, the second has {result[f'{name}, share']:.0%} of the weight")

# %%
# The weights.
plt.figure(figsize=(5.5, 4.4), layout="constrained")
for panel, (name, w) in enumerate(weights.items(), 1):
    ax = plt.subplot(3, 1, panel)
    ax.bar(np.arange(20), w, color=np.where(np.abs(w) < 0.01, "#D55E00", "#0072B2"))
    ax.plot(np.flatnonzero(np.abs(w) < 0.01), w[np.abs(w) < 0.01], "x", color="#D55E00")
    ax.set(ylabel=name, ylim=(-2.3, 2.3), xticks=np.arange(20))
    ax.label_outer()
ax.set_xlabel("feature (crosses: zero weights)")
