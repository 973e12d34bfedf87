"""Faults of the mapping between files, and the detections and boxes with them repaired."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from detray.arrays import Ints
from detray.diagnose.mapping.box_encoding import BoxEncoding, EncodingFault
from detray.diagnose.mapping.label_map import LabelFault
from detray.diagnose.mapping.pairing import PairingFault
from detray.diagnose.observation.image_set import ImageSet, sort_detections


@dataclass(frozen=True)
class MappingFaults:
    """What is wrong between the files of a split; nothing by default."""

    pairing: PairingFault | None = None
    """Image ids: the detections that the other faults were found on are renamed already."""
    reading: EncodingFault | None = None
    """All boxes of one side."""
    own_list: Mapping[int, int] = field(default_factory=dict)
    """Class ids of the annotations, and what they mean in the list of classes beside them."""
    labels: LabelFault | None = None
    """Class ids of the detections."""
    class_readings: Mapping[int, EncodingFault] = field(default_factory=dict)
    """The boxes of single classes, as they are called after the repair of ``labels``."""

    @property
    def repairs(self) -> "MappingRepairs":
        """What mends them, but for the pairing, which is applied to the detections already."""
        return MappingRepairs(
            self.reading.reading if self.reading else None,
            self.labels.classes if self.labels else {},
            {category: fault.reading for category, fault in self.class_readings.items()},
            self.own_list,
        )

    def touch(self, category: int) -> bool:
        """Whether a repair changes rows of the class."""
        classes = self.labels.classes if self.labels else {}
        return (
            (self.pairing is not None and self.pairing.recall_under is not None)
            or self.reading is not None
            or category in self.class_readings
            or category in classes
            or category in classes.values()
            or category in self.own_list
            or category in self.own_list.values()
        )


@dataclass(frozen=True)
class MappingRepairs:
    """How boxes are to be read and classes to be called; as they stand by default."""

    reading: BoxEncoding | None = None
    classes: Mapping[int, int] = field(default_factory=dict)
    class_readings: Mapping[int, BoxEncoding] = field(default_factory=dict)
    annotated: Mapping[int, int] = field(default_factory=dict)
    """Classes of the annotations; ``classes`` are those of the detections."""

    def __bool__(self) -> bool:
        return bool(self.reading or self.classes or self.class_readings or self.annotated)

    def apply(self, image_set: ImageSet) -> ImageSet:
        """The images with everything repaired."""
        if self.annotated:
            renamed = _renamed(image_set.gt.category, self.annotated)
            image_set = replace(image_set, gt=replace(image_set.gt, category=renamed))
        if self.classes:
            renamed = _renamed(image_set.dt.category, self.classes)
            image_set = replace(image_set, dt=replace(image_set.dt, category=renamed))
        if self.reading is not None:
            image_set = _read_as(image_set, self.reading, None)
        for category, reading in self.class_readings.items():
            image_set = _read_as(image_set, reading, category)
        return replace(image_set, dt=sort_detections(image_set.dt))


def _read_as(image_set: ImageSet, reading: BoxEncoding, category: int | None) -> ImageSet:
    """The images with the boxes of one side, of all classes or one, read in another way."""
    side = image_set.gt if reading.side == "ground truth" else image_set.dt
    rows = np.ones(len(side), np.bool_) if category is None else side.category == category
    box = side.box.copy()
    box[rows] = reading.read(box[rows], image_set.images.size_of(side.image[rows]))
    if reading.side == "ground truth":
        area = np.where(rows, box[:, 2] * box[:, 3], image_set.gt.area)
        return replace(image_set, gt=replace(image_set.gt, box=box, area=area))
    return replace(image_set, dt=replace(image_set.dt, box=box))


def _renamed(category: Ints, classes: Mapping[int, int]) -> Ints:
    old, place = np.unique(category, return_inverse=True)
    return np.array([classes.get(k, k) for k in old.tolist()], np.int64)[place] if len(old) else category
