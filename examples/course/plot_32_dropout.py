r"""
Dropout
=======

In training, dropout sets each output of a layer to 0 with probability :math:`p`, and scales the
others so that the mean remains the same,

.. math:: \tilde h_j = \frac{m_j}{1 - p}\, h_j, \qquad m_j \sim \mathrm{Bernoulli}(1 - p).

Each step thus trains another part of the network. Units cannot rely on each other, and a large
network overfits less. In prediction nothing is dropped (N. Srivastava and others, JMLR 15, 2014).
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.statistics import paired_difference

X, y = fn.datasets.load_digits()
X_train, X_test, y_train, y_test = fn.train_test_split(
    X / 16, y, test_size=1597, random_state=0, stratify=y
)

# %%
# 200 training rows and a wide network; ten seeds for each dropout rate.
RATES, EPOCHS = (0.0, 0.2, 0.5, 0.8), 100
losses = {}
for rate in RATES:
    nets = [
        fn.Sequential(
            fn.Dense(128, "relu"), fn.Dropout(rate), fn.Dense(10, "softmax"), random_state=seed
        )
        for seed in range(10)
    ]
    runs = fn.fit_many(nets, X_train, y_train, epochs=EPOCHS, validation_data=(X_test, y_test))
    losses[rate] = np.array([run.history["val_loss"] for run in runs])

result = {f"p = {rate}": float(values[:, -1].mean()) for rate, values in losses.items()}
for name, value in result.items():
    print(f"{name}: mean test loss {value:.4f}")
gain = paired_difference(losses[0.0][:, -1], losses[0.5][:, -1])
print(f"without dropout minus p = 0.5: {gain}")

# %%
# The mean test loss during training.
plt.figure(figsize=(5, 3.6), layout="constrained")
COLORS, LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), ("-", "--", "-.", ":")
for (rate, values), color, line in zip(losses.items(), COLORS, LINES, strict=True):
    plt.plot(np.arange(1, EPOCHS + 1), values.mean(axis=0), line, color=color, label=rate)
plt.xlabel("epoch")
plt.ylabel("mean test loss")
plt.ylim(0.2, 0.6)
plt.legend(title="dropout rate p")
