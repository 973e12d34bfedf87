"""The noise ceiling of AP: what one drawing of a picture scores against the other.

At an IoU threshold t, m(t) of the n1 boxes of one drawing and the n2 of the other match one to one within their class.
As detections of the other the one has a precision of m / n1 and a recall of m / n2, and no scores to rank by; the
agreement is 2 m / (n1 + n2), their harmonic mean, and both of them where n1 = n2. AP, as COCO's, is the mean of the
agreement over .50:.05:.95. Boxes of all classes count alike here, classes do in AP.

Source: pycocotools/cocoeval.py for thresholds and AP; human agreement as a bound as in LVIS (Gupta et al., CVPR 2019,
section 4); Northcutt, Athalye and Mueller, "Pervasive label errors in test sets destabilize machine learning
benchmarks", NeurIPS 2021 Datasets and Benchmarks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from detray.audit.statistics import Histogram, pooled, quantile_key
from detray.audit.summary import Summary
from detray.audit.tally import Tally
from detray.audit.view import NO_ID

LEVELS = tuple(range(50, 100, 5))
"""COCO's IoU thresholds, in hundredths."""


@dataclass(frozen=True)
class Ceiling:
    """What two drawings of ``pictures`` agree on: ``boxes`` of each, and matches by IoU in hundredths."""

    pictures: int
    boxes: tuple[int, int]
    ious: Histogram

    def matched(self, level: int = LEVELS[0]) -> int:
        """Boxes matched at an IoU threshold, in hundredths."""
        keys, n = self.ious
        return int(n[keys >= level].sum())

    def agreement(self, level: int) -> float:
        """Of the boxes, 0 to 1, at an IoU threshold in hundredths."""
        return 2 * self.matched(level) / max(sum(self.boxes), 1)

    @property
    def ap(self) -> float:
        """The mean of the agreement over `LEVELS`."""
        return float(np.mean([self.agreement(level) for level in LEVELS]))

    @property
    def median(self) -> float | None:
        """The median IoU of the matches, rounded down to hundredths; None without."""
        return quantile_key(self.ious, 0.5) / 100 if self.matched() else None


def of_all(tally: Tally) -> Ceiling:
    """Of all classes together; ``tally`` is of `drawings.compare`."""
    keys, n = pooled([tally.all_of("drawn:boxes")[1:]])
    counts = dict(zip(keys.tolist(), n.tolist(), strict=True))
    ious = pooled([tally.all_of("drawn:matched")[1:]])
    return Ceiling(tally.total("drawn:pictures"), (counts.get(0, 0), counts.get(1, 0)), ious)


def of_classes(tally: Tally) -> dict[int, Ceiling]:
    """Of each class that a first drawing has."""
    pictures = tally.per_class("drawn:class_pictures")
    found = {}
    for category_id in (one for one in pictures if one != NO_ID):
        keys, n = tally.histogram("drawn:boxes", category_id)
        counts = dict(zip(keys.tolist(), n.tolist(), strict=True))
        ious = tally.histogram("drawn:matched", category_id)
        found[category_id] = Ceiling(pictures[category_id], (counts.get(0, 0), counts.get(1, 0)), ious)
    return found


Row = dict[str, object]


def rows(data: Summary, finding_ids: Mapping[tuple[str, str, int | None], str]) -> Iterator[Row]:
    """The table ``drawn_twice``; ``finding_ids`` by the two splits and the class of what is told."""
    for (first, second), tally in sorted(data.drawn.items()):
        whole = of_all(tally)
        if not whole.pictures:
            continue
        names = data.classes.get(first, {})
        for category_id, own in [(None, whole), *of_classes(tally).items()]:
            about = {
                "split": first,
                "other_split": second,
                "category_id": category_id,
                "category_name": None if category_id is None else names.get(category_id),
                "n_pictures": own.pictures,
                "n_boxes": sum(own.boxes),
                "finding_id": finding_ids.get((first, second, category_id)),
            }
            for level in LEVELS:
                yield about | {
                    "iou_threshold": level / 100,
                    "n_matched": own.matched(level),
                    "agreement": own.agreement(level),
                }
