"""The AP of every class, and what it is without some of the images, from one matching."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from detray.arrays import Floats, Ints
from detray.boxes import IOU_THRESHOLDS
from detray.evaluate.kernel import Detections, GroundTruth, match
from detray.evaluate.kernel.accumulate import average_precision
from detray.tables import boxes, numpy


@dataclass(frozen=True)
class ImageGroups:
    """A split's images (sorted ids) cut into ``number`` groups of neighbours, which may show one scene."""

    images: Ints
    number: int

    def of(self, image_ids: Ints) -> Ints:
        """The group of each image, from 0."""
        return np.searchsorted(self.images, image_ids) * self.number // max(len(self.images), 1)


@dataclass(frozen=True)
class Scores:
    """AP by class, NaN where a class has no ground truth.

    ``ap``: ``[c, 10]`` by IoU threshold; ``left_out``: ``[g, c]``, the mean over the thresholds
    without the images of each group (no rows where no groups were given).
    """

    ap: Floats
    left_out: Floats


def class_scores(
    gt: GroundTruth,
    detections: pa.Table,
    class_ids: Sequence[int],
    groups: ImageGroups | None = None,
    grouped: Sequence[int] | None = None,
) -> Scores:
    """Score ``detections`` (columns of the table predictions) against ``gt``.

    Classes other than ``class_ids`` are left out. What is without each group is computed of ``grouped`` only, of the
    others NaN; None: of all.
    """
    dt = Detections(
        numpy(detections, "image_id"),
        numpy(detections, "category_id"),
        boxes(detections),
        numpy(detections, "score"),
        numpy(detections, "rank").astype(np.int64),
    )
    found = match(gt, dt)
    truth = ~gt.ignored()[:, 0]

    def score(rows: Ints, n_truth: int) -> Floats:
        return average_precision(
            dt.score[rows], dt.image[rows], dt.rank[rows], found.matched[rows, 0], found.ignored[rows, 0], n_truth
        )

    ap = np.empty((len(class_ids), len(IOU_THRESHOLDS)))
    left_out = np.full((groups.number if groups else 0, len(class_ids)), np.nan)
    for place, category in enumerate(class_ids):
        rows = np.flatnonzero(found.kept & (dt.category == category))
        boxes_of_class = np.flatnonzero(truth & (gt.category == category))
        ap[place] = score(rows, len(boxes_of_class))
        if groups and (grouped is None or category in grouped):
            row_group, box_group = groups.of(dt.image[rows]), groups.of(gt.image[boxes_of_class])
            for group in range(groups.number):
                left_out[group, place] = score(rows[row_group != group], int((box_group != group).sum())).mean()
    return Scores(ap, left_out)
