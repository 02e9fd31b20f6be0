r"""
Dropout
=======

In training, dropout sets each output of a layer to 0 with probability :math:`p`, and scales the
others so that the mean remains the same,

.. math:: \tilde h_j = \frac{m_j}{1 - p}\, h_j, \qquad m_j \sim \mathrm{Bernoulli}(1 - p).

Each step thus trains another part of the network. Units cannot rely on each other, and a large
network overfits less; a rate that is too high leaves too little of it. In prediction nothing is
dropped (N. Srivastava and others, JMLR 15, 2014).
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.statistics import paired_difference

X, y = fn.datasets.load_concrete()
X = fn.Standardizer().fit_transform(X)
y = fn.Standardizer().fit_transform(y)

# %%
# Ten networks of 64 units for each dropout rate, each trained on 100 random rows and tested on the
# others. The same rows serve all rates.
RATES, EPOCHS = (0.0, 0.2, 0.5, 0.8), 300
rng = np.random.default_rng(0)
subsets = [rng.choice(len(X), 100, replace=False) for _ in range(10)]
losses = {}
for rate in RATES:
    nets = [
        fn.Sequential(fn.Dense(64, "relu"), fn.Dropout(rate), fn.Dense(1), random_state=seed)
        for seed in range(10)
    ]
    runs = fn.fit_many(
        nets, X, y, optimizer=fn.optimizers.Adam(0.003), epochs=EPOCHS, subsets=subsets,
        validation_data="held out",
    )  # fmt: skip
    losses[rate] = np.array([run.history["val_loss"] for run in runs])

result = {f"p = {rate}": float(values[:, -1].mean()) for rate, values in losses.items()}
for name, value in result.items():
    print(f"{name}: mean test loss {value:.4f}")
gain = paired_difference(losses[0.0][:, -1], losses[0.2][:, -1])
print(f"without dropout minus p = 0.2: {gain}")

# %%
# The mean test loss during training.
plt.figure(figsize=(5, 3.6), layout="constrained")
COLORS, LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), ("-", "--", "-.", ":")
for (rate, values), color, line in zip(losses.items(), COLORS, LINES, strict=True):
    plt.plot(np.arange(1, EPOCHS + 1), values.mean(axis=0), line, color=color, label=rate)
plt.xlabel("epoch")
plt.ylabel("mean test loss")
plt.ylim(0.2, 0.7)
plt.legend(title="dropout rate p")
