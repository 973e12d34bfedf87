"""The one decoder of pictures: strict about what it is given, and showing what a person sees.

A file is bounded in bytes and, from its header, in pixels before anything is decoded. A picture that
breaks off is an error: OpenCV returns a full picture from the first 900 bytes of a JPEG, so Pillow
decodes, which refuses. So is a JPEG whose scan holds a marker that cannot stand there: decoders go on
behind it. Pixels come with the EXIF orientation applied.
"""

import io
import os
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - importing a plugin registers it

from detray.arrays import Pixels
from detray.errors import DetrayError
from detray.files import RECORD, open_file
from detray.mirror import content
from detray.picture_head import EXIF_IN_PNG
from detray.remote import is_uri, read_range

MAX_BYTES = 512 << 20
"""Larger files are not read."""

MAX_PIXELS = 89_478_485
"""Declared pixels from which a picture is not decoded: Pillow's own bound, 256 MiB as RGB."""

Path = TypeVar("Path", str, str | None)

FETCHES, AHEAD = 64, 128
"""Requests to an object store at once, and pictures that are fetched before they are used."""

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Plugins that are tried: those of photographs, none that starts another program."""

ORIENTATION_TAG = 0x0112
_AFTER_SCAN = frozenset((0xC4, 0xCC, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE))
"""JPEG markers that may end a scan: tables, another scan, application data, comments and the end."""
_TURN: dict[int, Callable[[NDArray], NDArray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}

# beyond its bound Pillow warns, once, on standard error; here that is a refusal like any other
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


class PictureError(DetrayError):
    """A picture that cannot be used.

    ``reason`` is one of missing, unreadable, empty, too_large, not_a_picture, truncated and
    undecodable; ``detail`` says more.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True)
class Header:
    """What a picture says of itself.

    ``width`` and ``height`` as displayed, in pixels; its format (one of `FORMATS`, or MPO: a JPEG of
    several pictures); its EXIF ``orientation``, 1 to 8, None if it states none. ``mode``: how its pixels are stored,
    as Pillow names it (RGB, L, CMYK, RGB;16B: 16 bits, P+tRNS: a palette with transparency).
    """

    width: int
    height: int
    format: str
    orientation: int | None
    mode: str


