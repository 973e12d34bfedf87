"""Which class is taken for which: counts of true and predicted classes, with background."""

import numpy as np
import pyarrow as pa

from detray.evaluate.kernel import Detections, GroundTruth, Matches
from detray.evaluate.kernel.assignment import assign
from detray.evaluate.kernel.order import count, falling
from detray.evaluate.kernel.overlaps import Overlaps

IOU = 0.5
KEYS = ["category_id", "predicted_category_id"]
CONFUSION = pa.schema([(name, pa.int64()) for name in (*KEYS, "n")])


def confusion_counts(
    gt: GroundTruth, dt: Detections, found: Matches, pairs: Overlaps, least_score: float, bit50: np.int16
) -> pa.Table:
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
        bit50: the bit of IoU .5.
    """
    counts = ~gt.ignored()[:, 0]
    taking_part = found.kept & (dt.score >= least_score) & (found.ignored[:, 0] & bit50 == 0)
    hit = taking_part & (found.matched[:, 0] & bit50 != 0)
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
    parts = []
    for true, predicted, category in (
        (True, True, dt.category[hit]),
        (True, False, gt.category[missed]),
        (False, True, dt.category[false]),
    ):
        ids, n = count(category)
        names = [pa.array(ids, mask=np.full(len(ids), not known)) for known in (true, predicted)]
        parts.append(pa.table([*names, n], schema=CONFUSION))
    mixed = pa.table([gt.category[confused.box], dt.category[confused.detection]], names=KEYS)
    parts.append(mixed.group_by(KEYS, use_threads=False).aggregate([([], "count_all")]).rename_columns([*KEYS, "n"]))
    return pa.concat_tables(parts)
