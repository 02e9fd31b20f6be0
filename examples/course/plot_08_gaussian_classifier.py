r"""
Logistic regression beside the Gaussian classifier
==================================================

Logistic regression models the probability of a class directly. A Gaussian classifier models how
each class is distributed, as a normal distribution with its own mean and covariance, and applies
Bayes' rule (quadratic discriminant analysis):

.. math:: P(k \mid x) \propto \pi_k\, \mathcal{N}(x;\, \mu_k, \Sigma_k).

Its boundary is a quadratic curve, and it has more parameters, here 11 instead of 3. Where the
classes differ only in their covariances, as here, no line separates them.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

import fastnn as fn

rng = np.random.default_rng(0)
y = np.repeat([0, 1], 1000)
X = rng.normal(size=(2000, 2)) * np.where(y == 0, 0.6, 2)[:, None]
train = rng.permutation(2000) < 1000

# %%
# Two classes around the same point, one narrow and one wide.
logistic = fn.Sequential(fn.Dense(1, "sigmoid"), random_state=0, dtype="float64")
logistic.fit(X[train], y[train], optimizer="lbfgs", epochs=100)
gaussian = QuadraticDiscriminantAnalysis().fit(X[train], y[train])
n_features, n_classes = 2, 2
per_class = n_features + n_features * (n_features + 1) // 2
result = {
    "logistic": float(np.mean((logistic.predict(X[~train])[:, 0] > 0.5) == y[~train])),
    "Gaussian": float(gaussian.score(X[~train], y[~train])),
    "logistic parameters": logistic.n_parameters,
    "Gaussian parameters": n_classes * per_class + n_classes - 1,
}
for name in ("logistic", "Gaussian"):
    print(f"{name}: {result[f'{name} parameters']} parameters, accuracy {result[name]:.3f}")

# %%
# The Gaussian classifier's boundary is an ellipse.
fn.plot.decision_boundary(gaussian, X[~train], y[~train])
plt.gcf().set_size_inches(5, 4)
