"""What there is to review: suspected labels, findings about single boxes and pictures, and missed boxes."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
import pyarrow.compute as pc

from detray.clean.decisions import MENDS, About, suggested_box
from detray.clean.requests import INFO, LABEL_ERRORS, NEAR, RULES
from detray.clean.settings import Action
from detray.clean.shared import WHOLE
from detray.report.reader import Reader, Row
from detray.report.sections.common import Box, box_of

GROUPS = ("suspect", "finding", "miss")
MISSED = "missed"
MAX_DRAWN = 100
"""Boxes that are drawn on a picture of a pair."""
_SINGLE = ("annotation", "image")
_SIDES = ("x", "y", "width", "height")
_DONE: Mapping[Action | None, str] = {
    "drop": "the box is dropped",
    "clip": "the box is cut at the picture's edge",
    "relabel": "the class becomes the suggested one",
    "move": "the box becomes the suggested one",
    "add": "the suggested box is added",
    "renumber": "the annotation gets a new id",
    None: "noted; no edit mends it, so mend it by hand",
}
"""What accepting does, in words."""


@dataclass(frozen=True)
class Picture:
    """A picture of the data set; ``path`` None: no image folder is stated. ``drawn``: its labelled boxes, of a pair."""

    split: str
    image_id: int | None
    file_name: str | None
    path: str | None
    width: int | None
    height: int | None
    drawn: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Item:
    """One thing to decide.

    Attributes:
        group: suspect, finding or miss.
        about: what the decision will name.
        message: what is the matter, in a sentence.
        category, suggested_category: names of the class.
        score: how suspicious, or how sure; 0 to 1.
        picture: where it is.
        box, suggested, other: as labelled, as suggested, and the other box of a pair; px.
        pair: the other picture of a pair.
    """

    group: str
    about: About
    message: str
    category: str | None
    score: float | None
    picture: Picture
    box: Box | None = None
    suggested: Box | None = None
    suggested_category: str | None = None
    other: Box | None = None
    pair: Picture | None = None

    @property
    def accepting(self) -> str:
        return _DONE[self.about.action]

    @property
    def text(self) -> str:
        """What the exported file will say of it: JSON."""
        return msgspec.json.encode(self.about).decode()

    @property
    def key(self) -> str:
        """Names the item and the state of its row: where the row changes, earlier decisions are not about it."""
        return hashlib.blake2b(self.text.encode(), digest_size=9).hexdigest()

    @property
    def focus(self) -> Box | None:
        """What a close-up shows."""
        return self.box or self.suggested


@dataclass(frozen=True)
class Review:
    """The items, and how many of each group are left out."""

    items: list[Item]
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Items of each group, and of each rule or kind."""
        return dict(Counter(word for item in self.items for word in (item.group, item.about.kind)))


def collect(reader: Reader, most: int, groups: Sequence[str] = GROUPS, min_score: float = 0.0) -> Review:
    """What is to be reviewed, the most suspicious of each group first.

    Args:
        reader: the output folder.
        most: items at most; of the groups each gets what it needs up to an equal share.
        groups: which there are to be.
        min_score: suspects of a lower score are left out.
    """
    read: Mapping[str, Callable[[Reader, int], list[Row]]] = {
        "suspect": partial(_suspects, min_score=min_score), "finding": _findings, "miss": _misses,
    }  # fmt: skip
    rows = {group: read[group](reader, most) if group in groups else [] for group in GROUPS}
    shares = _shares({group: len(found) for group, found in rows.items()}, most)
    kept = {group: found[: shares[group]] for group, found in rows.items()}
    places = _Places(reader, [row for found in kept.values() for row in found])
    wholes = _wholes(reader)
    items = [
        *(_suspect(row, places) for row in kept["suspect"]),
        *(_finding(row, places, wholes) for row in kept["finding"]),
        *(_miss(row, places) for row in kept["miss"]),
    ]
    left = {group: _count(reader, group) - len(found) for group, found in kept.items() if group in groups}
    return Review([item for item in items if item is not None], {group: n for group, n in left.items() if n > 0})


