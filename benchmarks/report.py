"""Tables of results, for the terminal and for RESULTS.md, which are the same text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import peers
from cases import Case, ManyCase, PredictionCase, TrainingCase
from measure import Measured, Result
from roofline import FLOPS_PER_CYCLE, Machine, floor

Cell = Callable[[Result, Measured], str]


@dataclass(frozen=True)
class Run:
    """Everything that one run found."""

    description: dict[str, str]
    versions: dict[str, str]
    peaks: dict[str, float]
    rounds: int
    seconds: float
    quick: bool
    results: list[Result]

    @property
    def machine(self) -> Machine:
        """What floors are computed from."""
        return Machine.of(self.peaks)


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= 0.9995 * size:
            value = seconds / size
            return f"{value:.{max(0, 2 - (value >= 9.995) - (value >= 99.95))}f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def times(value: float) -> str:
    """A factor with two or three digits."""
    return f"{value:.{max(0, 2 - (value >= 9.95) - (value >= 99.5))}f}"


def part_of_floor(result: Result, on: Machine) -> float | None:
    """Shortest possible time over fastnn's."""
    return floor(result.case, on) / result.median if isinstance(result.case, TrainingCase) else None


def _target(case: Case, peer: str) -> float | None:
    return None if isinstance(case, PredictionCase) else dict(case.targets).get(peer)


def _time_cell(result: Result, m: Measured) -> str:
    setting = f" ({m.setting})" if len(peers.load(m.peer).SETTINGS) > 1 else ""
    return duration(m.median) + setting


def _ratio_cell(result: Result, m: Measured) -> str:
    text = f"**{times(m.ratio)}** ({times(min(m.ratios))}–{times(max(m.ratios))})"
    aim = _target(result.case, m.peer)
    return text if aim is None else f"{text}, aim {aim:.3g}"


def _first_call_cell(result: Result, m: Measured) -> str:
    return duration(m.prepared["first_call"])


def _speed(result: Result) -> str:
    """Of products; a search's depend on its folds."""
    case = result.case
    return f"{case.flops / result.median / 1e9:.1f}" if isinstance(case, ManyCase) else ""


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in (head, rule, *rows)
    )


def _by_peer(results: list[Result], own: list[tuple[str, Callable[[Result], str]]],
             cell: Cell) -> str:  # fmt: skip
    """A row for each case: columns of its own, then one for each peer that took part."""
    names = [n for n in peers.MODULES if any(m.peer == n for r in results for m in r.measured)]
    rows = []
    for r in results:
        found = {m.peer: cell(r, m) for m in r.measured}
        rows.append([*(text(r) for _, text in own), *(found.get(n, "") for n in names)])
    return _table([*(name for name, _ in own), *(peers.load(n).LABEL for n in names)], rows)


