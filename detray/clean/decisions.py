"""What a person decided on the review page: a JSON file, and what it asks for in a shard.

A decision holds the row as it was when it was reviewed. Where the row has changed since, the decision is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Flags
from detray.clean.rows import NOT_FOUND, locate
from detray.clean.settings import Action
from detray.errors import UsageError
from detray.files import open_file
from detray.tables import Shard

MAX_BYTES = 1 << 28

MENDS: Mapping[str, Action] = {
    "spurious": "drop",
    "missed": "drop",
    "same-box-two-classes": "drop",
    "sub-pixel-box": "drop",
    "tiny-box": "drop",
    "extreme-aspect": "drop",
    "full-image-box": "drop",
    "size-outlier": "drop",
    "neighbour-outlier": "drop",
}
"""What mends a finding, a label error or a missed box where a person has looked at it, beside what mends it unasked."""

Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Side = float | None
Box = tuple[Side, Side, Side, Side]


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was reviewed: a row as it was then, or a box that is missing, and what accepting it asks for.

    ``kind`` is the finding's rule, the label error's kind, or ``missed``. ``category_id`` and ``box`` (x, y, width,
    height, px) are those of the row ``annotation_row`` of ``source_file``; without such a row a box is to be added,
    or the finding is about a picture. ``action`` None: the mend is by hand.
    """

    kind: str
    split: str
    image_id: Id
    file_name: str | None = None
    source_file: str | None = None
    annotation_row: Id | None = None
    category_id: Id | None = None
    box: Box | None = None
    action: Action | None = None
    suggested_category_id: Id | None = None
    suggested_box: Box | None = None

    @property
    def name(self) -> str:
        """What a person calls it."""
        row = "" if self.annotation_row is None else f", row {self.annotation_row} of {self.source_file}"
        return f"{self.kind} in {self.file_name or f'image {self.image_id}'} ({self.split}){row}"


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A decision: accept what is suggested, reject it, or skip it, which leaves it undecided."""

    decision: Literal["accept", "reject", "skip"]
    about: About


class Decisions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    detray: Literal["decisions"]
    version: Literal[1]
    run: str
    decisions: list[Decision]


def read_decisions(path: str) -> list[Decision]:
    """The decisions of the file ``path``, those that were skipped left out.

    Raises:
        UsageError: it cannot be read, or is not what a review page exports.
    """
    try:
        with open_file(path) as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if len(text) > MAX_BYTES:
        raise UsageError(f"{path}: larger than {MAX_BYTES >> 20} MiB, so not what a review page exports")
    try:
        found = msgspec.json.decode(text, type=Decisions)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not what a review page exports: {error}") from None
    return [decision for decision in found.decisions if decision.decision != "skip"]


class Refused(msgspec.Struct, frozen=True):
    """A decision, by its number, that is not followed, and why."""

    number: int
    why: str


@dataclass(frozen=True)
class Decided:
    """What the decisions about a shard come to.

    Attributes:
        accepted: those that are followed, and the position of each one's annotation; `NOT_FOUND` for a box to add.
        seen: numbers of all that are about the shard.
        refused: those that are not followed.
        about: keys of what is decided, see `is_about`.
    """

    accepted: list[tuple[About, int]]
    seen: list[int]
    refused: list[Refused]
    about: frozenset[tuple[Any, ...]]

    def is_about(self, reports: pa.Table, column: str) -> Flags:
        """Which findings or label errors, whose kind stands in ``column``, are decided, ``[n]``."""
        found = np.zeros(reports.num_rows, bool)
        if not self.about:
            return found
        images = pa.array({key[1] for key in self.about}, pa.int64())
        at = np.flatnonzero(pc.is_in(reports["image_id"], value_set=images).to_numpy())
        for place, row in zip(at.tolist(), reports.take(pa.array(at)).to_pylist(), strict=True):
            key = _key(row[column], row["image_id"], row["source_file"], row["annotation_row"], suggested_box(row))
            found[place] = key in self.about
        return found


def suggested_box(row: Mapping[str, Any]) -> Box:
    """The box that a label error suggests; a missing one may be told by its own box alone."""

    def side(name: str) -> Side:
        value: Side = row.get(f"suggested_{name}")
        return row.get(name) if value is None else value

    return side("x"), side("y"), side("width"), side("height")


def _key(kind: str, image_id: int, file: str | None, row: int | None, box: Box | None) -> tuple[Any, ...]:
    """What tells two of a kind apart: the row of a file, or the box that is to be added."""
    return (kind, image_id, file, row) if row is not None else (kind, image_id, box)


def _key_of(about: About) -> tuple[Any, ...]:
    return _key(about.kind, about.image_id, about.source_file, about.annotation_row, about.suggested_box)


_TWO_WORDS = "it is both accepted and rejected in the file"
_TWO_WAYS = "it is accepted in two ways in the file"


def decide(shard: Shard, decisions: Mapping[int, Decision]) -> Decided:
    """Look up what decisions are about, by their numbers, in a shard, and refuse those whose row has changed."""
    mine = {n: found for n, found in decisions.items() if found.about.split == shard.split}
    there = set(shard.images["image_id"].to_pylist()) if mine else set()
    mine = {n: found for n, found in mine.items() if found.about.image_id in there}
    if not mine:
        return Decided([], [], [], frozenset())
    named = [
        {name: getattr(found.about, name) for name in ("source_file", "image_id", "annotation_row")}
        for found in mine.values()
    ]
    types = pa.schema([("source_file", pa.string()), ("image_id", pa.int64()), ("annotation_row", pa.int64())])
    rows = locate(shard.annotations, pa.Table.from_pylist(named, types)).tolist()
    current = iter(shard.annotations.take(pa.array([row for row in rows if row != NOT_FOUND], pa.int64())).to_pylist())
    words: dict[tuple[Any, ...], set[str]] = {}
    ways: dict[tuple[Any, ...], set[tuple[Any, ...]]] = {}
    for found in mine.values():
        words.setdefault(_key_of(found.about), set()).add(found.decision)
        if found.decision == "accept":
            way = found.about.suggested_category_id, found.about.suggested_box
            ways.setdefault((*_key_of(found.about), found.about.action), set()).add(way)
    accepted, refused, about = [], [], set()
    done: set[tuple[Any, ...]] = set()
    for (number, found), at in zip(mine.items(), rows, strict=True):
        row = None if at == NOT_FOUND else next(current)
        key = _key_of(found.about)
        way = (*key, found.about.action)
        two = _TWO_WORDS if len(words[key]) > 1 else _TWO_WAYS if len(ways.get(way, ())) > 1 else None
        if why := two or _why_not(found, row):
            refused.append(Refused(number, why))
            continue
        if found.decision == "accept" and way not in done:
            accepted.append((found.about, at))
            done.add(way)
        about.add(key)
    return Decided(accepted, list(mine), refused, frozenset(about))


def _why_not(decision: Decision, row: dict[str, Any] | None) -> str | None:
    """Why a decision is not followed; None where it is."""
    about = decision.about
    if about.action is None:  # what clean does not write, such as a box of NaN, is not among its rows
        return None if decision.decision == "reject" else "accepted, but no edit mends it: mend it by hand"
    if about.annotation_row is not None:
        if row is None:
            return "there is no such annotation any more"
        if row["category_id"] != about.category_id:
            return "its class has changed since it was reviewed"
        if tuple(row[side] for side in ("x", "y", "width", "height")) != (about.box or (None,) * 4):
            return "its box has changed since it was reviewed"
    if decision.decision == "reject":
        return None
    if about.annotation_row is None and about.action != "add":
        return f"{about.action} needs an annotation, and it names none"
    if about.action in ("relabel", "add") and about.suggested_category_id is None:
        return f"{about.action} needs a suggested class"
    if about.action in ("move", "add") and (about.suggested_box is None or None in about.suggested_box):
        return f"{about.action} needs a suggested box"
    return None
