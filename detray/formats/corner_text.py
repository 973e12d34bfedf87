"""Corners of boxes as text in place of other text."""

import re
from collections.abc import Sequence

from detray.formats.values import parse_number

_WHOLE = re.compile(rb"\s*[-+]?\d+\s*")


def corner_texts(box: Sequence[float] | None, was: Sequence[bytes] = ()) -> list[bytes]:
    """xmin, ymin, xmax, ymax of x, y, width, height as text; where all ``was`` were whole numbers, they stay so.

    One that is the number it was keeps its characters.
    """
    x, y, width, height = box or (0, 0, 0, 0)
    corners = [round(float(value), 9) for value in (x, y, x + width, y + height)]
    rounded = [round(value) for value in corners]
    if all(map(_WHOLE.fullmatch, was)) and rounded[0] < rounded[2] and rounded[1] < rounded[3]:
        texts = [b"%d" % value for value in rounded]
    else:
        texts = [(f"{value:.0f}" if value.is_integer() else repr(value)).encode() for value in corners]
    kept = [old if parse_number(old.decode("utf-8", "replace")) == float(new) else new
            for old, new in zip(was, texts, strict=False)]  # fmt: skip
    return kept or texts
