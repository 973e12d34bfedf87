"""The AP of every class, and what it is without some of the images, from one matching."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detray.evaluate.accumulate import EVERY_LEVEL, Ranking, precision_at_recall, true_positives
from detray.evaluate.kernel import Detections, GroundTruth, match
from detray.tables import boxes, numpy

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


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
    gt: GroundTruth, detections: pa.Table, class_ids: Sequence[int], groups: ImageGroups | None = None
) -> Scores:
    """Score ``detections`` (columns of the table predictions) against ``gt``.

    ``class_ids`` is sorted and holds every class of either.
    """
    dt = Detections(
        numpy(detections, "image_id"),
        numpy(detections, "category_id"),
        boxes(detections),
        numpy(detections, "score"),
        numpy(detections, "rank").astype(np.int64),
    )
    found = match(gt, dt)
    counted = ~found.ignored[:, 0] & EVERY_LEVEL
    hit = found.matched[:, 0] & counted
    dt_class, gt_class = np.searchsorted(class_ids, dt.category), np.searchsorted(class_ids, gt.category)

    def average_precision(rows: Flags, truth: Flags) -> Floats:
        n_gt = np.bincount(gt_class[truth], minlength=len(class_ids))
        ranking = Ranking.of(dt_class[rows], dt.score[rows], dt.image[rows], dt.rank[rows], len(class_ids))
        hits = true_positives(ranking, hit[rows], counted[rows])
        return precision_at_recall(hits, n_gt[:, None]).mean(axis=2)

    truth = ~gt.ignored()[:, 0]
    whole = average_precision(found.kept, truth)
    if groups is None:
        return Scores(whole, np.empty((0, len(class_ids))))
    dt_group, gt_group = groups.of(dt.image), groups.of(gt.image)
    left_out = [
        average_precision(found.kept & (dt_group != group), truth & (gt_group != group)).mean(axis=1)
        for group in range(groups.number)
    ]
    return Scores(whole, np.array(left_out).reshape(-1, len(class_ids)))
