"""The boxes and the detections of some classes, each with what it sits on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detray.arrays import Flags, Floats, Ints
from detray.boxes import IOU_THRESHOLDS
from detray.diagnose.criterion import Criterion
from detray.diagnose.observation.columns import Columns
from detray.diagnose.observation.overlap import overlaps
from detray.evaluate.kernel import Detections, GroundTruth

HIT_IOU = Criterion(0.5, "COCO's lowest IoU threshold")
LOOSE_IOU = Criterion(0.1, "below it a detection is on background: TIDE (Bolya et al., ECCV 2020), section 3")
TIGHT_IOU = Criterion(0.75, "COCO's AP75")

# what a detection is; TIDE's names where it has them
TRUE, IGNORED, DUPLICATE, ON_OTHER, LOOSE, BACKGROUND = range(6)
# what became of a box
HIT, COVERED, NEAR, UNTOUCHED = range(4)

NONE = -1
TIGHT_LEVEL = int(np.searchsorted(IOU_THRESHOLDS, TIGHT_IOU - 1e-9))
"""The place of IoU .75 among COCO's thresholds."""
ALL_LEVELS = np.int16((1 << len(IOU_THRESHOLDS)) - 1)


@dataclass(frozen=True)
class BoxRows(Columns):
    """The boxes of some classes, crowds left out, and what became of each; all shapes ``[n]``, ``box`` ``[n, 4]``."""

    image: Ints
    category: Ints
    annotation_id: Ints
    annotation_row: Ints
    box: Floats
    area: Floats
    image_size: Floats
    """``[n, 2]`` width and height of its image in pixels; NaN if unknown."""
    outcome: Ints
    """HIT: matched at IoU .5; else COVERED by a detection of another class at IoU .5 that is false
    there; else NEAR a false detection of its class at IoU .1; else UNTOUCHED."""
    detection: Ints
    """Rank of the detection that matched it, or else of the highest-scoring false one of its class
    that overlaps it by .1; -1: none."""
    score: Floats
    """Score of that detection; NaN: none."""
    iou: Floats
    """IoU with that detection; 0: none."""
    near_box: Floats
    """``[n, 4]`` the box of that detection; NaN: none."""
    cover_category: Ints
    """Class of the highest-scoring false detection of another class that overlaps it by .5; -1: none."""
    cover_score: Floats
    cover_iou: Floats
    cover_rank: Ints
    image_detections: Ints
    """Detections, of all classes, in its image."""
    image_boxes: Ints
    """Boxes, of all classes, in its image; crowds left out."""


@dataclass(frozen=True)
class DetectionRows(Columns):
    """The detections of some classes and what each sits on; all shapes ``[m]``, ``box`` ``[m, 4]``."""

    image: Ints
    category: Ints
    box: Floats
    score: Floats
    rank: Ints
    kept: Flags
    """Among the first 100 of its image and class."""
    matched: NDArray[np.int16]
    """Bit k: matched at the k-th of COCO's IoU thresholds, as in `evaluate.kernel.Matches`."""
    ignored: NDArray[np.int16]
    outcome: Ints
    """TRUE: matched at IoU .5; IGNORED: on a crowd region; else DUPLICATE: on a box of its class that
    another detection has; ON_OTHER: on a box of another class (IoU .5); LOOSE: IoU .1 to .5 with a
    box of its class; BACKGROUND: the rest."""
    iou: Floats
    """Best IoU with a box of its class, at least .1; else 0."""
    box_hit: Flags
    """That box is matched by another detection."""
    near_missed: Flags
    """Overlaps a missed box of its class by .1."""
    other_category: Ints
    """The other class with the best overlap of at least .1; -1: none."""
    other_iou: Floats


def first_of_each_place(rows: DetectionRows) -> Flags:
    """The detections that no higher-scoring one of the same image overlaps by .5."""
    if not len(rows):
        return np.zeros(0, np.bool_)
    order = np.lexsort((rows.rank, -rows.score))
    turn = np.empty(len(rows), np.int64)
    turn[order] = np.arange(len(rows))
    category = np.zeros(len(rows), np.int64)
    gt = GroundTruth(rows.image, category, rows.box, rows.score, np.zeros(len(rows), np.bool_))
    dt = Detections(rows.image, category, rows.box, rows.score, rows.rank)
    det, box, _ = overlaps(gt, dt, HIT_IOU)
    first = np.ones(len(rows), np.bool_)
    first[det[turn[box] < turn[det]]] = False
    return first
