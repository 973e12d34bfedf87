"""What the geometry rules share: how boxes are described."""

import pyarrow as pa

from detray.arrays import Ints
from detray.audit.text import join, number
from detray.audit.view import View

EXCHANGED = "minimum and maximum exchanged"
"""What boxes without area have in common that swapped-corners tells of."""


def sides(view: View, rows: Ints) -> pa.Array:
    """Width and height of some boxes as text."""
    return join(number(view.width[rows]), " x ", number(view.height[rows]), " px")
