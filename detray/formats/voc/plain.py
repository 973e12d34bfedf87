"""Objects of Pascal VOC that are written as nearly all are, as columns: a pattern for all of the same elements.

Such an object has each element once, a text alone in each, and four numbers. Its bytes match a pattern that is
made of the names of its elements, so no parser has to build a tree of it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Flags, Floats, Ints

CORNERS = ("xmin", "ymin", "xmax", "ymax")
MARK = b"<object/>"
"""What stands for all objects of a file in what is left of it."""

_TAG = re.compile(rb"<(/?)([A-Za-z_][A-Za-z0-9_.-]*)>")
_START, _END = b"<object>", b"</object>"
_MOST_TAGS = 64
_SPACE = rb"[ \t\r\n]*"
_TEXTS = {"name": rb" *([!-%'-;=?-~][ -%'-;=?-~]*)", "difficult": b"([01])"}
_TEXT = rb"([ -%'-;=?-~]*)"  # what XML takes as it stands
_NUMBER = rb"(-?[0-9]{1,15}(?:\.[0-9]{1,15})?)"


Objects = list[tuple[bytes, ...]]
"""The whole of each object, and the text of each of its elements."""


@dataclass(frozen=True)
class Pattern:
    """How objects with certain elements are written.

    ``object`` matches one with the space behind it: the whole, and a group for each of ``elements``.
    """

    object: re.Pattern[bytes]
    elements: tuple[str, ...]


@dataclass
class PlainObjects:
    """The plain objects of some files: for each pattern the groups of each object, and which file it is of."""

    _rows: dict[Pattern, Objects] = field(default_factory=dict)
    _counts: dict[Pattern, list[tuple[int, int]]] = field(default_factory=dict)
    _last: Pattern | None = None

    def take(self, data: bytes, most: int) -> tuple[bytes, Objects] | None:
        """A file with `MARK` in place of its objects, and their groups; None where they are not at most ``most`` alike.

        Text that matches within a comment or another element is of no object: what is left says so, by its mark.
        """
        start, end = data.find(_START), data.rfind(_END) + len(_END)
        if start < 0 or end <= start:
            return None
        objects = data[start:end]
        found = _all(self._last, objects)
        if not found:
            self._last = _pattern_of(objects)
            found = _all(self._last, objects)
        return (data[:start] + MARK + data[end:], found) if 0 < len(found) <= most else None

    def add(self, file: int, found: Objects) -> None:
        """Keep what `take` found last, as the objects of the file with that number."""
        if found and self._last is not None:
            self._rows.setdefault(self._last, []).extend(found)
            self._counts.setdefault(self._last, []).append((file, len(found)))

    def columns(self) -> list["PlainColumns"]:
        """Of each pattern."""
        return [_columns(pattern, rows, self._counts[pattern]) for pattern, rows in self._rows.items()]


@dataclass(frozen=True)
class PlainColumns:
    """Objects in the order of their files, k of them.

    Attributes:
        file: which each is of, ``[k]``.
        row: its place there, ``[k]``.
        name: its class.
        corners: `CORNERS`, px, ``[4, k]``.
        difficult: whether it is, ``[k]``.
        further: other elements as JSON.
    """

    file: Ints
    row: Ints
    name: pa.Array
    corners: Floats
    difficult: Flags
    further: pa.Array


def _columns(pattern: Pattern, rows: Objects, counts: list[tuple[int, int]]) -> PlainColumns:
    texts = dict(zip(("", *pattern.elements), zip(*rows, strict=True), strict=True))
    files, lengths = np.array(counts, np.int64).T
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    flags = b"".join(texts.get("difficult", (b"0",) * len(rows)))
    others = [name for name in pattern.elements if name not in (*CORNERS, "name", "difficult", "filename")]
    further = lru_cache(maxsize=4096)(lambda *found: as_json(others, [text.decode() for text in found]))
    attributes = list(map(further, *(texts[name] for name in others))) if others else [None] * len(rows)
    return PlainColumns(
        np.repeat(files, lengths),
        np.arange(len(rows)) - first,
        pc.ascii_trim_whitespace(pa.array(texts["name"], pa.string())),
        np.stack([pc.cast(pa.array(texts[side], pa.string()), pa.float64()).to_numpy() for side in CORNERS]),
        np.frombuffer(flags, np.uint8) == b"1"[0],
        pa.array(attributes, pa.string()),
    )


def _all(pattern: Pattern | None, objects: bytes) -> Objects:
    """All objects, if they are nothing but matches of a pattern."""
    found = pattern.object.findall(objects) if pattern else []
    return found if sum(len(groups[0]) for groups in found) == len(objects) else []


def as_json(names: Sequence[str], texts: Sequence[str]) -> str | None:
    """Elements that have no column as a JSON object; None if none has a text."""
    found = {name: text.strip() for name, text in zip(names, texts, strict=True) if text.strip()}
    return json.dumps(found, ensure_ascii=False) if found else None


def _pattern_of(objects: bytes) -> Pattern | None:
    """The pattern of the first object."""
    tags = _TAG.findall(objects, 0, objects.find(_END) + len(_END))
    return _pattern(tuple(tags)) if len(tags) <= _MOST_TAGS else None


@lru_cache(maxsize=64)
def _pattern(tags: tuple[tuple[bytes, bytes], ...]) -> Pattern | None:
    """The pattern of an object of these tags, each ``(b"/" or b"", name)``; None if no plain object has them."""
    parts: list[bytes] = []
    elements: list[str] = []
    box: list[str] = []
    inner = list(tags[1:-1])
    is_in_box = False
    while inner:
        slash, tag = inner.pop(0)
        if tag == b"bndbox" and bool(slash) == is_in_box:
            is_in_box = not slash
            parts.append(b"<%sbndbox>" % slash)
            box += [] if slash else ["bndbox"]
            continue
        name = tag.decode()
        if slash or not inner or inner.pop(0) != (b"/", tag) or (name in CORNERS) != is_in_box:
            return None
        text = _NUMBER if is_in_box else _TEXTS.get(name, _TEXT)
        parts.append(b"<%s>%s</%s>" % (re.escape(tag), text, re.escape(tag)))
        elements.append(name)
    names = [*elements, *box]
    if is_in_box or len(set(names)) < len(names) or not {"name", "bndbox", *CORNERS} <= set(names) or "object" in names:
        return None
    pattern = _SPACE.join([b"(" + _START, *parts, _END, b")"])
    return Pattern(re.compile(pattern), tuple(elements))
