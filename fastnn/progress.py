"""A progress bar on a terminal, silence elsewhere: tqdm where it is installed, otherwise a line."""

from __future__ import annotations

import sys
from typing import Any


def _text(logs: dict[str, float]) -> str:
    shown = (name for name in logs if name not in ("seconds", "learning_rate"))
    return "  ".join(f"{name} {logs[name]:.4g}" for name in shown)


class Progress:
    """Use as a context; call `update` after each epoch, or whatever is counted."""

    def __init__(self, total: int, verbose: int, unit: str = "epoch") -> None:
        self.total = total
        self.unit = unit
        self.done = 0
        self.visible = verbose > 0 and sys.stderr.isatty()
        self.bar: Any = None

    def __enter__(self) -> Progress:
        if self.visible:
            try:
                from tqdm import tqdm
            except ImportError:
                return self
            self.bar = tqdm(total=self.total, unit=self.unit, file=sys.stderr)
        return self

    def update(self, logs: dict[str, float]) -> None:
        """One more is done."""
        self.done += 1
        if self.bar is not None:
            self.bar.set_postfix_str(_text(logs), refresh=False)
            self.bar.update(1)
        elif self.visible:
            text = f"\r{self.unit} {self.done}/{self.total}  {_text(logs)}\x1b[K"
            print(text, end="", file=sys.stderr)

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
        elif self.visible and self.done:
            print(file=sys.stderr)
