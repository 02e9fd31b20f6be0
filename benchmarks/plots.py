"""Plots of a report: how many times slower than fastnn each library is.

`python benchmarks/plots.py` redraws the plots next to RESULTS.md from that file, without a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import peers
import summary

HERE = Path(__file__).resolve().parent

# The README's plot: these networks, and only the other libraries.
SELECTED = (
    "2-8-1 tanh, binary, batch 32",
    "4-32-32-1 tanh, squared, batch 32",
    "64-64-64-1 relu, binary, batch 32",
    "30-128-64-2 relu, cross-entropy, batch 128",
    "784-128-10 relu, cross-entropy, batch 128",
    "784-1024-1024-10 relu, cross-entropy, batch 256",
)

# The background is transparent, and this gray is legible on white and on black.
GRAY = "#767c85"
MARKERS = "osD^v<>Ph*X"


@dataclass(frozen=True)
class Style:
    """How one library is drawn, the same in all plots."""

    color: str
    marker: str


def _make_styles() -> dict[str, Style]:
    """{label: style} of all libraries that can be compared."""
    return {
        peers.load(name).LABEL: Style(f"C{k % 10}", MARKERS[k])
        for k, name in enumerate(peers.MODULES)
    }


def draw(report: str, folder: Path) -> list[Path]:
    """Write the plots of a report in Markdown to a folder, and return their paths.

    `training.png` and `prediction.png` show all cases and libraries, `training_summary.png` the
    selected networks. A plot without cases is not written.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    written = []
    for name, heading in (("training", "Training"), ("prediction", "Prediction")):
        ratios = summary.read_ratios(report, heading)
        selected = {
            case: {label: ratio for label, ratio in row.items() if not label.startswith("fastnn")}
            for case, row in ratios.items()
            if case in SELECTED
        }
        plots = [(ratios, f"{name}.png", True)]
        if name == "training":
            plots.append((selected, f"{name}_summary.png", False))
        for rows, file, has_ranges in plots:
            if rows:
                _draw_rows(rows, summary.read_machine(report), folder / file, has_ranges)
                written.append(folder / file)
    return written


def _draw_rows(
    rows: dict[str, dict[str, summary.Ratio]], machine: str, path: Path, has_ranges: bool
) -> None:
    """One row for each case and one marker for each library: the median over the rounds, where
    `has_ranges` with the smallest and the largest ratio and with the machine."""
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter

    styles = _make_styles()
    labels = [label for label in styles if any(label in row for row in rows.values())]
    figure, axes = plt.subplots(
        figsize=(9, 1.1 + 0.2 * has_ranges + 0.35 * len(rows)), layout="constrained"
    )
    for k, label in enumerate(labels):
        drawn = [(i, row[label]) for i, row in enumerate(rows.values()) if label in row]
        # Markers of one row lie one below the other where ranges would otherwise overlap.
        offset = 0.15 * (k - (len(labels) - 1) / 2) if has_ranges else 0
        places = [i + offset for i, _ in drawn]
        medians = [ratio.median for _, ratio in drawn]
        style = styles[label]
        axes.plot(medians, places, style.marker, color=style.color, label=label,
                  markersize=5 if has_ranges else 8)  # fmt: skip
        if has_ranges:
            ends = [ratio.smallest for _, ratio in drawn], [ratio.largest for _, ratio in drawn]
            axes.hlines(places, *ends, color=style.color, linewidth=1)
    axes.axvline(1, color=GRAY, linewidth=1.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g} ×"))
    axes.set_xlabel("times slower than fastnn (log scale)")
    axes.text(1, 1.02, "fastnn", color=GRAY, ha="center", transform=axes.get_xaxis_transform())
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.grid(axis="x", color=GRAY, alpha=0.3)
    axes.tick_params(colors=GRAY, which="both")
    axes.xaxis.label.set_color(GRAY)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(GRAY)
    if has_ranges:
        figure.supxlabel(f"median and range over the rounds; {machine}", color=GRAY, fontsize=9)
    figure.legend(loc="outside upper right", ncols=len(labels), frameon=False, labelcolor=GRAY)
    figure.savefig(path, dpi=150, transparent=True)
    plt.close(figure)


if __name__ == "__main__":
    for drawn in draw((HERE / "RESULTS.md").read_text(), HERE):
        print(drawn)
