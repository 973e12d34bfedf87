"""Pascal VOC written back: what is not changed keeps its very bytes."""

import codecs
import re
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

from detray.changes import Change, Changes
from detray.formats.voc.reader import CORNERS, parse_xml

_WHOLE = re.compile(rb"\s*[-+]?\d+\s*")
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


@dataclass
class _Place:
    """Where an element lies in the bytes of a file, its content within its tags, and what it holds."""

    tag: str
    start: int
    inner: int
    inner_end: int = 0
    end: int = 0
    children: list["_Place"] = field(default_factory=list)

    def first(self, tag: str) -> "_Place | None":
        return next((child for child in self.children if child.tag == tag), None)


def rewrite(data: bytes, changes: Changes) -> bytes:
    """An annotation file with some of its objects changed.

    Raises:
        DetrayError: it is no XML that is read.
    """
    parse_xml(data)  # entities are refused
    for mark, encoding in _UTF_16.items():
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding).encode()
            return mark + _edited(text, "utf-8", changes, stated="utf-8").decode().encode(encoding)
    return _edited(data, _declared(data), changes)


def _declared(data: bytes) -> str:
    found = re.match(rb"""(?:\xef\xbb\xbf)?\s*<\?xml[^>]*encoding\s*=\s*["']([\w.-]+)""", data)
    return found[1].decode() if found else "utf-8"


def _edited(data: bytes, encoding: str, changes: Changes, stated: str | None = None) -> bytes:
    root = _places(data, stated)
    objects = [child for child in root.children if child.tag == "object"]
    edits: list[tuple[int, int, bytes]] = []
    for row, place in enumerate(objects):
        change = changes.take(row)
        if change is None:
            continue
        if change.is_drop:
            start = len(data[: place.start].rstrip())
            edits.append((start, place.end, b""))
            continue
        name, box = place.first("name"), place.first("bndbox")
        if change.category_name is not None and name is not None:
            edits.append((name.inner, name.inner_end, _text(change.category_name, encoding)))
        if change.box is not None and box is not None:
            edits += _corners(data, box, change)
    if changes.added:
        at = objects[-1].end if objects else root.inner_end
        start = objects[-1].start if objects else root.inner_end
        space = data[len(data[:start].rstrip()) : start] if objects else b""
        edits.append((at, at, b"".join(space + _object(change, encoding) for change in changes.added)))
    for start, end, text in sorted(edits, reverse=True):
        data = data[:start] + text + data[end:]
    return data


def _places(data: bytes, stated: str | None) -> _Place:
    top = _Place("", 0, 0)
    stack = [top]
    parser = expat.ParserCreate(stated)

    def start(tag: str, attributes: object) -> None:
        at = parser.CurrentByteIndex
        place = _Place(tag, at, data.index(b">", at) + 1)
        stack[-1].children.append(place)
        stack.append(place)

    def end(tag: str) -> None:
        place, at = stack.pop(), parser.CurrentByteIndex
        has_tag = data[at : at + 2] == b"</"  # else it is <tag/>
        place.inner_end = at if has_tag else place.inner
        place.end = data.index(b">", at) + 1 if has_tag else place.inner

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.Parse(data, True)
    return top.children[0]


def _corners(data: bytes, box: _Place, change: Change) -> list[tuple[int, int, bytes]]:
    """What replaces the numbers of a box that differ; where all were whole, they stay so."""
    places = [place for side in CORNERS if (place := box.first(side)) is not None]
    texts = [data[place.inner : place.inner_end] for place in places]
    is_whole = all(_WHOLE.fullmatch(text) for text in texts)
    found = []
    for place, text, value in zip(places, texts, _values(change, is_whole=is_whole), strict=True):
        if float(text) != float(value):
            found.append((place.inner, place.inner_end, value.encode()))
    return found


def _values(change: Change, *, is_whole: bool) -> list[str]:
    """xmin, ymin, xmax, ymax as text."""
    x, y, width, height = change.box or (0, 0, 0, 0)
    corners = [round(value, 9) for value in (x, y, x + width, y + height)]
    rounded = [round(value) for value in corners]
    if is_whole and rounded[0] < rounded[2] and rounded[1] < rounded[3]:
        return [str(value) for value in rounded]
    return [f"{value:.0f}" if value.is_integer() else repr(value) for value in map(float, corners)]


def _object(change: Change, encoding: str) -> bytes:
    corners = "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(CORNERS, _values(change, is_whole=True), strict=True)
    )
    head = b"<object><name>" + _text(change.category_name or "", encoding) + b"</name>"
    return head + f"<difficult>0</difficult><bndbox>{corners}</bndbox></object>".encode()


def _text(value: str, encoding: str) -> bytes:
    return escape(value).encode(encoding, "xmlcharrefreplace")
