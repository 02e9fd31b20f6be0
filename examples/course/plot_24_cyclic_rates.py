r"""
Cyclic learning rates and the minima they visit
===============================================

A cyclic learning rate rises and falls linearly between two bounds. With the half cycle :math:`h`,
in cycle :math:`k = \lfloor t / 2h \rfloor`,

.. math:: \eta_t = \eta_{\min} + (\eta_{\max} - \eta_{\min})\,(1 - |t / h - 2k - 1|).

The high rates move the network away from where it was; at the end of each cycle the low rates lead
to a low loss. Are these ends the same minimum? On the straight line between the weights of two of
them, :math:`(1 - a)\, w_1 + a\, w_2`, the loss would then remain low. A barrier between the ends
shows that they are in different valleys.
"""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X, y = fn.datasets.load_digits()
X = X / 16
CYCLE, N_CYCLES = 10, 5  # epochs per cycle
half_cycle = CYCLE // 2 * -(-len(X) // 32)
adam = fn.optimizers.Adam(fn.schedules.Cyclic(1e-4, 0.1, half_cycle))

# %%
# The weights at the end of each cycle are stored, and the loss is computed on the lines that
# connect them one after the other; three networks.
FRACTIONS = np.linspace(0, 1, 21)


def train(seed):
    net = fn.Sequential(fn.Dense(32, "tanh"), fn.Dense(10, "softmax"), random_state=seed)
    seen = []
    history = net.fit(
        X, y, optimizer=adam, epochs=CYCLE * N_CYCLES,
        callbacks=[lambda epoch: seen.append(epoch.network.parameters.copy())],
    )  # fmt: skip
    path = []
    for first, second in pairwise(seen[CYCLE - 1 :: CYCLE]):
        for a in FRACTIONS:
            net.parameters[:] = (1 - a) * first + a * second
            path.append(net.evaluate(X, y)["loss"])
    return history["loss"], np.reshape(path, (N_CYCLES - 1, len(FRACTIONS)))


losses, paths = map(np.array, zip(*map(train, range(3)), strict=True))
result = {"minima": float(paths[..., 0].mean()), "barriers": float(paths.max(axis=-1).mean())}
print(f"mean loss at the ends of cycles {result['minima']:.4f}, ", end="")
print(f"highest on the lines between them {result['barriers']:.4f}")

# %%
# The first network: its loss during training, and on the line from each minimum to the next.
loss, path = losses[0], paths[0]
plt.figure(figsize=(5, 4.4), layout="constrained")
ax = plt.subplot(2, 1, 1)
ax.plot(np.arange(1, CYCLE * N_CYCLES + 1), loss, color="#0072B2")
ends = CYCLE * np.arange(1, N_CYCLES + 1)
ax.plot(ends, loss[ends - 1], "o", color="#D55E00")
ax.set(xlabel="epoch", ylabel="training loss", yscale="log")
ax = plt.subplot(2, 1, 2)
ax.plot((np.arange(1, N_CYCLES)[:, None] + FRACTIONS).ravel(), path.ravel(), color="#0072B2")
ax.plot(np.arange(1, N_CYCLES + 1), [*path[:, 0], path[-1, -1]], "o", color="#D55E00")
ax.set(xlabel="end of cycle", ylabel="loss on the line", xticks=np.arange(1, N_CYCLES + 1))
