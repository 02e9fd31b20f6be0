"""Compare learning rates suggested by a range test with the default, on the digits with 20 seeds.

Needs only fastnn.
"""

import fastnn as fn
from fastnn.statistics import estimate, paired_difference

X, y = fn.datasets.load_digits()
X_train, X_test, y_train, y_test = fn.train_test_split(X / 16, y, random_state=0, stratify=y)
EPOCHS, BATCH = 10, 32


def make_network(seed):
    """An untrained network."""
    return fn.Sequential(fn.Dense(64, "relu"), fn.Dense(10, "softmax"), random_state=seed)


# Each of the eight runs leaves out one quarter of the rows, so the bands include the variation over
# folds.
bounds = fn.lr_range_test(make_network(1000), X_train, y_train, batch_size=BATCH, cv=4).suggest()
for name in ("low", "high"):
    first, last = getattr(bounds, f"{name}_band")
    print(f"{name:4} {getattr(bounds, name):.4f}, half of the runs in {first:.4f}..{last:.4f}")

# Two cycles, so that the learning rate is lowest at the end of training.
half_cycle = EPOCHS * -(-len(X_train) // BATCH) // 4
rates = {
    "default": 0.001,
    "constant": (bounds.low * bounds.high) ** 0.5,
    "cyclic": fn.schedules.Cyclic(bounds.low, bounds.high, half_cycle),
}
scores = {}
for name, rate in rates.items():
    runs = fn.fit_many(
        [make_network(seed) for seed in range(20)], X_train, y_train, epochs=EPOCHS,
        batch_size=BATCH, optimizer=fn.optimizers.Adam(rate), validation_data=(X_test, y_test),
    )  # fmt: skip
    scores[name] = [run.score for run in runs]
    print(f"{name:8} {estimate(scores[name])}")
# Both settings have the same seeds, so this is the standard error of the paired differences.
print("gain    ", paired_difference(scores["cyclic"], scores["default"]))
