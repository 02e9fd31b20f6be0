"""Class labels as the numbers that a network learns, and back."""

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
    """Classes, and how outputs stand for them: one sigmoid ("binary"), one softmax
    ("multiclass"), or a sigmoid for each label ("multilabel")."""

    classes: Array
    kind: str

    @property
    def n_classes(self) -> int:
        """Number of classes, or of labels."""
        return len(self.classes)

    def encode(self, y: Array, dtype: Any, label_smoothing: float = 0.0) -> Array:
        """Targets (n, 1) or (n, n_labels). The loss of several classes smooths by itself."""
        if self.kind == "multilabel":
            target = np.asarray(y, dtype=dtype)
        else:
            target = self._codes(y).astype(dtype).reshape(-1, 1)
        if self.kind == "multiclass" or not label_smoothing:
            return np.ascontiguousarray(target)
        return np.ascontiguousarray((1 - label_smoothing) * target + label_smoothing / 2)

    def decode(self, outputs: Array) -> Array:
        """Labels (n,), or rows of 0 and 1, for a network's outputs."""
        if self.kind == "multilabel":
            return (outputs > 0.5).astype(np.int64)
        if self.n_classes == 1:
            return np.repeat(self.classes, len(outputs))
        chosen = outputs.argmax(axis=1) if self.kind == "multiclass" else outputs[:, 0] > 0.5
        return np.asarray(self.classes[chosen.astype(np.intp)])

    def class_weights(self, class_weight: Any, y: Array, weights: Array | None) -> Array | None:
        """The factor of each row's weight; "balanced" gives every class the same total."""
        if class_weight is None:
            return None
        if self.kind == "multilabel":
            raise ValueError("class_weight: expected None for several labels per row; got "
                             f"{class_weight!r}")  # fmt: skip
        codes = self._codes(y)
        if isinstance(class_weight, str):
            factors = balance_classes(codes, weights, self.n_classes)
        else:
            factors = np.ones(self.n_classes)
            for label, factor in class_weight.items():
                factors[self._code(label)] = checks.number("class_weight", factor, at_least=0)
        return factors[codes]

    def check(self, y: Array) -> None:
        """An error unless y has these labels, and as many a row."""
        self.check_width(y)
        if self.kind != "multilabel":
            self._codes(y)
        elif not np.isin(y, (0, 1)).all():
            raise ValueError("y: expected rows of 0 and 1; got other numbers")

    def check_width(self, y: Array) -> None:
        """An error unless y has as many labels a row as these."""
        expected = (self.n_classes,) if self.kind == "multilabel" else ()
        if y.shape[1:] != expected:
            what = f"rows of {self.n_classes} labels" if expected else "one label per row"
            raise ValueError(f"y: expected {what}, as there were before; got shape {y.shape}")

    def _codes(self, y: Array) -> NDArray[np.intp]:
        codes = np.searchsorted(self.classes, y)
        known = self.classes[np.minimum(codes, self.n_classes - 1)] == y
        if not np.all(known):
            (unknown,) = np.asarray(y)[~known][:1].tolist()
            raise ValueError(f"y: expected labels of {self.classes.tolist()}; got {unknown!r}")
        return codes

    def _code(self, label: Any) -> int:
        found = np.flatnonzero(self.classes == label)
        if not len(found):
            raise ValueError(
                f"class_weight: expected classes of {self.classes.tolist()}; got {label!r}"
            )
        return int(found[0])


def plain_unique(labels: Array) -> Array:
    """The sorted classes of checked labels; those of objects as the text that they are."""
    classes = np.unique(labels)
    return np.asarray(classes.tolist()) if classes.dtype.kind in "OT" else classes
