r"""
Local minima and random restarts
================================

The loss of a network has local minima, and where training ends depends on the initial weights. If a
run succeeds with probability :math:`p`, the best of :math:`k` independent runs succeeds with

.. math:: P_k = 1 - (1 - p)^k ,

so a few restarts from other seeds turn an unreliable training into a reliable one. XOR with two
hidden units is a small example: the network can represent it, but many runs end elsewhere.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
y = np.array([0, 1, 1, 0])

# %%
# 400 networks that differ in their seeds. A run succeeds if its loss falls below 0.05.
nets = [
    fn.Sequential(fn.Dense(2, "tanh"), fn.Dense(1, "sigmoid"), random_state=seed)
    for seed in range(400)
]
fn.fit_many(nets, X, y, optimizer=fn.optimizers.Adam(0.05), epochs=1000, batch_size="full")
losses = np.array([net.evaluate(X, y)["loss"] for net in nets])
p = np.mean(losses < 0.05)

# %%
# The best of k runs, measured on consecutive groups of k networks.
K = np.arange(1, 9)
measured = [np.mean(losses[: len(losses) // k * k].reshape(-1, k).min(axis=1) < 0.05) for k in K]
result = {"one run": float(p), "best of 5": float(measured[4]), "formula": float(1 - (1 - p) ** 5)}
for name, value in result.items():
    print(f"{name:9} succeeds with probability {value:.2f}")

# %%
# The final losses have a few values, one per kind of minimum.
plt.figure(figsize=(5.4, 3.2), layout="constrained")
ax = plt.subplot(1, 2, 1)
ax.plot(np.arange(1, 401), np.sort(losses), ".", color="#0072B2", markersize=4)
ax.set(xlabel="run, sorted by loss", ylabel="final loss")
ax = plt.subplot(1, 2, 2)
ax.plot(K, 1 - (1 - p) ** K, "--", color="#D55E00", label="formula")
ax.plot(K, measured, "o", color="#0072B2", label="measured")
ax.set(xlabel="restarts k", ylabel="probability of success", ylim=(0, 1.05))
ax.legend(loc="lower right")
