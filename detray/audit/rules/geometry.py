"""What the geometry rules share: how boxes are described, and how far they reach over the edge."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray.audit.text import join, number
from detray.audit.view import View


def sides(view: View, rows: NDArray[np.int64]) -> pa.Array:
    """Width and height of some boxes as text."""
    return join(number(view.boxes[rows, 2]), " x ", number(view.boxes[rows, 3]), " px")


def overhang(view: View) -> NDArray[np.float64]:
    """How far each box reaches over its image's edge, px, ``[n]``; NaN where box or size is unknown."""
    x, y, width, height = view.boxes.T
    sizes = view.image_sizes
    return np.maximum.reduce([-x, -y, x + width - sizes[:, 0], y + height - sizes[:, 1]])


def is_outside(view: View) -> NDArray[np.bool_]:
    """No part of the box is within its image, ``[n]``; false where box or size is unknown."""
    x, y, width, height = view.boxes.T
    sizes = view.image_sizes
    return (x >= sizes[:, 0]) | (y >= sizes[:, 1]) | (((x + width <= 0) | (y + height <= 0)) & ~np.isnan(sizes[:, 0]))
