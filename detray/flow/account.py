"""What became of the rows of a file that another tool wrote: how many count, and why others are left out."""

from collections.abc import Iterable

import msgspec


class LeftOut(msgspec.Struct, frozen=True):
    """Rows that are left out for one reason: how many, and the first one's place in the file (from 0) and numbers."""

    rows: int
    row: int
    detail: str


class Account(msgspec.Struct, frozen=True):
    """What became of some rows.

    Attributes:
        read: rows that were looked at.
        kept: those that count.
        placed: those that name an image of the data set.
        left_out: the others, by reason.
    """

    read: int = 0
    kept: int = 0
    placed: int = 0
    left_out: dict[str, LeftOut] = {}

    @classmethod
    def total(cls, accounts: Iterable["Account"]) -> "Account":
        """Of all rows, from the accounts of some each."""
        read = kept = placed = 0
        left_out: dict[str, LeftOut] = {}
        for part in accounts:
            read, kept, placed = read + part.read, kept + part.kept, placed + part.placed
            for reason, more in part.left_out.items():
                known = left_out.get(reason, more)
                rows = more.rows + (known.rows if reason in left_out else 0)
                left_out[reason] = msgspec.structs.replace(min(known, more, key=lambda found: found.row), rows=rows)
        return cls(read, kept, placed, left_out)

    @property
    def counts(self) -> dict[str, int]:
        """As in `Outcome`."""
        return {"in": self.read, "kept": self.kept, "quarantined": self.read - self.kept}
