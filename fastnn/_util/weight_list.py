"""A list of a network's weight arrays that supports assignment."""

from __future__ import annotations

from typing import Any, NoReturn, SupportsIndex, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn._util.conversion import all_finite, as_numeric

Array = NDArray[Any]
Item = TypeVar("Item", bound=Array | None)


class WeightList(list[Item]):
    """Views of a network's parameters, one per layer.

    Assigning an item or a slice copies the values into the network; the length is fixed. It is a
    list, like scikit-learn's `coefs_`, so that `model.coefs_ + model.intercepts_` works.

    Parameters
    ----------
    name : str
        The name in error messages.
    views : list of array or None
        None for a layer without bias.

    Examples
    --------
    >>> parameters = np.zeros(3)
    >>> weights = WeightList("weights", [parameters[:2], parameters[2:]])
    >>> weights[0] = [1, 2]
    >>> parameters
    array([1., 2., 0.])
    """

    def __init__(self, name: str, views: list[Item]) -> None:
        super().__init__(views)
        self.name = name

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        if isinstance(index, slice):
            positions, values = list(range(len(self))[index]), list(value)
        else:
            positions, values = [range(len(self))[index]], [value]
        if len(values) != len(positions):
            raise ValueError(f"{self.name}: expected {len(positions)} arrays; got {len(values)}")
        views = [self[i] for i in positions]
        # Check and copy all values before the first is written: they may be views of this network.
        arrays = [
            _copy_checked(f"{self.name}[{i}]", value, view)
            for i, value, view in zip(positions, values, views, strict=True)
        ]
        for view, array in zip(views, arrays, strict=True):
            if view is not None:
                view[...] = array

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(f"{self.name}: expected one array per layer; got a change of length")

    __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """A copy or unpickled object is a plain list, independent of the network."""
        return list, (list(self),)


def _copy_checked(name: str, value: Any, view: Array | None) -> Array | None:
    """A copy of the values in the dtype of a view, after checks; None for a layer without bias."""
    if view is None:
        if value is not None:
            got = checks.describe(value)
            raise ValueError(f"{name}: expected None, as the layer has no bias; got {got}")
        return None
    array = as_numeric(name, value)
    if array.shape != view.shape:
        raise ValueError(f"{name}: expected shape {view.shape}; got {array.shape}")
    with np.errstate(over="ignore"):
        copy: Array = array.astype(view.dtype)
    if not all_finite(copy):
        got = array[~np.isfinite(copy)][0]
        raise ValueError(f"{name}: expected finite numbers in the range of {view.dtype}; got {got}")
    return copy
