r"""
Learning rates: too low, right, too high
========================================

Near a minimum :math:`w^*` the loss is a parabola of curvature :math:`\lambda`, whose gradient is
:math:`\lambda (w - w^*)`. A step of gradient descent therefore multiplies the distance from the
minimum by a constant:

.. math:: w_{t+1} - w^* = (1 - \eta \lambda)\,(w_t - w^*).

It converges for :math:`0 < \eta < 2 / \lambda`: slowly if the learning rate :math:`\eta` is far
below :math:`1 / \lambda`, from both sides in turn between :math:`1 / \lambda` and
:math:`2 / \lambda`. Above :math:`2 / \lambda` each step leads further away. With several weights,
the largest curvature sets the limit.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 1))
y = 2 * X[:, 0]
curvature = 2 * np.mean(X**2)  # of the mean squared error in the only weight

# %%
# A network of one weight, trained with three learning rates for ten steps on all rows.
RATES = {"too low": 0.1 / curvature, "right": 0.8 / curvature, "too high": 2.1 / curvature}
paths = {}
for name, rate in RATES.items():
    layer = fn.Dense(1, use_bias=False, weight_init="zeros")
    net = fn.Sequential(layer, random_state=0, dtype="float64").build(1)
    sgd = fn.optimizers.SGD(rate)
    weights = [0.0]
    for _ in range(10):
        net.partial_fit(X, y, optimizer=sgd, batch_size="full")
        weights.append(float(net.weights[0][0, 0]))
    paths[name] = np.array(weights)

result = {name: float(abs(path[-1] - 2) / 2) for name, path in paths.items()}
for name, value in result.items():
    factor = abs(1 - RATES[name] * curvature)
    print(f"{name:8} distance after 10 steps / before: {value:.3g}, formula {factor**10:.3g}")

# %%
# The paths on the parabola of the loss.
plt.figure(figsize=(5.2, 2.8), layout="constrained")
grid = np.linspace(-4, 8, 200)
for panel, (name, path) in enumerate(paths.items(), 1):
    ax = plt.subplot(1, 3, panel)
    ax.plot(grid, curvature / 2 * (grid - 2) ** 2, color="0.6")
    ax.plot(path, curvature / 2 * (path - 2) ** 2, "o-", color="#0072B2", markersize=4)
    ax.set(title=name, xlabel="weight")
    if panel == 1:
        ax.set_ylabel("loss")
