from msgspec.structs import replace

from detray.detectors.settings import TilesSettings
from detray.diagnose.causes.training_data.small_objects import SmallObjects
from detray.diagnose.counter_tests.counter_test import Claim
from detray.diagnose.counter_tests.model_test import Again, Before, ModelTest

LEAST = 32
"""Pixels of a tile's side that settings allow."""


class InTiles(ModelTest):
    """Detect again in tiles of half the pictures' sides, which shows objects twice as large, in a sample of them."""

    cause = SmallObjects.name
    denies = False

    def again(self, claim: Claim, before: Before) -> Again | str:
        if before.predict.tiles is not None:
            return "pictures are detected in tiles already"
        height, width = before.height // 2, before.width // 2
        if min(height, width) < LEAST:
            return "the pictures are too small to be cut, or their sizes are not known"
        tiles = TilesSettings(height=height, width=width)
        return Again(replace(before.predict, tiles=tiles), f"tiles of {width} x {height} px")
