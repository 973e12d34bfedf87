"""Pairs of coinciding boxes, against all pairs."""

import numpy as np
from audit_data import dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from detray.audit import pairs
from detray.audit.view import View
from detray.boxes import pairwise_iou


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 4), *[st.integers(0, 12)] * 2, *[st.integers(1, 12)] * 2), min_size=1, max_size=60
    ),
    st.sampled_from([0.5, 0.7, 0.9, 1.0]),
    st.integers(0, 5),
)
def test_every_pair_is_found(entries: list[tuple[int, ...]], min_iou: float, seed: int) -> None:
    boxes = [{"image": image, "box": box} for image, *box in entries]
    (shard,), _ = dataset(boxes=boxes, images=4).shards(shuffle=seed)
    view = View(shard)
    iou = pairwise_iou(view.boxes, view.boxes)
    together = view.image_ids[:, None] == view.image_ids
    place = view.annotation_rows
    expected = {
        (place[i], place[j])
        for i, j in zip(*np.nonzero(together & (iou >= min_iou)), strict=True)
        if place[i] < place[j]
    }
    first, second, _ = pairs.close_pairs(view, np.flatnonzero(view.is_object), min_iou)
    assert {(place[i], place[j]) for i, j in zip(first, second, strict=True)} == expected
    assert len(first) == len(expected)


def test_a_heap_of_boxes_takes_bounded_work() -> None:
    n = 1000
    rng = np.random.default_rng(0)
    boxes = [{"box": [10.0, 10.0, 50.0 + number, 50.0]} for number in rng.uniform(0, 1, n)]
    verdicts = []
    for seed in (1, 2):
        (shard,), _ = dataset(boxes=boxes).shards(shuffle=seed)
        view = View(shard)
        first, second, _ = pairs.close_pairs(view, np.flatnonzero(view.is_object), 0.9)
        assert len(first) <= n * pairs.MAX_STEPS
        verdicts.append(set(zip(view.annotation_rows[first], view.annotation_rows[second], strict=True)))
    assert verdicts[0] == verdicts[1]
