"""What a fit of an estimator for tables did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastnn._util.table import Table
from fastnn.estimators.tables.members import Member
from fastnn.preprocessing.table_columns import Column


@dataclass(frozen=True)
class TableReport:
    """Columns, networks and times of a fit; `print` shows all three.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> model = fn.TabularClassifier("fast", random_state=0).fit(X[:, :2], y)
    >>> model.report_.columns["kind"]
    ['number', 'number']
    """

    columns: Table
    """One row per column of X: name, kind, number of missing values, and of a category the number
    of levels that have a feature and of rare levels that share one."""
    members: Table
    """One row per network: epochs, the epoch whose weights were kept, its score on the rows held
    out, their number, and the duration of the training."""
    scores: Sequence[Sequence[float]]
    """The score of each network on its held-out rows after each epoch."""
    seconds: Mapping[str, float]
    """Duration of each part of the fit."""

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {seconds:.3g} s" for name, seconds in self.seconds.items())
        return f"{self.columns}\n\n{self.members}\n\n{parts}"


def make_report(
    columns: Sequence[Column], members: Sequence[Member], seconds: Mapping[str, float]
) -> TableReport:
    """The report of a fit."""
    return TableReport(
        columns=Table.from_rows(
            {"column": column.name, "kind": column.kind, "missing": column.n_gaps,
             "levels": len(column.levels) if column.kind == "category" else None,
             "rare": column.n_rare if column.kind == "category" else None}
            for column in columns
        ),
        members=Table.from_rows(
            {"epochs": len(member.scores), "best_epoch": member.best_epoch,
             "score": member.scores[member.best_epoch - 1], "held_out": len(member.held_out),
             "seconds": member.seconds}
            for member in members
        ),
        scores=tuple(tuple(member.scores) for member in members),
        seconds=dict(seconds),
    )  # fmt: skip
