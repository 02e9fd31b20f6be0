"""Progress on stderr: a bar in notebooks and on terminals, lines elsewhere."""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any, Protocol

SECONDS_PER_LINE = 1.0


class _Display(Protocol):
    def show(self, done: int, text: str) -> None: ...
    def close(self) -> None: ...


class _TqdmBar:
    """A progress bar of tqdm."""

    def __init__(self, tqdm: Any, total: int, unit: str) -> None:
        self.bar = tqdm(total=total, unit=unit, file=sys.stderr)

    def show(self, done: int, text: str) -> None:
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        self.bar.close()


class _RewrittenLine:
    """A line that is overwritten at each update, for terminals without tqdm."""

    def __init__(self, total: int, unit: str) -> None:
        self.total, self.unit, self.end = total, unit, ""

    def show(self, done: int, text: str) -> None:
        self.end = "\n"
        print(f"\r{self.unit} {done}/{self.total}  {text}\x1b[K", end="", file=sys.stderr)

    def close(self) -> None:
        print(end=self.end, file=sys.stderr)


class _LogLines:
    """At most one line per `SECONDS_PER_LINE`, and one at the end, for logs and pipes."""

    def __init__(self, total: int, unit: str) -> None:
        self.total, self.unit = total, unit
        self.pending = ""
        self.printed = time.monotonic()

    def show(self, done: int, text: str) -> None:
        self.pending = f"{self.unit} {done}/{self.total}  {text}".rstrip()
        if time.monotonic() >= self.printed + SECONDS_PER_LINE:
            self.close()

    def close(self) -> None:
        if self.pending:
            print(self.pending, file=sys.stderr, flush=True)
        self.pending, self.printed = "", time.monotonic()


def _import_tqdm() -> Any:
    """tqdm's class for notebooks or terminals; None if tqdm is not installed."""
    try:
        from tqdm import TqdmWarning

        with warnings.catch_warnings():
            # In a notebook without ipywidgets, tqdm warns and draws the bar with characters.
            warnings.simplefilter("ignore", TqdmWarning)
            from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm


def _is_notebook() -> bool:
    """Whether the process is a Jupyter kernel."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


def shows_bar() -> bool:
    """Whether progress is shown as a bar or a rewritten line, rather than as log lines."""
    if sys.stderr is None:
        return False
    return sys.stderr.isatty() or (_is_notebook() and _import_tqdm() is not None)


def _make_display(total: int, unit: str) -> _Display:
    if not shows_bar():
        return _LogLines(total, unit)
    tqdm = _import_tqdm()
    return _RewrittenLine(total, unit) if tqdm is None else _TqdmBar(tqdm, total, unit)


def _format_logs(logs: dict[str, float]) -> str:
    shown = (name for name in logs if name not in ("seconds", "learning_rate"))
    return "  ".join(f"{name} {logs[name]:.4g}" for name in shown)


class ProgressBar:
    """A context manager that shows progress; call `update` after each epoch.

    Parameters
    ----------
    total : int
        Number of epochs, or of other units.
    verbose : int
        Nothing is shown if 0.
    unit : str, default "epoch"
    """

    def __init__(self, total: int, verbose: int, unit: str = "epoch") -> None:
        self.total = total
        self.visible = verbose > 0 and sys.stderr is not None
        self.unit = unit
        self.done = 0
        self.display: _Display | None = None

    def __enter__(self) -> ProgressBar:
        if self.visible:
            self.display = _make_display(self.total, self.unit)
        return self

    def update(self, logs: dict[str, float], n: int = 1) -> None:
        """Advance by n units and show `logs`, the values of the last one."""
        self.done += n
        if self.display is not None:
            self.display.show(self.done, _format_logs(logs))

    def __exit__(self, *_: object) -> None:
        if self.display is not None:
            self.display.close()
