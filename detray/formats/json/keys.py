"""Keys that stand twice in one JSON object: parsers keep the last value, or the first, and say nothing.

Colons are counted, for every key has one. Of rows with equally many colons the first is looked at: a
row that has one key twice and lacks another escapes, which an exact search would cost another parse.
Where rows are of too many kinds they are parsed again, as mappings, whose keys and the colons within
their values must add up.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec
import numpy as np

from detray.arrays import Flags, Ints

_COLON, _BRACE, _COMMA, _BRACKET, _SPACE = b":{,[ "
_MAX_KINDS = 32
_HEAD_BYTES = 4096
_ROW: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROWS: msgspec.json.Decoder[list[dict[str, msgspec.Raw]]] = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_PAIRS = json.JSONDecoder(object_pairs_hook=lambda pairs: [name for name, _ in pairs], strict=False)

Span = tuple[int, int]


def may_repeat(text: bytes, rows: int) -> bool:
    """Whether a JSON list of ``rows`` objects, which parses, may hold a key twice in one of them."""
    if not rows:
        return False
    is_colon = _is_colon(text)
    colons = int(np.count_nonzero(is_colon))
    if colons == rows * _colons_of_first(text):
        return False
    starts = _row_starts(text)
    if len(starts) == rows:
        ends = np.append(starts[1:], len(text))
        places = np.flatnonzero(is_colon)
        counts = np.diff(np.searchsorted(places, np.append(starts, len(text))))
        kinds, firsts = np.unique(counts, return_index=True)
        if len(kinds) <= _MAX_KINDS:
            looked = ((text[starts[row] : ends[row]].rstrip(b" \t\r\n,]"), int(counts[row])) for row in firsts)
            return not all(_is_plain(row, count) for row, count in looked)
    try:
        found = _ROWS.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
    return _colons(found) != colons


def repeated(text: bytes, spans: Sequence[Span]) -> Iterator[tuple[int, dict[str, list[str]]]]:
    """Of the elements of a list at ``spans`` in ``text`` the numbers of those with a repeated key, and its values."""
    places = np.flatnonzero(_is_colon(text))
    borders = np.searchsorted(places, np.array(spans, np.int64).reshape(-1, 2))
    for index, (start, end) in enumerate(borders.tolist()):
        row = text[slice(*spans[index])]
        if not _is_plain(row, end - start) and (names := _repeated_names(row)):
            yield index, names


def _is_colon(text: bytes) -> Flags:
    return np.frombuffer(text, np.uint8) == _COLON


def _row_starts(text: bytes) -> Ints:
    """Where a brace opens behind a comma or the bracket of a list: the rows, if no value is a list of objects."""
    data = np.frombuffer(text, np.uint8)
    starts = np.flatnonzero(data == _BRACE)
    before = starts - 1
    while (space := data[before] <= _SPACE).any():  # the bracket of the list is none
        before -= space
    return starts[(data[before] == _COMMA) | (data[before] == _BRACKET)]


def _colons_of_first(text: bytes) -> int:
    """Colons of the first object of a list; 0 where it is long, has a key twice, or is none."""
    head = text[1:_HEAD_BYTES].lstrip().decode("utf-8", "replace")
    try:
        names, end = _PAIRS.raw_decode(head)
    except (ValueError, RecursionError):
        return 0
    return head.count(":", 0, end) if len(set(names)) == len(names) else 0


def _is_plain(row: bytes, colons: int) -> bool:
    """Whether the colons of an object are those of its keys, each once, and within its values."""
    try:
        return _colons([_ROW.decode(row)]) == colons
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _colons(rows: Sequence[dict[str, msgspec.Raw]]) -> int:
    """The colons that the text of objects without a repeated key has."""
    inside = b"".join(chain.from_iterable(map(dict.values, rows)))
    keys = set(chain.from_iterable(rows))
    named = {key: key.count(":") for key in keys if ":" in key}
    further = sum(named[key] for row in rows for key in row if key in named) if named else 0
    return sum(map(len, rows)) + int(np.count_nonzero(_is_colon(inside))) + further


def _repeated_names(row: bytes) -> dict[str, list[str]]:
    """The repeated keys of an object with the text of their values."""
    try:
        pairs = json.loads(row.decode("utf-8", "replace"), object_pairs_hook=_Pairs, strict=False, parse_int=str)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(pairs, _Pairs):
        return {}
    often = Counter(name for name, _ in pairs)
    return {name: [str(value) for key, value in pairs if key == name] for name in often if often[name] > 1}


class _Pairs(list[tuple[str, object]]):
    """An object with all its keys."""
