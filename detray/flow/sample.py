"""Some images of a split, chosen by their ids: every task knows which, and no table holds them."""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Flags, Ints
from detray.store import Json

_BITS = 56
"""Of the numbers that `spread` gives."""


@dataclass(frozen=True)
class Sample:
    """About ``share`` of the images of ``split``."""

    split: str
    share: float

    @staticmethod
    def of(predicted: Json) -> "Sample | None":
        """The sample that the manifest of ``predict`` states, if it states one."""
        stated = predicted.get("facts", {}).get("sample")
        return None if stated is None else Sample(stated["split"], stated["share"])

    def holds(self, image: Ints) -> Flags:
        """Which of the image ids ``[n]`` are in it: always the same."""
        return np.asarray(spread(image) < self.share * 2.0**_BITS)


def spread(image: Ints) -> Ints:
    """A number of 56 bits for each image id that orders ids as if at random, the same for any cut."""
    mixed = image.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) >> np.uint64(8)).astype(np.int64)
