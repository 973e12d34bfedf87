"""Boxes as fractions of a picture: what rounding made of them, and what shows where the picture's size is unknown."""

import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from detray.formats.values import Defects

ROUNDING = 0.005
"""Of the picture's side: as far outside is taken for rounding, half a pixel of a picture of 100."""

MAX_CLIPPED = 0.5
"""Pixels: a side that is further outside is not outside by rounding, however few figures are written."""
_FLOAT = 4 * sys.float_info.epsilon  # of the picture's side: what float64 adds on the way to centre - length / 2


def unrounded(low: float, length: float, side: int, written: Sequence[str], axis: int) -> tuple[float, float]:
    """``low`` and ``length`` in pixels, clipped to the picture's ``side`` where they are outside by rounding alone.

    A box that touches the edge is written as centre and length, each rounded to its last figure: the edge comes out
    by up to half a unit of the centre's last figure and a quarter of the length's outside. What is further out is as
    it was meant and stays.

    Args:
        low: the left or upper edge, px.
        length: width or height, px.
        side: of the picture, px.
        written: x centre, y centre, width and height as the file has them, as fractions.
        axis: 0 for x and width, 1 for y and height.
    """
    high = low + length
    if not (0 < -low <= MAX_CLIPPED or 0 < high - side <= MAX_CLIPPED):
        return low, length
    slack = min(MAX_CLIPPED, side * (_half_unit(written, axis) + _half_unit(written, axis + 2) / 2 + _FLOAT))
    start = 0.0 if 0 < -low <= slack else low
    end = float(side) if 0 < high - side <= slack else high
    return (low, length) if (start, end) == (low, high) else (start, end - start)


def _half_unit(written: Sequence[str], place: int) -> float:
    """Half a unit of the last figure of one of the numbers.

    Writers drop zeros at the end, so the longest of the numbers shows how they are rounded: to how many
    decimals, or (%g) to how many figures. The coarser of both is taken.
    """
    try:
        numbers = [Decimal(text) for text in written]
    except InvalidOperation:  # an exponent beyond Decimal's range
        return 0.0
    decimals = max(-int(number.as_tuple().exponent) for number in numbers)
    figures = max(len(number.as_tuple().digits) for number in numbers)
    return 0.5 * 10.0 ** -min(decimals, figures - numbers[place].adjusted() - 1)


def judge(box: Sequence[float | None], defects: Defects) -> None:
    """Note under the code of the audit's rule what is wrong with x, y, width, height in fractions, if all are known."""
    known = [side for side in box if side is not None]
    if len(known) < 4:
        return
    x, y, width, height = known
    right, bottom = x + width, y + height
    if width <= 0 or height <= 0:
        defects.note("degenerate-box", "", sides(width, height))
    elif x >= 1 or y >= 1 or right <= 0 or bottom <= 0:
        defects.note("fully-outside", "", f"at {x:.4g}, {y:.4g} of the picture")
    elif (over := max(-x, -y, right - 1, bottom - 1)) > ROUNDING:
        defects.note("out-of-bounds", "", f"{over:.4g} of the picture outside")


def sides(width: float, height: float) -> str:
    """Width and height of a box as findings say them."""
    return f"{width:.4g} x {height:.4g} of the picture"
