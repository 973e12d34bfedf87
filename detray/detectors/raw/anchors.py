"""Published schemes of anchors, for models that leave theirs outside: centre x, centre y, width, height as shares."""

import io
import itertools
import math

import numpy as np

from detray.arrays import Floats
from detray.errors import UsageError
from detray.store import Store

MEDIAPIPE = {896: ((16, 2), (8, 6)), 2304: ((48, 1),)}
"""By their number: cells a side and anchors a cell, level by level. Source: MediaPipe, ``ssd_anchors_calculator.cc``
with the options of ``face_detection_short_range`` and ``_back`` (896), ``face_detection_full_range`` (2304)."""

SSD_STRIDE = 16
SSD_LEVELS = 6
SSD_SCALES = (0.2, 0.95)
SSD_ASPECTS = (1.0, 2.0, 0.5, 3.0, 0.3333)
MAX_ANCHORS_BYTES = 64 << 20


def mediapipe_anchors(count: int) -> Floats | None:
    """The ``count`` anchors of MediaPipe's face detectors, of width and height 1; None: no scheme has so many."""
    if count not in MEDIAPIPE:
        return None
    levels = [_cells(cells, cells, [(1.0, 1.0)] * each) for cells, each in MEDIAPIPE[count]]
    return np.concatenate(levels)


def ssd_anchors(height: int, width: int) -> Floats:
    """The anchors of SSD on MobileNet for an input of ``height`` x ``width`` px, as its configurations leave them.

    Six levels, each half of the one before; three anchors a cell in the first, then six.
    Source: ``create_ssd_anchors`` of the TF2 Object Detection API, ``multiple_grid_anchor_generator.py``.
    """
    low, high = SSD_SCALES
    scales = [low + (high - low) * level / (SSD_LEVELS - 1) for level in range(SSD_LEVELS)] + [1.0]
    rows, columns = math.ceil(height / SSD_STRIDE), math.ceil(width / SSD_STRIDE)
    levels = []
    for level, (scale, following) in enumerate(itertools.pairwise(scales)):
        if level == 0:
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        else:
            shapes = [*((scale, aspect) for aspect in SSD_ASPECTS), (math.sqrt(scale * following), 1.0)]
        side = min(height, width)
        sizes = [(s * math.sqrt(a) * side / width, s / math.sqrt(a) * side / height) for s, a in shapes]
        levels.append(_cells(rows, columns, sizes))
        rows, columns = math.ceil(rows / 2), math.ceil(columns / 2)
    return np.concatenate(levels)


def _cells(rows: int, columns: int, sizes: list[tuple[float, float]]) -> Floats:
    """Anchors of these widths and heights in the middle of each cell, row by row."""
    y, x = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    centres = np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), len(sizes), axis=0)
    return np.concatenate([centres, np.tile(np.array(sizes), (rows * columns, 1))], axis=1)


def read_anchors(path: str) -> Floats:
    """Anchors from a file: ``.npy``, or text with numbers apart by commas or white space.

    They stand as the Object Detection API's exporter writes them, centre y, centre x, height, width as shares,
    ``[a, 4]`` or ``[4, a]``.

    Raises:
        UsageError: it is none.
    """
    folder, _, name = path.rpartition("/")
    data = Store(folder or ".").read_bytes(name)
    if data is None or len(data) > MAX_ANCHORS_BYTES:
        raise UsageError(f"{path}: not there, or no file of anchors; detector.io.anchors names one")
    try:
        if data.startswith(b"\x93NUMPY"):
            values = np.load(io.BytesIO(data), allow_pickle=False)
        else:
            values = np.loadtxt(io.StringIO(data.decode().replace(",", " ")), ndmin=2)
        found = np.asarray(values, np.float64)
    except (ValueError, EOFError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no anchors can be read of it ({str(error)[:200]})") from None
    if found.ndim == 2 and found.shape[0] == 4 != found.shape[1]:
        found = found.T
    if found.ndim != 2 or found.shape[1] != 4 or not np.isfinite(found).all() or not (found[:, 2:] > 0).all():
        raise UsageError(
            f"{path}: holds {'x'.join(map(str, found.shape))} numbers; anchors are [a, 4]: centre y, centre x, height,"
            " width as shares of the input"
        )
    return found[:, [1, 0, 3, 2]]
