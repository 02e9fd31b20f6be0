r"""
Softmax and one-hot targets
===========================

For K classes, a network has K outputs, the logits. Softmax turns them into probabilities, which are
positive and sum to 1:

.. math:: p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}.

Only differences of logits matter: a number added to all of them changes nothing. The target of a
row is one-hot, 1 for its class and 0 for the others: another way to write the number of the class.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X, y = fn.datasets.load_digits()
X = X / 16
one_hot = np.eye(10)[y]

# %%
# A linear layer with softmax, trained with class numbers and with one-hot targets.
options = {"epochs": 20, "loss": "cross_entropy"}
nets = [fn.Sequential(fn.Dense(10, "softmax"), random_state=0, dtype="float64") for _ in range(2)]
nets[0].fit(X, y, **options)
nets[1].fit(X, one_hot, **options)
p = nets[0].predict(X)
one_hot_difference = float(np.abs(p - nets[1].predict(X)).max())

nets[1].biases[0][:] += 5  # the same number for all logits
shifted = nets[1].predict(X)
result = {
    "sum": float(np.abs(p.sum(axis=1) - 1).max()),
    "shift": float(np.abs(p - shifted).max()),
    "one-hot": one_hot_difference,
    "accuracy": float(np.mean(p.argmax(axis=1) == y)),
}
print(f"largest |sum - 1|: {result['sum']:.1e}; change by a common shift: {result['shift']:.1e}")
print(f"largest difference between class numbers and one-hot targets: {result['one-hot']:.1e}")
print(f"accuracy: {result['accuracy']:.3f}")

# %%
# The probabilities of one image, and its one-hot target.
row = int(np.argmin(p.max(axis=1)))  # the least certain one
plt.figure(figsize=(5, 3), layout="constrained")
plt.bar(np.arange(10) - 0.2, p[row], 0.4, color="#0072B2", label="softmax")
plt.bar(np.arange(10) + 0.2, one_hot[row], 0.4, color="#D55E00", hatch="//", label="one-hot target")
plt.xticks(range(10))
plt.xlabel("class")
plt.ylabel("probability")
plt.legend()
