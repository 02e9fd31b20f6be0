"""A small table with named columns, which needs no data frame library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastnn._util.columns import Columns

MAX_PRINTED_ROWS = 40


class Table(Columns[list[Any]]):
    """A read-only mapping from names to columns, which are lists of equal length.

    `pandas.DataFrame(table)` converts it to a data frame.

    Examples
    --------
    >>> table = Table.from_rows([{"width": 8, "score": 0.91}, {"width": 16, "score": 0.9375}])
    >>> table["score"]
    [0.91, 0.9375]
    >>> print(table)
    width   score
        8    0.91
       16  0.9375
    """

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Table:
        """Make a table of rows, mappings from names to values; missing values are None."""
        rows = list(rows)
        names = dict.fromkeys(name for row in rows for name in row)
        return cls({name: [row.get(name) for row in rows] for name in names})

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.values()), ()))

    def __str__(self) -> str:
        texts = [[name, *map(_format, column[:MAX_PRINTED_ROWS])] for name, column in self.items()]
        widths = [max(map(len, column)) for column in texts]
        lines = [
            "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            for line in zip(*texts, strict=True)
        ]
        n_hidden = self.n_rows - MAX_PRINTED_ROWS
        return "\n".join([*lines, *([f"... and {n_hidden} more"] if n_hidden > 0 else [])])

    __repr__ = __str__


def _format(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
