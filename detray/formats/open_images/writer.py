"""Open Images CSV written back, line by line: what is not changed keeps its very bytes."""

from collections.abc import Iterator

from detray.changes import Change, Changes
from detray.files import PICTURE_SUFFIXES, open_file
from detray.formats.csv.lines import MAX_LINE_BYTES, header

_SIDES = ("XMin", "YMin", "XMax", "YMax")
_LINES_AT_ONCE = 10_000


def rewrite(path: str, changes: Changes) -> Iterator[bytes]:
    """A file with some of its lines changed, piece by piece."""
    with open_file(path) as file:
        head = file.readline(MAX_LINE_BYTES)
        columns = header(path)
        waiting, last = [head], head
        is_named_whole = False
        for row, line in enumerate(file):
            if not row:
                name = _unquoted(dict(zip(columns, line.split(b","), strict=False)).get("ImageID", b""))
                is_named_whole = name.lower().endswith(PICTURE_SUFFIXES)
            change = changes.take(row)
            if change is None:
                waiting.append(line)
            elif not change.is_drop:
                waiting.append(_changed(line, columns, change))
            last = line
            if len(waiting) >= _LINES_AT_ONCE:
                yield b"".join(waiting)
                waiting = []
        end = b"\r\n" if head.endswith(b"\r\n") else b"\n"
        if changes.added and not last.endswith(b"\n"):
            waiting.append(end)
        waiting += [_new(columns, change, end, with_suffix=is_named_whole) for change in changes.added]
        yield b"".join(waiting)


def _changed(line: bytes, columns: list[str], change: Change) -> bytes:
    content = line.rstrip(b"\r\n")
    fields = content.split(b",")
    for name, value in _values(change).items():
        at = columns.index(name)
        fields[at] = b'"' + value + b'"' if fields[at].strip().startswith(b'"') else value
    return b",".join(fields) + line[len(content) :]


def _values(change: Change) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    if change.category_name is not None:
        values["LabelName"] = change.category_name.encode()
    if change.box is not None:
        x, y, width, height = change.box
        across, down = change.size or (1, 1)
        corners = x / across, y / down, (x + width) / across, (y + height) / down
        values |= {side: f"{corner:.12g}".encode() for side, corner in zip(_SIDES, corners, strict=True)}
    return values


def _new(columns: list[str], change: Change, end: bytes, *, with_suffix: bool) -> bytes:
    name = change.file_name or ""
    values = _values(change) | {"ImageID": (name if with_suffix else name.rpartition(".")[0]).encode()}
    return b",".join(values.get(column, b"") for column in columns) + end


def _unquoted(field: bytes) -> str:
    return field.strip().strip(b'"').decode("utf-8", "replace")
