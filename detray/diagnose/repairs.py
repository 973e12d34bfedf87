"""Repairs of the mapping between files: image ids, box readings, class ids."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from detray.diagnose.pairing import Pairing
from detray.diagnose.reading import Reading
from detray.diagnose.scene import Scene


@dataclass(frozen=True)
class Repairs:
    """What is wrong between the files, as repairs; empty where nothing is."""

    pairing: Pairing | None = None
    """How the detections' image ids name the images."""
    reading: Reading | None = None
    """How all boxes of one side are to be read."""
    class_readings: Mapping[int, Reading] = field(default_factory=dict)
    """The same for single classes (of the ground truth)."""
    classes: Mapping[int, int] = field(default_factory=dict)
    """From a class as detections name it to the class that they mean."""

    def __bool__(self) -> bool:
        return bool(self.pairing or self.reading or self.class_readings or self.classes)

    def apply(self, scene: Scene) -> Scene:
        """The scene with everything repaired, sorted as before."""
        gt, dt = scene.gt, scene.dt
        if self.pairing is not None:
            dt = replace(dt, image=self.pairing.rename(dt.image))
        if self.classes:
            dt = replace(dt, category=_renamed(dt.category, self.classes))
        for reading, category in [(self.reading, None), *((r, k) for k, r in self.class_readings.items())]:
            if reading is None:
                continue
            side = gt if reading.side == "ground truth" else dt
            rows = np.ones(len(side), np.bool_) if category is None else side.category == category
            box = side.box.copy()
            box[rows] = reading.read(box[rows], scene.images.size_of(side.image[rows]))
            if reading.side == "ground truth":
                area = np.where(rows, box[:, 2] * box[:, 3], gt.area)
                gt = replace(gt, box=box, area=area)
            else:
                dt = replace(dt, box=box)
        order = np.lexsort((dt.rank, dt.image))
        order = order[dt.image[order] >= 0] if self.pairing is not None else order
        dt = type(dt)(dt.image[order], dt.category[order], dt.box[order], dt.score[order], dt.rank[order])
        return replace(scene, gt=gt, dt=dt)

    def touches(self, category: int) -> bool:
        """Whether the class's rows are changed by a repair."""
        return (
            self.pairing is not None
            or self.reading is not None
            or category in self.class_readings
            or category in self.classes
            or category in self.classes.values()
        )


def _renamed(category: np.ndarray, classes: Mapping[int, int]) -> np.ndarray:
    old, place = np.unique(category, return_inverse=True)
    return np.array([classes.get(int(k), int(k)) for k in old], np.int64)[place] if len(old) else category
