"""Array types by the names that annotations use. The number of axes and the unit stand in each docstring."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Ints32 = NDArray[np.int32]
Ints8 = NDArray[np.int8]
Flags = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

Rows = NDArray[np.int64]
"""Positions of rows in a table."""
Words = NDArray[np.int16]
"""Bit sets, one bit for each IoU threshold."""
Hashes = NDArray[np.uint64]
Pixels = NDArray[np.uint8]
"""A picture or a mask, ``[height, width]`` or ``[height, width, 3]`` (RGB); several of them with one axis before."""
