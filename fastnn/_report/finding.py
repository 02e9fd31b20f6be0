"""A finding about a run, and the report that lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SEVERITIES = ("problem", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One observation about a run.

    Attributes
    ----------
    kind : str
        What was found, such as "overfitting"; the kinds are listed at `History.report`.
    severity : "info", "warning" or "problem"
        An info requires no action. A warning is about a run that can probably be improved, a
        problem about one whose result is not useful.
    evidence : str
        The numbers that show it.
    remedy : str
        What to change.
    """

    kind: str
    severity: str
    evidence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.kind}\n    {self.evidence}\n    {self.remedy}"


class Report(Sequence[Finding]):
    """A read-only list of findings, the most severe first; `print` shows one paragraph each.

    Examples
    --------
    >>> report = Report([Finding("converged", "info", "The loss is constant.", "Nothing to do.")])
    >>> len(report), report[0].kind, report.kinds
    (1, 'converged', ('converged',))
    >>> print(report)
    info: converged
        The loss is constant.
        Nothing to do.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(sorted(findings, key=lambda one: SEVERITIES.index(one.severity)))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of each finding."""
        return tuple(finding.kind for finding in self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index: Any) -> Any:
        return self.findings[index]

    def __repr__(self) -> str:
        return "\n".join(map(str, self.findings)) or "no findings"
