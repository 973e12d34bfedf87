"""Text and keys for many rows at once."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from detray.arrays import Hashes, Ints

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


def number(values: ArrayLike, decimals: int = 2) -> pa.Array:
    """Numbers as short text: 0.5, 12, 1203.25."""
    numbers = np.asarray(values, dtype=np.float64)
    # beyond 2**52 a number has no decimals, and np.round may overflow
    rounded = np.where(np.abs(numbers) < 2**52, np.round(numbers, decimals), numbers) + 0.0  # no minus zero
    return pc.cast(pa.array(rounded, from_pandas=True), pa.string())


def integer(values: ArrayLike) -> pa.Array:
    """Integers as text."""
    return pc.cast(pa.array(values, pa.int64()), pa.string())


def join(*parts: pa.Array | str) -> pa.Array:
    """Text of each row joined; a NULL part reads as '?'."""
    return pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="?")


def hash_text(text: str) -> int:
    """A 64-bit key of one text, the same on every machine (not that of `hash_texts`)."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def hash_texts(values: pa.Array | pa.ChunkedArray) -> Hashes:
    """A 64-bit key of each text, the same on every machine; NULL is the empty text."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    encoded = pc.fill_null(values, "").dictionary_encode()
    return _hash_distinct(encoded.dictionary)[encoded.indices.to_numpy(zero_copy_only=False)]


_MAX_WORDS = 64


def _hash_distinct(texts: pa.Array) -> Hashes:
    """`mix` of each text's words of 8 bytes and its length; beyond 64 words, of those and the rest's BLAKE2b."""
    if not len(texts):
        return np.zeros(0, np.uint64)
    binary = texts.cast(pa.large_binary())
    offsets = np.frombuffer(binary.buffers()[1], np.int64, len(binary) + 1, binary.offset * 8)
    data = np.frombuffer(binary.buffers()[2] or b"", np.uint8)
    data = np.concatenate([data[: offsets[-1]], np.zeros(8, np.uint8)])
    start, length = offsets[:-1], np.diff(offsets)
    hashes = mix(length)
    for word in range(min(int(-(-length.max() // 8)), _MAX_WORDS)):
        rows = np.flatnonzero(length > 8 * word)
        begin = start[rows] + 8 * word
        left = np.minimum(length[rows] - 8 * word, 8)
        letters = np.where(np.arange(8) < left[:, None], data[begin[:, None] + np.arange(8)], np.uint8(0))
        hashes[rows] = mix(hashes[rows], np.ascontiguousarray(letters).view("<u8").ravel())
    for row in np.flatnonzero(length > 8 * _MAX_WORDS):
        rest = data[start[row] + 8 * _MAX_WORDS : start[row] + length[row]]
        hashes[row] = mix(
            hashes[row : row + 1], int.from_bytes(blake2b(rest.tobytes(), digest_size=8).digest(), "little")
        )[0]
    return hashes


def mix(*parts: Hashes | Ints | int) -> Hashes:
    """One 64-bit key of several integer columns.

    A multiplication and a shift for each column, then the finaliser of splitmix64 (Steele et al., OOPSLA 2014).
    """
    state: Hashes = np.array([0x9E3779B97F4A7C15], np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            state = state ^ (np.uint64(part) if isinstance(part, int) else part.astype(np.uint64, copy=False))
            state *= np.uint64(0xBF58476D1CE4E5B9)
            state ^= state >> np.uint64(32)
            state *= np.uint64(0x9FB21C651E98DF25)
        state ^= state >> np.uint64(30)
        state *= np.uint64(0xBF58476D1CE4E5B9)
        state ^= state >> np.uint64(27)
        state *= np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return state


def hexadecimal(keys: Hashes) -> pa.Array:
    """64-bit keys as 16 hexadecimal digits."""
    digits = keys.astype(">u8").view(np.uint8).reshape(-1, 8)
    text = np.empty((len(keys), 16), np.uint8)
    text[:, 0::2] = _HEX[digits >> 4]
    text[:, 1::2] = _HEX[digits & 15]
    offsets = np.arange(0, 16 * (len(keys) + 1), 16, dtype=np.int32)
    return pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets), pa.py_buffer(text))
