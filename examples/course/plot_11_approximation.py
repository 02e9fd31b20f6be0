r"""
Three tanh units approximate many functions
===========================================

One hidden layer with enough units approximates any continuous function on an interval as closely as
one likes (Cybenko 1989, Hornik 1991). Three tanh units, ten numbers,

.. math:: f(x) = b + \sum_{j=1}^{3} v_j \tanh(w_j x + c_j),

are enough to come close to a parabola, a sine, an absolute value and a step (C. Bishop, Pattern
Recognition and Machine Learning, 2006, figure 5.3). For the step, one unit with a large weight
would do.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

x = np.linspace(-1, 1, 100)[:, None]
FUNCTIONS = {
    "x²": x**2, "sin πx": np.sin(np.pi * x), "|x|": np.abs(x), "step": (x > 0).astype(float)
}  # fmt: skip

# %%
# The best of ten seeds for each function.
fits, result = {}, {}
for name, y in FUNCTIONS.items():
    nets = [
        fn.Sequential(fn.Dense(3, "tanh"), fn.Dense(1), random_state=seed, dtype="float64")
        for seed in range(10)
    ]
    fn.fit_many(nets, x, y, optimizer="levenberg_marquardt", epochs=300)
    errors = [float(np.sqrt(np.mean((net.predict(x) - y) ** 2))) for net in nets]
    fits[name], result[name] = nets[int(np.argmin(errors))].predict(x), min(errors)
    print(f"{name:7} root mean squared error {result[name]:.1e}")

# %%
# Points are the data, the line is the network.
figure, panels = plt.subplots(2, 2, figsize=(5.4, 4.4), layout="constrained")
for axes, (name, y) in zip(panels.flat, FUNCTIONS.items(), strict=True):
    axes.plot(x[::4], y[::4], "o", color="#0072B2", markersize=4)
    axes.plot(x, fits[name], color="#D55E00")
    axes.set(title=name, xlabel="x", ylabel="y")
