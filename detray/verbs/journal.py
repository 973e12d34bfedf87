"""The log of a command: lines of JSON in ``<output>/logs/``, for programs that collect logs."""

import contextlib
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import msgspec

from detray import mirror
from detray.errors import DetrayError
from detray.flow.events import Event, without_secrets
from detray.store import Store

FOLDER = "logs"
BETWEEN = 10.0
"""Seconds between two files in an object store, to which nothing is added: a killed driver loses no more than that."""


class Journal:
    """What happens while a command runs; a context manager.

    On a disk it is one file, to which each event is added at once; in an object store some files, in the order of their
    names. A log that cannot be written is no reason to stop.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        began = datetime.now(UTC)
        self.name = f"events-{began:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
        self._turn = threading.RLock()
        self._waiting: list[bytes] = []
        self._written = monotonic()
        self._later: threading.Timer | None = None
        self._files = 0

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *error: object) -> None:
        self.flush()

    @property
    def pattern(self) -> str:
        """Its files, below the output folder."""
        return f"{FOLDER}/{self.name}*.jsonl"

    def write(self, event: Event, run_id: str) -> None:
        """Add an event."""
        detail = without_secrets(mirror.stated(event.detail))
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = msgspec.json.encode(msgspec.structs.replace(event, time=now, run_id=run_id, detail=detail)) + b"\n"
        with self._turn:
            self._waiting.append(line)
            if self._store.is_local or monotonic() > self._written + BETWEEN:
                self.flush()
            elif self._later is None:  # the next event may come in hours
                self._later = threading.Timer(BETWEEN, self.flush)
                self._later.daemon = True
                self._later.start()

    def flush(self) -> None:
        """Store what is not yet."""
        with self._turn:
            if self._later is not None:
                self._later.cancel()
                self._later = None
            lines, self._waiting, self._written = b"".join(self._waiting), [], monotonic()
            if lines:
                with contextlib.suppress(DetrayError, OSError):
                    self._store_lines(lines)

    def _store_lines(self, lines: bytes) -> None:
        if self._store.is_local:
            path = Path(self._store.path(FOLDER, f"{self.name}.jsonl"))
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(lines)
            return
        self._store.write_bytes(lines, FOLDER, f"{self.name}-{self._files:04d}.jsonl")
        self._files += 1
