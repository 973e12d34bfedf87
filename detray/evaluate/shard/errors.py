"""Error types of false detections and missed boxes, after TIDE.

Bolya, Foley, Hays, Hoffman: "TIDE: A General Toolbox for Identifying Object Detection Errors",
ECCV 2020. A false detection is, in this order: a localization error (its best box of the same class
has an IoU from .1 up to the threshold), a classification error (it reaches a box of another class),
a duplicate (it reaches a box of its class that is taken), background (no IoU over .1), or both
(wrong class and badly placed). A box is missed if nothing is matched to it and no error above
belongs to it. Where TIDE fixes the threshold at .5, the types are told here at each of COCO's ten.
"""

from dataclasses import dataclass

import numpy as np

from detray.arrays import Floats, Ints, Words
from detray.evaluate.kernel.accumulate import every_level
from detray.evaluate.kernel.order import falling

FALSE_DETECTIONS = ("classification", "localization", "both", "duplicate", "background")
REPAIRABLE = ("classification", "localization")
"""Those that leave a true positive behind when they are mended."""
ERRORS = (*FALSE_DETECTIONS, "missed")
BACKGROUND_IOU = 0.1
"""Below it a detection and a box have nothing to do with each other (TIDE's background threshold)."""


def error_levels(false: Words, iou: Floats, other_iou: Floats, thresholds: Floats) -> dict[str, Words]:
    """The levels at which each detection ``[m]`` is an error of each type.

    Args:
        false: levels at which the detection counts and matches nothing.
        iou: highest IoU with a box of its class.
        other_iou: highest IoU with a box of another class.
        thresholds: those of the levels, rising.
    """
    near, other = reached_levels(iou, thresholds), reached_levels(other_iou, thresholds)
    every = every_level(len(thresholds))
    placed = every * (iou >= BACKGROUND_IOU)
    empty = every * (other_iou <= BACKGROUND_IOU)
    localization = false & placed & ~near
    classification = false & other & ~localization
    duplicate = false & near & ~classification
    rest = false & ~(localization | classification | duplicate)
    return {
        "classification": classification,
        "localization": localization,
        "both": rest & ~empty,
        "duplicate": duplicate,
        "background": rest & empty,
    }


def reached_levels(iou: Floats, thresholds: Floats) -> Words:
    """The IoU thresholds, rising, that each of ``iou`` ``[m]`` reaches, as bits."""
    words = np.zeros(len(iou), np.int16)
    some = np.flatnonzero(iou >= thresholds[0])
    words[some] = (1 << np.searchsorted(thresholds, iou[some], side="right")) - 1
    return words


@dataclass(frozen=True)
class Repairs:
    """Detections that would be true positives if one kind of error were mended; ``[r]`` each."""

    detection: Ints
    box: Ints
    levels: Words


def repairs(wrong: Words, target: Ints, found: Words, score: Floats, n_levels: int) -> Repairs:
    """Of the errors that aim at a box nothing is matched to, the best-scoring for each box and level.

    Args:
        wrong: ``[m]`` levels at which a detection is such an error.
        target: ``[m]`` row of the box it would match; -1: none.
        found: ``[n]`` levels at which each box is matched.
        score: ``[m]``; equal scores keep the order of the rows.
        n_levels: how many levels there are.
    """
    rows = np.flatnonzero((wrong != 0) & (target >= 0))
    rows = rows[wrong[rows] & ~found[target[rows]] != 0]
    rows = rows[falling(score[rows])]
    box = target[rows]
    open_levels = wrong[rows] & ~found[box]
    levels = np.zeros(len(rows), np.int16)
    first = np.empty(len(found), np.int64)
    for level in range(n_levels):
        able = np.flatnonzero(open_levels >> level & 1)
        first[box[able][::-1]] = able[::-1]  # the last one written, the best, stays
        levels[able[first[box[able]] == able]] |= np.int16(1 << level)
    kept = levels != 0
    return Repairs(rows[kept], box[kept], levels[kept])


def missed_levels(found: Words, wrong: Words, target: Ints, every: np.int16) -> Words:
    """Levels at which each box ``[n]`` is missed: unmatched, and no error in ``wrong`` aims at it.

    ``wrong`` and ``target`` as in `repairs`, of all localization and classification errors; ``every`` has the
    bit of each level set.
    """
    covered = np.zeros(len(found), np.int16)
    rows = np.flatnonzero((wrong != 0) & (target >= 0))
    np.bitwise_or.at(covered, target[rows], wrong[rows])
    return every & ~(found | covered)
