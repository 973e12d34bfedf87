"""CVAT XML written back, image by image: what is not changed keeps its very bytes."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from itertools import pairwise
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

from detray.changes import Change, Changes
from detray.errors import DetrayError
from detray.files import open_file
from detray.formats.byte_edits import Edit, apply_edits
from detray.formats.corner_text import corner_texts
from detray.formats.cvat.reader import CORNERS, box_of, element_text, image_of, starts_of
from detray.formats.listing import MAX_FILE_BYTES
from detray.formats.outline import redrawn
from detray.formats.values import Defects
from detray.formats.xml import Place, find_places

_COPY_BYTES = 1 << 20
_ATTRIBUTE = r"""\s+{}\s*=\s*("[^"]*"|'[^']*')"""


def rewrite(path: str, changes: Changes) -> Iterator[bytes]:
    """A file with some of its shapes changed, piece by piece.

    Raises:
        DetrayError: it cannot be read.
    """
    new: dict[int | None, list[Change]] = defaultdict(list)
    for change in changes.added:
        new[change.image_row].append(change)
    with open_file(path) as file:
        starts, size, _ = starts_of(path) if changes else ([], 0, b"")
        if starts:
            yield file.read(starts[0])
        row = 0
        for number, (start, end) in enumerate(pairwise([*starts, size])):
            text = file.read(end - start)
            shapes = _shapes(text)
            own = [(place, found) for index, place in enumerate(shapes) if (found := changes.take(row + index))]
            row += len(shapes)
            yield _edited(text, own, new[number]) if own or new[number] else text
        while piece := file.read(_COPY_BYTES):
            yield piece


def select(path: str, kept: Set[int]) -> Iterator[bytes]:
    """A file with some of its images only, piece by piece.

    Raises:
        DetrayError: it cannot be read.
    """
    with open_file(path) as file:
        starts, size, _ = starts_of(path)
        yield file.read(starts[0] if starts else -1)
        for number, (start, end) in enumerate(pairwise([*starts, size])):
            text = file.read(end - start)
            content = element_text(text)
            if number in kept:
                yield text
            elif end == size:
                yield text[len(content) :]


def _shapes(text: bytes) -> list[int]:
    """Which children of an image are read as boxes; none where it is not read."""
    try:
        image = image_of(text) if len(text) <= MAX_FILE_BYTES else ()
    except DetrayError:
        return []
    return [at for at, shape in enumerate(image) if shape.tag != "tag" and box_of(shape, Defects()) is not None]


def _edited(text: bytes, changes: list[tuple[int, Change]], new: list[Change]) -> bytes:
    content = element_text(text)
    root, image = find_places(content), image_of(text)
    edits: list[Edit] = []
    for at, change in changes:
        place, shape = root.children[at], image[at]
        if change.is_drop:
            edits.append((len(text[: place.start].rstrip()), place.end, b""))
            continue
        tag = content[place.start : place.inner]
        made = _tag(tag, _set(shape, change))
        edits.append((place.start, place.inner, made))
        if made.startswith(b"<box") and place.end > place.inner:
            edits.append((place.inner_end, place.end, b"</box>"))
    if new:
        edits += _added(content, root, new)
    return apply_edits(content, edits) + text[len(content) :]


def _set(shape: Element, change: Change) -> dict[str, str | None]:
    """Attributes that a change sets; None for those that go."""
    values: dict[str, str | None] = {}
    if change.category_name is not None:
        values["label"] = change.category_name
    if change.box is None:
        return values
    x, y, width, height = change.box
    if shape.tag == "polygon":
        drawn = box_of(shape, Defects()) or []
        made = redrawn([side for side in drawn[4:] if side is not None], change.box)
        pairs = zip(made[::2], made[1::2], strict=True)
        values["points"] = ";".join(f"{_number(right)},{_number(down)}" for right, down in pairs)
    elif shape.tag == "ellipse":
        sides = {"cx": x + width / 2, "cy": y + height / 2, "rx": width / 2, "ry": height / 2}
        values |= {name: _number(value) for name, value in sides.items()} | {"rotation": None}
    else:
        was = [(shape.get(side) or "").encode() for side in CORNERS] if shape.tag == "box" else [b"0.0"] * 4
        texts = corner_texts(change.box, was)
        values |= dict(zip(CORNERS, (text.decode() for text in texts), strict=True)) | {"rotation": None}
        if shape.tag == "mask":
            values |= dict.fromkeys(("left", "top", "width", "height", "rle"))
    return values


def _tag(tag: bytes, values: Mapping[str, str | None]) -> bytes:
    """A start tag with some attributes set, or without them; a mask that is none any more becomes a box."""
    for name, value in values.items():
        found = re.search(_ATTRIBUTE.format(name).encode(), tag)
        text = b"" if value is None else quoteattr(value).encode()
        if found is None and value is not None:
            end = re.search(rb"\s*/?>$", tag)
            at = end.start() if end else len(tag)
            tag = tag[:at] + f" {name}=".encode() + text + tag[at:]
        elif found is not None and value is None:
            tag = tag[: found.start()] + tag[found.end() :]
        elif found is not None:
            tag = tag[: found.start(1)] + text + tag[found.end(1) :]
    return re.sub(rb"^<mask\b", b"<box", tag) if values.get("rle", "") is None else tag


def _added(content: bytes, root: Place, new: list[Change]) -> Iterator[Edit]:
    """Boxes behind the last shape of an image."""
    if content.endswith(b"/>") and not root.children and root.inner == len(content):
        start = len(content) - 2
        yield start, len(content), b">" + b"".join(map(_box, new)) + b"</image>"
        return
    last = root.children[-1] if root.children else None
    at = last.end if last else root.inner
    space = content[len(content[: last.start].rstrip()) : last.start] if last else b""
    yield at, at, b"".join(space + _box(change) for change in new)


def _box(change: Change) -> bytes:
    corners = zip(CORNERS, corner_texts(change.box, [b"0.0"] * 4), strict=True)
    sides = " ".join(f'{name}="{text.decode()}"' for name, text in corners)
    label = quoteattr(change.category_name or "")
    return f'<box label={label} source="manual" occluded="0" {sides} z_order="0"></box>'.encode()


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else repr(round(value, 9))
