r"""
XOR with a hidden layer
=======================

No line separates XOR. But XOR is "OR, and not AND", so two perceptrons in a hidden layer and one
above them compute it:

.. math:: \mathrm{XOR}(x_1, x_2) =
          \mathrm{step}\big(\mathrm{OR}(x_1, x_2) - \mathrm{AND}(x_1, x_2) - 0.5\big).

Nobody has to find these weights: gradient descent finds some of its own, if the steps are smooth.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
y = np.array([0, 1, 1, 0])

# %%
# By hand: the hidden units are OR and AND.
by_hand = fn.Sequential(fn.Dense(2, "step"), fn.Dense(1, "step"), dtype="float64").build(2)
by_hand.weights[:] = [[1.0, 1.0], [1.0, 1.0]], [[1.0], [-1.0]]
by_hand.biases[:] = [-0.5, -1.5], [-0.5]

# %%
# By training: four tanh units, ten seeds.
nets = [
    fn.Sequential(fn.Dense(4, "tanh"), fn.Dense(1, "sigmoid"), random_state=seed)
    for seed in range(10)
]
fn.fit_many(nets, X, y, optimizer=fn.optimizers.Adam(0.05), batch_size="full", epochs=500)
solved = [bool(np.all((net.predict(X)[:, 0] > 0.5) == y)) for net in nets]
result = {"by hand": int(np.sum(by_hand.predict(X)[:, 0] == y)), "trained": sum(solved)}
print(f"by hand: {result['by hand']} of 4 rows right")
print(f"by training: {result['trained']} of {len(nets)} seeds get all four right")

# %%
# The boundary of one of the trained networks.
fn.plot.decision_boundary(nets[0], X, y)
plt.gcf().set_size_inches(4.5, 4)
