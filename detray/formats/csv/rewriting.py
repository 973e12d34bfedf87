"""CSV written back, line by line: what is not changed keeps its very bytes."""

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from detray.changes import Change, Changes
from detray.files import open_file
from detray.formats.corner_text import corner_texts
from detray.formats.csv.lines import MAX_LINE_BYTES

_LINES_AT_ONCE = 10_000
_FIELD = re.compile(rb'(?:^|,)(\s*"(?:[^"]|"")*"\s*|[^,]*)')
_NEEDS_QUOTES = re.compile(rb'[,"\r\n]')

Fields = Mapping[str, bytes]
"""The text of each column."""


@dataclass(frozen=True)
class Writing:
    """How boxes stand in lines.

    Attributes:
        columns: their names in order.
        image: the column that names the image.
        values: what a change sets, by column, in a line with some fields; all that a new box has, in one without.
        name: of a change's image, where the first line of the file has some fields and none names it.
        has_header: whether the first line names the columns.
        keeps_images: whether a line with nothing but an image says that it has no boxes.
    """

    columns: list[str]
    image: str
    values: Callable[[Change, Fields], dict[str, bytes]]
    name: Callable[[Change, Fields], str] = lambda change, first: change.file_name or ""
    has_header: bool = True
    keeps_images: bool = False


def rewrite_lines(path: str, changes: Changes, how: Writing) -> Iterator[bytes]:
    """A file with some of its lines changed, piece by piece."""
    emptied = _emptied(path, changes, how) if how.keeps_images else set()
    wanted = {_last_part(change.file_name or ""): change for change in changes.added}
    stated: dict[str, bytes] = {}
    first: Fields = {}
    with open_file(path) as file:
        head = last = file.readline(MAX_LINE_BYTES) if how.has_header else b""
        waiting = [head] if head else []
        for row, line in enumerate(file):
            head = head or line
            change = changes.take(row)
            if wanted and line.strip():
                fields = _named(line.removeprefix(codecs.BOM_UTF8), how)
                first = first or fields
                if _last_part(_text(fields[how.image])) in wanted:
                    stated.setdefault(_text(fields[how.image]), fields[how.image])
            if change is None:
                waiting.append(line)
            elif not change.is_drop:
                waiting.append(_changed(line, change, how))
            elif row in emptied:
                waiting.append(_joined({how.image: _named(line, how)[how.image]}, how, _end(line)))
            last = line
            if len(waiting) >= _LINES_AT_ONCE:
                yield b"".join(waiting)
                waiting = []
        if changes.added and not last.endswith(b"\n"):
            waiting.append(_end(head) or b"\n")
        for change in changes.added:
            name = _stated(change, stated) or _field(how.name(change, first).encode(), b"")
            waiting.append(_joined(how.values(change, {}) | {how.image: name}, how, _end(head) or b"\n"))
        yield b"".join(waiting)


def select_lines(path: str, taken: Mapping[str, bool], how: Writing) -> Iterator[bytes]:
    """The lines of a file whose image is ``taken``, piece by piece: all images, by the end of the path that a line
    states."""
    with open_file(path) as file:
        if how.has_header:
            yield file.readline(MAX_LINE_BYTES)
        for line in file:
            if next((taken[end] for end in _ends(_name(line, how)) if end in taken), False):
                yield line


def _ends(path: str) -> Iterator[str]:
    parts = path.replace("\\", "/").split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))


def corner_fields(change: Change, was: Fields, columns: tuple[str, str, str, str]) -> dict[str, bytes]:
    """What a change sets of corners in pixels."""
    if change.box is None:
        return {}
    return dict(zip(columns, corner_texts(change.box, [was[name] for name in columns if was]), strict=True))


def _emptied(path: str, changes: Changes, how: Writing) -> set[int]:
    """The last of the dropped lines of each image that keeps no other."""
    dropped = changes.dropped
    if not dropped:
        return set()
    names: dict[str, int] = {}
    with open_file(path) as file:
        names |= {_name(line, how): row for row, line in enumerate(_body(file, how)) if row in dropped}
        file.seek(0)
        for row, line in enumerate(_body(file, how)):
            if row not in dropped:
                names.pop(_name(line, how), None)
    return set(names.values())


def _body(file: Iterator[bytes], how: Writing) -> Iterator[bytes]:
    if how.has_header:
        next(file, b"")
    return file


def _name(line: bytes, how: Writing) -> str:
    return _text(_named(line.removeprefix(codecs.BOM_UTF8), how)[how.image]) if line.strip() else ""


def _split(line: bytes, how: Writing) -> list[bytes]:
    """The fields of a line without its end, as `lines.read_lines` tells them apart."""
    fields = line.split(b",")
    return fields if len(fields) == len(how.columns) or b'"' not in line else _FIELD.findall(line)


def _named(line: bytes, how: Writing) -> dict[str, bytes]:
    """The text of a line's fields; a column that the line lacks has none."""
    fields = dict(zip(how.columns, _split(line.rstrip(b"\r\n"), how), strict=False))
    return {name: fields.get(name, b"") for name in how.columns}


def _changed(line: bytes, change: Change, how: Writing) -> bytes:
    end = _end(line)
    fields = _split(line[: len(line) - len(end)], how)
    was = {name: _text(old).encode() for name, old in zip(how.columns, fields, strict=False)}
    for name, value in how.values(change, was).items():
        at = how.columns.index(name)
        fields[at] = fields[at] if value == was[name] else _field(value, fields[at])
    return b",".join(fields) + end


def _joined(values: Fields, how: Writing, end: bytes) -> bytes:
    return b",".join(values.get(column, b"") for column in how.columns) + end


def _stated(change: Change, stated: Mapping[str, bytes]) -> bytes | None:
    """What the file calls the image of a change."""
    name = change.file_name or ""
    ends = (field for text, field in stated.items() if f"/{text}".replace("\\", "/").endswith(f"/{name}"))
    return next(ends, None)


def _field(value: bytes, was: bytes) -> bytes:
    """A value in place of a field: in quotes where that was, or where it must be."""
    is_quoted = was.strip().startswith(b'"') or _NEEDS_QUOTES.search(value)
    return b'"' + value.replace(b'"', b'""') + b'"' if is_quoted else value


def _text(field: bytes) -> str:
    """The text of a field, without quotes."""
    text = field.strip()
    if len(text) > 1 and text.startswith(b'"') and text.endswith(b'"'):
        text = text[1:-1].replace(b'""', b'"')
    return text.decode("utf-8", "replace").strip()


def _last_part(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _end(line: bytes) -> bytes:
    return line[len(line.rstrip(b"\r\n")) :]
