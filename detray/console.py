"""What a person sees in the terminal: progress on standard error, tables at the end."""

import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

EVERY = 10.0
"""Seconds between two lines of progress where the output is no terminal."""


class Bar:
    """One line of progress: step, share, time left. On a terminal it is redrawn in place."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._label = ""
        self._total = self._done = self._fresh = 0
        self._start = self._shown = 0.0
        self._open = False

    def stage(self, name: str, status: str) -> None:
        """A stage has begun or ended."""
        if status == "running":
            self._close()
            self._print(f"{name}:")
        elif status == "current":
            self._print(f"{name}: current, nothing to do (detray {name} ... --force does it again)")
        else:
            self._close()

    def step(self, label: str, total: int) -> None:
        self._close()
        self._label, self._total, self._done, self._fresh = label, total, 0, 0
        self._start = self._shown = time.monotonic()
        self._open = True
        if self._live:
            self._draw()

    def advance(self, done: int = 1) -> None:
        self._done += done
        self._fresh += 1
        now = time.monotonic()
        if self._live and (now - self._shown > 0.1 or self._done == self._total):
            self._draw()
        elif not self._live and now - self._shown > EVERY and self._done < self._total:
            self._print(self._line())
            self._shown = now

    def note(self, text: str) -> None:
        self._close()
        self._print(f"  {printable(text)}")

    def end(self) -> None:
        """Nothing more comes."""
        self._close()

    def _line(self) -> str:
        spent = time.monotonic() - self._start
        left = spent / self._done * (self._total - self._done) if self._done and self._fresh else None
        tail = f", about {_duration(left)} left" if left and self._done < self._total else f", {_duration(spent)}"
        return f"  {self._label}: {self._done}/{self._total}{tail}"

    def _draw(self) -> None:
        self._stream.write(f"\r\x1b[2K{self._line()}")
        self._stream.flush()
        self._shown = time.monotonic()

    def _close(self) -> None:
        if not self._open:
            return
        if self._live:
            self._draw()
            self._stream.write("\n")
        else:
            self._print(self._line())
        self._open = False

    def _print(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


def _duration(seconds: float) -> str:
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


MAX_CELL = 80
MAX_LAST_CELL = 400
"""Characters: the last column holds sentences, which a terminal wraps by itself."""


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A titled table as aligned text: numbers to the right, NULL as a dash, long cells cut."""
    limits = [*[MAX_CELL] * (len(columns) - 1), MAX_LAST_CELL]
    cells = [[_cell(value, limit) for value, limit in zip(row, limits, strict=True)] for row in rows]
    right = [all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(columns))]
    widths = [max([len(name), *(min(len(row[i]), MAX_CELL) for row in cells)]) for i, name in enumerate(columns)]

    def line(values: Sequence[str]) -> str:
        padded = (v.rjust(w) if r else v.ljust(w) for v, w, r in zip(values, widths, right, strict=True))
        return "  ".join(padded).rstrip()

    body = [line(row) for row in cells] or ["(none)"]
    return "\n".join([printable(title), line(list(columns)), line(["-" * width for width in widths]), *body])


def printable(text: str) -> str:
    """``text`` with control characters replaced: hostile file names must not steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _cell(value: Any, limit: int = MAX_CELL) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_cell(part) for part in value)}]"
    text = printable(str(value))
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
