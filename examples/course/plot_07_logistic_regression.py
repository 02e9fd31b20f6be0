r"""
Logistic regression by gradient descent
=======================================

Logistic regression is a network without a hidden layer, trained on the binary cross-entropy. The
gradient has a simple form, the inputs weighted by the errors of the probabilities:

.. math:: \nabla_w L = \frac{1}{n} \sum_i (p_i - t_i)\, x_i, \qquad p_i = \sigma(w \cdot x_i + b).

The loss is convex: gradient descent arrives at its only minimum, from anywhere.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

rng = np.random.default_rng(0)
X = np.vstack([rng.normal([-0.7, 0], 1, (100, 2)), rng.normal([0.7, 0.5], 1, (100, 2))])
y = np.repeat([0, 1], 100)

# %%
# Gradient descent by hand, and the same steps by a network that starts from the same weights.
net = fn.Sequential(fn.Dense(1, "sigmoid"), random_state=0, dtype="float64").build(2)
w, b = net.weights[0][:, 0].copy(), 0.0
losses = []
for _ in range(200):
    p = 1 / (1 + np.exp(-(X @ w + b)))
    losses.append(-np.mean(np.log(np.where(y == 1, p, 1 - p))))
    w, b = w - 0.5 * (p - y) @ X / len(X), b - 0.5 * np.mean(p - y)

history = net.fit(X, y, optimizer=fn.optimizers.SGD(0.5), batch_size="full", epochs=200)
result = {
    "weights": float(np.abs(net.weights[0][:, 0] - w).max()),
    "losses": float(np.abs(np.array(history["loss"]) - losses).max()),
    "accuracy": float(np.mean((net.predict(X)[:, 0] > 0.5) == y)),
}
print(f"largest difference from the steps by hand: {result['weights']:.1e}")
print(f"accuracy {result['accuracy']:.3f}")

# %%
# The points of probability 1/2 form a line.
fn.plot.decision_boundary(net, X, y)
plt.gcf().set_size_inches(5, 4)
