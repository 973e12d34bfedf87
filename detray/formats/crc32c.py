"""CRC-32C (Castagnoli), which guards TFRecords, fast enough for pictures without a compiled extension.

A CRC is linear, so the data is divided into lanes of equal length whose checksums advance side by
side in NumPy and are then joined in pairs, each pair by one linear map (zlib's crc32_combine).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78
_LANE = 64
_SHORT = 2048
_MASK_DELTA = 0xA282EAD8

Words = NDArray[np.uint32]


def _byte_table() -> Words:
    table: Words = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = ((table >> 1) ^ (_POLYNOMIAL * (table & 1))).astype(np.uint32)
    return table


_BYTES = _byte_table()
_BYTE_LIST = _BYTES.tolist()


@lru_cache(maxsize=1)
def _pair_table() -> Words:
    """The step over two bytes at once, by their 16 bits."""
    values = np.arange(1 << 16, dtype=np.uint32)
    once = _BYTES[values & 0xFF] ^ (values >> 8)
    return _BYTES[once & 0xFF] ^ (once >> 8)


@lru_cache(maxsize=64)
def _shift(level: int) -> Words:
    """What ``_LANE << level`` zero bytes do to a checksum, by its four bytes: shape ``[4, 256]``."""
    if level == 0:
        state = (np.arange(256, dtype=np.uint32) << np.array([[0], [8], [16], [24]], np.uint32)).astype(np.uint32)
        for _ in range(_LANE):
            state = _BYTES[state & 0xFF] ^ (state >> 8)
        return state
    half = _shift(level - 1)
    return _apply(half, half)


def _apply(operator: Words, values: Words) -> Words:
    first, second, third, fourth = operator
    return first[values & 0xFF] ^ second[(values >> 8) & 0xFF] ^ third[(values >> 16) & 0xFF] ^ fourth[values >> 24]


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of ``data``, as in RFC 3720, appendix B.4."""
    if len(data) < _SHORT:
        checksum = 0xFFFFFFFF
        for byte in bytes(data):
            checksum = _BYTE_LIST[(checksum ^ byte) & 0xFF] ^ (checksum >> 8)
        return int(checksum) ^ 0xFFFFFFFF
    # leading zero bytes leave a checksum of 0 as it is; the first four bytes take in the start value
    rows = -(-len(data) // _LANE)
    padded = np.zeros(rows * _LANE, np.uint8)
    padded[-len(data) :] = np.frombuffer(data, np.uint8)
    padded[-len(data) : len(padded) - len(data) + 4] ^= 0xFF
    columns = np.ascontiguousarray(padded.view("<u2").reshape(rows, _LANE // 2).T).astype(np.uint32)
    table = _pair_table()
    state = np.zeros(rows, np.uint32)
    for column in columns:
        state = table[(state ^ column) & 0xFFFF] ^ (state >> 16)
    level = 0
    while len(state) > 1:
        if len(state) % 2:
            state = np.concatenate([np.zeros(1, np.uint32), state])
        state = _apply(_shift(level), state[::2]) ^ state[1::2]
        level += 1
    return int(state[0]) ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    """The checksum as TFRecords store it (tensorflow/core/lib/hash/crc32c.h)."""
    return (((checksum >> 15) | (checksum << 17)) + _MASK_DELTA) & 0xFFFFFFFF
