"""A read-only mapping from names to columns of equal length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

Column = TypeVar("Column")


class Columns(dict[str, Column]):
    """A read-only dictionary of columns. It is a `dict` because pandas and Polars construct frames
    from no other mapping.

    Examples
    --------
    >>> columns = Columns({"width": [8, 16]})
    >>> columns["height"]
    Traceback (most recent call last):
        ...
    KeyError: "expected one of ['width']; got 'height'"
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        super().__init__(columns)

    def __missing__(self, name: object) -> NoReturn:
        raise KeyError(f"expected one of {list(self)}; got {name!r}")

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        kind = type(self).__name__
        raise TypeError(f"{kind} is read-only: change a copy, dict({kind.lower()})")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> Any:
        """Copy and pickle call the constructor; by default they would assign items."""
        return type(self), (dict(self),), vars(self)
