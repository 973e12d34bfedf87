"""Sizes and aspects of boxes by class, counted in bins, and how far two distributions of them lie apart."""

from dataclasses import dataclass, field

import numpy as np

from detray.arrays import Ints
from detray.diagnose.observation.counts import Counted, Counts, combinations, count_keys
from detray.diagnose.observation.image_set import ImageSet

BINS_PER_OCTAVE = 4
"""Sizes and aspects are counted in bins a quarter of an octave wide."""

KS_CRITICAL = 1.628
"""The 1% point of Kolmogorov's distribution."""


@dataclass(frozen=True)
class Shapes(Counted):
    """Boxes by class and bin: of the size (root of the area, a share of the image's root area where
    its size is known, else pixels), and of width / height. Counts add up over shards."""

    boxes: Counts = field(default_factory=dict)
    """By class; crowds left out."""
    images: Counts = field(default_factory=dict)
    """By class: images that hold any of these boxes."""
    sizes: Counts = field(default_factory=dict)
    """By (class, bin)."""
    aspects: Counts = field(default_factory=dict)

    def independent(self, category: int) -> float:
        """How many boxes drawn independently tell as much as those of the class: boxes of one image are
        alike, so between its images and its boxes."""
        return float(np.sqrt(max(self.boxes.get(category, 0), 1) * max(self.images.get(category, 0), 1)))

    def median_size(self, category: int) -> float | None:
        """The median size, as a share of the image's; None without boxes."""
        own = sorted((number, n) for (owner, number), n in self.sizes.items() if owner == category)
        if not own:
            return None
        place = np.searchsorted(np.cumsum([n for _, n in own]), sum(n for _, n in own) / 2)
        return float(2 ** ((own[int(place)][0] + 0.5) / BINS_PER_OCTAVE))


def box_shapes(image_set: ImageSet) -> Shapes:
    """The shapes of an image set's boxes."""
    real = ~image_set.gt.crowd & (image_set.gt.box[:, 2:] > 0).all(axis=1)
    box, category = image_set.gt.box[real], image_set.gt.category[real]
    whole = image_set.images.size_of(image_set.gt.image[real]).prod(axis=1)
    with np.errstate(over="ignore"):  # boxes near the largest float
        size = np.sqrt(box[:, 2] * box[:, 3] / np.where(np.isfinite(whole) & (whole > 0), whole, 1.0))
        aspect = box[:, 2] / box[:, 3]
    (held, _), _ = combinations(category, image_set.gt.image[real])
    return Shapes(
        count_keys(image_set.gt.category[~image_set.gt.crowd]),
        count_keys(held),
        count_keys(category, _bin(size)),
        count_keys(category, _bin(aspect)),
    )


def _bin(values: np.ndarray) -> Ints:
    known = values.clip(np.finfo(np.float64).tiny, np.finfo(np.float64).max)  # infinity has no bin
    return np.floor(np.log2(known) * BINS_PER_OCTAVE).astype(np.int64)


def drift(here: Counts, there: Counts, category: int, other: int, n: float, m: float) -> float | None:
    """Kolmogorov and Smirnov's distance between two binned distributions, of a class here and as it is
    called there, 0 where chance alone gives it (1%); None where either is empty.

    ``n`` and ``m`` are the numbers of independent boxes here and there (`Shapes.independent`).
    """
    a = {number: k for (owner, number), k in here.items() if owner == category}
    b = {number: k for (owner, number), k in there.items() if owner == other}
    if not a or not b:
        return None
    bins = sorted({*a, *b})
    first = np.cumsum([a.get(k, 0) for k in bins]) / sum(a.values())
    second = np.cumsum([b.get(k, 0) for k in bins]) / sum(b.values())
    distance = float(np.abs(first - second).max())
    return distance if distance >= KS_CRITICAL * np.sqrt((n + m) / (n * m)) else 0.0
