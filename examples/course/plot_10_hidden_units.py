r"""
What each hidden unit learns
============================

A network with one hidden layer is a weighted sum of basis functions, which it chooses itself:

.. math:: f(x) = b + \sum_j v_j\, \tanh(w_j x + c_j).

Unit j is a smooth step at :math:`-c_j / w_j`. Polynomials and Fourier series have a fixed basis; a
network puts its steps where the function needs them.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

x = np.linspace(-3, 3, 200)[:, None]
y = np.exp(-(x**2)) + 0.3 * x

# %%
# Five units, and their outputs times the weights of the last layer.
net = fn.Sequential(fn.Dense(5, "tanh"), fn.Dense(1), random_state=1, dtype="float64")
net.fit(x, y, optimizer="levenberg_marquardt", epochs=300)
hidden = fn.Sequential(fn.Dense(5, "tanh"), dtype="float64").build(1)
hidden.weights[0][:], hidden.biases[0][:] = net.weights[0], net.biases[0]
parts = hidden.predict(x) * net.weights[1][:, 0]
centers = -net.biases[0] / net.weights[0][0]
total = parts.sum(axis=1, keepdims=True) + net.biases[1]
result = {
    "sum": float(np.abs(total - net.predict(x)).max()),
    "centers": np.sort(centers).round(2).tolist(),
    "error": float(np.sqrt(np.mean((net.predict(x) - y) ** 2))),
}
print(f"the parts add up to the prediction, within {result['sum']:.1e}")
print(f"the steps are at {result['centers']}")
print(f"root mean squared error {result['error']:.1e}")

# %%
# Each thin line is one unit, shifted so that it begins at 0. The dot is the middle of its step.
plt.figure(figsize=(5, 3.6), layout="constrained")
plt.plot(x, y, color="black", linewidth=3, alpha=0.3, label="function")
plt.plot(x, net.predict(x), "--", color="#D55E00", label="network")
plt.plot(x, parts - parts[0], color="#0072B2", linewidth=0.8)
plt.plot(centers, -parts[0], "o", color="#0072B2", markersize=5)
plt.xlim(-3, 3)
plt.ylim(-3, 3)
plt.xlabel("x")
plt.ylabel("y")
plt.legend()
