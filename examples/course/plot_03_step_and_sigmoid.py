r"""
From the step to the sigmoid
============================

The step function is flat wherever it has a derivative, so a gradient says nothing about its
weights. The sigmoid is a smooth step,

.. math:: \sigma(z) = \frac{1}{1 + e^{-z}}, \qquad \sigma'(z) = \sigma(z)\,(1 - \sigma(z)),

whose derivative is positive everywhere, and whose value can be read as a probability. With large
weights it becomes the step again.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

sigmoid, step = fn.activations.Activation("sigmoid"), fn.activations.Activation("step")
z = np.linspace(-6, 6, 401)
SCALES = (1, 4, 16)

# %%
# The mean distance between the two functions, for weights that grow.
distances = [float(np.mean(np.abs(sigmoid(scale * z) - step(z)))) for scale in SCALES]
slope = (sigmoid(1e-5) - sigmoid(-1e-5)) / 2e-5
result = {"slope at 0": float(slope), "first": distances[0], "last": distances[-1]}
print(f"slope of the sigmoid at 0: {slope:.4f}")
print("mean distance to the step:", *(f"{value:.3f}" for value in distances))

# %%
# The larger the weight, the steeper the sigmoid.
plt.figure(figsize=(5, 3.4), layout="constrained")
plt.plot(z, step(z), color="black", linewidth=1, label="step")
for scale, color, line in zip(SCALES, ("#0072B2", "#D55E00", "#009E73"), ("-", "--", ":"),
                              strict=True):  # fmt: skip
    plt.plot(z, sigmoid(scale * z), line, color=color, label=f"sigmoid({scale} z)")
plt.xlabel("z")
plt.ylabel("output")
plt.legend()
