r"""
Moving the line, point by point
===============================

The perceptron rule looks at one row at a time. If the answer is right, nothing happens; if not, the
weights move towards the row or away from it, with :math:`t = \pm 1`:

.. math:: w \leftarrow w + \eta\, t\, x \quad \text{if} \quad t\,(w \cdot x + b) \le 0.

A step of gradient descent takes the mean of these moves over all rows at once. It is smoother, and
costs a pass over the data where the rule has already moved many times.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

rng = np.random.default_rng(0)
X = np.vstack([rng.normal([-1, -1], 0.7, (40, 2)), rng.normal([1, 1], 0.7, (40, 2))])
y = np.repeat([0, 1], 40)

# %%
# The same number of passes over the data: a step for each row, or a step for each pass.
errors = {}
for name, batch_size in (("perceptron rule", 1), ("gradient descent", "full")):
    net = fn.Sequential(fn.Dense(1, "step"), random_state=1, dtype="float64").build(2)
    net.weights[0][:] = [[1.0], [-1.0]]  # a bad line to begin with
    errors[name] = [np.mean(net.predict(X)[:, 0] != y)]
    for _ in range(10):
        net.partial_fit(
            X, y, loss="perceptron", optimizer=fn.optimizers.SGD(0.1), batch_size=batch_size
        )
        errors[name].append(np.mean(net.predict(X)[:, 0] != y))

result = {name: float(values[1]) for name, values in errors.items()}
for name, value in result.items():
    print(f"{name:16} fraction of wrong rows after one pass: {value:.3f}")

# %%
# One pass of the rule consists of 80 steps.
plt.figure(figsize=(5, 3.4), layout="constrained")
for (name, values), color, line in zip(errors.items(), ("#0072B2", "#D55E00"), ("-", "--"),
                                       strict=True):  # fmt: skip
    plt.plot(values, line, marker="o", color=color, label=name)
plt.xlabel("passes over the data")
plt.ylabel("fraction of wrong rows")
plt.legend()
