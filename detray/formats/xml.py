"""Where elements stand in the bytes of XML, for edits that leave all else as it is."""

import re
from dataclasses import dataclass, field
from xml.parsers import expat

# a bracket within an attribute ends no tag
_TAG = re.compile(rb"""<(?:[^>"']++|"[^"]*"|'[^']*')*+>""")


@dataclass
class Place:
    """Where an element lies in the bytes of a file, its content within its tags, and what it holds."""

    tag: str
    start: int
    inner: int
    inner_end: int = 0
    end: int = 0
    children: list["Place"] = field(default_factory=list)

    def first(self, tag: str) -> "Place | None":
        return next((child for child in self.children if child.tag == tag), None)


def find_places(data: bytes, encoding: str | None = None) -> Place:
    """The root element of XML that parses and was found without entities; ``encoding`` goes before a declared one."""
    top = Place("", 0, 0)
    stack = [top]
    parser = expat.ParserCreate(encoding)

    def start(tag: str, attributes: object) -> None:
        at = parser.CurrentByteIndex
        place = Place(tag, at, _end_of_tag(data, at))
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


def _end_of_tag(data: bytes, start: int) -> int:
    found = _TAG.match(data, start)
    return found.end() if found else len(data)
