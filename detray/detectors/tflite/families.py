"""What TFLite detectors end with, and how a detection is read of each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detray.arrays import Floats, Floats32
from detray.detectors.answers import Answer, to_corners
from detray.detectors.io import BoxOrder
from detray.detectors.raw.decode import SSD_VARIANCE, from_deltas, from_offsets, sigmoid
from detray.detectors.raw.select import above, select
from detray.detectors.raw.yolo import split_ended, split_yolo
from detray.detectors.settings import PredictSettings
from detray.detectors.tflite.roles import Roles

Outputs = Mapping[int, Floats32]
"""Of one picture: real numbers without the axis of the batch, by index of the output."""


@dataclass(frozen=True)
class Suppressed:
    """Boxes, scores, classes and perhaps their count, after suppression in the model."""

    roles: Roles

    def answer(self, outputs: Outputs, predict: PredictSettings) -> Answer:
        boxes, scores, classes = (outputs[self.roles[role].index] for role in ("boxes", "scores", "classes"))
        count = len(scores)
        if "count" in self.roles:
            count = min(count, max(0, round(float(outputs[self.roles["count"].index].ravel()[0]))))
        return Answer(*(np.asarray(values[:count], np.float64) for values in (boxes, scores, classes)))


@dataclass(frozen=True)
class Faces:
    """MediaPipe's regressors, of which four numbers are the box, and a logit for each anchor."""

    regressors: int
    logits: int
    anchors: Floats
    width: int
    height: int

    def answer(self, outputs: Outputs, predict: PredictSettings) -> Answer:
        scores = sigmoid(np.asarray(outputs[self.logits], np.float64))
        rows = above(scores, predict)
        offsets = np.asarray(outputs[self.regressors][rows, :4], np.float64)
        corners = from_offsets(offsets, self.anchors[rows], self.width, self.height)
        return select(corners, corners, scores[rows], predict)


@dataclass(frozen=True)
class Ssd:
    """The Object Detection API's box encodings and scores, of which the first is the background's."""

    boxes: int
    scores: int
    is_logits: bool
    anchors: Floats

    def answer(self, outputs: Outputs, predict: PredictSettings) -> Answer:
        scores = _probabilities(outputs[self.scores], self.is_logits)[:, 1:]
        rows = above(scores, predict)
        deltas = np.asarray(outputs[self.boxes][rows], np.float64)[:, [1, 0, 3, 2]]
        corners = from_deltas(deltas, self.anchors[rows], SSD_VARIANCE)
        return select(corners, corners, scores[rows], predict)


@dataclass(frozen=True)
class Decoded:
    """Boxes, and a score or logit of each class for each of them, before suppression."""

    boxes: int
    scores: int
    is_logits: bool
    order: BoxOrder

    def answer(self, outputs: Outputs, predict: PredictSettings) -> Answer:
        boxes = np.asarray(outputs[self.boxes], np.float64)
        scores = _probabilities(outputs[self.scores], self.is_logits)
        return select(boxes, to_corners(boxes, self.order), scores, predict)


@dataclass(frozen=True)
class Yolo:
    """One output with a column or row for each anchor."""

    output: int
    names: int | None
    order: BoxOrder

    def answer(self, outputs: Outputs, predict: PredictSettings) -> Answer:
        boxes, scores = split_yolo(np.asarray(outputs[self.output], np.float64), self.names)
        return select(boxes, to_corners(boxes, self.order), scores, predict)


@dataclass(frozen=True)
class YoloEnded:
    """One output ``[n, 6]``, after suppression."""

    output: int

    def answer(self, outputs: Outputs, predict: PredictSettings) -> Answer:
        return Answer(*split_ended(np.asarray(outputs[self.output], np.float64)))


Family = Suppressed | Faces | Ssd | Decoded | Yolo | YoloEnded


def _probabilities(scores: Floats32, is_logits: bool) -> Floats:
    values = np.asarray(scores, np.float64)
    return sigmoid(values) if is_logits else values
