"""Four pictures in one."""

from collections.abc import Sequence
from math import ceil
from threading import local
from typing import Any

from detray.detectors.augmentation.augment import Scene, compose, own_of, run
from detray.detectors.augmentation.settings import Mosaic
from detray.detectors.augmentation.transforms import GROUND

OTHERS = 3
"""Pictures beside the first."""


class MosaicOf:
    """Puts pictures of one size together; from any thread."""

    def __init__(self, settings: Mosaic) -> None:
        self._settings = settings
        self._own = local()

    def __call__(self, scenes: Sequence[Scene], seed: Sequence[int]) -> Scene:
        """One picture of the size of each of the `OTHERS` + 1 ``scenes``, whose boxes lie in it as far as they do."""
        first, *others = scenes
        metadata = [{"image": one.pixels, "bboxes": one.boxes, "labels": one.labels} for one in others]
        return run(self._composed(*first.pixels.shape[:2]), first, seed, mosaic_metadata=metadata)

    def _composed(self, height: int, width: int) -> Any:
        cell = (ceil(height * self._settings.cell), ceil(width * self._settings.cell))
        options = {"target_size": (height, width), "cell_shape": cell, "fit_mode": "contain", "fill": GROUND, "p": 1}
        return own_of(
            self._own, (height, width), lambda: compose(lambda library: [library.Mosaic(**options)], "mosaic")
        )
