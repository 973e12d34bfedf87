"""What a finished task leaves behind: which parts it wrote, what it kept, and its facts."""

from typing import TypeVar

import msgspec

from detray.store import Part, Stored
from detray.store.integrity import refuse_paths

Facts = TypeVar("Facts", bound=msgspec.Struct)


class Aside(msgspec.Struct, frozen=True):
    """A row of the table quarantine, as far as a log tells it."""

    split: str | None
    image_id: int | None
    source_file: str | None
    row: int | None
    reason: str
    detail: str | None


class Receipt(msgspec.Struct, frozen=True):
    """Proof that a task is whole: stored last, after everything that it names.

    Attributes:
        step, key: which task.
        tables: parts of the stage's tables, by table.
        kept: rows of each batch of the tables kept for later steps, by name.
        scratch: the files of those kept tables that are in one, by name.
        files: further files of the stage, by path.
        facts: the step's facts, still encoded.
        aside: the first rows that it left out.
    """

    step: str
    key: str
    tables: dict[str, list[Part]]
    kept: dict[str, list[int]]
    scratch: dict[str, Stored]
    files: dict[str, Stored]
    facts: msgspec.Raw
    aside: list[Aside] = []

    def __post_init__(self) -> None:
        refuse_paths(part.file for parts in self.tables.values() for part in parts)
        refuse_paths((*self.tables, *self.kept, *(name for path in self.files for name in path.split("/"))))

    @property
    def shard(self) -> str:
        return shard_name(self.step, self.key)

    @property
    def stored(self) -> dict[str, Stored]:
        """All its files, by path below ``_partial``."""
        return (
            {f"{table}/{part.file}": part.stored for table, parts in self.tables.items() for part in parts}
            | {f"scratch/{scratch_name(self.step, name, self.key)}.arrow": file for name, file in self.scratch.items()}
            | {f"files/{path}": file for path, file in self.files.items()}
        )

    def rows(self, table: str | None = None) -> int:
        """Rows of a result table that the task wrote, or of all."""
        return sum(part.rows for name, parts in self.tables.items() for part in parts if table in (None, name))

    def facts_as(self, kind: type[Facts]) -> Facts:
        return msgspec.json.decode(self.facts, type=kind)

    def encode(self) -> bytes:
        return msgspec.json.encode(self)


def decode(data: bytes | str) -> Receipt:
    """The receipt that `Receipt.encode` made.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return msgspec.json.decode(data, type=Receipt)


def shard_name(step: str, key: str) -> str:
    """What a task's files are called; in this order parts are numbered."""
    return f"{step}-{key}" if key else step


def scratch_name(step: str, name: str, key: str) -> str:
    """What the file of a kept table is called."""
    return f"{step}/{name}/{key}"
