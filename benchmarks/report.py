"""The report of a run in Markdown, for the terminal and for RESULTS.md; the same data as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import peers
from cases import Case, ManyCase, PredictionCase, TrainingCase
from measure import Measured, Result
from roofline import FLOPS_PER_CYCLE, Machine, compute_floor

Cell = Callable[[Result, Measured], str]


@dataclass(frozen=True)
class Run:
    """The results of one run of the benchmarks, and the machine that they were measured on."""

    description: dict[str, str]
    versions: dict[str, str]
    peaks: dict[str, float]
    rounds: int
    seconds: float
    quick: bool
    results: list[Result]

    @property
    def machine(self) -> Machine:
        """The speeds that the lower bounds of times are computed from."""
        return Machine.of(self.peaks)


def format_duration(seconds: float) -> str:
    """Format a time with three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= 0.9995 * size:
            value = seconds / size
            return f"{value:.{max(0, 2 - (value >= 9.995) - (value >= 99.95))}f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def format_factor(value: float) -> str:
    """Format a factor with two or three digits."""
    return f"{value:.{max(0, 2 - (value >= 9.95) - (value >= 99.5))}f}"


def compute_efficiency(result: Result, on: Machine) -> float | None:
    """The lower bound of the time of a training step divided by fastnn's time; None for cases
    without such a bound."""
    return (
        compute_floor(result.case, on) / result.median
        if isinstance(result.case, TrainingCase)
        else None
    )


def _get_target(case: Case, peer: str) -> float | None:
    return None if isinstance(case, PredictionCase) else dict(case.targets).get(peer)


def _format_time(result: Result, m: Measured) -> str:
    setting = f" ({m.setting})" if len(peers.load(m.peer).SETTINGS) > 1 else ""
    return format_duration(m.median) + setting


def _format_ratio(result: Result, m: Measured) -> str:
    low, high = format_factor(min(m.ratios)), format_factor(max(m.ratios))
    text = f"**{format_factor(m.ratio)}** ({low}–{high})"
    target = _get_target(result.case, m.peer)
    return text if target is None else f"{text}, target {target:.3g}"


def _format_first_call(result: Result, m: Measured) -> str:
    return format_duration(m.prepared["first_call"])


def _format_speed(result: Result) -> str:
    """GFLOP/s of matrix multiplication; empty for a search, whose work depends on its folds."""
    case = result.case
    return f"{case.flops / result.median / 1e9:.1f}" if isinstance(case, ManyCase) else ""


def _format_table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in (head, rule, *rows)
    )


def _format_table_by_peer(results: list[Result], columns: list[tuple[str, Callable[[Result], str]]],
                   cell: Cell) -> str:  # fmt: skip
    """A table with a row for each case: the given columns, then one for each measured peer."""
    names = [n for n in peers.MODULES if any(m.peer == n for r in results for m in r.measured)]
    rows = []
    for r in results:
        cells = {m.peer: cell(r, m) for m in r.measured}
        rows.append([*(text(r) for _, text in columns), *(cells.get(n, "") for n in names)])
    return _format_table(
        [*(name for name, _ in columns), *(peers.load(n).LABEL for n in names)], rows
    )