def _shares(sizes: Mapping[Any, int], most: int) -> dict[Any, int]:
    """So many of each group: all, or an equal share of what the smaller ones leave."""
    shares: dict[Any, int] = {}
    left = most
    for place, (group, size) in enumerate(sorted(sizes.items(), key=lambda entry: entry[1])):
        shares[group] = min(size, left // (len(sizes) - place))
        left -= shares[group]
    return shares


def _count(reader: Reader, group: str) -> int:
    table, by, wanted = _COUNTED[group]
    stage = _suspecting(reader) if group == "suspect" else None
    return sum(row["n"] for row in reader.counts(table, by, stage) if wanted(row))


def _suspecting(reader: Reader) -> str:
    """The stage whose suspects are reviewed: detectors that have not seen the pictures, where there are some."""
    return "folds" if reader.manifest("folds") else "diagnose"


def _suspects(reader: Reader, most: int, min_score: float) -> list[Row]:
    wanted = pc.field("score") >= min_score
    rows = reader.best("label_errors", ("split",), "score", most, wanted, stage=_suspecting(reader))
    rows.sort(key=lambda row: -row["score"])
    return [row for row in rows if row["image_id"] is not None][:most]


def _findings(reader: Reader, most: int) -> list[Row]:
    wanted = pc.field("scope").isin(_SINGLE) & (pc.field("severity") > INFO)
    counts = _counts(reader, "findings", "rule", ("scope", "severity"), _is_reviewed)
    shares = _shares(counts, most)
    by = ("rule", "scope", "severity")
    rows = reader.best("findings", by, "confidence", max(shares.values(), default=0), wanted)
    rows.sort(key=lambda row: (-row["severity"], row["rule"], -(row["confidence"] or 0.0)))
    return _first([row for row in rows if row["image_id"] is not None and row["split"] is not None], "rule", shares)


def _is_reviewed(row: Row) -> bool:
    """Whether a finding is about one row, and about more than rounding."""
    return row["scope"] in _SINGLE and row["severity"] > INFO


def _counts(reader: Reader, table: str, by: str, also: Sequence[str], wanted: Callable[[Row], bool]) -> dict[Any, int]:
    """How many rows of a table that are wanted hold each value of a column."""
    found: dict[Any, int] = {}
    for row in reader.counts(table, (by, *also)):
        if wanted(row):
            found[row[by]] = found.get(row[by], 0) + row["n"]
    return found


def _first(rows: Sequence[Row], by: str, shares: Mapping[Any, int]) -> list[Row]:
    """Of the rows of each value of a column so many as its share."""
    kept, used = [], dict.fromkeys(shares, 0)
    for row in rows:
        if used[row[by]] < shares[row[by]]:
            used[row[by]] += 1
            kept.append(row)
    return kept


def _misses(reader: Reader, most: int) -> list[Row]:
    wanted = pc.field("outcome") == MISSED
    shares = _shares(_counts(reader, "matches", "category_id", ("outcome",), _is_missed), most)
    by = ("outcome", "split", "model", "category_id")
    rows = reader.best("matches", by, "other_iou", max(shares.values(), default=0), wanted)
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:  # what several models miss is one
        if row["annotation_row"] is not None:
            found.setdefault((row["split"], row["image_id"], row["annotation_row"]), row)
    return _first(list(found.values()), "category_id", shares)


def _is_missed(row: Row) -> bool:
    return bool(row["outcome"] == MISSED)


def _wholes(reader: Reader) -> frozenset[str]:
    """Findings about faults that many boxes share and clean mends as a whole."""
    single = pc.field("scope").isin(_SINGLE)
    rows = reader.best("findings", ("rule", "scope"), "confidence", 1000, ~single & pc.field("rule").isin(list(WHOLE)))
    return frozenset(row["finding_id"] for row in rows)


class _Places:
    """The pictures, annotations and classes that some rows are about."""

    def __init__(self, reader: Reader, rows: Sequence[Row]) -> None:
        self._pictures: dict[tuple[str, int], Picture] = {}
        self._named: dict[tuple[str, str], Picture] = {}
        self._boxes: dict[tuple[str, int, int], list[Row]] = {}
        self._names: dict[str, dict[int, str]] = {}
        self._drawn: dict[tuple[str, int | None], list[Row]] = {}
        for split in sorted({row["split"] for row in rows}):
            ids = sorted({row["image_id"] for row in rows if row["split"] == split})
            self._read(reader, split, ids)
        wanted: dict[str, set[str]] = {}
        for row in rows:
            if row.get("other_file_name") and row.get("other_split"):
                wanted.setdefault(row["other_split"], set()).add(row["other_file_name"])
        for split, names in wanted.items():
            of_names = (pc.field("split") == split) & pc.field("file_name").isin(sorted(names))
            for row in reader.rows("images", of_names):
                self._named.setdefault((split, row["file_name"]), _picture(row))
            ids = sorted(
                one.image_id for one in self._named.values() if one.split == split and one.image_id is not None
            )
            for row in reader.of_images("annotations", split, ids).to_pylist():
                self._drawn.setdefault((split, row["image_id"]), []).append(row)

    def _read(self, reader: Reader, split: str, ids: list[int]) -> None:
        for row in reader.of_images("images", split, ids).to_pylist():
            self._pictures.setdefault((split, row["image_id"]), _picture(row))
        for row in reader.of_images("annotations", split, ids).to_pylist():
            if row["annotation_row"] is not None:
                self._boxes.setdefault((split, row["image_id"], row["annotation_row"]), []).append(row)
        found = reader.rows("categories", pc.field("split") == split)
        self._names[split] = {row["category_id"]: row["category_name"] for row in found}

    def picture(self, row: Row) -> Picture | None:
        return self._pictures.get((row["split"], row["image_id"]))

    def pair(self, row: Row) -> Picture | None:
        return self._with_boxes(self._named.get((row["other_split"], row["other_file_name"])))

    def _with_boxes(self, picture: Picture | None) -> Picture | None:
        if picture is None:
            return None
        rows = self._drawn.get((picture.split, picture.image_id), [])
        found = [box for row in rows[:MAX_DRAWN] if (box := box_of(row)) is not None]
        return replace(picture, drawn=tuple(found))

    def of_pair(self, row: Row, picture: Picture) -> Picture:
        """The picture of a row with its labelled boxes."""
        rows = [found[0] for key, found in self._boxes.items() if key[:2] == (row["split"], row["image_id"])]
        self._drawn.setdefault((row["split"], row["image_id"]), rows)
        return self._with_boxes(picture) or picture

    def annotation(self, row: Row, column: str = "annotation_row") -> Row | None:
        """The annotation that a row names, where one fits."""
        found = self._boxes.get((row["split"], row["image_id"], row[column]), [])
        file = row.get("source_file")
        found = [one for one in found if file is None or one["source_file"] == file]
        return found[0] if len(found) == 1 else None

    def name(self, row: Row, category_id: int | None) -> str | None:
        return self._names[row["split"]].get(category_id) if category_id is not None else None


def _picture(row: Row) -> Picture:
    return Picture(*(row[name] for name in ("split", "image_id", "file_name", "path", "width", "height")))


_SAID = {
    "missing": "An object seems to have no box here",
    "spurious": "No object seems to be in this box",
    "wrong_class": "The object seems to be of another class",
    "bad_box": "The box does not seem to fit its object",
}
"""What the model's evidence speaks for, by kind of label error."""


def _about(row: Row, kind: str, annotation: Row | None, action: Action | None, picture: Picture) -> About:
    named = annotation or {}
    return About(
        kind=kind,
        split=row["split"],
        image_id=row["image_id"],
        file_name=picture.file_name,
        source_file=named.get("source_file"),
        annotation_row=named.get("annotation_row"),
        category_id=named.get("category_id"),
        box=tuple(named[side] for side in _SIDES) if annotation else None,
        action=action,
    )


def _suspect(row: Row, places: _Places) -> Item | None:
    picture, kind = places.picture(row), row["kind"]
    annotation = None if row["annotation_row"] is None else places.annotation(row)
    if picture is None or (annotation is None and kind != "missing"):
        return None
    action: Action = {**LABEL_ERRORS, **MENDS}[kind]
    about = _about(row, kind, annotation, action, picture)
    number = row["suggested_category_id"]
    number = row["category_id"] if number is None else number
    box = suggested_box(row)
    if action in ("relabel", "add"):
        about = msgspec.structs.replace(about, suggested_category_id=number)
    if action in ("move", "add"):
        about = msgspec.structs.replace(about, suggested_box=box)
    name = places.name(row, number) or row["suggested_category_name"]
    return Item(
        "suspect", about, _SAID[kind], row["category_name"], row["score"], picture,
        box_of(annotation) if annotation else None,
        box if action in ("move", "add") and None not in box else None,  # type: ignore[arg-type]
        name if action in ("relabel", "add") else None,
    )  # fmt: skip


def _finding(row: Row, places: _Places, wholes: frozenset[str]) -> Item | None:
    picture, rule = places.picture(row), row["rule"]
    if picture is None:
        return None
    is_box = row["scope"] == "annotation" and row["annotation_row"] is not None
    annotation = places.annotation(row) if is_box else None
    action = ({**RULES, **NEAR, **MENDS}).get(rule) if annotation and row["root_cause_id"] not in wholes else None
    about = _about(row, rule, annotation, action, picture)
    other = places.annotation(row, "other_annotation_row") if row["other_annotation_row"] is not None else None
    item = Item(
        "finding", about, row["message"], row["category_name"], row["confidence"], picture,
        box_of(row), other=box_of(other) if other else None, pair=places.pair(row),
    )  # fmt: skip
    if item.pair is not None:
        item = replace(item, picture=places.of_pair(row, picture))
    return _with_box(item, picture)


def _with_box(item: Item, picture: Picture) -> Item:
    """The box that accepting a finding leaves, where that is another."""
    if item.box is None or item.about.action not in ("clip", "drop"):
        return item
    x, y, width, height = item.box
    if item.about.action == "clip" and picture.width and picture.height:
        left, top = max(x, 0.0), max(y, 0.0)
        right, bottom = min(x + width, float(picture.width)), min(y + height, float(picture.height))
        return replace(
            item, suggested=(left, top, right - left, bottom - top) if right > left and bottom > top else None
        )
    if width < 0 or height < 0:  # exchanged corners hold an object
        box = (min(x, x + width), min(y, y + height), abs(width), abs(height))
        is_whole = box[2] > 0 and box[3] > 0
        changes: dict[str, Any] = {"action": "move" if is_whole else None, "suggested_box": box if is_whole else None}
        return replace(item, about=msgspec.structs.replace(item.about, **changes), suggested=box if is_whole else None)
    return item


def _miss(row: Row, places: _Places) -> Item | None:
    picture, annotation = places.picture(row), places.annotation(row)
    if picture is None or annotation is None:
        return None
    near = row["other_category_name"]
    beside = f"; the nearest detection is {near} at IoU {row['other_iou']:.2f}" if near and row["other_iou"] else ""
    message = f"No detection of its class matches this box at IoU .5, whatever its score{beside}"
    about = _about(row, MISSED, annotation, MENDS[MISSED], picture)
    return Item("miss", about, message, row["category_name"], None, picture, box_of(annotation))


_COUNTED: Mapping[str, tuple[str, tuple[str, ...], Callable[[Row], bool]]] = {
    "suspect": ("label_errors", ("kind",), lambda row: True),
    "finding": ("findings", ("scope", "severity"), _is_reviewed),
    "miss": ("matches", ("outcome",), _is_missed),
}
