r"""
Dead relu units and their cures
===============================

The derivative of relu is 0 for negative inputs. A unit whose input :math:`z = w \cdot x + b` is
negative for every row has no gradient,

.. math:: \frac{\partial L}{\partial w} = \sum_i \frac{\partial L_i}{\partial h}\, f'(z_i)\, x_i = 0
          \qquad \text{with } f(z) = \max(0, z),

and never changes again: it is dead. A single large step of the bias or the weights can do that.
Cures are a lower learning rate, a positive initial bias, which keeps units active at first, and
*leaky relu*, which has a small slope instead of 0 for negative inputs.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X, y = fn.datasets.load_concrete()
X = fn.Standardizer().fit_transform(X)
y = fn.Standardizer().fit_transform(y)

# %%
# A unit counts as dead if the gradient of its weights is exactly 0. Ten networks of 50 units are
# trained by Adam with a high learning rate, and with each cure.
leaky = fn.activations.leaky_relu(0.01)
CASES = {
    "relu": (fn.Dense(50, "relu"), 0.1),
    "lower rate": (fn.Dense(50, "relu"), 0.01),
    "positive bias": (fn.Dense(50, "relu", bias_init=1.0), 0.1),
    "leaky relu": (fn.Dense(50, leaky), 0.1),
}


def measure_dead(net):
    gradients = net.loss_and_gradients(X, y)[1]["weights"][0]
    return float(np.mean((gradients == 0).all(axis=0)))


result = {}
for name, (hidden, rate) in CASES.items():
    nets = [fn.Sequential(hidden, fn.Dense(1), random_state=seed) for seed in range(10)]
    runs = fn.fit_many(nets, X, y, optimizer=fn.optimizers.Adam(rate), epochs=20)
    result[name] = float(np.mean([measure_dead(net) for net in nets]))
    loss = np.mean([run.history["loss"][-1] for run in runs])
    print(f"{name:13} {result[name]:.1%} dead units, training loss {loss:.3f}")

# %%
# Dead units after 20 epochs, means of ten networks.
plt.figure(figsize=(5, 3), layout="constrained")
bars = plt.barh(list(result), [100 * value for value in result.values()], color="#0072B2")
plt.bar_label(bars, fmt="%.1f", padding=3)
plt.xlim(0, 120 * max(result.values()))
plt.gca().invert_yaxis()
plt.xlabel("dead units, %")
plt.ylabel("hidden layer")
