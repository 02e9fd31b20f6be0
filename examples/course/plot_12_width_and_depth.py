r"""
Width against depth
===================

A layer of n tanh units on top of another has about :math:`n^2` weights, a wider layer only adds to
their number in proportion. Is depth worth it? Compare networks with the same number of parameters:

.. math:: \text{one layer: } 1 + (d + 2)\, n, \qquad
          \text{two layers: } 1 + (d + 1)\, m + m\, (m + 1) + m.

On a function of a function, a network that is built like it has a smaller error with as many
parameters, once both have enough of them.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(1500, 2))
y = np.sin(4 * np.sin(2 * X[:, :1]) * X[:, 1:])
train, test = slice(0, 1000), slice(1000, None)
SHAPES = {
    "one hidden layer": [(10,), (25,), (50,)], "two hidden layers": [(4, 4), (8, 8), (12, 12)]
}  # fmt: skip

# %%
# The median test error of three seeds, for each shape.
sizes, errors = {}, {}
for name, shapes in SHAPES.items():
    sizes[name], errors[name] = [], []
    for shape in shapes:
        nets = [
            fn.Sequential(*(fn.Dense(n, "tanh") for n in shape), fn.Dense(1), random_state=seed,
                          dtype="float64") for seed in range(3)
        ]  # fmt: skip
        fn.fit_many(nets, X[train], y[train], optimizer="levenberg_marquardt", epochs=100)
        rmse = [np.sqrt(np.mean((net.predict(X[test]) - y[test]) ** 2)) for net in nets]
        sizes[name].append(nets[0].n_parameters)
        errors[name].append(float(np.median(rmse)))
        print(f"{name}, {shape}: {sizes[name][-1]} parameters, error {errors[name][-1]:.1e}")
result = {name: values[-1] for name, values in errors.items()}

# %%
# Lower and further left is better.
plt.figure(figsize=(5, 3.4), layout="constrained")
for (name, values), color, marker in zip(errors.items(), ("#0072B2", "#D55E00"), "os", strict=True):
    plt.loglog(sizes[name], values, marker=marker, color=color, label=name)
plt.xlabel("number of parameters")
plt.ylabel("test error (root mean square)")
plt.legend()
