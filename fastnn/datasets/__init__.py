"""Data sets for examples and tests: three small real ones and a simulated one.

The real ones are stored in the package; LICENSES.md in this folder lists their sources, authors
and licences.

Examples
--------
>>> X, y = load_digits()
>>> X.shape, y.shape
((1797, 64), (1797,))
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import DTypeLike

from fastnn.datasets.dataset import Dataset
from fastnn.datasets.star_quasar import make_star_quasar

__all__ = [
    "Dataset",
    "load_breast_cancer",
    "load_concrete",
    "load_digits",
    "make_star_quasar",
]


def __dir__() -> list[str]:
    return __all__


def _load(name: str, target_type: DTypeLike, description: str) -> Dataset:
    path = files(__name__).joinpath(f"{name}.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as table:
        return Dataset(
            X=np.ascontiguousarray(table["X"], dtype=np.float64),
            y=table["y"].astype(target_type),
            feature_names=tuple(table["feature_names"].tolist()),
            target_names=tuple(table["target_names"].tolist()),
            description=description,
        )


def load_digits() -> Dataset:
    """Load the handwritten digits: 1797 images of 8 x 8 pixels in 10 classes.

    Returns
    -------
    Dataset
        With new arrays at each call; X has shape (1797, 64).

    Examples
    --------
    >>> digits = load_digits()
    >>> digits.X[0].reshape(8, 8)[0].tolist(), digits.y[0].item()
    ([0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0], 0)
    """
    return _load(
        "digits",
        np.int64,
        "Optical Recognition of Handwritten Digits, test part: 1797 digits written by 13 people. "
        "A row is an image of 8 x 8 pixels, row by row from the top left; a pixel counts the "
        "black dots, 0 to 16, of a block of 4 x 4. The target is the digit. "
        "E. Alpaydin, C. Kaynak, 1998, UCI Machine Learning Repository, "
        "https://doi.org/10.24432/C50P49, CC BY 4.0.",
    )


def load_breast_cancer() -> Dataset:
    """Load the breast tumours: 569 rows of 30 features, malignant (0) or benign (1).

    Returns
    -------
    Dataset
        With new arrays at each call; X has shape (569, 30).

    Examples
    --------
    >>> cancer = load_breast_cancer()
    >>> cancer.X.shape, cancer.target_names
    ((569, 30), ('malignant', 'benign'))
    """
    return _load(
        "breast_cancer",
        np.int64,
        "Breast Cancer Wisconsin (Diagnostic): 569 tumours, 212 malignant (class 0) and 357 "
        "benign (class 1). A row describes the cell nuclei in an image of a fine needle aspirate: "
        "mean, standard error and worst value (mean of the three largest) of ten measures. "
        "W. Wolberg, O. Mangasarian, N. Street, W. Street, 1993, UCI Machine Learning Repository, "
        "https://doi.org/10.24432/C5DW2B, CC BY 4.0. Not for diagnosis.",
    )


def load_concrete() -> Dataset:
    """Load the concrete mixtures: 1030 rows of 8 features, with the compressive strength in MPa.

    Returns
    -------
    Dataset
        With new arrays at each call; X has shape (1030, 8).

    Examples
    --------
    >>> concrete = load_concrete()
    >>> concrete.X.shape, concrete.target_names, concrete.y[0].item()
    ((1030, 8), ('compressive_strength',), 79.99)
    """
    return _load(
        "concrete",
        np.float64,
        "Concrete Compressive Strength: 1030 tests of concrete in laboratories; 25 rows repeat "
        "earlier ones. A row is a mixture, seven ingredients in kg per cubic metre, and its age "
        "in days, 1 to 365. The target is the compressive strength in MPa. "
        "I-C. Yeh, 1998, UCI Machine Learning Repository, https://doi.org/10.24432/C5PK67, "
        "CC BY 4.0.",
    )
