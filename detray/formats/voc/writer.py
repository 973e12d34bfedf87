"""Pascal VOC written back: what is not changed keeps its very bytes."""

import codecs
import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from detray.changes import Change, Changes
from detray.formats.byte_edits import Edit, apply_edits
from detray.formats.corner_text import corner_texts
from detray.formats.voc.plain import CORNERS
from detray.formats.voc.reader import parse_xml
from detray.formats.xml import Place, find_places

_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


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
    root = find_places(data, stated)
    objects = [child for child in root.children if child.tag == "object"]
    edits: list[Edit] = []
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
    return apply_edits(data, edits)


def _corners(data: bytes, box: Place, change: Change) -> Iterator[Edit]:
    """What replaces the numbers of a box."""
    places = [place for side in CORNERS if (place := box.first(side)) is not None]
    texts = [data[place.inner : place.inner_end] for place in places]
    for place, text in zip(places, corner_texts(change.box, texts), strict=True):
        yield place.inner, place.inner_end, text


def _object(change: Change, encoding: str) -> bytes:
    corners = "".join(
        f"<{side}>{text.decode()}</{side}>" for side, text in zip(CORNERS, corner_texts(change.box), strict=True)
    )
    head = b"<object><name>" + _text(change.category_name or "", encoding) + b"</name>"
    return head + f"<difficult>0</difficult><bndbox>{corners}</bndbox></object>".encode()


def _text(value: str, encoding: str) -> bytes:
    return escape(value).encode(encoding, "xmlcharrefreplace")
