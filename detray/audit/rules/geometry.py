"""What the geometry rules share: how boxes are described."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray.audit.text import join, number
from detray.audit.view import View


def sides(view: View, rows: NDArray[np.int64]) -> pa.Array:
    """Width and height of some boxes as text."""
    return join(number(view.width[rows]), " x ", number(view.height[rows]), " px")
