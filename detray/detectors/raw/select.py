"""Of a score for each anchor and class, the detections that stay."""

import numpy as np

from detray.arrays import Floats, Ints
from detray.detectors.answers import Answer
from detray.detectors.settings import PredictSettings
from detray.detectors.suppress import suppress

MAX_CANDIDATES = 10_000
"""The best of a picture that are looked at: suppression takes seconds for a million."""


def above(scores: Floats, predict: PredictSettings) -> Ints:
    """The anchors of which a score of ``[a, c]`` counts: the others' boxes need no decoding."""
    return np.flatnonzero((scores > predict.score_threshold).any(axis=1))


def select(boxes: Floats, corners: Floats, scores: Floats, predict: PredictSettings, *, ends: bool = False) -> Answer:
    """What stays after suppression as ``predict.nms`` says, best first, at most ``predict.max_detections``.

    Each box may be of several classes, as in the Object Detection API and ``combined_non_max_suppression``; where
    classes suppress each other its best one counts.

    Args:
        boxes: ``[a, 4]``, as the answer gives them.
        corners: the same as corners ``[a, 4]``, for their overlaps.
        scores: ``[a, c]``, 0 to 1.
        predict: the section.
        ends: the model was trained to answer each object once, and nothing is to be suppressed.
    """
    mode = "none" if ends else predict.nms.mode
    if mode == "across":
        best = scores.argmax(axis=1)
        scores = np.where(np.arange(scores.shape[1]) == best[:, None], scores, 0)
    anchor, kind = np.nonzero(scores > predict.score_threshold)
    values = scores[anchor, kind].astype(np.float64)
    if len(values) > MAX_CANDIDATES:
        first = np.sort(np.argsort(-values, kind="stable")[:MAX_CANDIDATES])
        anchor, kind, values = anchor[first], kind[first], values[first]
    kept = (
        np.argsort(-values, kind="stable")[: predict.max_detections]
        if mode == "none"
        else suppress(
            corners[anchor],
            values,
            kind,
            iou=predict.nms.iou,
            across=mode == "across",
            top=predict.max_detections,
        )
    )
    return Answer(boxes[anchor[kept]], values[kept], kind[kept].astype(np.float64))
