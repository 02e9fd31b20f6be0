"""Pictures of a run: how many times as long each peer took, one picture for each kind of case."""

from __future__ import annotations

from pathlib import Path

import peers
from measure import Result
from report import Run, times


def draw(run: Run, folder: Path) -> list[Path]:
    """Write `training.png` and `prediction.png`, where there are such cases."""
    import matplotlib as mpl

    mpl.use("Agg")
    written = []
    for kind in ("training", "prediction"):
        results = [r for r in run.results if r.case.kind == kind and r.measured]
        if results:
            path = folder / f"{kind}.png"
            _bars(results, f"{kind.capitalize()}: time of the peer over time of fastnn\n"
                  f"{run.description['processor']}, {run.description['cores used']} cores",
                  path)  # fmt: skip
            written.append(path)
    return written


def _bars(results: list[Result], title: str, path: Path) -> None:
    from matplotlib import pyplot as plt

    names = [n for n in peers.MODULES if any(m.peer == n for r in results for m in r.measured)]
    height = 0.8 / len(names)
    figure, axes = plt.subplots(
        figsize=(9, 1.2 + 0.24 * len(results) * (len(names) + 1)), layout="constrained"
    )
    for k, name in enumerate(names):
        rows = [(i, m) for i, r in enumerate(results) for m in r.measured if m.peer == name]
        places = [i + (k - (len(names) - 1) / 2) * height for i, _ in rows]
        ratios = [m.ratio for _, m in rows]
        spread = [[r - min(m.ratios) for r, (_, m) in zip(ratios, rows, strict=True)],
                  [max(m.ratios) - r for r, (_, m) in zip(ratios, rows, strict=True)]]  # fmt: skip
        # Bars begin at 1, equal speed: what points to the left is ahead of fastnn.
        axes.barh(places, [r - 1 for r in ratios], height, left=1, label=peers.load(name).LABEL)
        axes.errorbar(ratios, places, xerr=spread, fmt="none", ecolor="0.3", linewidth=0.8)
        for place, ratio, (_, m) in zip(places, ratios, rows, strict=True):
            axes.text(max(*m.ratios, 1) * 1.04, place, times(ratio), va="center", fontsize=7)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=1)
    axes.margins(x=0.1)
    axes.set_yticks(range(len(results)), [r.case.name for r in results])
    axes.invert_yaxis()
    axes.set_title(title, fontsize=9)
    figure.legend(fontsize=8, loc="outside lower center", ncols=len(names))
    figure.savefig(path, dpi=150)
    plt.close(figure)
