r"""
A vector network and its Jacobians
==================================

With vectors, the derivative of a layer is a matrix, its Jacobian; the chain rule multiplies them:

.. math:: J = \frac{\partial y}{\partial x} = J_n \cdots J_2 J_1, \qquad
          J_k = \mathrm{diag}\, f'(z_k)\; W_k^T.

A row of J says how one output depends on all inputs, a column how all outputs depend on one input.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

net = fn.Sequential(
    fn.Dense(6, "tanh"), fn.Dense(5, "tanh"), fn.Dense(3), random_state=0, dtype="float64"
).build(4)
x = np.array([0.5, -0.2, 0.1, 0.9])

# %%
# The product of the Jacobians of the layers, from the first to the last.
J, value = np.eye(4), x
for k, (W, b) in enumerate(zip(net.weights, net.biases, strict=True)):
    z = value @ W + b
    last = k == len(net.weights) - 1
    value, slopes = (z, np.ones_like(z)) if last else (np.tanh(z), 1 - np.tanh(z) ** 2)
    J = slopes[:, None] * (W.T @ J)

exact = net.jacobian(x[None])[0]
result = float(np.abs(J - exact).max())
print(np.round(J, 3))
print(f"largest difference from net.jacobian: {result:.1e}")

# %%
# Three outputs by four inputs.
limit = np.abs(J).max()
plt.figure(figsize=(4.6, 3.4), layout="constrained")
plt.imshow(J, cmap="RdBu_r", vmin=-limit, vmax=limit)
for (row, column), number in np.ndenumerate(J):
    color = "white" if abs(number) > 0.6 * limit else "black"
    plt.text(column, row, f"{number:.2f}", ha="center", va="center", color=color)
plt.xticks(range(4), [f"x{i + 1}" for i in range(4)])
plt.yticks(range(3), [f"y{i + 1}" for i in range(3)])
plt.xlabel("input")
plt.ylabel("output")
plt.colorbar(label="derivative")
