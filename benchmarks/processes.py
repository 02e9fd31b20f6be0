"""Start worker processes (`worker.py`), send them requests, and stop them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

# Thread pools spin after their work, OpenBLAS's for 0.1 s, and would slow down the next
# measurement. A worker is idle if it uses less than a twentieth of a core for a moment.
MOMENT = 0.005  # seconds
IDLE = 0.05  # cores
LONGEST_WAIT = 1.0  # seconds


class WorkerError(Exception):
    """A peer is not installed, has failed, or its process has ended."""


class Worker:
    """The process of one peer with one setting."""

    def __init__(self, peer: str, setting: str, environment: dict[str, str]) -> None:
        self.peer, self.setting = peer, setting
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            [sys.executable, HERE / "worker.py", peer],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            env=os.environ | environment,
        )  # fmt: skip

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._errors.seek(0)
            last = self._errors.read().strip().splitlines()[-1:] or ["no message"]
            raise WorkerError(f"its process ended: {last[0]}")
        answer: dict[str, Any] = json.loads(line)
        self._settle()
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def processor_time_of_all(self) -> float:
        """CPU time in seconds of the process and its children, with the resolution of a clock tick.
        Unlike `processor_time`, it includes threads that have ended."""
        ticks, waiting = 0, [self._process.pid]
        while waiting:
            folder = Path(f"/proc/{waiting.pop()}")
            with contextlib.suppress(OSError):  # the process may end during this
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                ticks += sum(
                    map(int, fields[11:15])
                )  # of the process, and of children that have ended
                for children in folder.glob("task/*/children"):
                    waiting += map(int, children.read_text().split())
        return ticks / os.sysconf("SC_CLK_TCK")

    def processor_time(self) -> float:
        """CPU time in seconds of the running threads of the process."""
        total = 0
        for file in Path(f"/proc/{self._process.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # a thread may end during this
                total += int(file.read_text().split()[0])
        return total / 1e9

    def _settle(self) -> None:
        """Wait until the process is idle."""
        began = now = time.perf_counter()
        used = self.processor_time()
        while now - began < LONGEST_WAIT:
            time.sleep(MOMENT)
            before, then = used, now
            used, now = self.processor_time(), time.perf_counter()
            if used - before < IDLE * (now - then):
                return

    def hello(self) -> str:
        """Import the library in the worker, and return its version."""
        return str(self._ask(do="hello")["version"])

    def prepare(self, case: str) -> dict[str, Any]:
        """Build, compile and warm up."""
        return self._ask(do="prepare", case=case)

    def measure(self, seconds: float) -> float:
        """Time per training step or call in seconds."""
        return float(self._ask(do="measure", seconds=seconds)["seconds"])

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()
