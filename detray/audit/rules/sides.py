"""What rules on sizes share: how boxes are described, and the fault of which pictures convict stated sizes."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detray.arrays import Ints
from detray.audit.summary import Summary
from detray.audit.text import join, number
from detray.audit.view import View

EXCHANGED = "minimum and maximum exchanged"
"""What boxes without area have in common that swapped-corners tells of."""


def sides(view: View, rows: Ints) -> pa.Array:
    """Width and height of some boxes as text."""
    return join(number(view.width[rows]), " x ", number(view.height[rows]), " px")


TURNED = "width and height are exchanged"
"""What images have in common whose pictures, or boxes, show that their sides are stated the other way round."""


def turned(view: View, rows: Ints) -> pa.Array:
    """The share of boxes in images that `View.is_turned` convicts; NULL for others."""
    found = np.append(view.is_turned, False)[view.image_of[rows]]
    return pa.array(np.full(len(rows), TURNED, object), pa.string(), mask=~found)


def n_exchanged(data: Summary, split: str) -> int:
    """Images of a split whose width and height are stated the other way round, as their pictures show."""
    mine = pc.and_(pc.equal(data.groups["split"], split), pc.equal(data.groups["share"], TURNED))
    mine = pc.and_(mine, pc.equal(data.groups["scope"], "image"))
    return pc.sum(data.groups.filter(mine)["n"]).as_py() or 0


WRONG_NUMBERS = (
    "out-of-bounds",
    "fully-outside",
    "degenerate-box",
    "swapped-corners",
    "column-order",
    "sub-pixel-box",
    "tiny-box",
    "area-mismatch",
    "full-image-box",
    "size-outlier",
    "extreme-aspect",
    "coordinate-scale",
    "quantised-coordinates",
)
"""Rules whose findings follow where the numbers of boxes are not what they are read as."""
