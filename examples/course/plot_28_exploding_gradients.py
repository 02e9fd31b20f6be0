r"""
Exploding gradients and clipping
================================

If the weights are too large, each layer multiplies the signals on their way forward, and the
gradient on its way back, by a factor above 1: the gradient grows exponentially with the number of
layers. A single step can then make the weights so large that the loss overflows. *Clipping* limits
the norm of the gradient :math:`g` and keeps its direction,

.. math:: g \leftarrow g\, \min\left(1, \frac{c}{\lVert g \rVert}\right),

so that no step is longer than the learning rate times :math:`c`.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.initializers import Normal

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 16))
y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2]
DEPTHS = (1, 2, 4, 6, 8)


def make_network(scale, depth, seed):
    hidden = fn.Dense(16, "relu", weight_init=Normal(std=scale * (2 / 16) ** 0.5))
    return fn.Sequential(*[hidden] * depth, fn.Dense(1), random_state=seed, dtype="float64")


# %%
# The norm of the gradient of the first layer before training, geometric means over ten seeds. The
# initial weights are `scale` times those of He's rule.


def measure_norm(scale, depth):
    nets = [make_network(scale, depth, seed).build(16) for seed in range(10)]
    gradients = [net.loss_and_gradients(X, y)[1]["weights"][0] for net in nets]
    return np.exp(np.mean([np.log(np.linalg.norm(g)) for g in gradients]))


norms = {scale: [measure_norm(scale, depth) for depth in DEPTHS] for scale in (1, 2, 3)}

# %%
# Ten networks of 8 layers with weights of twice He's rule, without and with clipping. fastnn stops
# a run that diverges and warns, which is expected here.
result = {}
for name, clip in {"without": None, "with": 1.0}.items():
    sgd = fn.optimizers.SGD(0.1, clip_norm=clip)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fn.DivergenceWarning)
        nets = [make_network(2, 8, seed) for seed in range(10)]
        histories = [net.fit(X, y, optimizer=sgd, epochs=100) for net in nets]
    result[name] = float(np.mean([history.diverged for history in histories]))
    print(f"{name:7} clipping: {result[name]:.0%} of the runs diverge")
result["loss"] = float(np.mean([history["loss"][-1] for history in histories]))
print(f"mean last loss with clipping {result['loss']:.2f}, variance of y {y.var():.2f}")

# %%
# A straight line on the logarithmic axis is an exponential growth.
plt.figure(figsize=(5, 3.6), layout="constrained")
STYLES = ("#0072B2", "o"), ("#D55E00", "^"), ("#009E73", "s")
for (scale, values), (color, marker) in zip(norms.items(), STYLES, strict=True):
    plt.semilogy(DEPTHS, values, color=color, marker=marker, label=f"{scale} ×")
plt.xlabel("number of hidden layers")
plt.ylabel("gradient norm, first layer")
plt.legend(title="weights / He's rule")
