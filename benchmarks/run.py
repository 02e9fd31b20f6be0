"""Compare the speed of fastnn with other libraries on this machine.

Runs on the installed fastnn. Libraries that are not installed are skipped with a message.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cases
import derivative_numbers
import fit_numbers
import levenberg_marquardt_numbers
import machine
import measure
import peaks
import peers
import report
import sparse_numbers
import summary
import thread_numbers

HERE = Path(__file__).resolve().parent

# Comparisons that are not of training or prediction steps, and the files with their reports.
OWN_REPORTS = {
    "threads": (thread_numbers.compare, "THREADS.md"),
    "derivatives": (derivative_numbers.compare, "DERIVATIVES.md"),
    "lm": (levenberg_marquardt_numbers.compare, "LEVENBERG_MARQUARDT.md"),
    "fit": (fit_numbers.compare, "FIT.md"),
    "sparse": (sparse_numbers.compare, "SPARSE.md"),
}


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    groups = ", ".join((*cases.GROUPS, *OWN_REPORTS))
    add("--only", action="append", default=[], metavar="NAME",
        help=f"a group ({groups}) or a part of a case's name; can be repeated")  # fmt: skip
    add(
        "--peers",
        metavar="LIST",
        help=f"libraries, separated by commas: {', '.join(list(peers.MODULES)[1:])}",
    )
    add("--compile", action="store_true", help="include torch.compile, which takes long to compile")
    add("--rounds", type=int, metavar="N", help="number of rounds, default 7, with --quick 3")
    add("--quick", action="store_true", help="short measurements, to test the suite")
    add("--json", type=Path, metavar="FILE", help="write all measurements")
    add(
        "--plot",
        action="store_true",
        help="write training.png, training_summary.png and prediction.png: next to RESULTS.md, or "
        "into the current folder if RESULTS.md is not written",
    )
    parsed = parser.parse_args()
    parsed.rounds = parsed.rounds or (3 if parsed.quick else 7)
    names = parsed.peers.split(",") if parsed.peers else list(peers.DEFAULT)
    if parsed.compile and "torch.compile" not in names:
        names.append("torch.compile")
    unknown = [n for n in names if n not in peers.MODULES or n == peers.FASTNN]
    if unknown:
        parser.error(f"--peers: no peer {', '.join(map(repr, unknown))}")
    parsed.names = names
    if parsed.only and parsed.only[0] in OWN_REPORTS:
        if len(parsed.only) > 1:
            parser.error(f"--only: expected {parsed.only[0]} alone; got {parsed.only}")
        return parsed
    try:
        parsed.cases = cases.select(parsed.only)
    except ValueError as error:
        parser.error(str(error))
    return parsed


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _run(options: argparse.Namespace) -> report.Run:
    description = machine.describe()
    _log("measuring peaks")
    best = peaks.measure(options.quick)
    seconds = 0.03 if options.quick else 0.2
    workers, versions = measure.start_workers([peers.FASTNN, *options.names], _log)
    try:
        results = [
            measure.measure_case(case, workers, options.rounds, seconds, _log)
            for case in options.cases
        ]
    finally:
        for worker in workers:
            worker.stop()
    # Other programs may have been busy during the first measurement, or may be now.
    if not options.quick:
        best = peaks.select_better(best, peaks.measure(False))
    return report.Run(description, versions, best, options.rounds, seconds, options.quick, results)


def main() -> None:
    """Measure, print the report, write files."""
    options = _parse_arguments()
    if options.only and options.only[0] in OWN_REPORTS:
        compare, file = OWN_REPORTS[options.only[0]]
        text = compare(options.quick, _log)
        print(text)
        if not options.quick:
            (HERE / file).write_text(text + "\n")
        if options.plot and "derivatives" in options.only:
            derivative_numbers.draw_modes(text, HERE.parent / "docs" / "derivatives.png")
        return
    run = _run(options)
    text = report.format_report(run)
    print(text)
    has_all_peers = not (options.quick or options.peers)
    complete = has_all_peers and not options.only
    if has_all_peers and options.only == ["many"]:
        (HERE / "MANY.md").write_text(text)
    if complete:
        (HERE / "RESULTS.md").write_text(text)
        readme = HERE.parent / "README.md"
        if readme.exists():
            readme.write_text(summary.update_readme(readme.read_text(), text))
    if options.json:
        options.json.write_text(json.dumps(report.to_json(run), indent=1) + "\n")
    if options.plot:
        try:
            import plots

            _log(f"wrote {', '.join(map(str, plots.draw(text, HERE if complete else Path.cwd())))}")
        except ModuleNotFoundError as error:
            _log(f"no plots: {error}")


if __name__ == "__main__":
    main()
