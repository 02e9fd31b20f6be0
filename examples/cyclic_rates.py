"""Learning rates that a range test suggests, against the default one: digits, twenty seeds each.

Needs nothing but fastnn.
"""

import numpy as np

import fastnn as fn

X, y = fn.datasets.load_digits()
X_train, X_test, y_train, y_test = fn.train_test_split(X / 16, y, seed=0, stratify=y)
layers = fn.Dense(64, "relu"), fn.Dense(10, "softmax")
EPOCHS, BATCH = 10, 32

# Each of eight runs leaves out another quarter of the rows, so that the bands are cross-validated.
net = fn.Sequential(*layers, seed=1000)
bounds = fn.lr_range_test(net, X_train, y_train, batch_size=BATCH, cv=4).suggest()
for name in ("low", "high"):
    first, last = getattr(bounds, f"{name}_band")
    print(f"{name:4} {getattr(bounds, name):.4f}, half of the runs from {first:.4f} to {last:.4f}")

# Two cycles: the rate is lowest when training ends.
half_cycle = EPOCHS * -(-len(X_train) // BATCH) // 4
rates = {
    "default 0.001": 0.001,
    "constant": (bounds.low * bounds.high) ** 0.5,
    "cyclic": fn.schedules.Cyclic(bounds.low, bounds.high, half_cycle),
}


def accuracy(rate, seed):
    """On the held-out digits."""
    net = fn.Sequential(*layers, seed=seed)
    adam = fn.optimizers.Adam(rate)
    net.fit(X_train, y_train, optimizer=adam, epochs=EPOCHS, batch_size=BATCH)
    return net.evaluate(X_test, y_test)["accuracy"]


scores = {}
for name, rate in rates.items():
    scores[name] = np.array([accuracy(rate, seed) for seed in range(20)])
    print(f"{name:13} {scores[name].mean():.4f} ± {scores[name].std(ddof=1):.4f}")
# The same seeds on both sides: the standard error is that of the differences.
gain = scores["cyclic"] - scores["default 0.001"]
print(f"gain {gain.mean():.4f} ± {gain.std(ddof=1) / np.sqrt(len(gain)):.4f}")
