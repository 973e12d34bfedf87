"""Sizes of JPEGs and PNGs that hold nothing unusual before their pixels, without Pillow.

Each function gives the size that `pictures.inspect` gives of the same bytes, or None: `inspect` judges what may be
turned (EXIF, XMP), is not whole, or is not known here.
"""

from zlib import crc32

EXIF_IN_PNG = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
"""One of which a PNG with an orientation holds, before or behind its pixels."""
_MOST_PIXELS = 1 << 26  # fewer than Pillow refuses

_JFIF, _ADOBE, _COMMENT, _HUFFMAN, _QUANTISERS, _RESTART, _SCAN = 0xE0, 0xEE, 0xFE, 0xC4, 0xDB, 0xDD, 0xDA
_FRAMES = (0xC0, 0xC1, 0xC2)
_SKIPPED = (_JFIF, _ADOBE, _COMMENT, _HUFFMAN, _RESTART)
_TABLE = 65  # a quantisation table of 8 bits

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits of a sample that there are, by type of colour."""
_LENGTHS = {b"pHYs": 9, b"sRGB": 1, b"gAMA": 4, b"tIME": 7}
"""Chunks of a PNG that do not bear on its size, and their lengths."""


def size_of_jpeg(data: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG that begins with ``data``."""
    if data[:3] != b"\xff\xd8\xff":
        return None
    at, size = 2, None
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], data[at + 2] << 8 | data[at + 3]
        start, end = at + 4, at + 2 + length
        if end > len(data) or length < 2:
            return None
        if marker == _SCAN:
            return size
        if marker in _FRAMES:
            if size is not None or length < 8 or length != 8 + 3 * data[start + 5]:
                return None
            bits, height, width, layers = data[start], *_shorts(data, start + 1), data[start + 5]
            if bits != 8 or layers not in (1, 3, 4) or not 0 < width * height <= _MOST_PIXELS:
                return None
            size = width, height
        elif marker == _QUANTISERS:
            if (length - 2) % _TABLE or any(data[place] > 15 for place in range(start, end, _TABLE)):
                return None
        elif marker not in _SKIPPED or (marker in (_JFIF, _ADOBE) and length < 14):
            return None
        at = end
    return None


def _shorts(data: bytes, at: int) -> tuple[int, int]:
    return data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]


def size_of_png(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, of which ``data`` are the bytes in which `pictures.inspect` looks for EXIF."""
    if data[:16] != _SIGNATURE + b"\0\0\0\x0dIHDR" or len(data) < 33:
        return None
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    depth, colour, _, filters, _ = data[24:29]
    if depth not in _DEPTHS.get(colour, ()) or filters or not 0 < width * height <= _MOST_PIXELS:
        return None
    at = 8
    while at + 12 <= len(data):
        length, name = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        end = at + 8 + length
        if name == b"IDAT":
            return None if any(mark in data for mark in EXIF_IN_PNG) else (width, height)
        is_known = at == 8 or name == b"PLTE" or _LENGTHS.get(name) == length
        if not is_known or data[end : end + 4] != crc32(data[at + 4 : end]).to_bytes(4):
            return None
        at = end + 4
    return None