def read_picture(path: str, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """The picture at ``path`` (a local path or URI) as displayed: uint8 ``[height, width, 3]``, RGB.

    Raises:
        PictureError: there is no whole picture of at most ``max_pixels`` pixels.
    """
    return decode(read_file(path), max_pixels=max_pixels)


def read_file(path: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of the file at ``path``: a local path, a URI (file, s3, gs) or what `files.in_record` made.

    Raises:
        PictureError: it is missing, unreadable, empty or larger than ``max_bytes``.
    """
    coming = _coming.pop(path, None)
    return _read_file(path, max_bytes) if coming is None else coming.result()


def _read_file(path: str, max_bytes: int) -> bytes:
    if path.startswith(RECORD):
        return _read_part(path, max_bytes)
    try:
        if is_uri(path):
            data = content(path, max_bytes + 1)
        else:
            with open_file(path.removeprefix("file://")) as stream:  # memory is taken for all that is asked for
                data = stream.read(min(os.fstat(stream.fileno()).st_size, max_bytes) + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise PictureError("missing", "there is no such file") from None
    except (OSError, ValueError) as error:
        raise PictureError("unreadable", _line(error)) from None
    if not data:
        raise PictureError("empty", "the file has no content")
    if len(data) > max_bytes:
        raise PictureError("too_large", f"the file is larger than {max_bytes} bytes")
    return data


_coming: dict[str, Future[bytes]] = {}


def fetching(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths again; while one is used, those behind it are fetched, where they lie in an object store.

    `read_file` gives what was fetched. Enough requests are under way to fill the line, whatever few threads decode.
    """
    if not any(path is not None and is_uri(path) for path in paths):
        yield from paths
        return
    with ThreadPoolExecutor(FETCHES) as pool:
        left = iter(paths)
        waiting: deque[Path] = deque()
        try:
            while True:
                for path in islice(left, AHEAD - len(waiting)):
                    waiting.append(path)
                    if path is not None and path not in _coming:
                        _coming[path] = pool.submit(_read_file, path, MAX_BYTES)
                if not waiting:
                    return
                yield waiting.popleft()
        finally:
            for path in waiting:
                if path is not None and (future := _coming.pop(path, None)) is not None:
                    future.cancel()


def _read_part(path: str, max_bytes: int) -> bytes:
    file, _, place = path.removeprefix(RECORD).rpartition("#")
    start, _, length = place.partition(",")
    if not length or length == "0":
        said = "the record has no image/encoded" if not length else "image/encoded is empty in the record"
        raise PictureError("missing", said)
    if int(length) > max_bytes:
        raise PictureError("too_large", f"the picture is larger than {max_bytes} bytes")
    try:
        if is_uri(file):
            data = read_range(file, int(start), int(length))
        else:
            with open_file(file, buffering=0) as stream:
                stream.seek(int(start))
                data = stream.read(int(length))
    except (OSError, ValueError) as error:
        raise PictureError("unreadable", _line(error)) from None
    if len(data) < int(length):
        raise PictureError("unreadable", "the file is shorter than when it was read: ingest it again")
    return data


def inspect(data: bytes) -> Header:
    """The header of an encoded picture; nothing is decoded.

    Raises:
        PictureError: it is not a picture, or declares more pixels than `MAX_PIXELS`.
    """
    with _open(data, MAX_PIXELS) as image:
        return _header(image, data)


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """An encoded picture as displayed: uint8 ``[height, width, 3]``, RGB. Of an animation, the first frame.

    Raises:
        PictureError: it is not a picture, declares more than ``max_pixels`` pixels, or breaks off.
    """
    with _open(data, max_pixels) as image:
        header = _header(image, data)
        pixels = _pixels(image, "RGB")
        _refuse_broken_scan(image, data)
        return np.ascontiguousarray(_upright(pixels, header.orientation))


def decode_luma(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[Pixels, Header]:
    """The luma (ITU-R 601) of a picture as displayed, uint8 ``[height, width]``, and its header.

    The whole file is decoded, as by `decode`, but of a JPEG the colour planes are not converted,
    which makes it about a third faster.

    Raises:
        PictureError: as `decode`.
    """
    with _open(data, max_pixels) as image:
        header = _header(image, data)
        if image.format in ("JPEG", "MPO"):
            image.draft("L", image.size)
            _refuse_broken_scan(image, data)
        return np.ascontiguousarray(_upright(_pixels(image, "L"), header.orientation)), header


def _open(data: bytes, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        stated = re.search(r"\d+ pixels", str(error))
        declared = stated[0] if stated else "too many pixels"
        raise PictureError("too_large", f"it declares {declared}, more than {MAX_PIXELS}") from None
    except Exception as error:  # on hostile bytes Pillow's plugins raise almost anything
        raise PictureError("not_a_picture", _line(error)) from None
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise PictureError("too_large", f"it declares {width} x {height} pixels, more than {max_pixels}")
    return image


def _refuse_broken_scan(image: Image.Image, data: bytes) -> None:
    """Refuse a JPEG whose entropy-coded data hold a marker that cannot stand there (ITU-T T.81, B.1.1)."""
    if image.format not in ("JPEG", "MPO"):
        return
    array = np.frombuffer(data, np.uint8)
    places = np.flatnonzero(array[:-1] == 0xFF)
    codes = array[places + 1]
    restarts = (codes >= 0xD0) & (codes <= 0xD7)
    ends = places[~restarts & (codes != 0) & (codes != 0xFF)]  # 00 is stuffed, FF fills
    place = 2
    while place + 4 <= len(array) and array[place] == 0xFF and array[place + 1] != 0xD9:
        start = place + 2 + int(array[place + 2]) * 256 + int(array[place + 3])
        if array[place + 1] == 0xFF:
            start = place + 1
        elif array[place + 1] == 0xDA:
            following = np.searchsorted(ends, start)
            if following == len(ends):
                return
            end = int(ends[following])
            within = slice(*np.searchsorted(places, [start, end]))
            order = codes[within][restarts[within]] & 7
            if array[end + 1] not in _AFTER_SCAN:
                raise PictureError("undecodable", f"byte {end}: a marker {array[end + 1]:02x} inside of its scan")
            if (order != np.arange(len(order)) % 8).any():
                raise PictureError("undecodable", "the restart markers of its scan are not in order")
            start = end
        place = start


def _header(image: Image.Image, data: bytes) -> Header:
    mode = _mode(image)  # before Pillow decodes a PNG to look for its EXIF
    has_none = image.format == "PNG" and not any(mark in data for mark in EXIF_IN_PNG)
    try:
        stated = None if has_none else image.getexif().get(ORIENTATION_TAG)
    except Exception:  # broken EXIF says nothing, and the picture may still be whole
        stated = None
    orientation = stated if isinstance(stated, int) and 1 <= stated <= 8 else None
    width, height = image.size
    if orientation is not None and orientation >= 5:
        width, height = height, width
    return Header(width, height, str(image.format), orientation, mode)


def _mode(image: Image.Image) -> str:
    """As `Header.mode`, of a picture that is not decoded yet: Pillow reads 16 bits of a colour as 8."""
    if image.format == "PNG" and image.mode == "P" and "transparency" in image.info:
        return "P+tRNS"
    stored = [str(tile[3]) for tile in getattr(image, "tile", ()) if image.format == "PNG"]
    return next((mode for mode in stored if mode.endswith(";16B")), image.mode)


def _pixels(image: Image.Image, mode: str) -> Pixels:
    try:
        if image.mode.startswith("I;16"):
            high = (np.asarray(image) >> 8).astype(np.uint8)  # Pillow would clip at 255
            return np.repeat(high[:, :, None], 3, axis=2) if mode == "RGB" else high
        if image.mode == "P" and "transparency" in image.info:
            return np.asarray(image.convert("RGBA").convert(mode))
        return np.asarray(image if image.mode == mode else image.convert(mode))
    except Exception as error:  # as in _open
        text = _line(error)
        reason = "truncated" if "truncated" in text or "unexpected end" in text.lower() else "undecodable"
        raise PictureError(reason, text) from None


def _upright(pixels: Pixels, orientation: int | None) -> Pixels:
    turn = _TURN.get(orientation or 1)
    return turn(pixels) if turn else pixels


def _line(error: Exception) -> str:
    """The first line of an error's own text, without addresses of objects."""
    text = str(error.strerror if isinstance(error, OSError) and error.strerror else error).strip()
    first = text.splitlines()[0][:200] if text else type(error).__name__
    return "no known picture format" if "cannot identify image file" in first else first
