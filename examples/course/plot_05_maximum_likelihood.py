r"""
Three doors to cross-entropy
============================

A coin shows heads with probability p. Three questions lead to the same loss: which p makes the
observed throws most likely; which p makes them least surprising, where an event of probability q
surprises by :math:`-\log q`; and which coin is nearest to the observed frequency f, in the sense of
the Kullback-Leibler divergence?

.. math:: -\frac{1}{n} \log \prod_i p^{t_i} (1-p)^{1-t_i}
          = -f \log p - (1-f) \log(1-p) = \mathrm{KL}(f \,\|\, p) + H(f).

The entropy H(f) does not depend on p, so all three have their minimum at p = f.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

t = np.random.default_rng(0).random(200) < 0.3
f = t.mean()
p = np.linspace(0.02, 0.98, 193)

# %%
# The three functions of p, and a network that has nothing but a bias: its input is always 0.
likelihood = -np.array([np.log(np.where(t, q, 1 - q)).mean() for q in p])
surprise = -f * np.log(p) - (1 - f) * np.log(1 - p)
divergence = f * np.log(f / p) + (1 - f) * np.log((1 - f) / (1 - p))

net = fn.Sequential(fn.Dense(1, "sigmoid"), random_state=0, dtype="float64")
net.fit(np.zeros((200, 1)), t.astype(int), optimizer="lbfgs", epochs=50)
trained = net.predict([[0.0]])[0, 0]
gap = likelihood - divergence
result = {
    "network": float(abs(trained - f)), "difference": float(np.ptp(gap)),
    "doors": float(np.abs(likelihood - surprise).max()),
}  # fmt: skip
print(f"frequency {f:.3f}, network {trained:.6f}")
print(f"the divergence differs by the entropy {gap[0]:.4f}, for every p")

# %%
# The curves have one minimum, at the frequency.
plt.figure(figsize=(5, 3.4), layout="constrained")
plt.plot(p, likelihood, color="#0072B2", label="-log likelihood = surprise = cross-entropy")
plt.plot(p, divergence, "--", color="#D55E00", label="Kullback-Leibler divergence")
plt.axvline(f, color="0.4", linestyle=":", label="observed frequency")
plt.xlabel("p")
plt.ylabel("mean per throw (nats)")
plt.ylim(0, 2)
plt.legend()
