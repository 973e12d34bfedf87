"""A place for what must survive a restart before its task is whole: epochs, checkpoints, trials of a search."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from detray.errors import DamagedError
from detray.store import Store
from detray.store.integrity import sealed, unsealed

Value = TypeVar("Value")


@dataclass(frozen=True)
class Workspace:
    """A folder of a stage while it runs: found again by a run that goes on, gone with the commit.

    A small value that tasks are given. What a task wrote is not taken back when it fails or runs twice.
    """

    store: Store
    place: tuple[str, ...]

    @property
    def folder(self) -> Path | None:
        """Where it is on this machine; None on an object store. It need not be there yet."""
        return Path(self.store.path(*self.place)) if self.store.is_local else None

    def below(self, name: str) -> "Workspace":
        """A folder of this one."""
        return replace(self, place=(*self.place, name))

    def write(self, name: str, content: bytes) -> None:
        """Keep a file, whole or not at all."""
        self.store.write_bytes(sealed(content), *self.place, name)

    def read(self, name: str) -> bytes | None:
        """What `write` kept; None if there is nothing.

        Raises:
            DamagedError: it has changed since.
        """
        found = self.store.read_bytes(*self.place, name)
        content = None if found is None else unsealed(found)
        if content is None and found is not None:
            raise self.damaged(name, "damaged (not as it was written)")
        return content

    def write_json(self, name: str, value: object) -> None:
        """Keep a struct, or whatever msgspec takes."""
        self.write(name, msgspec.json.encode(value))

    def read_json(self, name: str, kind: type[Value]) -> Value | None:
        """What `write_json` kept; None if there is nothing.

        Raises:
            DamagedError: it cannot be read as ``kind``.
        """
        content = self.read(name)
        try:
            return None if content is None else msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError as error:
            raise self.damaged(name, f"damaged ({error})") from None

    def damaged(self, name: str, reason: str) -> DamagedError:
        """The error that says that a file that is needed is not as it was written."""
        return self.store.damaged("/".join((*self.place, name)), reason)

    def clear(self) -> None:
        """Delete all that is in it."""
        self.store.delete(*self.place)
