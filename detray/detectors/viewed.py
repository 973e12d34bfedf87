"""Any detector, given several views of each picture, or with classes that suppress each other."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import numpy as np

from detray.ahead import ahead
from detray.arrays import Ints, Pixels
from detray.boxes import to_corners
from detray.detectors.detector import Detections, Detector, OfPicture, Prepare, Prepared
from detray.detectors.settings import PredictSettings
from detray.detectors.suppress import suppress
from detray.detectors.views import View, merge, views_of

THREADS = 2


def has_views(predict: PredictSettings) -> bool:
    """Whether a detector is given more of a picture than the whole."""
    return predict.tiles is not None or predict.flip


def wrapped(detector: Detector, predict: PredictSettings) -> Detector:
    """The detector as `PredictSettings` wants it: with views, and suppressing across classes."""
    if has_views(predict):
        return Viewed(detector, predict)
    return AcrossClasses(detector, predict) if predict.nms.mode == "across" else detector


def prepare_of(own: Prepare, predict: PredictSettings) -> Prepare:
    """How such a detector takes its pictures; ``own``: as the detector itself does."""
    return as_it_is if has_views(predict) else own


def pictures_at_once(batch: int, predict: PredictSettings) -> int:
    """How many pictures fill a batch of about ``batch`` views: whole ones are in memory."""
    return max(1, batch // ((4 if predict.tiles else 1) * (2 if predict.flip else 1)))


def as_it_is(picture: Pixels) -> Prepared:
    """A picture ``[h, w, 3]`` in its own pixels: its views are prepared where they are detected in."""
    return Prepared(picture, picture.shape[1], picture.shape[0])


@dataclass(frozen=True)
class Viewed:
    """A detector that looks at several views of each picture, at most some batches of them in memory."""

    detector: Detector
    predict: PredictSettings

    @property
    def classes(self) -> Mapping[int, str]:
        return self.detector.classes

    def prepare(self, picture: Pixels) -> Prepared:
        """See `as_it_is`."""
        return as_it_is(picture)

    def detect(self, pictures: Sequence[Prepared]) -> Detections:
        """The detections in all views of each picture, put together."""
        size = self.predict.batch_size
        looks = [
            (number, view)
            for number, picture in enumerate(pictures)
            for view in views_of(picture.width, picture.height, self.predict)
        ]

        def prepare(look: tuple[int, View]) -> Prepared:
            return self.detector.prepare(look[1].of(pictures[look[0]].pixels))

        found: list[list[tuple[View, Detections, Ints]]] = [[] for _ in pictures]
        with closing(ahead(prepare, looks, threads=THREADS, depth=2 * size)) as ready:
            for start in range(0, len(looks), size):
                batch = self.detector.detect(list(islice(ready, size)))
                order = np.argsort(batch.image, kind="stable")
                ends = np.searchsorted(batch.image[order], np.arange(size + 1))
                for place, (number, view) in enumerate(looks[start : start + size]):
                    found[number].append((view, batch, order[ends[place] : ends[place + 1]]))
        return Detections.of([self._merged(picture, parts) for picture, parts in zip(pictures, found, strict=True)])

    def _merged(self, picture: Prepared, parts: Sequence[tuple[View, Detections, Ints]]) -> OfPicture:
        """What stays of the detections in the views of a picture."""
        boxes, cuts = [], []
        for view, found, rows in parts:
            boxes.append(view.in_picture(found.boxes[rows]))
            cuts.append(view.cuts(boxes[-1], picture.width, picture.height))
        scores, classes = (
            np.concatenate([getattr(found, name)[rows] for _, found, rows in parts])
            for name in ("scores", "category_id")
        )
        box, is_cut = np.concatenate(boxes), np.concatenate(cuts)
        rows = merge(to_corners(box), scores, classes, is_cut, self.predict.nms, self.predict.max_detections)
        return box[rows], scores[rows], classes[rows]


@dataclass(frozen=True)
class AcrossClasses:
    """A detector of whose detections the best suppress those of other classes too."""

    detector: Detector
    predict: PredictSettings

    @property
    def classes(self) -> Mapping[int, str]:
        return self.detector.classes

    def prepare(self, picture: Pixels) -> Prepared:
        """As the detector does."""
        return self.detector.prepare(picture)

    def detect(self, pictures: Sequence[Prepared]) -> Detections:
        """What stays of the detections of each picture."""
        found, iou = self.detector.detect(pictures), self.predict.nms.iou
        parts: list[OfPicture] = []
        for number in range(len(pictures)):
            own = np.flatnonzero(found.image == number)
            box, scores, classes = found.boxes[own], found.scores[own], found.category_id[own]
            rows = suppress(to_corners(box), scores, classes, iou=iou, across=True, top=len(own))
            parts.append((box[rows], scores[rows], classes[rows]))
        return Detections.of(parts)
