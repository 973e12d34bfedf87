"""What rules on sizes share: how boxes are described, and the fault of which pictures convict stated sizes."""

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


EXCHANGED = "width and height are exchanged"


def n_exchanged(data: Summary, split: str) -> int:
    """Images of a split whose width and height are stated the other way round, as their pictures show."""
    mine = pc.and_(pc.equal(data.groups["split"], split), pc.equal(data.groups["share"], EXCHANGED))
    return pc.sum(data.groups.filter(mine)["n"]).as_py() or 0
