"""One run at a time in an output folder: a lock that says who runs, and that its owner keeps fresh.

It is one small file that is written and read whole, so any place will do. On a local disk it is created
exclusively; elsewhere, and where a dead owner's lock is taken over, it is written, and read again after a moment:
of several that wrote at once the last has it. Before a stage becomes visible its run looks once more.
"""

import contextlib
import os
import socket
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from time import sleep, time

import msgspec

from detray.errors import DetrayError, UsageError
from detray.store.store import Store, readable_errors

LOCK = "lock.json"
BEAT = 10.0
"""Seconds between two signs of life."""
MISSED = 5
"""Beats that an owner may miss that cannot be looked up, as on another machine, before it counts as dead."""
SETTLE = 0.5
"""Seconds until a lock that was written is read again: longer than another's reading and writing take."""
READS = 3
"""Of a lock that is not readable: an object's length is asked for before its content, and is the old one's if it is
written between the two."""


class Owner(msgspec.Struct, frozen=True):
    """Who runs. ``machine`` tells whether its ``pid`` can be looked up from here, ``born`` whether that is still
    the same process; times are s since 1970."""

    id: str
    host: str
    machine: str
    pid: int
    born: str
    command: str
    since: float
    beat: float

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since, UTC).isoformat(" ", "seconds").replace("+00:00", " UTC")
        return f"process {self.pid} on {self.host} since {since} ({self.command})"


def this_process() -> Owner:
    """This process as an owner."""
    now = time()
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:300]
    return Owner(uuid.uuid4().hex, socket.gethostname(), _machine(), os.getpid(), _born(os.getpid()), command, now, now)


def _machine() -> str:
    """This boot of this machine, and the container: where process numbers mean the same."""
    places = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    try:
        return f"{socket.gethostname()} {places[0].read_text().strip()} {places[1].readlink()}"
    except OSError:
        return socket.gethostname()


def _born(pid: int) -> str:
    """When a process began, in ticks since the machine's boot; empty if it has ended, or nobody can tell."""
    try:
        state, *values = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else values[18]


def is_dead(owner: Owner) -> bool:
    """Whether an owner has ended: its process is gone, or where that cannot be known it has missed `MISSED` beats."""
    if owner.machine == _machine():
        if owner.born:  # a machine that slept wakes up with beats missed
            return _born(owner.pid) != owner.born
        try:
            os.kill(owner.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # another user's
    return time() - owner.beat > MISSED * BEAT


class Lock:
    """The lock of an output folder, for this process. A context manager that gives it back at its end."""

    def __init__(self, store: Store, note: Callable[[str], None] = lambda text: None) -> None:
        """``note`` is told where a dead owner's lock is taken over."""
        self._store = store
        self._note = note
        self._owner: Owner | None = None
        self._ended = Event()
        self._renewal = Thread(target=self._renew, name="detray-lock", daemon=True)

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._renewal.is_alive():
            self._renewal.join(BEAT)
        if self._owner is not None:
            with contextlib.suppress(DetrayError):
                if self._is_ours(self._read()):
                    self._give_back()

    def _give_back(self) -> None:
        if self._store.is_local:
            self._store.delete(LOCK)
        else:
            self._store.write_bytes(b"", LOCK)  # one request; where pyarrow deletes an object it leaves a folder

    def take(self) -> bool:
        """Take the lock; whether this call did, or this process had it already.

        Raises:
            UsageError: another process has it.
        """
        if self._owner is not None:
            return False
        self._owner = this_process()
        if not self._create():
            found = self._read()
            if found is not None and not is_dead(found):
                raise self._refusal(found)
            if not self._write_and_look():
                raise self._refusal(self._read())
            if found is not None:
                self._note(f"{self._place}: taken over from {found}, which has ended")
        self._renewal.start()
        return True

    def check(self) -> None:
        """Refuse to go on where another process has taken the lock over.

        Raises:
            DetrayError: with who runs now.
        """
        found = self._read()
        if self._owner is not None and not self._is_ours(found):
            what = f"was taken over by {found}" if found else "is gone"
            raise DetrayError(f"{self._place}: the lock of this run {what}; run the same command again")

    def owner(self) -> Owner | None:
        """Who runs; None where nobody does."""
        found = self._read()
        return None if found is None or is_dead(found) else found

    @property
    def _place(self) -> str:
        return self._store.path(LOCK)

    def _is_ours(self, found: Owner | None) -> bool:
        return found is not None and self._owner is not None and found.id == self._owner.id

    def _create(self) -> bool:
        """Write the lock where there is none; whether it is ours."""
        if not self._store.is_local:
            return self._read() is None and self._write_and_look()
        place = Path(self._place)
        with readable_errors(self._place):
            place.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError), place.open("xb") as file:
                file.write(msgspec.json.encode(self._owner))
                return True
        return False

    def _write_and_look(self) -> bool:
        self._store.write_bytes(msgspec.json.encode(self._owner), LOCK)
        sleep(SETTLE)
        return self._is_ours(self._read())

    def _refusal(self, owner: Owner | None) -> UsageError:
        who = owner or "another process"
        return UsageError(f"{self._store.root}: {who} is writing there; wait until it ends, or choose another --output")

    def _read(self) -> Owner | None:
        """Who has the lock; None where nobody has."""
        for left in reversed(range(READS)):
            data = self._store.read_bytes(LOCK)
            if data is None or (not data and not self._store.is_local):
                return None
            with contextlib.suppress(msgspec.DecodeError):
                return msgspec.json.decode(data, type=Owner)
            if left:
                sleep(SETTLE)
        # it is damaged: its time says whether anybody keeps it fresh
        written = (self._store.fs.get_file_info(self._place).mtime_ns or 0) / 1e9
        return Owner("", "an unknown host", "", 0, "", "its lock is not readable", written, written)

    def _renew(self) -> None:
        while not self._ended.wait(BEAT) and self._owner is not None:
            with contextlib.suppress(DetrayError):  # the next beat may come through; `check` says what is wrong
                if not self._is_ours(self._read()):
                    return
                self._owner = msgspec.structs.replace(self._owner, beat=time())
                self._store.write_bytes(msgspec.json.encode(self._owner), LOCK)
