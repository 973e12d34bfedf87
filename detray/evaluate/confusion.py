"""Which class is taken for which: counts of true and predicted classes, with background."""

import numpy as np
import pyarrow as pa

from detray.evaluate.assignment import assign
from detray.evaluate.kernel import Detections, GroundTruth, Matches
from detray.evaluate.order import falling
from detray.evaluate.pairs import Pairs

IOU = 0.5


def confusion_counts(gt: GroundTruth, dt: Detections, found: Matches, pairs: Pairs, least_score: float) -> pa.Table:
    """Counts of ``category_id`` (NULL: background) and ``predicted_category_id`` (NULL: missed).

    Detections are matched to boxes of their own class first; only what is left over, a false
    detection and a missed box of different classes with an IoU of at least .5, is a confusion. So
    no detection of another class steals a match.

    Args:
        gt: the boxes.
        dt: the detections.
        found: their matches; what COCO ignores at IoU .5 is left out here too.
        pairs: those of the same image, whatever their classes.
        least_score: detections below it are left out.
    """
    counts = ~gt.ignored()[:, 0]
    taking_part = found.kept & (dt.score >= least_score) & (found.ignored[:, 0] & 1 == 0)
    hit = taking_part & (found.matched[:, 0] & 1 != 0)
    # greedy by falling score: without the lower scores the matches of the others stay as they are
    missed, false = counts.copy(), taking_part & ~hit
    missed[found.box[hit]] = False

    left = pairs.take(false[pairs.detection] & missed[pairs.box] & (pairs.iou >= IOU))
    turn = np.zeros(len(dt), np.int64)
    by_score = left.detection[falling(dt.score[left.detection])]
    turn[by_score[::-1]] = np.arange(len(by_score))[::-1]
    confused = left.take(assign(left, turn, ~counts[:, None], gt.crowd)[:, 0] & 1 != 0)
    missed[confused.box] = False
    false[confused.detection] = False
    sizes = [hit.sum(), len(confused.box), missed.sum(), false.sum()]
    true = [dt.category[hit], gt.category[confused.box], gt.category[missed], dt.category[false]]
    predicted = [dt.category[hit], dt.category[confused.detection], gt.category[missed], dt.category[false]]
    rows = pa.table(
        {
            "category_id": pa.array(np.concatenate(true), mask=np.repeat([False, False, False, True], sizes)),
            "predicted_category_id": pa.array(
                np.concatenate(predicted), mask=np.repeat([False, False, True, False], sizes)
            ),
        }
    )
    counted = rows.group_by(rows.column_names, use_threads=False).aggregate([([], "count_all")])
    return counted.rename_columns([*rows.column_names, "n"])
