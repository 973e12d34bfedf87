"""Sizes of pictures, for formats that write boxes as fractions of them."""

from detray.files import open_file

_HEAD_BYTES = 1 << 18


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
