"""What is counted in the image pass: brightness, contrast and sharpness of the pictures of each class.

Each picture counts once under every class that it holds, and once without a class. Brightness and
contrast are counted in steps of 4, sharpness in steps of an eighth of an octave.
"""

import numpy as np
import pyarrow as pa

from detray import tables
from detray.arrays import Floats, Ints
from detray.audit import tally
from detray.audit.pictures import PictureView
from detray.audit.view import NO_ID

PROPERTIES = ("brightness", "contrast", "sharpness")
_STEP = 4
_BINS = 8


def key_of(measure: str, values: Floats) -> Ints:
    """The bin of each value."""
    if measure == "sharpness":
        return np.round(_BINS * np.log2(np.maximum(values, 2.0**-10))).astype(np.int64)
    return np.floor(values / _STEP).astype(np.int64)


def value_of(measure: str, key: int) -> float:
    """The middle of a bin."""
    return float(2 ** (key / _BINS)) if measure == "sharpness" else (key + 0.5) * _STEP


def measure_pictures(view: PictureView) -> pa.Table:
    """The tally of one shard's pictures."""
    known = np.flatnonzero(view.is_decoded)
    boxes = (view.category_ids != NO_ID) & (view.image_of >= 0)
    held = np.unique(np.stack([view.image_of[boxes], view.class_codes[boxes]], axis=1), axis=0)
    held = held[view.is_decoded[held[:, 0]]]
    parts = [tally.TALLY.empty_table()]
    for measure in PROPERTIES:
        keys = np.zeros(view.images.num_rows, np.int64)
        keys[known] = key_of(measure, tables.numpy(view.stats, measure)[known])
        parts.append(tally.count_all(measure, keys[known]))
        parts.append(tally.count(measure, view.class_ids, held[:, 1], keys[held[:, 0]]))
    return pa.concat_tables(parts)
