"""What a stage says of itself at its end, and whom it tells how far it is."""

from dataclasses import dataclass, field
from typing import Any, Protocol

Json = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A small table of a summary: printed at the end of a verb, and shown by ``--json``."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[Any]]


@dataclass
class Outcome:
    """What a stage did.

    ``counts`` holds rows ``in``, ``kept`` and ``quarantined``; ``facts`` is small JSON for later
    stages, in the manifest; ``notes`` are lines for a person, and ``advice`` are those that say what was found and
    what to do about it; ``next_step`` is what to do first.
    """

    counts: dict[str, int] = field(default_factory=dict)
    facts: Json = field(default_factory=dict)
    seeds: dict[str, int] = field(default_factory=dict)
    summary: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    next_step: str | None = None


class Progress(Protocol):
    """Where a flow says how far it is; the command line draws it on standard error."""

    def step(self, label: str, total: int) -> None:
        """A step of ``total`` tasks begins."""
        ...

    def advance(self, done: int = 1) -> None:
        """Some tasks of the step are done."""
        ...

    def note(self, text: str) -> None:
        """A line for the person who waits."""
        ...

    def tell(self, text: str, left: float | None = None) -> None:
        """What has happened in the step that goes on; ``left``: seconds until its end."""
        ...

    def show(self, table: Table) -> None:
        """What is known in the step that goes on, in the place of what was shown before; on terminals only."""
        ...


class Silent:
    """No progress at all."""

    def step(self, label: str, total: int) -> None: ...

    def advance(self, done: int = 1) -> None: ...

    def note(self, text: str) -> None: ...

    def tell(self, text: str, left: float | None = None) -> None: ...

    def show(self, table: Table) -> None: ...
