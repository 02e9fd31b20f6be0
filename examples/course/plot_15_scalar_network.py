r"""
A scalar network by hand
========================

The smallest deep network has one number in each layer:

.. math:: h = \tanh(w_1 x + b_1), \quad y = w_2 h + b_2, \quad L = (y - t)^2.

Its four derivatives are short products, which share most of their factors.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

net = fn.Sequential(fn.Dense(1, "tanh"), fn.Dense(1), dtype="float64").build(1)
net.parameters[:] = w1, b1, w2, b2 = 0.8, 0.1, -1.5, 0.3
x, t = 2.0, 1.0

# %%
# The forward pass, and the backward pass from the loss to the first weight.
h = np.tanh(w1 * x + b1)
y = w2 * h + b2
dy = 2 * (y - t)
dh = dy * w2
dz = dh * (1 - h**2)
by_hand = np.array([dz * x, dz, dy * h, dy])

loss, gradients = net.loss_and_gradients([[x]], [[t]])
network = np.array([
    gradients["weights"][0][0, 0], gradients["biases"][0][0],
    gradients["weights"][1][0, 0], gradients["biases"][1][0],
])  # fmt: skip
result = float(np.abs(by_hand - network).max())
print("dL/dw1, dL/db1, dL/dw2, dL/db2:", *(f"{value:.4f}" for value in by_hand))
print(f"largest difference from the network: {result:.1e}")

# %%
# The loss along the first weight, and the line with the slope dL/dw1.
axis = np.linspace(w1 - 1, w1 + 1, 200)
losses = (w2 * np.tanh(axis * x + b1) + b2 - t) ** 2
plt.figure(figsize=(5, 3.2), layout="constrained")
plt.plot(axis, losses, color="#0072B2", label="loss")
plt.plot(axis, loss + by_hand[0] * (axis - w1), "--", color="#D55E00", label="tangent")
plt.plot(w1, loss, "o", color="black")
plt.ylim(0, 8)
plt.xlabel("w1")
plt.ylabel("loss")
plt.legend()
