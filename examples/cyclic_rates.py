"""Learning rates that a range test suggests, against the default one: digits, twenty seeds each.

Needs nothing but fastnn.
"""

import fastnn as fn
from fastnn.statistics import estimate, paired_difference

X, y = fn.datasets.load_digits()
X_train, X_test, y_train, y_test = fn.train_test_split(X / 16, y, random_state=0, stratify=y)
EPOCHS, BATCH = 10, 32


def network(seed):
    """Untrained."""
    return fn.Sequential(fn.Dense(64, "relu"), fn.Dense(10, "softmax"), random_state=seed)


# Each of eight runs leaves out another quarter of the rows, so that the bands are cross-validated.
bounds = fn.lr_range_test(network(1000), X_train, y_train, batch_size=BATCH, cv=4).suggest()
for name in ("low", "high"):
    first, last = getattr(bounds, f"{name}_band")
    print(f"{name:4} {getattr(bounds, name):.4f}, half of the runs from {first:.4f} to {last:.4f}")

# Two cycles: the rate is lowest when training ends.
half_cycle = EPOCHS * -(-len(X_train) // BATCH) // 4
rates = {
    "default": 0.001,
    "constant": (bounds.low * bounds.high) ** 0.5,
    "cyclic": fn.schedules.Cyclic(bounds.low, bounds.high, half_cycle),
}
scores = {}
for name, rate in rates.items():
    runs = fn.fit_many(
        [network(seed) for seed in range(20)], X_train, y_train, epochs=EPOCHS, batch_size=BATCH,
        optimizer=fn.optimizers.Adam(rate), validation_data=(X_test, y_test),
    )  # fmt: skip
    scores[name] = [run.score for run in runs]
    print(f"{name:8} {estimate(scores[name])}")
# Both have the same seeds, so the standard error is that of the differences.
print("gain    ", paired_difference(scores["cyclic"], scores["default"]))
