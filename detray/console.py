"""What a person sees in the terminal: progress on standard error, tables at the end.

On a terminal rich draws both. Anywhere else it is plain lines that scripts can read, and rich is not imported.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO

from detray.flow.pace import Pace
from detray.mirror import stated

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.table import Table as RichTable

    from detray.flow.outcome import Table

EVERY = 30.0
"""Seconds between two lines of progress where the output is no terminal."""
LEAST = 1.0
"""Seconds between two looks whether one is due."""
BAR_WIDTH = 24


@contextmanager
def own_stream(name: Literal["stdout", "stderr"]) -> Iterator[TextIO]:
    """A standard stream as it is now: what is done to the process's file descriptor later does not touch it."""
    stream: TextIO = getattr(sys, name)
    if stream is not getattr(sys, f"__{name}__"):  # somebody captures it
        yield stream
        return
    stream.flush()
    number = {"stdout": 1, "stderr": 2}[name]
    with os.fdopen(os.dup(number), "w", 1, stream.encoding, stream.errors) as own:
        yield own


class Bar:
    """Progress of one step after the other: done, total, time left. On a terminal the line is redrawn in place."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._ticks: threading.Timer | None = None
        self._label: str | None = None
        self._total = self._done = 0
        self._start = self._shown = 0.0
        self._pace = Pace()
        self._is_begun = False
        self._told = ""
        self._end: float | None = None
        self._table: Table | None = None

    def stage(self, name: str, status: str) -> None:
        """A stage has begun or ended."""
        self.close()
        if status == "running":
            self._print(f"{name}:")
        elif status == "current":
            self._print(f"{name}: current, nothing to do (detray {name} ... --force does it again)")

    def step(self, label: str, total: int) -> None:
        """A step of ``total`` tasks begins."""
        self.close()
        self._label, self._total, self._done = printable(label), total, 0
        self._pace, self._is_begun, self._told, self._end = Pace(), False, "", None
        self._table = None
        self._start = self._shown = time.monotonic()
        if self._stream.isatty():
            from rich.live import Live

            console = _terminal(self._stream)
            self._live = Live(get_renderable=self._drawing, console=console, transient=True, refresh_per_second=8)
            self._live.start()
        else:
            self._tick()

    def advance(self, done: int = 1) -> None:
        """``done`` more tasks of the step are done; those of an earlier run are the first call's."""
        with self._lock:
            self._done += done
            if self._is_begun:
                self._pace.mark(self._done, time.monotonic())
            self._is_begun = True
            self._show_calmly()

    def note(self, text: str) -> None:
        """A line between two steps."""
        with self._lock:
            self.close()
            self._print(f"  {printable(text)}")

    def tell(self, text: str, left: float | None = None) -> None:
        """What has happened in the step that goes on; ``left``: seconds until its end."""
        with self._lock:
            self._told = printable(text)
            self._end = None if left is None else time.monotonic() + left
            if self._live is None:
                self._print(f"  {self._state()}")

    def show(self, table: Table) -> None:
        """What is known in the step that goes on, below its line; on terminals only."""
        self._table = table

    def close(self) -> None:
        """End the step that is open, if one is."""
        if self._ticks is not None:
            self._ticks.cancel()
            self._ticks = None
        if self._live is not None:
            self._live.stop()
            self._live = None
        with self._lock:
            if self._label is not None:
                spent = time.monotonic() - self._start
                self._print(f"  {self._label}: {self._done}/{self._total}, {_duration(spent)}")
                self._label = None

    def _tick(self) -> None:
        """Where the output is no terminal: a line each `EVERY` seconds, also while one task goes on."""
        with self._lock:
            if self._label is None:
                return
            self._show_calmly()
            self._ticks = threading.Timer(max(self._shown + EVERY - time.monotonic(), LEAST), self._tick)
            self._ticks.daemon = True
            self._ticks.start()

    def _show_calmly(self) -> None:
        if self._live is None and time.monotonic() - self._shown >= EVERY and self._done < self._total:
            self._print(f"  {self._label}: {self._calm() if self._told else self._state()}")

    def _calm(self) -> str:
        """How far a step is whose events are told one by one: nothing has happened since the last of them."""
        now = time.monotonic()
        left = None if self._end is None else self._end - now
        spent = f"{self._done}/{self._total}, {_duration(now - self._start)}"
        return f"{spent}, about {_duration(left)} left" if left is not None and left >= 1 else spent

    def _state(self) -> str:
        """How far it is; the time left is by what was done since the first task ended: starting is no measure."""
        now = time.monotonic()
        if self._told:
            left = None if self._end is None else self._end - now
            return self._told + (f", about {_duration(left)} left" if left is not None and left >= 1 else "")
        left = self._pace.left(self._total - self._done, now) if self._done < self._total else None
        if left is None or self._pace.measured < self._pace.since - self._start:
            return f"{self._done}/{self._total}, {_duration(now - self._start)}"
        return f"{self._done}/{self._total}, about {_duration(left)} left"

    def _drawing(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table as RichTable
        from rich.text import Text

        line = RichTable.grid(padding=(0, 1))
        for _ in range(3):
            line.add_column(no_wrap=True)
        bar = ProgressBar(max(self._total, 1), self._done if self._total else 1, width=BAR_WIDTH)
        line.add_row(Text(f"  {self._label}"), bar, Text(self._state()))
        if self._table is None:
            return line
        from rich.console import Group

        return Group(line, Text(printable(self._table.title), "bold"), _drawn(self._table.columns, self._table.rows))

    def _print(self, text: str) -> None:
        with self._lock:
            self._shown = time.monotonic()
            self._stream.write(f"{text}\n")
            self._stream.flush()


def _terminal(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, markup=False, emoji=False, highlight=False)


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
    right = _are_numbers(columns, rows)
    widths = [max([len(name), *(min(len(row[i]), MAX_CELL) for row in cells)]) for i, name in enumerate(columns)]

    def line(values: Sequence[str]) -> str:
        padded = (v.rjust(w) if r else v.ljust(w) for v, w, r in zip(values, widths, right, strict=True))
        return "  ".join(padded).rstrip()

    body = [line(row) for row in cells] or ["(none)"]
    return "\n".join([printable(title), line(list(columns)), line(["-" * width for width in widths]), *body])


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], stream: TextIO | None = None) -> None:
    """Print a titled table. On a terminal it fits the width: text is wrapped, numbers are not."""
    stream = stream or sys.stdout
    if not stream.isatty():
        stream.write(f"{table(title, columns, rows)}\n")
        return
    from rich.text import Text

    drawn = _drawn(columns, rows)
    console = _terminal(stream)
    console.print(Text(printable(title), "bold"), drawn if rows else "(none)", sep="\n")


def _drawn(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name, is_number in zip(columns, _are_numbers(columns, rows), strict=True):
        justify: Literal["left", "right"] = "right" if is_number else "left"
        drawn.add_column(Text(name), justify=justify, no_wrap=is_number, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(_cell(value, MAX_LAST_CELL)) for value in row))
    return drawn


def _are_numbers(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[bool]:
    return [all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(columns))]


def printable(text: str) -> str:
    """``text`` with control characters replaced: hostile file names must not steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in stated(text))


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
