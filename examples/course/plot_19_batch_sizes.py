r"""
Batch, minibatch and online training
====================================

A step of gradient descent follows the mean gradient of a batch :math:`B` of the rows,

.. math:: w \leftarrow w - \frac{\eta}{|B|} \sum_{i \in B} \nabla_w L_i(w).

With all rows in each batch (*batch* training) an epoch has one step, with one row per batch
(*online* training) it has as many steps as there are rows. The mean gradient of a small batch is
noisy, but it costs less: an epoch reads each row once for any batch size, and gives more steps with
small batches. *Minibatches* of some tens of rows are the usual compromise.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X, y = fn.datasets.load_digits()
X = X / 16
SIZES = {"batch": len(X), "minibatch": 32, "online": 1}
EPOCHS = 15

# %%
# Each size trains five networks, which differ in their seeds, at the same learning rate.
losses = {}
for name, size in SIZES.items():
    nets = [
        fn.Sequential(fn.Dense(32, "relu"), fn.Dense(10, "softmax"), random_state=seed)
        for seed in range(5)
    ]
    sgd = fn.optimizers.SGD(0.02)
    runs = fn.fit_many(nets, X, y, optimizer=sgd, epochs=EPOCHS, batch_size=size)
    losses[name] = np.mean([run.history["loss"] for run in runs], axis=0)

result = {name: float(values[-1]) for name, values in losses.items()}
for name, value in result.items():
    print(f"{name:9} mean training loss of epoch {EPOCHS}: {value:.4f}")

# %%
# By epoch, online training is ahead; by step, batch training is. On a logarithmic axis of steps the
# three curves begin one after the other, as their epochs differ in length.
plt.figure(figsize=(5.2, 3.4), layout="constrained")
epochs = np.arange(1, EPOCHS + 1)
for panel, xlabel in ((1, "epoch"), (2, "step")):
    ax = plt.subplot(1, 2, panel)
    for (name, size), color, line in zip(
        SIZES.items(), ("#0072B2", "#D55E00", "#009E73"), ("-", "--", ":"), strict=True
    ):
        steps = epochs if panel == 1 else epochs * -(-len(X) // size)
        ax.plot(steps, losses[name], line, color=color, label=name, linewidth=2)
    ax.set(xlabel=xlabel, ylabel="training loss", yscale="log")
ax.set_xscale("log")
ax.legend()
