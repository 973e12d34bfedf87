"""Detections where no box stands, and the chance of each that its object was left out of the annotations."""

import numpy as np

from detray.arrays import Floats, Rows
from detray.diagnose.evidence.histogram import Histogram
from detray.diagnose.evidence.mixture import chance_of_wrong_labels, logit
from detray.diagnose.evidence.worth import worth
from detray.diagnose.observation.columns import take
from detray.diagnose.observation.counts import MIN_HITS, count_keys, score_bin
from detray.diagnose.observation.rows import BACKGROUND, IGNORED, LOOSE, TRUE, DetectionRows, first_of_each_place

LIKELY = 0.5
"""Chance from which a label is likelier wrong than right."""


def unlabelled(detections: DetectionRows, *, crowded: bool = False) -> tuple[Rows, Floats]:
    """Of a class's detections ``[m]`` the surest on background of each place: rows ``[k]``, and their chances ``[k]``.

    The chances compare their scores with those of the true detections; they are 0 where these are too few. ``crowded``:
    also of those that reach into a box of their class which another detection has: objects may overlap.
    """
    is_beside = (detections.outcome == LOOSE) & detections.box_hit & crowded
    rows = np.flatnonzero(detections.kept & ((detections.outcome == BACKGROUND) | is_beside))
    rows = rows[first_of_each_place(take(detections, rows))]
    true = detections.score[detections.kept & (detections.outcome == TRUE)]
    if len(true) < MIN_HITS or not len(rows):
        return rows, np.zeros(len(rows))
    return rows, chance_of_wrong_labels(logit(true), logit(detections.score[rows]))


def believed(detections: DetectionRows, n_boxes: int) -> float:
    """What the word of a model is worth for a class, see `worth`, by its detections."""
    is_true, counted = detections.outcome == TRUE, detections.kept & (detections.outcome != IGNORED)
    parts = (detections.score[counted & is_true], detections.score[counted & ~is_true])
    right, wrong = (Histogram.of(count_keys(score_bin(part))) for part in parts)
    return worth(right, wrong, n_boxes)
