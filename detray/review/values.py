"""Values of files that tools save, where these are what they should be."""

from typing import Any

from detray.report.sections.common import Box

Row = dict[str, Any]
FARTHEST = 1e9
"""Pixels beyond which no picture goes."""


def row_of(value: Any) -> Row:
    """An object; empty where it is none."""
    return value if isinstance(value, dict) else {}


def rows_of(value: Any) -> list[Row]:
    """The objects of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """A text."""
    return value if isinstance(value, str) else None


def numbers(value: Any) -> Box | None:
    """Four such numbers, the last two above 0."""
    sides = [finite(one) for one in value] if isinstance(value, list | tuple) and len(value) == 4 else [None]
    if None in sides:
        return None
    x, y, width, height = (side or 0.0 for side in sides)
    return (x, y, width, height) if width > 0 and height > 0 else None


def finite(value: Any) -> float | None:
    """A number that may say a place in a picture."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if abs(found) <= FARTHEST else None  # NaN is neither


def name_of(value: Any) -> int | str | None:
    """What may be an id."""
    return value if isinstance(value, int | str) else None
