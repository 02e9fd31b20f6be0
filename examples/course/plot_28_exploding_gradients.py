r"""
Exploding gradients and clipping
================================

If the weights are too large, each layer multiplies the gradient by a factor above 1, and it grows
exponentially from the last layer to the first. A single step can then make the weights so large
that the loss overflows. *Clipping* limits the norm of the gradient :math:`g` and keeps its
direction,

.. math:: g \leftarrow g\, \min\left(1, \frac{c}{\lVert g \rVert}\right),

so that no step is longer than the learning rate times :math:`c`.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.initializers import Normal
from fastnn.optimizers import SGD

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 16))
y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2]
DEPTH = 8


def make_network(scale, seed=0):
    """A network whose weights are `scale` times those of He's rule."""
    hidden = fn.Dense(16, "relu", weight_init=Normal(std=scale * (2 / 16) ** 0.5))
    return fn.Sequential(*[hidden] * DEPTH, fn.Dense(1), random_state=seed, dtype="float64")


# %%
# The norm of the gradient of each layer, before training.
norms = {}
for scale in (1, 2, 3):
    gradients = make_network(scale).build(16).loss_and_gradients(X, y)[1]["weights"]
    norms[scale] = [np.linalg.norm(g) for g in gradients[:DEPTH]]

# %%
# Ten networks with weights of twice He's rule, trained without and with clipping. fastnn stops a
# run that diverges and warns, which is expected here.
result = {}
for name, clip in {"without": None, "with": 1.0}.items():
    sgd = SGD(0.1, clip_norm=clip)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fn.DivergenceWarning)
        histories = [make_network(2, s).fit(X, y, optimizer=sgd, epochs=100) for s in range(10)]
    result[name] = float(np.mean([history.diverged for history in histories]))
    print(f"{name:7} clipping: {result[name]:.0%} of the runs diverge")
result["loss"] = float(np.mean([history["loss"][-1] for history in histories]))
print(f"mean loss with clipping, last epoch: {result['loss']:.2f}; variance of y {y.var():.2f}")

# %%
# Each factor of two on the weights is a factor of 2 per layer on the gradient.
plt.figure(figsize=(5, 3.6), layout="constrained")
COLORS, MARKERS = ("#0072B2", "#D55E00", "#009E73"), "o^s"
for (scale, values), color, marker in zip(norms.items(), COLORS, MARKERS, strict=True):
    plt.semilogy(np.arange(1, DEPTH + 1), values, marker=marker, color=color, label=f"{scale} ×")
plt.xlabel("layer")
plt.ylabel("norm of the gradient")
plt.legend(title="weights / He's rule")
