"""README's table, made from RESULTS.md."""

from __future__ import annotations

import re

BEGIN, END = "<!-- benchmarks/run.py writes this table -->", "<!-- end of the table -->"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _tables(results: str) -> list[dict[str, dict[str, str]]]:
    """Each table of RESULTS.md: {case: {column: text}}."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", results, re.M):
        head, _, *rows = map(_cells, block.splitlines())
        found.append({row[0]: dict(zip(head, row, strict=True)) for row in rows})
    return found


def _times(cell: str) -> str:
    """The bold median of a cell as a factor."""
    found = re.match(r"\*\*(.+?)\*\*", cell)
    return f"{found[1]} ×" if found else ""


def table(results: str) -> str:
    """fastnn's time of a training step, and how many times as long each peer took."""
    times, ratios = _tables(results)[:2]
    columns = next(iter(ratios.values()))
    names = [name for name in columns if name not in ("case", "fastnn.reference")]
    lines = [["training step", "fastnn", *names], ["---", *["--:"] * (1 + len(names))]]
    for case, cells in ratios.items():
        lines.append([case, times[case]["fastnn"], *(_times(cells[name]) for name in names)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def updated(readme: str, results: str) -> str:
    """README with the table of these results."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table(results)}\n{END}{after}"
