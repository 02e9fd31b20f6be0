r"""
Back-propagation, number by number
==================================

The loss is a chain of simple functions. The forward pass computes their values; the backward pass
goes through the same graph in the other direction and multiplies by one derivative after another:

.. math:: \frac{\partial L}{\partial z} = \frac{\partial L}{\partial y} f'(z), \quad
          \frac{\partial L}{\partial W} = x^T \frac{\partial L}{\partial z}, \quad
          \frac{\partial L}{\partial x} = \frac{\partial L}{\partial z} W^T.

`fastnn.trace` prints both passes with their numbers.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

net = fn.Sequential(fn.Dense(2, "tanh"), fn.Dense(1), random_state=0, dtype="float64").build(2)
x, t = [0.5, -1.0], 0.8
fn.trace(net, x, t)

# %%
# The gradient says how the loss changes if a weight changes a little: try it for each weight.
X, y = np.array([x]), np.array([[t]])
_, gradients = net.loss_and_gradients(X, y)
analytic = np.concatenate(
    [part.ravel() for pair in zip(gradients["weights"], gradients["biases"], strict=True)
     for part in pair]
)  # fmt: skip
numeric, h = [], 1e-6
for i in range(net.n_parameters):
    ends = []
    for step in (h, -2 * h):
        net.parameters[i] += step
        ends.append(net.evaluate(X, y)["loss"])
    net.parameters[i] += h
    numeric.append((ends[0] - ends[1]) / (2 * h))
result = float(np.abs(analytic - numeric).max())
print(f"largest difference from central differences: {result:.1e}")

# %%
# Two ways to the same numbers.
plt.figure(figsize=(5, 3), layout="constrained")
plt.bar(np.arange(len(analytic)) - 0.2, analytic, 0.4, color="#0072B2", label="back-propagation")
plt.bar(np.arange(len(analytic)) + 0.2, numeric, 0.4, color="#D55E00", hatch="//",
        label="central differences")  # fmt: skip
plt.xlabel("parameter")
plt.ylabel("derivative of the loss")
plt.legend()
