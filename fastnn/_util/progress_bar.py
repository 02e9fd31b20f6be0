"""Progress of a fit, written to stderr: a bar in notebooks and on terminals, elsewhere lines."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

SECONDS_PER_LINE = 1.0


class _Display(Protocol):
    def show(self, done: int, text: str) -> None: ...
    def close(self) -> None: ...


class _Bar:
    """A bar of tqdm's."""

    def __init__(self, tqdm: Any, total: int, unit: str) -> None:
        self.bar = tqdm(total=total, unit=unit, file=sys.stderr)

    def show(self, done: int, text: str) -> None:
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        self.bar.close()


class _RewrittenLine:
    """For terminals without tqdm."""

    def __init__(self, total: int, unit: str) -> None:
        self.total, self.unit, self.end = total, unit, ""

    def show(self, done: int, text: str) -> None:
        self.end = "\n"
        print(f"\r{self.unit} {done}/{self.total}  {text}\x1b[K", end="", file=sys.stderr)

    def close(self) -> None:
        print(end=self.end, file=sys.stderr)


class _Lines:
    """For logs and pipes: a line at most every `SECONDS_PER_LINE`, and one for the end."""

    def __init__(self, total: int, unit: str) -> None:
        self.total, self.unit = total, unit
        self.waiting = ""
        self.printed = time.monotonic()

    def show(self, done: int, text: str) -> None:
        self.waiting = f"{self.unit} {done}/{self.total}  {text}".rstrip()
        if time.monotonic() >= self.printed + SECONDS_PER_LINE:
            self.close()

    def close(self) -> None:
        if self.waiting:
            print(self.waiting, file=sys.stderr, flush=True)
        self.waiting, self.printed = "", time.monotonic()


def _tqdm() -> Any:
    """The class of bars for a notebook or terminal, None where tqdm is not installed."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm


def _in_notebook() -> bool:
    """Whether this is a kernel of Jupyter, asked in the way of tqdm.auto."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


def shows_bar() -> bool:
    """Whether progress is shown as a bar, or as a line that is rewritten, and not as lines."""
    if sys.stderr is None:
        return False
    return sys.stderr.isatty() or (_in_notebook() and _tqdm() is not None)


def _display(total: int, unit: str) -> _Display:
    if not shows_bar():
        return _Lines(total, unit)
    tqdm = _tqdm()
    return _RewrittenLine(total, unit) if tqdm is None else _Bar(tqdm, total, unit)


def _text(logs: dict[str, float]) -> str:
    shown = (name for name in logs if name not in ("seconds", "learning_rate"))
    return "  ".join(f"{name} {logs[name]:.4g}" for name in shown)


class Progress:
    """Use as a context; call `update` after each epoch, or whatever is counted."""

    def __init__(self, total: int, verbose: int, unit: str = "epoch") -> None:
        self.total = total
        self.visible = verbose > 0 and sys.stderr is not None
        self.unit = unit
        self.done = 0
        self.display: _Display | None = None

    def __enter__(self) -> Progress:
        if self.visible:
            self.display = _display(self.total, self.unit)
        return self

    def update(self, logs: dict[str, float], n: int = 1) -> None:
        """n more are done; `logs` are the values of the last one."""
        self.done += n
        if self.display is not None:
            self.display.show(self.done, _text(logs))

    def __exit__(self, *_: object) -> None:
        if self.display is not None:
            self.display.close()