def _format_head(run: Run) -> str:
    peaks = run.peaks
    lines = [f"{name}: {text}" for name, text in run.description.items()]
    lines += [f"{peers.load(name).LABEL}: {text}" for name, text in run.versions.items()]
    lines += [
        f"peak: {peaks['flops_1'] / 1e9:.0f} GFLOP/s of float32 on one core, "
        f"{peaks['flops_all'] / 1e9:.0f} on all (fastest large matrix multiplication by NumPy's "
        "BLAS, some percent below the peak of the hardware)",
        f"clock: {run.machine.clock / 1e9:.2f} GHz, estimated as the peak of one core divided "
        f"by {FLOPS_PER_CYCLE} FLOP per cycle",
        f"memory bandwidth: {peaks['bandwidth_1'] / 1e9:.1f} GB/s on one core, "
        f"{peaks['bandwidth_all'] / 1e9:.1f} on all (of copies, reads plus writes)",
    ]
    if peaks["cores"] > 1:
        lines.append(f"barrier of two fastnn threads: {peaks['barrier_least'] * 1e6:.2f} to "
                     f"{peaks['barrier_most'] * 1e6:.2f} us, twice per step")  # fmt: skip
    lines += [
        f"measurements: {run.rounds} alternating rounds, at least about {run.seconds:g} s each"
        + (" (--quick: a test of the suite, not a result)" if run.quick else ""),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _format_section(title: str, results: list[Result], run: Run) -> list[str]:
    """The tables of one kind of case."""
    name: tuple[str, Callable[[Result], str]] = ("case", lambda r: r.case.name)
    columns = [name, ("fastnn", lambda r: format_duration(r.median))]
    unit = "call"
    if isinstance(results[0].case, TrainingCase):
        unit = "step"
        columns.append(("efficiency", lambda r: f"{compute_efficiency(r, run.machine) or 0:.0%}"))
    elif not isinstance(results[0].case, PredictionCase):
        unit = "complete training or search"
        columns += [("GFLOP/s", _format_speed), ("score", lambda r: f"{r.prepared['score']:.4f}")]
    parts = [f"## {title}",
             f"Median time per {unit}; in brackets the fastest setting of each library.",
             _format_table_by_peer(results, columns, _format_time)]  # fmt: skip
    if not any(r.measured for r in results):
        return parts
    return [
        *parts,
        "Time of each library divided by fastnn's: median over the rounds (smallest–largest).",
        _format_table_by_peer(results, [name], _format_ratio),
        "Time of the first call, including compilation; not part of the times above.",
        _format_table_by_peer(results, [name], _format_first_call),
    ]


def _format_remarks(results: list[Result], on: Machine) -> list[str]:
    """List the cases in which a peer is faster, those below the target, and disturbances."""
    ahead, short, notes = [], [], []
    for r in results:
        for m in r.measured:
            label, target = peers.load(m.peer).LABEL, _get_target(r.case, m.peer)
            if m.ratio < 1 and not label.startswith("fastnn"):
                ahead.append(f"- {r.case.name}: {label}, {format_factor(m.ratio)}")
            if target is not None and m.ratio < target:
                short.append(f"- {r.case.name}: {label}, {format_factor(m.ratio)} of {target:.3g}")
        most = r.case.most_seconds if isinstance(r.case, ManyCase) else None
        if most is not None and r.median > most:
            short.append(f"- {r.case.name}: {format_duration(r.median)} of {format_duration(most)}")
        notes += [f"- {r.case.name}: {note}" for note in r.notes]
        if (compute_efficiency(r, on) or 0) > 1:
            notes.append(
                f"- {r.case.name}: efficiency above 100%, so the peak was measured too low"
            )
    parts = ["## Cases in which another library is faster", "\n".join(ahead) or "None."]
    if short:
        parts += ["## Below the target", "\n".join(short)]
    if notes:
        parts += ["## Notes", "\n".join(notes)]
    return parts


KINDS = (
    ("Training", "training"),
    ("Prediction", "prediction"),
    ("Many networks", "many", "mixture", "search"),
)


def format_report(run: Run) -> str:
    """The complete report in Markdown."""
    origin = "Written by `python benchmarks/run.py`; [README.md](README.md) explains the method."
    parts = ["# Results", origin, _format_head(run)]
    for title, *kinds in KINDS:
        results = [r for r in run.results if r.case.kind in kinds]
        if results:
            parts += _format_section(title, results, run)
    return "\n\n".join([*parts, *_format_remarks(run.results, run.machine)]) + "\n"


def to_json(run: Run) -> dict[str, Any]:
    """All results, including single measurements."""
    return {
        "machine": run.description, "versions": run.versions, "peaks": run.peaks,
        "rounds": run.rounds, "seconds": run.seconds, "quick": run.quick,
        "cases": [
            {
                "name": r.case.name, "kind": r.case.kind,
                "fastnn": r.seconds, "prepared": r.prepared,
                "efficiency": compute_efficiency(r, run.machine), "notes": r.notes,
                "peers": [vars(m) | {"ratio": m.ratio} for m in r.measured],
            }
            for r in run.results
        ],
    }  # fmt: skip
