"""Encoding of class labels as targets of a network, and decoding of its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._training.class_weights import balance_classes
from fastnn._util import checks

Array = NDArray[Any]


@dataclass(frozen=True)
class Labels:
    """The classes, and how the outputs encode them: one sigmoid ("binary"), a softmax
    ("multiclass"), or one sigmoid per label ("multilabel")."""

    classes: Array
    kind: str

    @property
    def n_classes(self) -> int:
        """Number of classes, or of labels."""
        return len(self.classes)

    def encode(self, y: Array, dtype: Any, label_smoothing: float = 0.0) -> Array:
        """Targets (n, 1) or (n, n_labels). For "multiclass" the loss applies label smoothing."""
        if self.kind == "multilabel":
            target = np.asarray(y, dtype=dtype)
        else:
            target = self._to_codes(y).astype(dtype).reshape(-1, 1)
        if self.kind == "multiclass" or not label_smoothing:
            return np.ascontiguousarray(target)
        return np.ascontiguousarray((1 - label_smoothing) * target + label_smoothing / 2)

    def decode(self, outputs: Array) -> Array:
        """Labels (n,), or an indicator matrix of 0 and 1 (n, n_labels), for a network's outputs."""
        if self.kind == "multilabel":
            return (outputs > 0.5).astype(np.int64)
        if self.n_classes == 1:
            return np.repeat(self.classes, len(outputs))
        chosen = outputs.argmax(axis=1) if self.kind == "multiclass" else outputs[:, 0] > 0.5
        return np.asarray(self.classes[chosen.astype(np.intp)])

    def compute_class_factors(
        self, class_weight: Any, y: Array, weights: Array | None
    ) -> Array | None:
        """The factor of each row's weight by its class; "balanced" gives every class the same total
        weight."""
        if class_weight is None:
            return None
        if self.kind == "multilabel":
            raise ValueError("class_weight: expected None for multilabel targets; got "
                             f"{class_weight!r}")  # fmt: skip
        codes = self._to_codes(y)
        if isinstance(class_weight, str):
            factors = balance_classes(codes, weights, self.n_classes)
        else:
            factors = np.ones(self.n_classes)
            for label, factor in class_weight.items():
                factors[self._find_code(label)] = checks.number("class_weight", factor, at_least=0)
        return factors[codes]

    def check_labels(self, y: Array) -> None:
        """Raise an error if y has other labels, or another number of labels per row."""
        self.check_width(y)
        if self.kind != "multilabel":
            self._to_codes(y)
        elif not np.isin(y, (0, 1)).all():
            raise ValueError("y: expected rows of 0 and 1; got other values")

    def check_width(self, y: Array) -> None:
        """Raise an error if y has another number of labels per row."""
        expected = (self.n_classes,) if self.kind == "multilabel" else ()
        if y.shape[1:] != expected:
            n = f"{self.n_classes} labels" if expected else "one label"
            raise ValueError(f"y: expected {n} per row, as before; got shape {y.shape}")

    def _to_codes(self, y: Array) -> NDArray[np.intp]:
        codes = np.searchsorted(self.classes, y)
        known = self.classes[np.minimum(codes, self.n_classes - 1)] == y
        if not np.all(known):
            (unknown,) = np.asarray(y)[~known][:1].tolist()
            raise ValueError(f"y: expected labels of {self.classes.tolist()}; got {unknown!r}")
        return codes

    def _find_code(self, label: Any) -> int:
        positions = np.flatnonzero(self.classes == label)
        if not len(positions):
            raise ValueError(
                f"class_weight: expected classes of {self.classes.tolist()}; got {label!r}"
            )
        return int(positions[0])


def find_classes(labels: Array) -> Array:
    """The sorted classes of checked labels; those of dtype object or StringDType get the
    NumPy dtype of their values, such as `<U5`."""
    classes = np.unique(labels)
    return np.asarray(classes.tolist()) if classes.dtype.kind in "OT" else classes
