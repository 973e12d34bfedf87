"""Values of files that tools save, where these are what they should be."""

import math
from typing import Any

from detray.report.sections.common import Box

Row = dict[str, Any]


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
    """Four finite numbers, the last two above 0."""
    if not isinstance(value, list | tuple) or len(value) != 4:
        return None
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in value):
        return None
    x, y, width, height = (float(one) for one in value)
    is_box = all(map(math.isfinite, (x, y, width, height))) and width > 0 and height > 0
    return (x, y, width, height) if is_box else None
