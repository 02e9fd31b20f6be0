r"""
Forward against reverse mode
============================

A product of matrices can be computed from either end. Forward mode starts at the inputs and follows
one column for each input; reverse mode starts at the outputs and follows one row for each output:

.. math:: J = \big(J_3 (J_2 (J_1\, I))\big) = \big(((I\, J_3)\, J_2)\, J_1\big).

The results are the same. A loss is one number, and a network has thousands of parameters: there
reverse mode needs one pass, and forward mode thousands.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

SIZES = (1, 4, 16, 64, 128)
X = np.random.default_rng(0).normal(size=(500, 128))

# %%
# The time of the Jacobian of a network with as many inputs as given, and 8 outputs.
seconds, difference = {"forward": [], "reverse": []}, 0.0
for n_features in SIZES:
    net = fn.Sequential(
        fn.Dense(64, "tanh"), fn.Dense(64, "tanh"), fn.Dense(8), random_state=0, dtype="float64"
    ).build(n_features)
    rows, jacobians = np.ascontiguousarray(X[:, :n_features]), []
    for mode, taken in seconds.items():
        jacobians.append(net.jacobian(rows, mode=mode))
        times = []
        for _ in range(5):
            began = time.perf_counter()
            net.jacobian(rows, mode=mode, n_threads=1)
            times.append(time.perf_counter() - began)
        taken.append(min(times))
    difference = max(difference, float(np.abs(jacobians[0] - jacobians[1]).max()))

result = {"difference": difference, "ratio": seconds["forward"][-1] / seconds["reverse"][-1]}
print(f"largest difference between the modes: {difference:.1e}")
print(f"with 128 inputs and 8 outputs, forward / reverse time: {result['ratio']:.1f}")

# %%
# Forward mode gets more expensive with each input; reverse mode hardly does.
plt.figure(figsize=(5, 3.4), layout="constrained")
for (mode, taken), color, marker in zip(seconds.items(), ("#0072B2", "#D55E00"), "os", strict=True):
    plt.loglog(SIZES, 1e3 * np.array(taken), marker=marker, color=color, label=f"{mode} mode")
plt.xlabel("number of inputs (8 outputs)")
plt.ylabel("time for 500 rows (ms)")
plt.legend()
