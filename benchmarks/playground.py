"""Count the frames and training steps per second of `fastnn playground` in Chromium.

    pip install '.[playground]' playwright      # and Chromium
    python benchmarks/playground.py             # four features, 8 and 8 units, 500 rows

Runs on the installed fastnn. A frame counts when the page has drawn it: when its number of epochs
changes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from statistics import median

import machine
from playwright.sync_api import Page, sync_playwright

SETTINGS = {"features": ["x", "y", "x2", "y2"], "units": [8, 8], "activations": ["tanh", "tanh"]}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
STEPS_PER_EPOCH = 35  # 350 training rows in minibatches of 10
COUNT = """async (seconds) => {
    const text = document.getElementById("epochs");
    const read = () => Number(text.textContent.replaceAll(",", ""));
    let frames = 0;
    const observer = new MutationObserver(() => { frames += 1; });
    observer.observe(text, { childList: true });
    const began = performance.now(), epochs = read();
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    const spent = (performance.now() - began) / 1000;
    observer.disconnect();
    return [frames / spent, (read() - epochs) / spent];
}"""


@contextlib.contextmanager
def serve() -> Iterator[str]:
    """Start the command; yield the address that it prints."""
    command = [sys.executable, "-m", "fastnn", "playground", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        match = re.search(r"http\S+", server.stdout.readline())
        assert match is not None
        try:
            yield match[0]
        finally:
            server.terminate()


def measure(page: Page, seconds: float, rounds: int) -> list[tuple[float, float]]:
    """Frames and steps per second, in rounds from the initial weights."""
    figures = []
    for _ in range(rounds):
        page.click("#reset")
        page.click("#run")
        page.wait_for_timeout(500)
        frames, epochs = page.evaluate(COUNT, seconds)
        page.click("#run")
        figures.append((frames, epochs * STEPS_PER_EPOCH))
    return figures


def main() -> None:
    """Print the median and the range of all rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    with serve() as address, sync_playwright() as library:
        browser = library.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(f"{address}#{json.dumps(SETTINGS)}")
        page.wait_for_function("document.querySelectorAll('#layers canvas').length == 21")
        figures = measure(page, options.seconds, options.rounds)
        browser.close()
    print(machine.describe_cores())
    for name, values in zip(("frames", "steps"), zip(*figures, strict=True), strict=True):
        low, high = min(values), max(values)
        print(f"{name} per second: median {median(values):,.0f}, {low:,.0f} to {high:,.0f}")


if __name__ == "__main__":
    main()
