"""YOLO labels written back: what is not changed keeps its very characters."""

import codecs
import re

from detray.changes import Change, Changes
from detray.formats.outline import cut

_WORDS = re.compile(r"\S+")


def rewrite(data: bytes, changes: Changes) -> bytes:
    """A label file with some of its lines changed."""
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    lines = data.removeprefix(mark).decode().splitlines(keepends=True)
    kept = []
    for row, line in enumerate(lines):
        change = changes.take(row)
        if change is None or not change.is_drop:
            kept.append(line if change is None else _line(line, change))
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    new = [f"{_label(change)} {' '.join(map(_number, _fractions(change)))}{end}" for change in changes.added]
    if new and kept and not kept[-1].endswith(("\n", "\r")):
        kept[-1] += end
    return mark + "".join([*kept, *new]).encode()


def _line(line: str, change: Change) -> str:
    """A line with its class or its numbers replaced, and the space between them as it was."""
    words = [found.group() for found in _WORDS.finditer(line)]
    spaces = _WORDS.split(line)
    if change.category_id is not None:
        words[0] = _label(change)
    if change.box is not None:
        words[1:] = _drawn(words[1:], change)
    last = len(words) if len(words) < len(spaces) else len(spaces) - 1
    return "".join(space + word for space, word in zip(spaces, words, strict=False)) + spaces[-1 if last else 0]


def _drawn(words: list[str], change: Change) -> list[str]:
    """The numbers of a box, or of a polygon that is cut to it; further numbers behind a box stay."""
    numbers = [float(word) for word in words]
    fractions = _fractions(change)
    if len(words) >= 6 and len(words) % 2 == 0:
        x, y, width, height = fractions
        made = cut(numbers, (x - width / 2, y - height / 2, width, height))
        if made is None:
            return [_number(value) for value in fractions]
        return [word if value == was else _number(value)
                for word, value, was in zip(words, made, numbers, strict=True)]  # fmt: skip
    return [*map(_number, fractions), *words[4:]]


def _fractions(change: Change) -> list[float]:
    """Centre, width and height as shares of the picture."""
    x, y, width, height = change.box or (0.0, 0.0, 0.0, 0.0)
    across, down = change.size or (1, 1)
    return [(x + width / 2) / across, (y + height / 2) / down, width / across, height / down]


def _number(value: float) -> str:
    return f"{value:.12g}"


def _label(change: Change) -> str:
    return str((change.category_id or 1) - 1)
