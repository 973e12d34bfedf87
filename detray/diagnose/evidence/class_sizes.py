"""Of which of two classes a box is by its size, for which no detector need be believed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detray.arrays import Floats, Ints
from detray.diagnose.criterion import Criterion
from detray.diagnose.observation.counts import FEW_BOXES, SIZE_BINS, Counts, size_bin

MOST = Criterion(
    30.0,
    "times that one class may be likelier by size: what a detector calls a box depends on its size as well, so that"
    " the two do not count as independent",
)

_SPREAD = 1.5
"""Standard deviation, in bins, of what smooths them."""


@dataclass(frozen=True)
class Sizes:
    """``density``: by class, ``[SIZE_BINS]``, of the sizes of its boxes."""

    density: Mapping[int, Floats]

    @classmethod
    def of(cls, hit_sizes: Counts) -> "Sizes":
        """From `ClassCounts.hit_sizes`, of the classes that have enough; as if one box more were of any size."""
        counted: dict[int, Floats] = {}
        for (category, number), n in hit_sizes.items():
            counted.setdefault(category, np.zeros(SIZE_BINS))[number] += n
        steps = np.arange(-4, 5)
        kernel = np.exp(-((steps / _SPREAD) ** 2) / 2)
        kernel /= kernel.sum()
        return cls(
            {
                category: (np.convolve(bins, kernel, "same") + 1 / SIZE_BINS) / (bins.sum() + 1)
                for category, bins in counted.items()
                if bins.sum() >= FEW_BOXES
            }
        )

    def likelier(self, category: Ints, than: Ints, sides: Floats) -> Floats:
        """How many times likelier a box of each size is in one class than in another, at most `MOST` and at least its
        inverse; 1 where either is unknown.

        Args:
            category, than: ``[n]`` class ids.
            sides: ``[n, 2]``, width and height, px.
        """
        found, bins = np.ones(len(sides)), size_bin(sides)
        for one, other in set(zip(category.tolist(), than.tolist(), strict=True)):
            if one in self.density and other in self.density:
                mine = (category == one) & (than == other)
                found[mine] = self.density[one][bins[mine]] / self.density[other][bins[mine]]
        return np.clip(found, 1 / MOST, MOST)
