r"""
Binary and multi-class cross-entropy
====================================

Two classes need one logit z with a sigmoid, or two logits with a softmax. Because

.. math:: \frac{e^{z_1}}{e^{z_0} + e^{z_1}} = \sigma(z_1 - z_0),

they are the same model: the sigmoid's weights are the difference of the softmax's. So are their
losses, :math:`-t \log p - (1-t) \log(1-p)` and :math:`-\log p_t`. With more classes they differ: a
softmax has one distribution over all classes, sigmoids answer one question for each class.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X, y = fn.datasets.load_breast_cancer()
X = fn.Standardizer().fit_transform(X)[:, :2]

# %%
# Both are trained to the minimum of their loss.
nets = {
    "sigmoid": fn.Sequential(fn.Dense(1, "sigmoid"), random_state=0, dtype="float64"),
    "softmax": fn.Sequential(fn.Dense(2, "softmax"), random_state=0, dtype="float64"),
}
losses = {}
for name, net in nets.items():
    net.fit(X, y, optimizer="lbfgs", epochs=500)
    losses[name] = net.evaluate(X, y)["loss"]
p, q = nets["sigmoid"].predict(X)[:, 0], nets["softmax"].predict(X)[:, 1]
w = nets["softmax"].weights[0]
result = {
    "losses": abs(losses["sigmoid"] - losses["softmax"]),
    "probabilities": float(np.abs(p - q).max()),
    "weights": float(np.abs(w[:, 1] - w[:, 0] - nets["sigmoid"].weights[0][:, 0]).max()),
}
print(f"losses {losses['sigmoid']:.6f} and {losses['softmax']:.6f}")
print(f"largest difference of a probability: {result['probabilities']:.1e}")

# %%
# Ten digits: the probabilities of a softmax add up to 1, those of ten sigmoids need not.
digits, t = fn.datasets.load_digits()
many = fn.Sequential(fn.Dense(10, "softmax"), random_state=0)
many.fit(digits / 16, t, optimizer="adam", epochs=30)
each = fn.Sequential(fn.Dense(10, "sigmoid"), random_state=0)
each.fit(digits / 16, fn.one_hot(t), optimizer="adam", epochs=30)
sums = {"softmax": many.predict(digits / 16).sum(1), "sigmoid": each.predict(digits / 16).sum(1)}
result["sums"] = {name: (float(s.min()), float(s.max())) for name, s in sums.items()}
print("sums of ten probabilities:", result["sums"])

# %%
# Left, the loss of a row by the probability that the model gives to its class.
axis = np.linspace(0.01, 1, 200)
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
left.plot(axis, -np.log(axis), color="#0072B2")
left.set(xlabel="probability of the right class", ylabel="cross-entropy (nats)")
right.hist(sums["sigmoid"], bins=40, color="#E69F00", label="ten sigmoids")
right.axvline(1, color="#0072B2", label="softmax")
right.set(xlabel="sum of the ten probabilities", ylabel="rows")
right.legend()
