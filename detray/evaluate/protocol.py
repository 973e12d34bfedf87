"""What a protocol is made of: thresholds, sizes, caps, and what becomes of precision over recall."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from detray.arrays import Floats, Ints
from detray.boxes import AREA_LIMITS, IOU_THRESHOLDS, RECALL_POINTS
from detray.evaluate.kernel.accumulate import (
    TruePositives,
    area_under_envelope,
    every_level,
    precision_at_recall,
)
from detray.evaluate.settings import EvaluateSettings

CAPS = {"coco": 100, "lvis": 300, "open_images": 10_000, "pascal": 10_000}
"""Detections kept an image and class, by LVIS an image; the TF Object Detection API's evaluators of Pascal and Open
Images keep so many."""
TITLES = {"coco": "COCO", "lvis": "LVIS", "open_images": "Open Images", "pascal": "Pascal VOC"}
FREQUENCIES = {"APr": "r", "APc": "c", "APf": "f"}
"""LVIS's numbers by how many training images have a class: rare (under 10), common (under 100), frequent."""
SIZES = ("small", "medium", "large")
CLOSE = 1e-9


@dataclass(frozen=True)
class Number:
    """A number of a split: the mean over classes of a share of each.

    Attributes:
        name: in ``summary_metrics``.
        kind: precision, recall, or Pascal's eleven points.
        level: the one IoU threshold it is of; None: the mean.
        area: which area range.
        cap: which of the protocol's smaller recalls; None: at all detections.
        frequency: of the classes it is about; None: all.
    """

    name: str
    kind: Literal["precision", "recall", "eleven"] = "precision"
    level: int | None = None
    area: int = 0
    cap: int | None = None
    frequency: str | None = None


@dataclass(frozen=True)
class Protocol:
    """How detections are matched and scored.

    Attributes:
        name: as configured.
        thresholds: the IoU thresholds at which boxes are matched, rising ``[l]``: those that AP is the mean of, and .5.
        averaged: which of these AP is the mean of.
        areas: the names of the area ranges, all first.
        limits: the least and the greatest area of each, px² ``[a, 2]``.
        cap: detections kept.
        recalls: smaller numbers of detections an image and class at which recall is taken too.
        interpolated: AP is the mean over COCO's recall points; else the area under the envelope.
    """

    name: str
    thresholds: Floats
    averaged: Ints
    areas: tuple[str, ...]
    limits: Floats
    cap: int
    recalls: tuple[int, ...]
    interpolated: bool

    @property
    def title(self) -> str:
        """What people call it."""
        return TITLES[self.name]

    @property
    def levels(self) -> int:
        """How many thresholds there are."""
        return len(self.thresholds)

    @property
    def points(self) -> int:
        """Over how many recall points AP is the mean; 1: it is the area."""
        return len(RECALL_POINTS) if self.interpolated else 1

    @property
    def every(self) -> np.int16:
        """A word with the bit of each threshold set."""
        return every_level(self.levels)

    @property
    def at50(self) -> int:
        """Which threshold is .5."""
        return int(np.argmin(np.abs(self.thresholds - 0.5)))

    @property
    def bit50(self) -> np.int16:
        """The bit of .5."""
        return np.int16(1 << self.at50)

    @property
    def is_greedy(self) -> bool:
        """COCO's matching: a detection whose best box is taken goes to the next one."""
        return self.name in ("coco", "lvis")

    @property
    def caps_images(self) -> bool:
        """The cap is on all detections of an image, whatever their classes."""
        return self.name == "lvis"

    @property
    def has_voc(self) -> bool:
        """Pascal's two numbers are defined beside those of the protocol."""
        return self.name in ("coco", "pascal")

    @property
    def averaged_bits(self) -> np.int16:
        """The bits of the thresholds that AP is the mean of."""
        return np.int16(np.bitwise_or.reduce(1 << self.averaged))

    def level(self, threshold: float) -> int | None:
        """Which of the thresholds that AP is the mean of this one is."""
        places = [place for place in self.averaged.tolist() if abs(self.thresholds[place] - threshold) < CLOSE]
        return places[0] if places else None

    @cached_property
    def numbers(self) -> tuple[Number, ...]:
        """The numbers of a split, the main one first."""
        if not self.is_greedy:
            return (Number("AP50"), *((Number("AP50_11point", "eleven"),) if self.name == "pascal" else ()))
        levels = [(f"AP{percent}", self.level(percent / 100)) for percent in (50, 75)]
        sizes = list(enumerate(self.areas))[1:]
        found = [Number("AP"), *(Number(name, level=level) for name, level in levels if level is not None)]
        found += [Number(f"AP{size[0]}", area=area) for area, size in sizes]
        if self.name == "lvis":
            found += [Number(name, frequency=frequency) for name, frequency in FREQUENCIES.items()]
        found += [Number(f"AR{cap}", "recall", cap=place) for place, cap in enumerate(self.recalls)]
        found.append(Number(f"AR{self.cap}", "recall"))
        return (*found, *(Number(f"AR{size[0]}", "recall", area=area) for area, size in sizes))

    @property
    def main(self) -> str:
        """The name of the main number."""
        return self.numbers[0].name

    def precision(self, hits: TruePositives, n_gt: Ints) -> Floats:
        """What AP is the mean over the last axis of: ``[k, l, points]``, NaN where a class has no boxes.

        ``n_gt`` ``[k, 1]`` or ``[k, l]`` counts the boxes of each class.
        """
        if self.interpolated:
            return precision_at_recall(hits, n_gt, RECALL_POINTS)
        return area_under_envelope(hits, n_gt)[:, :, None]

    def over_levels(self, values: Floats, axis: int = 1) -> Floats:
        """The levels of ``values``, which lie along ``axis``, that AP is the mean of."""
        return values if len(self.averaged) == self.levels else np.take(values, self.averaged, axis)


def protocol_of(settings: EvaluateSettings) -> Protocol:
    """What the settings ask for."""
    name = settings.protocol
    cap = settings.max_detections or CAPS[name]
    if name in ("open_images", "pascal"):
        everything = np.array([AREA_LIMITS["all"]])
        return Protocol(name, np.array([0.5]), np.array([0]), ("all",), everything, cap, (), interpolated=False)
    stated = IOU_THRESHOLDS if settings.iou_thresholds is None else np.unique(settings.iou_thresholds)
    stated = np.minimum(stated, 1 - 1e-10)  # as pycocotools
    has50 = bool((np.abs(stated - 0.5) < CLOSE).any())
    thresholds = stated if has50 else np.sort(np.append(stated, 0.5))
    ranges = settings.area_ranges
    limits = np.array([AREA_LIMITS["all"], ranges.small, ranges.medium, ranges.large])
    recalls = tuple(number for number in (1, 10) if number < cap) if name == "coco" else ()
    averaged = np.flatnonzero(np.isin(thresholds, stated))
    return Protocol(name, thresholds, averaged, ("all", *SIZES), limits, cap, recalls, interpolated=True)
