"""Of which of two classes a box is by its size, for which no detector need be believed."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Floats, Ints
from detray.diagnose.criterion import Criterion
from detray.diagnose.observation.counts import FEW_BOXES, SIZE_BINS, Counts, size_bin
from detray.evaluate.kernel.order import find

MOST = Criterion(
    30.0,
    "times that one class may be likelier by size: what a detector calls a box depends on its size as well, so that"
    " the two do not count as independent",
)

_SPREAD = 1.5
"""Standard deviation, in bins, of what smooths them."""


@dataclass(frozen=True)
class Sizes:
    """``density`` ``[k + 1, SIZE_BINS]`` of the sizes of the boxes of ``classes`` ``[k]``, rising; NaN in the last row,
    of all other classes."""

    classes: Ints
    density: Floats

    @classmethod
    def of(cls, hit_sizes: Counts) -> "Sizes":
        """From `ClassCounts.hit_sizes`, of the classes that have enough; as if one box more were of any size."""
        bins: dict[int, Floats] = {}
        for (category, number), n in sorted(hit_sizes.items()):
            bins.setdefault(category, np.zeros(SIZE_BINS))[number] += n
        known = {category: counted for category, counted in bins.items() if counted.sum() >= FEW_BOXES}
        kernel = np.exp(-((np.arange(-4, 5) / _SPREAD) ** 2) / 2)
        kernel /= kernel.sum()
        rows = [(np.convolve(n, kernel, "same") + 1 / SIZE_BINS) / (n.sum() + 1) for n in known.values()]
        return cls(np.array(list(known), np.int64), np.array([*rows, np.full(SIZE_BINS, np.nan)]))

    def likelier(self, category: Ints, than: Ints, sides: Floats) -> Floats:
        """How many times likelier a box of each size is in one class than in another, at most `MOST` and at least its
        inverse; 1 where either is unknown.

        Args:
            category, than: ``[n]`` class ids.
            sides: ``[n, 2]``, width and height, px.
        """
        bins = size_bin(sides)
        found = self.density[find(self.classes, category), bins] / self.density[find(self.classes, than), bins]
        return np.clip(np.nan_to_num(found, nan=1.0), 1 / MOST, MOST)
