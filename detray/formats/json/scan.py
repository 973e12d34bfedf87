"""Where brackets and commas stand in JSON text, exactly, without parsing values.

Vectorised over windows of bytes with the state carried from window to window (the first stage of
simdjson: Langdale and Lemire, VLDB Journal 2019), so memory stays flat for any size of file. It
costs about as much as a parse: reading uses it only where a cheaper guess failed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from detray.arrays import Bytes, Flags, Ints
from detray.formats.json.file import JsonFile

WINDOW = 8 << 20
_QUOTE, _BACKSLASH, _COMMA = b'"'[0], b"\\"[0], b","[0]
_BRACE_OPEN, _BRACE_CLOSE = b"{"[0], b"}"[0]
_LOWER = 0x20  # '[' and ']' with this bit set are '{' and '}'


@dataclass
class Structure:
    """The brackets of one window: ``positions`` in it, whether each opens, and the depth behind each."""

    positions: Ints
    opens: Flags
    depth: Ints


class Scanner:
    """Walks over consecutive windows; ``depth`` and ``in_string`` are the state behind the last one."""

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth
        self.in_string = False
        self._escaped = False

    def scan(self, window: bytes) -> Structure:
        """The brackets of the next window that stand outside strings."""
        data = np.frombuffer(window, np.uint8)
        self._quotes, self._began_in_string = self._unescaped_quotes(data), self.in_string
        self.in_string ^= bool(len(self._quotes) % 2)
        lowered = data | _LOWER
        positions = self._outside(np.flatnonzero((lowered == _BRACE_OPEN) | (lowered == _BRACE_CLOSE)))
        opens = lowered[positions] == _BRACE_OPEN
        depth = self.depth + np.cumsum(np.where(opens, 1, -1))
        if len(depth):
            self.depth = int(depth[-1])
        return Structure(positions, opens, depth)

    def commas(self, window: bytes) -> Ints:
        """Positions of the commas outside strings of the window that was scanned last."""
        return self._outside(np.flatnonzero(np.frombuffer(window, np.uint8) == _COMMA))

    def _outside(self, positions: Ints) -> Ints:
        before = np.searchsorted(self._quotes, positions)
        return positions[(before + self._began_in_string) % 2 == 0]

    def _unescaped_quotes(self, data: Bytes) -> Ints:
        quotes = np.flatnonzero(data == _QUOTE)
        slashes = np.flatnonzero(data == _BACKSLASH)
        carried = self._escaped
        if not len(slashes):
            self._escaped = False
            return quotes[1:] if carried and len(quotes) and quotes[0] == 0 else quotes
        # runs of backslashes: a quote behind an odd run is escaped
        first = np.flatnonzero(np.diff(slashes, prepend=-2) > 1)
        starts = slashes[first]
        lengths = np.diff(first, append=len(slashes))
        if starts[0] == 0 and carried:
            lengths[0] += 1
        ends = starts + np.diff(first, append=len(slashes))
        odd_ends = ends[lengths % 2 == 1]
        self._escaped = bool(len(odd_ends)) and int(odd_ends[-1]) == len(data)
        if carried and starts[0] != 0:
            odd_ends = np.concatenate([[0], odd_ends])
        return quotes[~np.isin(quotes, odd_ends)]


def find_end(file: JsonFile, start: int, end: int | None = None, depth: int = 0) -> int | None:
    """The position behind the bracket that closes what is open ``depth`` deep at ``start``.

    With depth 0 the first bracket from ``start`` on is the one to be closed. None if nothing
    closes it before ``end`` (the end of the file).
    """
    scanner = Scanner(depth)
    for offset, window in windows(file, start, file.size if end is None else end):
        found = scanner.scan(window)
        closed = np.flatnonzero(found.depth <= 0)
        if len(closed):
            return offset + int(found.positions[closed[0]]) + 1
    return None


def windows(file: JsonFile, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """``(position, bytes)`` of the text between two positions, window by window."""
    while start < end:
        window = file.read(start, min(end, start + WINDOW))
        if not window:
            return
        yield start, window
        start += len(window)


def find_elements(file: JsonFile, start: int, end: int) -> list[tuple[int, int]] | None:
    """As `elements` of the text between two positions, as positions, without holding it whole."""
    scanner = Scanner(1)
    cuts: list[int] = []
    for offset, window in windows(file, start, end):
        before = scanner.depth
        found = scanner.scan(window)
        if len(found.depth) and found.depth.min() < 1:
            return None
        commas = scanner.commas(window)
        depths = np.concatenate([[before], found.depth])[np.searchsorted(found.positions, commas)]
        cuts += (offset + commas[depths == 1]).tolist()
    if scanner.in_string or scanner.depth != 1:
        return None
    return list(zip([start, *(cut + 1 for cut in cuts)], [*cuts, end], strict=True))


def elements(text: bytes) -> list[tuple[int, int]] | None:
    """Start and end of each element of ``text``, the inside of a JSON list; None if it is not one.

    The elements themselves are not looked at; an element may be empty, which is no JSON.
    """
    scanner = Scanner(1)
    found = scanner.scan(text)
    if scanner.in_string or scanner.depth != 1 or (len(found.depth) and found.depth.min() < 1):
        return None
    commas = scanner.commas(text)
    depths = np.concatenate([[1], found.depth])[np.searchsorted(found.positions, commas)]
    cuts = commas[depths == 1].tolist()
    return list(zip([0, *(cut + 1 for cut in cuts)], [*cuts, len(text)], strict=True))
