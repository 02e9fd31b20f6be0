r"""
Early stopping
==============

During training the loss of the training rows falls, while that of other rows falls at first and
then rises: from there on the network overfits. *Early stopping* watches validation rows, stops when
their loss has not improved for a number of epochs, the *patience*, and restores the weights of the
best epoch,

.. math:: t^* = \arg\min_t L_\mathrm{validation}(w_t).

As these rows have chosen the epoch, a third set, the test rows, measures the result.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X, y = fn.datasets.load_breast_cancer()
X = fn.Standardizer().fit_transform(X)

# %%
# 100 training rows, 100 validation rows and 369 test rows, drawn anew for each of ten networks.
rng = np.random.default_rng(0)
EPOCHS, result, histories = 300, {}, {}
splits = [np.split(rng.permutation(len(X)), [100, 200]) for _ in range(10)]
for name, callbacks in {"full": [], "stopped": [fn.EarlyStopping(patience=20)]}.items():
    losses = []
    for seed, (train, validation, test) in enumerate(splits):
        net = fn.Sequential(fn.Dense(64, "tanh"), fn.Dense(1, "sigmoid"), random_state=seed)
        history = net.fit(
            X[train], y[train], optimizer=fn.optimizers.Adam(0.01), epochs=EPOCHS,
            validation_data=(X[validation], y[validation]), callbacks=callbacks,
        )  # fmt: skip
        losses.append(net.evaluate(X[test], y[test])["loss"])
        histories.setdefault(name, history)
    result[name] = float(np.mean(losses))
    print(f"{name:8} mean test loss {result[name]:.3f}")

# %%
# The first of the ten networks: its curves over all epochs, and where early stopping ended.
full, stopped = histories["full"], histories["stopped"]
epochs = np.arange(1, EPOCHS + 1)
plt.figure(figsize=(5, 3.6), layout="constrained")
plt.semilogy(epochs, full["loss"], "-", color="#0072B2", label="training rows")
plt.semilogy(epochs, full["val_loss"], "--", color="#D55E00", label="validation rows")
best = int(np.argmin(stopped["val_loss"]))
plt.plot(best + 1, stopped["val_loss"][best], "o", color="black", label="restored")
plt.axvline(stopped.n_epochs, color="0.4", linestyle=":", label="stopped")
plt.xlabel("epoch")
plt.ylabel("loss")
plt.legend()