def _head(run: Run) -> str:
    peaks = run.peaks
    lines = [f"{name}: {text}" for name, text in run.description.items()]
    lines += [f"{peers.load(name).LABEL}: {text}" for name, text in run.versions.items()]
    lines += [
        f"peak: {peaks['flops_1'] / 1e9:.0f} GFLOP/s of float32 on one core, "
        f"{peaks['flops_all'] / 1e9:.0f} on all (fastest large product by NumPy's BLAS, which is "
        "some percent below the units' own peak)",
        f"clock: {run.machine.clock / 1e9:.2f} GHz, estimated as that peak of one core over "
        f"{FLOPS_PER_CYCLE} flops per cycle",
        f"memory: {peaks['bandwidth_1'] / 1e9:.1f} GB/s copied on one core, "
        f"{peaks['bandwidth_all'] / 1e9:.1f} on all (reads and writes counted)",
    ]
    if peaks["cores"] > 1:
        lines.append(f"threads: two of fastnn's meet in {peaks['meeting_least'] * 1e6:.2f} to "
                     f"{peaks['meeting_most'] * 1e6:.2f} us, twice a step")  # fmt: skip
    lines += [
        f"measured: {run.rounds} rounds in alternation, at least about {run.seconds:g} s each"
        + (" (--quick: a test of the suite, not a result)" if run.quick else ""),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _section(title: str, results: list[Result], run: Run) -> list[str]:
    """The tables of one kind of case."""
    name: tuple[str, Callable[[Result], str]] = ("case", lambda r: r.case.name)
    own = [name, ("fastnn", lambda r: duration(r.median))]
    unit = "call"
    if isinstance(results[0].case, TrainingCase):
        unit = "step"
        own.append(("of the floor", lambda r: f"{part_of_floor(r, run.machine) or 0:.0%}"))
    elif not isinstance(results[0].case, PredictionCase):
        unit = "whole training or search"
        own += [("GFLOP/s", _speed), ("score", lambda r: f"{r.prepared['score']:.4f}")]
    parts = [f"## {title}", f"Median time per {unit}; the better setting of each peer in brackets.",
             _by_peer(results, own, _time_cell)]  # fmt: skip
    if not any(r.measured for r in results):
        return parts
    return [
        *parts,
        "How many times as long the peer took: median of the pairs (smallest–largest).",
        _by_peer(results, [name], _ratio_cell),
        "First call, compilation included, which is not part of the times above.",
        _by_peer(results, [name], _first_call_cell),
    ]


def _remarks(results: list[Result], on: Machine) -> list[str]:
    """Rows where a peer is ahead, rows short of the aim, and what did not go as planned."""
    ahead, short, notes = [], [], []
    for r in results:
        for m in r.measured:
            label, aim = peers.load(m.peer).LABEL, _target(r.case, m.peer)
            if m.ratio < 1 and not label.startswith("fastnn"):
                ahead.append(f"- {r.case.name}: {label}, {times(m.ratio)}")
            if aim is not None and m.ratio < aim:
                short.append(f"- {r.case.name}: {label}, {times(m.ratio)} of {aim:.3g}")
        most = r.case.most_seconds if isinstance(r.case, ManyCase) else None
        if most is not None and r.median > most:
            short.append(f"- {r.case.name}: {duration(r.median)} of {duration(most)}")
        notes += [f"- {r.case.name}: {note}" for note in r.notes]
        if (part_of_floor(r, on) or 0) > 1:
            notes.append(f"- {r.case.name}: below the floor, so the peak was measured too low")
    parts = ["## Where a peer is ahead", "\n".join(ahead) or "Nowhere in these cases."]
    if short:
        parts += ["## Short of the aim", "\n".join(short)]
    if notes:
        parts += ["## To be looked at", "\n".join(notes)]
    return parts


KINDS = (
    ("Training", "training"),
    ("Prediction", "prediction"),
    ("Many networks at once", "many", "mixture", "search"),
)


def text(run: Run) -> str:
    """The whole report in Markdown."""
    origin = "Written by `python benchmarks/run.py`; `README.md` says how it measures."
    parts = ["# Results", origin, _head(run)]
    for title, *kinds in KINDS:
        results = [r for r in run.results if r.case.kind in kinds]
        if results:
            parts += _section(title, results, run)
    return "\n\n".join([*parts, *_remarks(run.results, run.machine)]) + "\n"


def as_json(run: Run) -> dict[str, Any]:
    """All figures, single measurements included."""
    return {
        "machine": run.description, "versions": run.versions, "peaks": run.peaks,
        "rounds": run.rounds, "seconds": run.seconds, "quick": run.quick,
        "cases": [
            {
                "name": r.case.name, "kind": r.case.kind,
                "fastnn": r.seconds, "prepared": r.prepared,
                "part_of_floor": part_of_floor(r, run.machine), "notes": r.notes,
                "peers": [vars(m) | {"ratio": m.ratio} for m in r.measured],
            }
            for r in run.results
        ],
    }  # fmt: skip
