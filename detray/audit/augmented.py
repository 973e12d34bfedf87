"""What the configured augmentation would lose, tried on the boxes of some images.

Only geometry decides which boxes are lost, so the augmentation is given an empty picture of the
detector's input size and the boxes as they lie in it. Images are drawn by a hash of their id, so the
sample is the same for any cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from detray.arrays import Floats32, Ints32, Pixels
from detray.audit import tally
from detray.audit.text import hash_text, mix
from detray.audit.view import View

DRAWS = 4
"""Times that each image is augmented."""

LOST, KEPT = 0, 1


class Augment(Protocol):
    """A training augmentation: picture uint8 ``[h, w, 3]``, corners float32 ``[n, 4]`` in px, labels int32 ``[n]``."""

    def __call__(
        self, image: Pixels, boxes: Floats32, labels: Ints32, seed: Sequence[int]
    ) -> tuple[Pixels, Floats32, Ints32]:
        """What becomes of them."""
        ...


@dataclass(frozen=True)
class Rehearsal:
    """How the augmentation is tried: at which input size, px, and on which share of the images."""

    augment: Augment
    input_width: int
    input_height: int
    share: float


def try_augmentation(view: View, rehearsal: Rehearsal) -> pa.Table:
    """The tally ``augmented`` of the drawn images: by class, boxes lost (key 0) and kept (key 1)."""
    drawn = mix(hash_text(view.split), view.own_image_ids) / 2.0**64 < rehearsal.share
    usable = view.is_object & ~np.isnan(view.image_width) & (view.image_of >= 0)
    rows = np.flatnonzero(usable & np.append(drawn, False)[view.image_of])
    rows = rows[np.lexsort((view.annotation_rows[rows], view.image_ids[rows]))]
    picture = np.zeros((rehearsal.input_height, rehearsal.input_width, 3), np.uint8)
    scale = np.tile([rehearsal.input_width, rehearsal.input_height], 2) / np.tile(view.image_sizes(rows), 2)
    boxes = view.boxes[rows]
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1) * scale
    limits = np.tile([rehearsal.input_width, rehearsal.input_height], 2)
    clipped: Floats32 = np.clip(corners, 0, limits).astype(np.float32)  # as training does
    solid = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    rows, clipped = rows[solid], clipped[solid]
    codes, keys = [], []
    for members in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(view.image_ids[rows])) + 1):
        if not len(members):
            continue
        labels = np.arange(len(members), dtype=np.int32)
        for draw in range(DRAWS):
            seed = (int(view.image_ids[rows[members[0]]]) & (2**63 - 1), draw)
            _, _, left = rehearsal.augment(picture, clipped[members], labels, seed)
            codes.append(view.class_codes[rows[members]])
            keys.append(np.isin(labels, left).astype(np.int64))
    if not codes:
        return tally.TALLY.empty_table()
    return tally.count("augmented", view.class_ids, np.concatenate(codes), np.concatenate(keys))
