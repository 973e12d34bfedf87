"""Boxes as fractions of a picture whose size is unknown: they have no pixels, but some faults show all the same."""

from collections.abc import Sequence

from detray.formats.values import Defects

ROUNDING = 0.005
"""Of the picture's side: as far outside is taken for rounding, half a pixel of a picture of 100."""


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
