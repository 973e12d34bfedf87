"""Epochs of trainings, told as they come: wherever these run, they keep what each epoch came to in a workspace."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from detray.errors import DetrayError
from detray.flow.outcome import Progress
from detray.flow.schedule import Schedule
from detray.flow.workspace import Workspace

EVERY, EVERY_STORED = 1.0, 5.0
"""Seconds between two looks into workspaces on a disk, and on an object store."""


def epoch_file(number: int) -> str:
    """What is in a training's workspace called that an epoch, from 1, came to."""
    return f"epoch-{number:05d}.json"


@dataclass
class Epochs:
    """While it is entered, a line for each epoch that ends; those that were there before are not told.

    Args:
        runs: the workspace of each training, by name; "" where there is one only.
        total: epochs of each.
        describe: an epoch in words, by its file and the one of the epoch before.
        progress: who is told.
        seen: called with each epoch, by the name of its training, those that were there before too.
        ended: whether a training, by name, has come to its end, maybe before its last epoch.
        tells_before: epochs that were there before are told, too.
    """

    runs: Mapping[str, Workspace]
    total: int
    describe: Callable[[bytes, bytes | None], str]
    progress: Progress
    ended: Callable[[str], bool] = lambda name: False
    seen: Callable[[str, bytes], None] = lambda name, content: None
    tells_before: bool = False
    _seen: dict[str, int] = field(default_factory=dict)
    _last: dict[str, bytes] = field(default_factory=dict)
    _schedule: Schedule = field(init=False)
    _before: dict[str, int] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._schedule = Schedule(self.total)

    def __enter__(self) -> "Epochs":
        self._look(tell=self.tells_before, first=True)
        self._before = dict(self._seen)
        self._schedule.began = time.monotonic()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._look(tell=error[0] is None)

    def _watch(self) -> None:
        is_local = all(run.store.is_local for run in self.runs.values())
        while not self._over.wait(EVERY if is_local else EVERY_STORED):
            self._look()

    def _look(self, *, tell: bool = True, first: bool = False) -> None:
        for name, run in self.runs.items():
            with suppress(DetrayError, OSError, msgspec.DecodeError):  # who runs it says what is wrong
                while (content := run.read(epoch_file(self._seen.get(name, 0) + 1))) is not None:
                    before = self._last.get(name)
                    self._seen[name], self._last[name] = self._seen.get(name, 0) + 1, content
                    self.seen(name, content)
                    if first and not tell:
                        self._schedule.known(name, self._seen[name])
                    if tell:
                        self._schedule.mark(name, self._seen[name], time.monotonic(), measured=not first)
                        self._tell(name, self.describe(content, before))

    def _tell(self, name: str, text: str) -> None:
        now = time.monotonic()
        for one in self.runs:
            if self.ended(one):
                self._schedule.end(one, now)
        left = self._schedule.left(list(self.runs), now, self._before)
        title = f"{name}, epoch" if name else "epoch"
        self.progress.tell(f"{title} {self._seen[name]}/{self.total}: {text}", left or None)
