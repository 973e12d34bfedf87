"""Sizes of pictures, for formats that write boxes as fractions of them."""

from detray.files import Inside, open_file
from detray.picture_head import size_of_jpeg, size_of_png

_HEAD_BYTES = 1 << 18
_FIRST_BYTES = 1 << 12


def size_of_found(path: str, inside: Inside) -> tuple[int, int] | None:
    """As `picture_size`, of most JPEGs and PNGs, at a tenth of the cost; None of all others."""
    first = inside.read(path, _FIRST_BYTES)
    if first is None:
        return None
    if first.startswith(b"\x89PNG"):
        data = first if len(first) < _FIRST_BYTES else inside.read(path, _HEAD_BYTES)
        return None if data is None else size_of_png(data)
    return size_of_jpeg(first)


def picture_size(path: str | None) -> tuple[int, int] | None:
    """Width and height as displayed, from a picture's header; None where there is no readable picture."""
    from detray import pictures  # Pillow: only these formats need it

    if path is None:
        return None
    try:
        with open_file(path) as file:
            data = file.read(_HEAD_BYTES)
            try:
                header = pictures.inspect(data)
            except pictures.PictureError:
                # a long EXIF block, or a TIFF, which keeps its header anywhere
                header = pictures.inspect(data + file.read(pictures.MAX_BYTES))
    except (OSError, ValueError, pictures.PictureError):
        return None
    return header.width, header.height
