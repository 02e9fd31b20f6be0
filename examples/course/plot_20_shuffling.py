r"""
Shuffling
=========

Stochastic gradient descent assumes that a batch is a random sample, so that its gradient equals the
gradient of the whole loss on average:

.. math:: \mathrm{E}_B\!\left[\frac{1}{|B|} \sum_{i \in B} \nabla L_i\right] = \nabla L.

If the rows are sorted by class and never shuffled, a batch has rows of one class only: each step
makes the network predict this class, and forget the others. Shuffling once at the start
removes the order; shuffling at each epoch also makes the batches of different epochs independent.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X, y = fn.datasets.load_digits()
X_train, X_test, y_train, y_test = fn.train_test_split(X / 16, y, random_state=0, stratify=y)
order = np.argsort(y_train, kind="stable")
X_sorted, y_sorted = X_train[order], y_train[order]

# %%
# The digits, sorted from 0 to 9, train five networks with each kind of shuffling.
accuracy = {}
for shuffle in ("epoch", "once", "never"):
    nets = [
        fn.Sequential(fn.Dense(32, "relu"), fn.Dense(10, "softmax"), random_state=seed)
        for seed in range(5)
    ]
    runs = fn.fit_many(
        nets, X_sorted, y_sorted, optimizer=fn.optimizers.SGD(0.1), epochs=15, shuffle=shuffle,
        validation_data=(X_test, y_test),
    )  # fmt: skip
    accuracy[shuffle] = np.mean([run.history["val_accuracy"] for run in runs], axis=0)

result = {shuffle: float(values[-1]) for shuffle, values in accuracy.items()}
for shuffle, value in result.items():
    print(f"shuffle={shuffle!r:8} mean test accuracy {value:.3f}")

# %%
# Without shuffling, the end of an epoch is the training on nines.
plt.figure(figsize=(5, 3.6), layout="constrained")
for (shuffle, values), color, line in zip(
    accuracy.items(), ("#0072B2", "#D55E00", "#009E73"), ("-", "--", ":"), strict=True
):
    plt.plot(np.arange(1, 16), values, line, color=color, label=shuffle, linewidth=2)
plt.xlabel("epoch")
plt.ylabel("mean test accuracy")
plt.ylim(0, 1)
plt.legend(title="shuffle the rows")
