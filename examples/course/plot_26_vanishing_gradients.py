r"""
Vanishing gradients
===================

By the chain rule, the gradient at the first layer of a deep network is a product with one factor
for each layer,

.. math:: \frac{\partial L}{\partial h_1} = W_2^T D_2\, W_3^T D_3 \cdots W_n^T D_n\,
          \frac{\partial L}{\partial h_n}, \qquad D_k = \mathrm{diag}\, f'(z_k).

The derivative of the sigmoid is at most 1/4, so with sigmoids the product shrinks exponentially
with depth and the first layers hardly learn. Tanh and relu, with suitable initial weights, lose far
less. A residual block :math:`h + F(h)` adds 1 to each factor, and no gradient vanishes.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

rng = np.random.default_rng(0)
X, y = rng.normal(size=(100, 20)), rng.integers(0, 2, size=100)
DEPTHS = (2, 5, 10, 20, 30)
LAYERS = {
    "sigmoid": fn.Dense(20, "sigmoid"),
    "tanh": fn.Dense(20, "tanh"),
    "relu": fn.Dense(20, "relu"),
    "residual": fn.Residual(fn.Dense(20, "tanh")),
}

# %%
# The gradient of the first layer relative to that of the last hidden layer, in networks before
# training; geometric means over ten seeds.


def measure_ratio(layer, depth, seed):
    layers = [layer] * depth
    net = fn.Sequential(*layers, fn.Dense(1, "sigmoid"), random_state=seed, dtype="float64")
    gradients = net.build(20).loss_and_gradients(X, y)[1]["weights"]
    return np.linalg.norm(gradients[0]) / np.linalg.norm(gradients[-2])


ratios = {
    name: [
        np.exp(np.mean([np.log(measure_ratio(layer, depth, seed)) for seed in range(10)]))
        for depth in DEPTHS
    ]
    for name, layer in LAYERS.items()
}
result = {name: float(values[DEPTHS.index(20)]) for name, values in ratios.items()}
for name, value in result.items():
    print(f"{name:8} first gradient / last gradient with 20 layers: {value:.2g}")

# %%
# A straight line on the logarithmic axis is an exponential decrease.
plt.figure(figsize=(5, 3.6), layout="constrained")
COLORS, MARKERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), "o^sD"
for (name, values), color, marker in zip(ratios.items(), COLORS, MARKERS, strict=True):
    plt.semilogy(DEPTHS, values, "-", marker=marker, color=color, label=name)
plt.xlabel("number of hidden layers")
plt.ylabel("gradient, first / last layer")
plt.legend()
