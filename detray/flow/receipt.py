"""What a finished task leaves behind: which parts it wrote, what it kept, and its facts."""

from typing import TypeVar

import msgspec

from detray.store import Part

Facts = TypeVar("Facts", bound=msgspec.Struct)


class Receipt(msgspec.Struct, frozen=True):
    """Proof that a task is whole: stored last, after everything that it names.

    Attributes:
        step, key: which task.
        tables: parts of the stage's tables, by table.
        kept: rows of each batch of the tables kept for later steps, by name.
        files: paths of further files of the stage.
        facts: the step's facts, still encoded.
    """

    step: str
    key: str
    tables: dict[str, list[Part]]
    kept: dict[str, list[int]]
    files: list[str]
    facts: msgspec.Raw

    @property
    def shard(self) -> str:
        return shard_name(self.step, self.key)

    def facts_as(self, kind: type[Facts]) -> Facts:
        return msgspec.json.decode(self.facts, type=kind)

    def encode(self) -> bytes:
        return msgspec.json.encode(self)


def decode(data: bytes | str) -> Receipt:
    """The receipt that `Receipt.encode` made."""
    return msgspec.json.decode(data, type=Receipt)


def shard_name(step: str, key: str) -> str:
    """What a task's files are called; in this order parts are numbered."""
    return f"{step}-{key}" if key else step
