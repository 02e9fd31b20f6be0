"""Preprocessing: encoding of tables, scaling, one-hot encoding, random train-test splits."""

from fastnn.preprocessing.one_hot import one_hot
from fastnn.preprocessing.piecewise_linear import PiecewiseLinearEncoder
from fastnn.preprocessing.robust_scaler import RobustScaler
from fastnn.preprocessing.splitting import train_test_split
from fastnn.preprocessing.standardizer import Standardizer
from fastnn.preprocessing.table_encoder import TableEncoder

__all__ = [
    "PiecewiseLinearEncoder",
    "RobustScaler",
    "Standardizer",
    "TableEncoder",
    "one_hot",
    "train_test_split",
]


def __dir__() -> list[str]:
    return __all__
