"""Bytes with some of them replaced."""

from collections.abc import Iterable

Edit = tuple[int, int, bytes]
"""From where to where, and what stands there instead."""


def apply_edits(data: bytes, edits: Iterable[Edit]) -> bytes:
    """``data`` with edits that do not overlap; of two at one position the first given stands before the other."""
    parts, position = [], 0
    for start, end, text in sorted(edits, key=lambda edit: edit[:2]):
        parts += [data[position:start], text]
        position = end
    return b"".join([*parts, data[position:]])
