"""A detector that needs no training and no TensorFlow: it finds what is red and what is green."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from detray.arrays import Pixels
from detray.detectors.detector import Detections, Prepared
from detray.detectors.inputs import Stretch

RED, GREEN = (220, 30, 30), (30, 220, 30)
INPUT = Stretch(64, 64)


@dataclass
class Colours:
    """Finds the extent of red and green in an input of 64 x 64 px; what is under 5 px there it does not see."""

    classes: Mapping[int, str] = field(default_factory=lambda: {0: "red", 1: "green"})
    batches: list[int] = field(default_factory=list)

    def prepare(self, picture: Pixels) -> Prepared:
        return INPUT(picture)

    def detect(self, pictures: Sequence[Prepared]) -> Detections:
        self.batches.append(len(pictures))
        rows = []
        for number, picture in enumerate(pictures):
            for kind in (0, 1):
                y, x = np.nonzero(picture.pixels[:, :, kind].astype(int) - picture.pixels[:, :, 1 - kind] > 100)
                if len(x) and (wide := np.ptp(x) + 1) >= 5 and (high := np.ptp(y) + 1) >= 5:
                    scale = np.array([picture.width, picture.height] * 2) / 64
                    box = np.array([x.min(), y.min(), wide, high]) * scale
                    rows.append((number, kind, box, min(1, high / 64 + 0.5)))
        return Detections(
            np.array([row[0] for row in rows], np.int64),
            np.array([row[1] for row in rows], np.int64),
            np.array([row[2] for row in rows], np.float64).reshape(-1, 4),
            np.array([row[3] for row in rows], np.float64),
            np.ones(len(rows), np.int32),
        )


def picture(width: int, height: int, *boxes: tuple[int, int, int, int, tuple[int, int, int]]) -> Pixels:
    pixels = np.full((height, width, 3), 128, np.uint8)
    for x, y, wide, high, colour in boxes:
        pixels[y : y + high, x : x + wide] = colour
    return pixels
