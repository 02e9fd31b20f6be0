"""What the transformers share: scikit-learn's interface, without importing scikit-learn."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn._util.conversion import read_feature_names
from fastnn.preprocessing.numeric_input import read_numbers

Array = NDArray[Any]
Names = NDArray[np.object_]


class Transformer:
    """Parameters, feature names and output containers of a transformer."""

    n_features_in_: int
    feature_names_in_: Names

    # Names of the constructor's parameters; the constructor stores each under its name.
    _parameters: ClassVar[tuple[str, ...]] = ()

    # ---- overridden ----

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from X."""
        raise NotImplementedError

    def transform(self, X: Any) -> Any:
        """Return the transformed X."""
        raise NotImplementedError

    def get_feature_names_out(self, input_features: Any = None) -> Names:
        """Return the column names of `fit`, or x0, x1, ... if X had none."""
        return self._resolve_names(input_features)

    # ---- scikit-learn's interface ----

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit to X, then return the transformed X."""
        return self.fit(X, y).transform(X)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name."""
        return {name: getattr(self, name) for name in self._parameters}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; an error for any other name."""
        for name in params:
            if name not in self._parameters:
                expected = f"one of {', '.join(self._parameters)}" if self._parameters else "no"
                raise ValueError(
                    f"{name}: expected {expected}{'' if self._parameters else ' parameters'}; "
                    f"got {list(params)}"
                )
        vars(self).update(params)
        return self

    def set_output(self, *, transform: str | None = None) -> Self:
        """Set the output of `transform`: arrays ("default") or data frames ("pandas", "polars").

        If it is not set, scikit-learn's option `transform_output` applies.
        """
        if transform is not None:
            checks.choice("transform", transform, _CONTAINERS)
            self._sklearn_output_config = {"transform": transform}  # kept by sklearn.clone
        return self

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({shown})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags, TransformerTags

        kinds = TransformerTags(preserves_dtype=["float64", "float32"])
        return Tags("transformer", TargetTags(required=False), kinds)

    # ---- for subclasses ----

    def _set_fitted(self, X: Any, n_features: int | None, **attributes: Any) -> None:
        """Store the results of a fit. In one call, so that after an interrupt all attributes are of
        the same X."""
        if n_features is not None:
            attributes["n_features_in_"] = n_features
        if (names := read_feature_names(X)) is not None:
            attributes["feature_names_in_"] = np.array(names, object)
        vars(self).update(attributes)
        for name in {"n_features_in_", "feature_names_in_"} - attributes.keys():
            vars(self).pop(name, None)

    def _check_fitted(self) -> None:
        if not any(name.endswith("_") and not name.startswith("_") for name in vars(self)):
            raise ValueError(f"{type(self).__name__}: expected a call of fit first; got none")

    def _check_names(self, X: Any) -> None:
        """Raise an error if X is a data frame with other columns than in `fit`."""
        names, fitted = read_feature_names(X), vars(self).get("feature_names_in_")
        if names is not None and fitted is not None and names != tuple(fitted):
            missing = [name for name in fitted if name not in set(names)]
            unexpected = [name for name in names if name not in set(fitted)]
            differences = f"missing {missing}, unexpected {unexpected}"
            raise ValueError(
                f"X: expected the columns {list(fitted)}; got {list(names)}: "
                f"{differences if missing or unexpected else 'in another order'}"
            )

    def _check_numbers(self, X: Any, shape: tuple[int, ...], *, allow_nan: bool = False) -> Array:
        """X as an array of numbers, whose rows have the shape of those in `fit`."""
        self._check_fitted()
        ndims = (len(shape) + 1,) if shape else (1, 2)
        values = read_numbers(X, ndims, allow_nan=allow_nan)
        if values.shape[1:] != shape:
            expected = ", ".join(map(str, ("n", *shape)))
            raise ValueError(f"X: expected shape ({expected}) as in fit; got {values.shape}"
                             f"{self._compare_counts(values.shape, shape)}")  # fmt: skip
        self._check_names(X)
        return values

    def _compare_counts(self, shape: tuple[int, ...], fitted: tuple[int, ...]) -> str:
        """The end of an error message, in the words that scikit-learn's tests expect."""
        if len(shape) != 2 or len(fitted) != 1:
            return ""
        return (f": X has {shape[1]} features, but {type(self).__name__} is expecting {fitted[0]} "
                "features as input")  # fmt: skip

    def _resolve_names(self, input_features: Any) -> Names:
        """The names of the input columns: those of `fit`, the given ones, or x0, x1, ..."""
        self._check_fitted()
        fitted: Names | None = vars(self).get("feature_names_in_")
        n = vars(self).get("n_features_in_", 1)
        if input_features is None:
            if fitted is not None:
                return fitted.copy()
            return np.array([f"x{i}" for i in range(n)], object)
        names = np.asarray(input_features, object)
        if fitted is not None and names.tolist() != fitted.tolist():
            raise ValueError(
                f"input_features: expected {fitted.tolist()} as in fit; got {names.tolist()}"
            )
        if len(names) != n:
            raise ValueError(f"input_features: expected {n} names; got {len(names)}")
        return names

    def _in_container(self, values: Array, X: Any) -> Any:
        """Return the values as an array or data frame, see `set_output`."""
        sklearn = sys.modules.get("sklearn")
        kind = "default" if sklearn is None else sklearn.get_config()["transform_output"]
        kind = vars(self).get("_sklearn_output_config", {}).get("transform", kind)
        if hasattr(values, "tocsr") and kind != "default":
            raise ValueError(f"sparse_output: expected False for the output {kind!r}; got True")
        if values.ndim == 1:
            return values
        return _CONTAINERS[kind](values, self.get_feature_names_out(), X)


def _to_pandas(values: Array, names: Names, X: Any) -> Any:
    import pandas

    index = X.index if isinstance(X, pandas.DataFrame) else None
    return pandas.DataFrame(values, index=index, columns=names, copy=False)


def _to_polars(values: Array, names: Names, X: Any) -> Any:
    import polars

    return polars.DataFrame(values, schema=names.tolist(), orient="row")


_CONTAINERS: dict[str, Callable[[Array, Names, Any], Any]] = {
    "default": lambda values, names, X: values,
    "pandas": _to_pandas,
    "polars": _to_polars,
}


def get_float_type(values: Array) -> type[np.floating[Any]]:
    """float32 for float32 values, otherwise float64."""
    return np.float32 if values.dtype == np.float32 else np.float64
