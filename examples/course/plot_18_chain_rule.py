r"""
The chain rule as products that are kept
========================================

The derivative by the weights of layer k contains the derivatives of all later layers,

.. math:: \frac{\partial L}{\partial W_k} = h_{k-1}^T\, \delta_k, \qquad
          \delta_k = (\delta_{k+1} W_{k+1}^T) \odot f'(z_k).

Computed for each layer from scratch, the deltas of n layers need :math:`n(n-1)/2` steps back
through a layer; back-propagation keeps :math:`\delta_{k+1}` for the layer before and needs n - 1.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

WIDTH, ROWS = 16, 32
X = np.random.default_rng(0).normal(size=(ROWS, WIDTH))
y = np.random.default_rng(1).normal(size=(ROWS, WIDTH))


def compute_deltas(net, is_kept):
    """The deltas of all layers, and the number of steps back through a layer."""
    values = [X]
    for W, b in zip(net.weights, net.biases, strict=True):
        values.append(np.tanh(values[-1] @ W + b))
    n, n_steps = len(net.weights), 0
    first = 2 * (values[-1] - y) / y.size * (1 - values[-1] ** 2)
    deltas = {n - 1: first}
    for k in range(n - 2, -1, -1):
        start = k + 1 if is_kept else n - 1
        delta = deltas[start]
        for later in range(start, k, -1):
            delta = (delta @ net.weights[later].T) * (1 - values[later] ** 2)
            n_steps += 1
        deltas[k] = delta
    return deltas, values, n_steps


# %%
# Both ways give the gradients of the network; their numbers of steps differ.
DEPTHS, counts, error = (2, 4, 8, 16, 32), {"from scratch": [], "kept": []}, 0.0
for depth in DEPTHS:
    net = fn.Sequential(*[fn.Dense(WIDTH, "tanh")] * depth, random_state=0, dtype="float64")
    gradients = net.build(WIDTH).loss_and_gradients(X, y)[1]["weights"]
    for name, is_kept in (("from scratch", False), ("kept", True)):
        deltas, values, n_steps = compute_deltas(net, is_kept)
        counts[name].append(n_steps)
        differences = [values[k].T @ deltas[k] - gradients[k] for k in range(depth)]
        error = max(error, *(float(np.abs(one).max()) for one in differences))
result = {"error": error, "ratio": counts["from scratch"][-1] / counts["kept"][-1]}
print(f"largest difference from the network's gradients: {error:.1e}")
print(f"steps with 32 layers: {counts['from scratch'][-1]} from scratch, {counts['kept'][-1]} kept")

# %%
# A square against a line.
plt.figure(figsize=(5, 3.2), layout="constrained")
for (name, values), color, line in zip(counts.items(), ("#D55E00", "#0072B2"), ("--", "-"),
                                       strict=True):  # fmt: skip
    plt.plot(DEPTHS, values, line, marker="o", color=color, label=name)
plt.xlabel("number of layers")
plt.ylabel("steps back through a layer")
plt.legend()
