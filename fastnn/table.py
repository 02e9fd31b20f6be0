"""Rows with names for their columns, as text and as arrays; no frame library is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MOST_ROWS = 40  # that a printed table shows


@dataclass(frozen=True)
class Table:
    """Columns of equal lengths, by name; `pandas.DataFrame(table.as_dict())` makes a frame of it.

    Examples
    --------
    >>> table = Table.of_rows([{"width": 8, "score": 0.91}, {"width": 16, "score": 0.9375}])
    >>> table["score"]
    [0.91, 0.9375]
    >>> print(table)
    width   score
        8    0.91
       16  0.9375
    """

    columns: Mapping[str, list[Any]]

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Table:
        """From rows; what one of them does not have is None."""
        rows = list(rows)
        names = dict.fromkeys(name for row in rows for name in row)
        return cls({name: [row.get(name) for row in rows] for name in names})

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.columns:
            raise KeyError(f"expected one of {list(self.columns)}; got {name!r}")
        return self.columns[name]

    def __len__(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()), ()))

    def as_dict(self) -> dict[str, list[Any]]:
        """The columns."""
        return dict(self.columns)

    def __str__(self) -> str:
        texts = [[name, *map(_text, column[:MOST_ROWS])] for name, column in self.columns.items()]
        widths = [max(map(len, column)) for column in texts]
        lines = [
            "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            for line in zip(*texts, strict=True)
        ]
        left = len(self) - MOST_ROWS
        return "\n".join([*lines, *([f"... and {left} more"] if left > 0 else [])])

    __repr__ = __str__


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
