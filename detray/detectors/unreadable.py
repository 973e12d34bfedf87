"""How many pictures may be missing before a result is worth nothing."""

import math
from collections import Counter

import msgspec
import pyarrow as pa

from detray.errors import DetrayError


class Unreadable(msgspec.Struct, frozen=True):
    """Pictures that could not be read: how many by reason, and a sentence on the first one."""

    reasons: dict[str, int] = {}
    first: str = ""

    @property
    def count(self) -> int:
        return sum(self.reasons.values())

    @staticmethod
    def of(quarantine: pa.Table) -> "Unreadable":
        """Of rows of the table quarantine, one for each picture."""
        rows = quarantine.select(["source_file", "reason", "detail"]).to_pylist()
        first = f"{rows[0]['source_file']}: {rows[0]['detail']}" if rows else ""
        return Unreadable(dict(Counter(row["reason"] for row in rows)), first)

    def __add__(self, other: "Unreadable") -> "Unreadable":
        return Unreadable(dict(Counter(self.reasons) + Counter(other.reasons)), self.first or other.first)


def require_readable(found: Unreadable, images: int, most: float) -> None:
    """Refuse to go on where more than the share ``most`` of ``images`` could not be read, or nothing was.

    Of few images one may be unreadable, unless ``most`` is 0.

    Raises:
        DetrayError: it says how many, why, which is the first, and what to do.
    """
    if found.count <= math.ceil(most * images) and (found.count < images or not images or most == 1):
        return
    reason, n = max(found.reasons.items(), key=lambda item: item[1])
    often = "all of them" if n == found.count else f"{n:,} of them"
    raise DetrayError(
        f"{found.count:,} of {images:,} pictures could not be read, {often} {reason.replace('_', ' ')}, the first"
        f" {found.first}; see that every machine has the pictures in the same place, and run the same command again,"
        f" or let more be left out with predict.max_unreadable (now {most:g})"
    )
