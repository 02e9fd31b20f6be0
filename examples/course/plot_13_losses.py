r"""
Which loss for which noise
==========================

A loss is the negative logarithm of a likelihood: choosing one is a statement about the noise.

.. math:: \text{normal: } (y - \mu)^2, \quad \text{Laplace: } |y - \mu|, \quad
          \text{Poisson: } \mu - y \log \mu, \quad
          \text{unknown variance: } \log \sigma^2 + (y - \mu)^2 / \sigma^2.

With the squared error a few wild values pull the curve away. Huber's loss, squared near 0 and
linear beyond, lets them pull less, and the absolute error least.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-2, 2, 300))[:, None]
truth = np.sin(2 * x)
y = truth + 0.1 * rng.normal(size=x.shape)
wild = rng.random(300) < 0.1
y[wild] += rng.exponential(6, size=(wild.sum(), 1))  # one value in ten is far too large

# %%
# The same network and the same steps; only the loss differs.
curves, result = {}, {}
for loss in ("squared_error", "huber", "absolute_error"):
    net = fn.Sequential(fn.Dense(16, "tanh"), fn.Dense(1), random_state=0, dtype="float64")
    net.fit(x, y, loss=loss, optimizer=fn.optimizers.Adam(0.01), epochs=200)
    curves[loss] = net.predict(x)
    result[loss] = float(np.sqrt(np.mean((curves[loss] - truth) ** 2)))

# Counts with a rate that grows: the Poisson loss goes with the activation exp.
counts = rng.poisson(np.exp(x))
net = fn.Sequential(fn.Dense(1, "exp"), random_state=0, dtype="float64")
net.fit(x, counts, loss="poisson", optimizer="lbfgs", epochs=100)
result["poisson slope"] = float(net.weights[0][0, 0])  # 1 in the data

# Noise that grows with x: the second output is the logarithm of the variance.
noisy = truth + rng.normal(size=x.shape) * (0.1 + 0.2 * (x + 2))
net = fn.Sequential(fn.Dense(16, "tanh"), fn.Dense(2), random_state=0, dtype="float64")
net.fit(x, noisy, loss="gaussian_nll", optimizer=fn.optimizers.Adam(0.01), epochs=200)
left, right = np.exp(net.predict([[-1.8], [1.8]])[:, 1] / 2)
result["growth of noise"] = float(right / left)
for name, value in result.items():
    print(f"{name:16} {value:.3f}")

# %%
# Distance from the truth is what the wild values cost.
plt.figure(figsize=(5, 3.6), layout="constrained")
plt.plot(x, y, ".", color="0.6", label="data")
for (loss, curve), color, line in zip(curves.items(), ("#D55E00", "#009E73", "#0072B2"),
                                      ("--", ":", "-"), strict=True):  # fmt: skip
    plt.plot(x, curve, line, color=color, label=loss, linewidth=2)
plt.ylim(-1.6, 5)
plt.xlabel("x")
plt.ylabel("y")
plt.legend()
