r"""
Six optimizers on one surface
=============================

Gradient descent is slow in a long narrow valley: the steep direction limits its learning rate, and
the flat one needs a high rate. *Momentum* sums the gradients,
:math:`v \leftarrow \beta v + g,\; w \leftarrow w - \eta v`, which cancels the steps from side to
side; *Nesterov*'s form looks ahead. *Adagrad*, *RMSprop* and *Adam* divide the step of each weight
by the size of its gradients, in Adam

.. math:: w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat v} + \epsilon},

with :math:`\hat m` a moving mean of the gradient and :math:`\hat v` one of its square. This helps
if the valley lies along an axis, as it does here, where the features have different scales.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.optimizers import SGD, Adagrad, Adam, RMSprop

MAKERS = {
    "SGD": SGD, "momentum": lambda rate: SGD(rate, momentum=0.9),
    "Nesterov": lambda rate: SGD(rate, momentum=0.9, nesterov=True),
    "Adagrad": Adagrad, "RMSprop": RMSprop, "Adam": Adam,
}  # fmt: skip
EXACT = np.array([1.0, 3.0])
X = np.array([[1.0, 0.0], [0.0, 0.1]])  # curvatures 1 and 0.01
y = X @ EXACT

# %%
# Two weights, all rows in each step. For each optimizer, the best of ten learning rates.


def train(optimizer, n_steps=100):
    layer = fn.Dense(1, use_bias=False, weight_init="zeros")
    net = fn.Sequential(layer, random_state=0, dtype="float64").build(2)
    path = [net.parameters.copy()]
    for _ in range(n_steps):
        net.partial_fit(X, y, optimizer=optimizer, batch_size="full")
        path.append(net.parameters.copy())
    return np.array(path)


def compute_loss(path):
    return np.mean(((path - EXACT) @ X.T) ** 2, axis=-1)


paths, result = {}, {}
for name, make in MAKERS.items():
    tried = [train(make(rate)) for rate in np.geomspace(0.003, 1.9, 10)]
    paths[name] = min(tried, key=lambda path: compute_loss(path)[-1])
    result[name] = float(compute_loss(paths[name])[-1])
    print(f"{name:8} loss after 100 steps: {result[name]:.1e}")

# %%
# The paths from the origin to the minimum, marked by a cross.
plt.figure(figsize=(5.2, 4), layout="constrained")
w0, w1 = np.meshgrid(np.linspace(-0.5, 2.5, 60), np.linspace(-0.5, 4, 60))
for panel, (name, path) in enumerate(paths.items(), 1):
    ax = plt.subplot(2, 3, panel)
    surface = compute_loss(np.stack([w0, w1], axis=-1))
    ax.contour(w0, w1, surface, np.geomspace(1e-3, 5, 9), colors="0.75", linewidths=0.8)
    ax.plot(*path.T, ".-", color="#0072B2", linewidth=1, markersize=3)
    ax.plot(*EXACT, "x", color="#D55E00", markersize=8, markeredgewidth=2)
    ax.set(title=name, xlabel="weight 1", ylabel="weight 2", xlim=(-0.5, 2.5), ylim=(-0.5, 4))
    ax.label_outer()
