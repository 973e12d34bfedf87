"""How far a run is, readable by anybody while it runs: kept in its output folder, told by ``detray status``."""

import contextlib
from dataclasses import dataclass, field
from time import time

import msgspec

from detray.errors import DetrayError
from detray.flow.outcome import Progress, Table
from detray.store import PARTIAL, Lock, Store
from detray.verbs.catalogue import STAGES

FILE = "status.json"
CALM = 5.0
"""Seconds between two times that it is written."""


class State(msgspec.Struct):
    """The step that goes on: so many of its tasks are done; times are s since 1970."""

    stage: str
    step: str
    done: int
    total: int
    since: float
    written: float
    note: str = ""


@dataclass
class Told:
    """Another progress, and beside it the state in the output folder."""

    progress: Progress
    store: Store
    stage: str
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.state = State(self.stage, "", 0, 0, time(), time())

    def step(self, label: str, total: int) -> None:
        """A step of ``total`` tasks begins."""
        self.progress.step(label, total)
        self.state.step, self.state.done, self.state.total, self.state.since = label, 0, total, time()
        self._write()

    def advance(self, done: int = 1) -> None:
        """Some tasks of the step are done."""
        self.progress.advance(done)
        self.state.done += done
        self._write()

    def note(self, text: str) -> None:
        """A line for the person who waits."""
        self.progress.note(text)
        self.state.note = text
        self._write()

    def tell(self, text: str, left: float | None = None) -> None:
        """What has happened in the step that goes on."""
        self.progress.tell(text, left)
        self.state.note = text
        self._write()

    def show(self, table: Table) -> None:
        """For terminals only."""
        self.progress.show(table)

    def _write(self) -> None:
        if time() < self.state.written + CALM:
            return
        self.state.written = time()
        with contextlib.suppress(DetrayError):  # a state that cannot be written is no reason to stop
            self.store.write_bytes(msgspec.json.encode(self.state), FILE)


def status(output: str) -> tuple[Table, list[str]]:
    """The stages of an output folder, and who runs there and how far that run is.

    Raises:
        DetrayError: the folder cannot be read.
    """
    store, rows = Store(output), []
    there = set(store.names())
    owner = Lock(store).owner()
    for stage in STAGES:
        names = set(store.names(stage)) if stage in there else set()
        manifest = store.manifest(stage) if names else None
        if manifest is not None:
            counts = manifest["counts"]
            rows.append([stage, "complete", counts.get("kept"), manifest["seconds"].get("total"), manifest["created"]])
        elif PARTIAL in names:
            rows.append([stage, "begun" if owner is None else "running", None, None, None])
    lines = ["nothing runs there"] if owner is None else [f"{owner}"]
    data = store.read_bytes(FILE) if owner is not None else None
    with contextlib.suppress(msgspec.DecodeError):
        state = None if data is None else msgspec.json.decode(data, type=State)
        if state is not None and owner is not None and state.written >= owner.since:  # not of a run before
            lines.append(_said(state))
    return Table("stages", ("stage", "state", "kept", "seconds", "created (UTC)"), rows), lines


def _said(state: State) -> str:
    left = ""
    if 0 < state.done < state.total:
        seconds = (state.written - state.since) * (state.total - state.done) / state.done
        left = f", about {seconds:.0f} s left"
    note = f"; {state.note}" if state.note else ""
    return f"{state.stage}: {state.step} {state.done}/{state.total}{left} ({time() - state.written:.0f} s ago){note}"
