"""Run all scripts of the course; each prints its result, and its time follows.

    python tools/run_gallery.py             or `make gallery`
    python tools/run_gallery.py FOLDER      writes their pictures into the folder

Needs matplotlib and scikit-learn.
"""

import runpy
import sys
import time
from pathlib import Path

import matplotlib as mpl

COURSE = Path(__file__).parents[1] / "examples" / "course"


def main() -> None:
    """Run the scripts; an error in one ends the program."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    total = 0.0
    for script in sorted(COURSE.glob("plot_*.py")):
        began = time.perf_counter()
        sys.argv = [str(script)]
        print(f"--- {script.stem}")
        runpy.run_path(str(script))
        seconds = time.perf_counter() - began
        total += seconds
        for number in plt.get_fignums():
            if folder is not None:
                plt.figure(number).savefig(folder / f"{script.stem}_{number}.png", dpi=80)
        plt.close("all")
        print(f"    {seconds:.1f} s")
    print(f"all scripts: {total:.0f} s")


if __name__ == "__main__":
    main()
