"""Label files with nothing but lines of a class and four fractions, as columns: many files at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from detray.arrays import Flags, Floats, Ints
from detray.formats.fractions import MAX_CLIPPED, unrounded
from detray.formats.listing import MAX_BOXES

_ALLOWED = b"0123456789.+-eE \t\n"
_SPACE, _NEWLINE = b" "[0], b"\n"[0]
_FIELDS = 5
_MAX_DIGITS = 32
_MAX_CLASS = 1 << 31


@dataclass(frozen=True)
class PlainBoxes:
    """Boxes of some files, k of them in the order of files and lines.

    Attributes:
        is_plain: which of the files are read; the others hold something else, ``[n]``.
        file: which file each box is of, ``[k]``.
        row: its line there, ``[k]``.
        index: its class as written, ``[k]``.
        box: x, y, width, height, px, ``[k, 4]``.
    """

    is_plain: Flags
    file: Ints
    row: Ints
    index: Ints
    box: Floats


def looks_plain(text: bytes) -> bool:
    """Whether a file holds only what numbers are written with."""
    return not text.translate(None, _ALLOWED) and text.count(b"\n") < MAX_BOXES


def read_plain(texts: Sequence[bytes], sizes: Sequence[tuple[int, int]]) -> PlainBoxes:
    """The boxes of files that `looks_plain` of; ``sizes``: width and height of their pictures, px."""
    data = b"\n".join([*texts, b""])
    newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1) - 1
    counts = np.diff(np.searchsorted(newlines, ends) + 1, prepend=0)
    files = np.repeat(np.arange(len(texts)), counts)
    is_plain, line, rows = _single_spaced(data, newlines) or _words(data, newlines)
    is_plain = np.bincount(files[~is_plain], minlength=len(texts)) == 0
    file, index, fractions = files[line], rows[:, 0], rows[:, 1:]
    size = np.array(sizes, np.float64).reshape(-1, 2)[file]
    with np.errstate(over="ignore", invalid="ignore"):
        centre, sides = fractions[:, :2] * size, fractions[:, 2:] * size
        box = np.concatenate([centre - sides / 2, sides], axis=1)
        is_class = (index >= 0) & (index < _MAX_CLASS) & (index == np.floor(index))
        is_plain[file[~is_class | ~np.isfinite(centre + sides).all(axis=1)]] = False
    for place in np.flatnonzero(is_plain[file] & _reaches_out(box, size)).tolist():
        end = newlines[line[place]]
        written = data[data.rfind(b"\n", 0, end) + 1 : end].decode().split()[1:]
        for axis in (0, 1):
            box[place, axis::2] = unrounded(
                box[place, axis], box[place, 2 + axis], int(size[place, axis]), written, axis
            )
    left = is_plain[file]
    row = line - (np.cumsum(counts) - counts)[file]
    return PlainBoxes(is_plain, file[left], row[left], index[left].astype(np.int64), box[left])


def _single_spaced(data: bytes, newlines: Ints) -> tuple[Flags, Ints, Floats] | None:
    """As `_words`, at a fifth of the cost, where all lines are empty or five numbers with one space between two."""
    lengths = np.diff(newlines, prepend=-1) - 1
    line = np.flatnonzero(lengths)
    if not len(line) or lengths.max() > _FIELDS * _MAX_DIGITS:
        return None
    names = [str(place) for place in range(_FIELDS)]
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(use_threads=False, column_names=names, block_size=len(data) + 1),
            csv.ParseOptions(delimiter=" ", quote_char=False),
            csv.ConvertOptions(column_types=dict.fromkeys(names, pa.float64()), null_values=[]),
        )
    except pa.ArrowInvalid:
        return None
    rows = np.stack([column.to_numpy() for column in table.columns], axis=1)
    is_finite = np.isfinite(rows).all(axis=1)
    is_plain = np.ones(len(newlines), bool)
    is_plain[line[~is_finite]] = False
    return is_plain, line[is_finite], rows[is_finite]


def _words(data: bytes, newlines: Ints) -> tuple[Flags, Ints, Floats]:
    """Which lines are empty or five finite numbers; of these the lines and the numbers, ``[k, 5]``."""
    letters = np.frombuffer(data, np.uint8)
    is_text = letters > _SPACE
    edges = np.diff(is_text.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    lines = np.searchsorted(newlines, starts)
    counts = np.bincount(lines, minlength=len(newlines))
    numbers = _numbers(letters[is_text], ends - starts)
    if numbers is None:
        return np.zeros(len(newlines), bool), np.zeros(0, np.int64), np.zeros((0, _FIELDS))
    is_plain = (counts == 0) | (counts == _FIELDS)
    is_plain[lines[(ends - starts > _MAX_DIGITS) | ~np.isfinite(numbers)]] = False
    kept = is_plain[lines]
    return is_plain, lines[kept][::_FIELDS], numbers[kept].reshape(-1, _FIELDS)


def _reaches_out(box: Floats, size: Floats) -> Flags:
    """Which boxes may be outside of their pictures by rounding alone."""
    low, over = -box[:, :2], box[:, :2] + box[:, 2:] - size
    near = ((low > 0) & (low <= MAX_CLIPPED)) | ((over > 0) & (over <= MAX_CLIPPED))
    found: Flags = np.asarray(near.any(axis=1))
    return found


def _numbers(text: np.ndarray, lengths: Ints) -> Floats | None:
    """Words that stand in ``text`` without spaces as numbers; None where one is none."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    words = pa.LargeStringArray.from_buffers(
        len(lengths), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text))
    )
    try:
        found: Floats = pc.cast(words, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:  # among others a plus before a number, which Python reads
        return None
    return found
