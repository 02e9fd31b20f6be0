"""Read RESULTS.md, for the README's table and for the plots."""

from __future__ import annotations

import re
from dataclasses import dataclass

BEGIN, END = "<!-- benchmarks/run.py writes this table -->", "<!-- end of the table -->"


@dataclass(frozen=True)
class Ratio:
    """A library's time divided by fastnn's, over the rounds of a run."""

    median: float
    smallest: float
    largest: float


def _split_cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _read_tables(results: str) -> list[dict[str, dict[str, str]]]:
    """Each table of a report: {case: {column: text}}."""
    tables = []
    for block in re.findall(r"(?:^\|.*\|\n)+", results, re.M):
        head, _, *rows = map(_split_cells, block.splitlines())
        tables.append({row[0]: dict(zip(head, row, strict=True)) for row in rows})
    return tables


def _read_ratio(cell: str) -> Ratio | None:
    """The ratio in a cell such as `**277** (213–293), target 200`."""
    parts = re.match(r"\*\*(.+?)\*\* \((.+?)–(.+?)\)", cell)
    return Ratio(*map(float, parts.groups())) if parts else None


def read_ratios(results: str, heading: str) -> dict[str, dict[str, Ratio]]:
    """{case: {library: ratio}} of one section of a report; empty without such a section."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", results, re.M | re.S)
    tables = _read_tables(section.group(1)) if section else []
    if len(tables) < 2:  # without other libraries there are no ratios
        return {}
    return {
        case: {name: ratio for name, text in cells.items() if (ratio := _read_ratio(text))}
        for case, cells in tables[1].items()
    }


def read_machine(results: str) -> str:
    """The processor and the number of cores that a report was measured on."""
    lines = dict(re.findall(r"^- (processor|cores used): (.*)$", results, re.M))
    return f"{lines['processor']}, {lines['cores used']} cores"


def _format_factor(cell: str) -> str:
    """The bold median of a cell as a factor."""
    median = re.match(r"\*\*(.+?)\*\*", cell)
    return f"{median[1]} ×" if median else ""


def format_table(results: str) -> str:
    """fastnn's time per training step, and how many times slower each library is."""
    times, ratios = _read_tables(results)[:2]
    columns = next(iter(ratios.values()))
    names = [name for name in columns if name not in ("case", "fastnn.reference")]
    lines = [["training step", "fastnn", *names], ["---", *["--:"] * (1 + len(names))]]
    for case, cells in ratios.items():
        lines.append([case, times[case]["fastnn"], *(_format_factor(cells[n]) for n in names)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def update_readme(readme: str, results: str) -> str:
    """README with the table of these results."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{format_table(results)}\n{END}{after}"
