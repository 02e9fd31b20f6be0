r"""
A range test of the learning rate
=================================

A range test finds good learning rates in one short run: the learning rate grows from step to step
by a constant factor,

.. math:: \eta_t = \eta_{\min} \left(\frac{\eta_{\max}}{\eta_{\min}}\right)^{t / (T - 1)},

and the loss of each step is recorded. At first the rate is too low and the loss is constant; then
it decreases, and finally it rises, because the rate is too high. Good rates lie in the decrease,
below its end (L. Smith, "Cyclical learning rates for training neural networks", 2017).
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X, y = fn.datasets.load_digits()
X_train, X_test, y_train, y_test = fn.train_test_split(X / 16, y, random_state=0, stratify=y)
LAYERS = fn.Dense(32, "relu"), fn.Dense(10, "softmax")

# %%
# 150 steps of Adam, repeated with eight seeds.
test = fn.lr_range_test(fn.Sequential(*LAYERS, random_state=0), X_train, y_train, n_steps=150)
low, high = test.suggest()
middle = (low * high) ** 0.5
print(f"suggested learning rates: {low:.4f} to {high:.4f}")

# %%
# Does the suggestion train well? Three epochs with the middle of the range, and with rates far
# below and above it; new seeds.
result = {}
for name, rate in {"below": middle / 30, "suggested": middle, "above": middle * 30}.items():
    nets = [fn.Sequential(*LAYERS, random_state=seed) for seed in range(100, 105)]
    runs = fn.fit_many(
        nets, X_train, y_train, epochs=3, optimizer=fn.optimizers.Adam(rate),
        validation_data=(X_test, y_test),
    )  # fmt: skip
    result[name] = float(np.mean([run.score for run in runs]))
    print(f"{name:9} rate {rate:.5f}: mean test accuracy {result[name]:.3f}")

# %%
# The smoothed losses of the eight runs, and the suggested range.
plt.figure(figsize=(5, 3.6), layout="constrained")
fn.plot.lr_range(test, ax=plt.subplot())
