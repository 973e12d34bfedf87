"""Where values stand in JSON text, and edits of them that leave all else as it is."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import msgspec

from detray.formats.byte_edits import Edit
from detray.formats.json.scan import elements

_KEY = re.compile(rb'\s*("(?:[^"\\]++|\\.)*+")\s*:\s*', re.DOTALL)

Path = tuple[str | int, ...]
"""Keys and numbers that lead from a value to one within it."""


@dataclass(frozen=True)
class Place:
    """A value: ``text[start:end]``, without the spaces around it."""

    text: bytes
    start: int
    end: int

    @cached_property
    def spans(self) -> dict[str | int, tuple[int, int]]:
        """Where the elements of a list stand, by number, or the members of an object, by key."""
        base = self.start + 1
        found = [(base + a, base + b) for a, b in elements(self.text[base : self.end - 1]) or []]
        spans = [_stripped(self.text, start, end) for start, end in found]
        spans = [(start, end) for start, end in spans if start < end]
        if not self.is_object:
            return dict(enumerate(spans))
        return {_key(self.text, start): (start, end) for start, end in spans}

    @property
    def is_object(self) -> bool:
        return self.text[self.start : self.start + 1] == b"{"

    def at(self, path: Path) -> "Place | None":
        """The value that a path leads to; None where it leads nowhere."""
        place = self
        for step in path:
            if place.text[place.start : place.start + 1] not in (b"{", b"[") or step not in place.spans:
                return None
            start, end = place.spans[step]
            found = _KEY.match(place.text, start) if place.is_object else None
            place = Place(place.text, found.end() if found else start, end)
        return place

    def values(self) -> list["Place"]:
        """The values of a list or object."""
        return [found for step in self.spans if (found := self.at((step,))) is not None]

    @property
    def raw(self) -> bytes:
        """Its text."""
        return self.text[self.start : self.end]


def whole(text: bytes) -> Place:
    """The value that a text holds."""
    return Place(text, *_stripped(text, 0, len(text)))


def put(place: Place, name: str, value: Any) -> Edit:
    """An object's member is set, or added behind the others."""
    old = place.at((name,))
    text = encode(value)
    if old is not None:
        return old.start, old.end, text
    last = max((end for _, end in place.spans.values()), default=place.start + 1)
    return last, last, (b", " if place.spans else b"") + encode(name) + b": " + text


def relist(place: Place, dropped: Iterable[str | int], added: Sequence[bytes] = ()) -> list[Edit]:
    """Elements of a list, or members of an object, are left out, and others stand behind those that stay."""
    gone = set(dropped)
    spans = list(place.spans.items())
    kept = [span for step, span in spans if step not in gone]
    edits: list[Edit] = []
    if not kept and spans:
        edits.append((spans[0][1][0], spans[-1][1][1], b""))
    elif kept and spans[0][1] != kept[0]:
        edits.append((spans[0][1][0], kept[0][0], b""))
    for (_, before), (step, span) in pairwise(spans) if kept else ():
        if step in gone and span > kept[0]:
            edits.append((before[1], span[1], b""))
    if added:
        at = kept[-1][1] if kept else spans[0][1][0] if spans else place.start + 1
        edits.append((at, at, _behind(place, kept, added)))
    return edits


def encode(value: Any) -> bytes:
    """A value as JSON text; numbers that are whole are written so."""
    return msgspec.json.encode(_whole(value))


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    if isinstance(value, list):
        return list(map(_whole, value))
    return {name: _whole(one) for name, one in value.items()} if isinstance(value, dict) else value


def _behind(place: Place, kept: Sequence[tuple[int, int]], added: Sequence[bytes]) -> bytes:
    """New elements, with the space before each that the last one has before it."""
    space = b""
    if kept:
        before = place.text[place.start + 1 : kept[-1][0]]
        space = before[len(before.rstrip()) :]
    return (b"," + space if kept else b"") + (b"," + space).join(added)


def _stripped(text: bytes, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return start + left, max(start + left, end - (len(piece) - len(piece.rstrip())))


def _key(text: bytes, start: int) -> str:
    found = _KEY.match(text, start)
    return str(json.loads(found[1].decode("utf-8", "replace"), strict=False)) if found else ""
