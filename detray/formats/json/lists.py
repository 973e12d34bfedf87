"""Where the long lists of a JSON file lie, and where they can be cut into parts for parallel tasks.

Nothing is parsed but what stands between the lists. Guesses come first: a list ends a little before
the next known key, and an element begins where ``}, {"key":`` stands with the first key of the
list's first element. A part that begins at a true boundary and parses whole ends at one, so when
all parts of a list parse, all guesses were right, by induction from the list's start. Where one
does not, `find_lists` and `cut` are asked again with ``exact``, which scans every byte.
"""

import contextlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np

from detray.errors import DetrayError
from detray.formats.json.file import JsonFile
from detray.formats.json.scan import Scanner, find_end, windows

PART_BYTES = 16 << 20
BLOCK_BYTES = 512 << 10
"""Of a part, what is parsed at once: its rows then stay in the processor's cache while columns are made of them."""
SHORT_BYTES = 64
"""Of elements that are shorter, a part or block holds as many as of this length, and so fewer bytes."""
_SAMPLE_BYTES = 4096
_NEAR_BYTES = 1 << 16
_SEARCH_BYTES = 1 << 20
_TAIL_BYTES = 1 << 20
_MAX_GUESSES = 8
_MAX_BETWEEN_BYTES = 64 << 20
_SPACE = re.compile(rb"[ \t\r\n]*")
# possessive: a string of any length is matched without a stack of ways back
_KEY = re.compile(rb'"((?:[^"\\]++|\\.)*+)"[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[^,\]}\s]+")
_FIRST_KEY = re.compile(rb'\s*\{\s*("(?:[^"\\]|\\.)*"\s*):')
_MAX_KEY_BYTES = 4096


@dataclass(frozen=True)
class JsonList:
    """A list of a JSON file: ``start`` is its opening bracket, ``end`` behind its closing one."""

    name: str
    start: int
    end: int


class BrokenJson(DetrayError):
    """A file that is not JSON."""


def broken(file: JsonFile, position: int, what: str) -> BrokenJson:
    """The error for a file that stops being JSON at ``position``."""
    where = "" if file.encoding == "utf-8" else f" of its text as UTF-8 (it is {file.encoding})"
    return BrokenJson(f"{file.path}, byte {position}{where}: {what}; repair the file or export it again")


def find_lists(file: JsonFile, names: Collection[str], *, exact: bool = False) -> list[JsonList]:
    """The lists of the object in ``file`` that stand under ``names``, in the order of the file.

    Raises:
        BrokenJson: it is not a JSON object, is cut off, or has one of the lists twice.
    """
    if not exact:
        with contextlib.suppress(BrokenJson):  # a guess was wrong, or the file is broken: the exact walk tells
            return _walk(file, names, exact=False)
    return _walk(file, names, exact=True)


def find_only_list(file: JsonFile) -> JsonList:
    """The list that ``file`` is.

    Raises:
        BrokenJson: it is not one JSON list, or is cut off.
    """
    start = _skip_space(file, file.start)
    if file.read(start, start + 1) != b"[":
        raise broken(file, start, "the file is empty" if start >= file.size else "not a JSON list")
    tail = max(file.start, file.size - _TAIL_BYTES)
    ending = file.read(tail, file.size).rstrip(b" \t\r\n")
    if not ending.endswith(b"]"):
        raise broken(file, file.size, "the file is cut off")
    return JsonList("detections", start, tail + len(ending))


def _walk(file: JsonFile, names: Collection[str], *, exact: bool) -> list[JsonList]:
    """Step from key to key of the outermost object."""
    position = _skip_space(file, file.start)
    if file.read(position, position + 1) != b"{":
        what = "the file is empty" if position >= file.size else "not a JSON object"
        raise broken(file, position, what)
    position = _skip_space(file, position + 1)
    lists: list[JsonList] = []
    kept_start = file.start
    between: list[tuple[int, int]] = []
    while True:
        head = file.read(position, position + _MAX_KEY_BYTES)
        key = _KEY.match(head)
        if key is None:
            if head[:1] == b"}" and not lists and kept_start == file.start and not between:
                break
            raise broken(file, position, "the file ends here" if not head else "a key was expected here")
        name = _name(key[1])
        position += key.end()
        opening = file.read(position, position + 1)
        if name in names and opening != b"n":
            if opening != b"[":
                raise broken(file, position, f"'{name}' is not a list")
            if any(found.name == name for found in lists):
                raise broken(file, position, f"the list '{name}' stands twice")
            others = [other for other in names if other != name and all(found.name != other for found in lists)]
            end = None if exact else _guess_end(file, position, others)
            end = end or find_end(file, position)
            if end is None:
                raise broken(file, file.size, f"the file is cut off inside the list '{name}'")
            lists.append(JsonList(name, position, end))
            between.append((kept_start, position))
            position = kept_start = end
        else:
            position = _skip_value(file, position, opening)
        position = _skip_space(file, position)
        following = file.read(position, position + 1)
        if following == b"}":
            break
        if following != b",":
            raise broken(file, position, "the file is cut off" if not following else "a comma was expected here")
        position = _skip_space(file, position + 1)
    if _skip_space(file, position + 1) < file.size:
        raise broken(file, position + 1, "something follows the end of the JSON object")
    _check_rest(file, [*between, (kept_start, position + 1)])
    return lists


def _name(key: bytes) -> str:
    """A key as it reads: its letters may be written as escapes."""
    text = key.decode("utf-8", "replace")
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text  # no JSON: the parse of what stands around the lists says where


def _check_rest(file: JsonFile, between: Sequence[tuple[int, int]]) -> None:
    """What stands around the lists must be JSON too: it is parsed with the lists emptied."""
    length = sum(end - start for start, end in between)
    if length > _MAX_BETWEEN_BYTES:
        raise DetrayError(
            f"{file.path}: {length >> 20} MiB stand outside of the lists that are read; remove what is not needed"
        )
    text = b"[]".join(file.read(start, end) for start, end in between).decode("utf-8", "replace")
    try:
        json.loads(text, strict=False, parse_int=str)
    except json.JSONDecodeError as error:
        reached = 0
        for start, end in between:
            if error.pos <= reached + (end - start):
                raise broken(file, start + max(error.pos - reached, 0), error.msg.lower()) from None
            reached += end - start + 2
        raise broken(file, file.size, error.msg.lower()) from None
    except RecursionError:
        raise broken(file, file.start, "nested too deeply outside of the lists that are read") from None


def _guess_end(file: JsonFile, start: int, others: Sequence[str]) -> int | None:
    """The end of the list at ``start``, if it lies a little before the key of one of ``others`` or the file's end."""
    border = _element_start(file, start + 1)
    for limit in chain(islice(_keys(file, start, others), _MAX_GUESSES), [file.size]):
        tail = max(start, limit - _TAIL_BYTES)
        if tail == start:
            end = find_end(file, start, limit)
        else:
            cut = border.search(file.read(tail, limit))
            end = None if cut is None else find_end(file, tail + cut.start(1), limit, depth=1)
        if end is not None and re.match(rb'\s*(,\s*"|\}\s*$)', file.read(end, min(end + 256, file.size))):
            return end
    return None


def _keys(file: JsonFile, start: int, names: Sequence[str]) -> Iterator[int]:
    """Positions behind ``start`` where one of the names stands in quotes, wherever that is."""
    keys = [b'"%s"' % name.encode() for name in names]
    overlap = max((len(key) for key in keys), default=0)
    offsets = range(start, file.size if keys else start, _SEARCH_BYTES)
    # before the last key stands the longest list, as a rule, and behind it little: that one is sought from the end
    for offset in offsets if len(keys) > 1 else reversed(offsets):
        window = file.read(offset, offset + _SEARCH_BYTES + overlap)
        found = [offset + at for key in keys if (at := window.find(key)) >= 0]
        yield from sorted(found)  # of each key the first: a list ends before it or is guessed wrongly


def _element_start(file: JsonFile, start: int) -> re.Pattern[bytes]:
    """What the border between two elements looks like, by the one at ``start``; group 1 begins the second."""
    first = _FIRST_KEY.match(file.read(start, start + _MAX_KEY_BYTES))
    key = rb"\s*" + re.escape(first[1]) if first else b""
    return re.compile(rb"\}\s*,\s*(\{" + key + rb")")


def cut(file: JsonFile, found: JsonList, *, exact: bool = False, size: int | None = None) -> list[tuple[int, int]]:
    """Start and end of parts of about ``size`` bytes (`PART_BYTES`): elements, without the comma between two parts.

    The parts depend on the file alone, not on who reads it.
    """
    size = size or PART_BYTES
    inside = (found.start + 1, found.end - 1)
    starts = None if exact else _guessed_starts(file, inside, size)
    if starts is None:
        starts = _exact_starts(file, inside, size)
    return _between(inside, starts)


def blocks(file: JsonFile, start: int, end: int) -> list[tuple[int, int]]:
    """Start and end of the blocks of about `BLOCK_BYTES` of a part; all borders are guesses."""
    return _between((start, end), _guessed_starts(file, (start, end), BLOCK_BYTES) or [])


def _between(inside: tuple[int, int], starts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Start and end of the parts that begin and are divided at ``starts``, each with the comma before it."""
    firsts = [inside[0], *(start for _, start in starts)]
    return list(zip(firsts, [*(comma for comma, _ in starts), inside[1]], strict=True))


def _guessed_starts(file: JsonFile, inside: tuple[int, int], size: int) -> list[tuple[int, int]] | None:
    """Position of the comma before, and of, the first element that seems to begin behind each ``size`` bytes.

    None if a part of the list holds nothing that looks like a border.
    """
    border = _element_start(file, inside[0])
    starts: list[tuple[int, int]] = []
    start = _skip_space(file, inside[0])
    if file.read(start, start + 1) != b"{" and inside[1] - start > size // SHORT_BYTES:
        return None
    while True:
        sample = file.read(start, min(start + _SAMPLE_BYTES, inside[1]))
        length = len(sample) / (len(border.findall(sample)) + 1)
        position = start + max(int(size * min(1.0, length / SHORT_BYTES)), 1)
        if position >= inside[1]:
            return starts
        for reach in (_NEAR_BYTES, 2 * size):
            text = file.read(position, min(position + reach, inside[1]))
            if match := border.search(text):
                start = position + match.start(1)
                starts.append((position + match.start() + 1, start))
                break
        else:
            return starts if inside[1] - position <= _NEAR_BYTES else None


def _exact_starts(file: JsonFile, inside: tuple[int, int], size: int) -> list[tuple[int, int]]:
    """The same, with every byte of the list looked at."""
    scanner = Scanner(1)
    starts: list[tuple[int, int]] = []
    start, count, most = inside[0], 0, max(size // SHORT_BYTES, 1)
    for offset, window in windows(file, *inside):
        structure = scanner.scan(window)
        commas = scanner.commas(window)
        before = scanner.depth - int(np.where(structure.opens, 1, -1).sum())
        depths = np.concatenate([[before], structure.depth])[np.searchsorted(structure.positions, commas)]
        borders = offset + commas[depths == 1]
        behind = 0
        while (at := min(int(np.searchsorted(borders, start + size)), behind + most - count - 1)) < len(borders):
            start = int(borders[at]) + 1
            starts.append((start - 1, start))
            behind, count = at + 1, 0
        count += len(borders) - behind
    return starts


def _skip_space(file: JsonFile, position: int) -> int:
    while position < file.size:
        text = file.read(position, position + 4096)
        match = _SPACE.match(text)
        length = match.end() if match else 0
        position += length
        if length < len(text):
            break
    return position


def _skip_value(file: JsonFile, position: int, opening: bytes) -> int:
    """The position behind the value that begins at ``position``."""
    if opening in (b"{", b"["):
        end = find_end(file, position)
        if end is None:
            raise broken(file, file.size, "the file is cut off")
        return end
    length = 4096
    while True:
        text = file.read(position, position + length)
        match = (_STRING if opening == b'"' else _SCALAR).match(text)
        if match is not None and (match.end() < len(text) or position + len(text) >= file.size):
            return position + match.end()
        if position + len(text) >= file.size:
            raise broken(file, position, "a value was expected here")
        if length == _MAX_BETWEEN_BYTES:
            raise DetrayError(
                f"{file.path}, byte {position}: a value is longer than {length >> 20} MiB; remove what is not needed"
            )
        length = min(16 * length, _MAX_BETWEEN_BYTES)
