"""Non-maximum suppression against a plain loop and against TensorFlow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detray.arrays import Floats, Ints
from detray.detectors.suppress import suppress

SIDES = st.integers(0, 12)
BOX = st.tuples(SIDES, SIDES, SIDES, SIDES).map(lambda box: (*box[:2], box[0] + box[2], box[1] + box[3]))
ROW = st.tuples(BOX, st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9]), st.integers(0, 2))
THRESHOLDS = st.sampled_from([0.0, 0.31415, 0.47123, 0.61803, 1.0])
"""None is a quotient of areas that boxes of `BOX` have, so that no rounding decides; 0 and 1 are exact."""


def arrays(rows: list[tuple[tuple[int, ...], float, int]]) -> tuple[Floats, Floats, Ints]:
    boxes = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    return boxes, np.array([row[1] for row in rows], np.float64), np.array([row[2] for row in rows], np.int64)


def overlap(a: Floats, b: Floats) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(wide, 0.0) * max(high, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if inter else 0.0


def loop(boxes: Floats, scores: Floats, classes: Ints, iou: float, across: bool, top: int) -> list[int]:
    kept: list[int] = []
    for row in sorted(range(len(scores)), key=lambda row: -scores[row]):
        rivals = [other for other in kept if across or classes[other] == classes[row]]
        if len(kept) < top and all(overlap(boxes[row], boxes[other]) <= iou for other in rivals):
            kept.append(row)
    return kept


@given(st.lists(ROW, max_size=30), THRESHOLDS, st.booleans(), st.integers(1, 40))
def test_as_a_plain_loop_does(
    rows: list[tuple[tuple[int, ...], float, int]], iou: float, across: bool, top: int
) -> None:
    boxes, scores, classes = arrays(rows)
    kept = suppress(boxes, scores, classes, iou=iou, across=across, top=top)
    assert kept.dtype == np.int64
    assert kept.tolist() == loop(boxes, scores, classes, iou, across, top)


@pytest.mark.parametrize("iou", [0.2, 0.5, 0.8])
def test_as_tensorflow_does(iou: float) -> None:
    import tensorflow as tf

    generator = np.random.default_rng(7)
    corner = generator.uniform(0, 60, (400, 2))
    boxes = np.concatenate([corner, corner + generator.uniform(2, 30, (400, 2))], axis=1)
    scores, classes = generator.permutation(400) / 400, generator.integers(0, 3, 400)
    theirs = tf.image.non_max_suppression(boxes.astype(np.float32), scores.astype(np.float32), 50, iou)
    assert suppress(boxes, scores, classes, iou=iou, across=True, top=50).tolist() == theirs.numpy().tolist()
    for k in range(3):
        rows = np.flatnonzero(classes == k)
        theirs = tf.image.non_max_suppression(boxes[rows].astype(np.float32), scores[rows].astype(np.float32), 400, iou)
        ours = suppress(boxes, scores, classes, iou=iou, across=False, top=400)
        assert ours[classes[ours] == k].tolist() == rows[theirs.numpy()].tolist()
