r"""
A perceptron computes AND, OR and NOT, but not XOR
==================================================

A perceptron answers 1 where a weighted sum of its inputs is positive:

.. math:: y = \mathrm{step}(w_1 x_1 + w_2 x_2 + b).

The points where the sum is zero form a line, so it can compute every function whose ones lie on one
side of a line. The ones of XOR do not: no weights get more than three of its four rows right.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
GATES = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "NOT x1": [1, 1, 0, 0], "XOR": [0, 1, 1, 0]}

# %%
# The perceptron rule is stochastic gradient descent on the perceptron loss, one row at a time.
nets = {}
for gate, y in GATES.items():
    nets[gate] = fn.Sequential(fn.Dense(1, "step"), random_state=0, dtype="float64")
    sgd = fn.optimizers.SGD(0.1)
    nets[gate].fit(X, np.array(y), loss="perceptron", optimizer=sgd, batch_size=1, epochs=100)

result = {gate: int(np.sum(nets[gate].predict(X)[:, 0] == y)) for gate, y in GATES.items()}
for gate, right in result.items():
    print(f"{gate:7} {right} of 4 rows right")

# %%
# For XOR no training helps: of 10,000 random lines, none gets more than three rows right.
lines = np.random.default_rng(0).normal(size=(3, 10_000))
ones = X @ lines[:2] + lines[2] > 0
result["lines"] = {gate: int(np.equal(ones.T, y).sum(axis=1).max()) for gate, y in GATES.items()}
print("most rows right of 10,000 lines:", result["lines"])

# %%
# Black points are ones. The line is where the weighted sum is zero.
figure, panels = plt.subplots(2, 2, figsize=(5.4, 5.4), layout="constrained")
for axes, (gate, y) in zip(panels.flat, GATES.items(), strict=True):
    (w1, w2), b = nets[gate].weights[0][:, 0], nets[gate].biases[0][0]
    axes.scatter(*X.T, c=y, cmap="Greys", edgecolors="black", s=80, zorder=2)
    axes.contour([-1, 2], [-1, 2], [[b - w1 - w2, b + 2 * w1 - w2], [b - w1 + 2 * w2,
                 b + 2 * w1 + 2 * w2]], levels=[0], colors="#0072B2")  # fmt: skip
    axes.set(title=gate, xlabel="x1", ylabel="x2", aspect="equal")
    axes.set(xlim=(-0.5, 1.5), ylim=(-0.5, 1.5))
