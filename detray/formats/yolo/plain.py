"""Label files with nothing but lines of a class and four fractions, as columns: many files at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
    data = np.frombuffer(b"\n".join([*texts, b""]), np.uint8)
    is_newline, is_text = data == _NEWLINE, data > _SPACE
    lengths = np.fromiter(map(len, texts), np.int64, len(texts)) + 1
    first_lines = np.concatenate([[0], np.cumsum(is_newline)[np.cumsum(lengths) - 1]]).astype(np.int64)
    edges = np.diff(is_text.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    lines = (np.cumsum(is_newline) - is_newline)[starts]
    counts = np.bincount(lines, minlength=first_lines[-1])
    files = np.searchsorted(first_lines, np.arange(len(counts)), side="right") - 1
    numbers = _numbers(data[is_text], ends - starts)
    is_plain = np.full(len(texts), numbers is not None)
    is_plain[files[(counts != 0) & (counts != _FIELDS)]] = False
    is_plain[files[lines[ends - starts > _MAX_DIGITS]]] = False
    if numbers is not None:
        is_plain[files[lines[~np.isfinite(numbers)]]] = False
    kept = is_plain[files[lines]]
    rows = (np.zeros(0) if numbers is None else numbers[kept]).reshape(-1, _FIELDS)
    line, file = lines[kept][::_FIELDS], files[lines[kept][::_FIELDS]]
    index = rows[:, 0]
    is_plain[file[(index < 0) | (index >= _MAX_CLASS) | (index != np.floor(index))]] = False
    size = np.array(sizes, np.float64).reshape(-1, 2)[file]
    fractions = rows[:, 1:]
    with np.errstate(over="ignore", invalid="ignore"):
        centre, sides = fractions[:, :2] * size, fractions[:, 2:] * size
        box = np.concatenate([centre - sides / 2, sides], axis=1)
    is_plain[file[~np.isfinite(np.concatenate([centre, sides], axis=1)).all(axis=1)]] = False
    first_words = np.flatnonzero(kept)[::_FIELDS]
    for place in np.flatnonzero(is_plain[file] & _reaches_out(box, size)).tolist():
        words = range(first_words[place] + 1, first_words[place] + _FIELDS)
        written = [data[starts[word] : ends[word]].tobytes().decode() for word in words]
        for axis in (0, 1):
            box[place, axis::2] = unrounded(
                box[place, axis], box[place, 2 + axis], int(size[place, axis]), written, axis
            )
    left = is_plain[file]
    return PlainBoxes(is_plain, file[left], (line - first_lines[file])[left], index[left].astype(np.int64), box[left])


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
