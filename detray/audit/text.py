"""Text and keys for many rows at once."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

Hashes = NDArray[np.uint64]
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


def number(values: ArrayLike, decimals: int = 2) -> pa.Array:
    """Numbers as short text: 0.5, 12, 1203.25."""
    rounded = np.round(np.asarray(values, dtype=np.float64), decimals) + 0.0  # no minus zero
    return pc.cast(pa.array(rounded, from_pandas=True), pa.string())


def integer(values: ArrayLike) -> pa.Array:
    """Integers as text."""
    return pc.cast(pa.array(values, pa.int64()), pa.string())


def join(*parts: pa.Array | str) -> pa.Array:
    """Text of each row joined; a NULL part reads as '?'."""
    return pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="?")


def hash_text(text: str) -> int:
    """A 64-bit key of a text, the same on every machine."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def hash_texts(values: pa.Array | pa.ChunkedArray) -> Hashes:
    """`hash_text` of each row, computed once for each distinct text; NULL is the empty text."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    encoded = pc.fill_null(values, "").dictionary_encode()
    hashes = np.array([hash_text(text) for text in encoded.dictionary.to_pylist()], dtype=np.uint64)
    return hashes[encoded.indices.to_numpy(zero_copy_only=False)] if len(values) else hashes


def mix(*parts: Hashes | NDArray[np.int64] | int) -> Hashes:
    """One 64-bit key of several integer columns, by the finaliser of splitmix64 (Steele et al., OOPSLA 2014)."""
    state: Hashes = np.array([0x9E3779B97F4A7C15], np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            word = np.uint64(part) if isinstance(part, int) else part.astype(np.uint64)
            state = (state ^ word) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state


def hexadecimal(keys: Hashes) -> pa.Array:
    """64-bit keys as 16 hexadecimal digits."""
    digits = keys.astype(">u8").view(np.uint8).reshape(-1, 8)
    text = np.empty((len(keys), 16), np.uint8)
    text[:, 0::2] = _HEX[digits >> 4]
    text[:, 1::2] = _HEX[digits & 15]
    offsets = np.arange(0, 16 * (len(keys) + 1), 16, dtype=np.int32)
    return pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets), pa.py_buffer(text))
