"""Nobody is asked to rescale boxes that are right, and edges are counted alike from both sides."""

from typing import Any

import numpy as np
import pytest
from audit_data import dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from detray.audit import tally
from detray.audit.measures import EDGE_STEPS, measure
from detray.audit.view import View

PEOPLE, KINDS = ("ann", "bob"), (1, 2, 3)

FAULTS: list[dict[str, Any]] = [
    {"times": 1.5},
    {"times": 2.5},
    {"times": 0.5},
    {"canvas": [1000, 1000]},
    {"canvas": [640, 640]},
    {"canvas": [300, 300]},
    {"format": "corners"},
]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    counts=st.lists(st.integers(0, 700), min_size=6, max_size=6),
    cells=st.sets(st.integers(0, 5), max_size=4),
    fault=st.sampled_from(FAULTS),
    sizes=st.sampled_from([[(640, 480)], [(400, 300), (1600, 900)]]),
)
def test_who_is_named_has_mostly_boxes_that_are_wrong(
    seed: int, counts: list[int], cells: set[int], fault: dict[str, Any], sizes: list[tuple[int, int]]
) -> None:
    """Any classes of any annotators may be wrong: of a group that is named, more than half the boxes are."""
    boxes: list[dict[str, Any]] = []
    total = {}
    for cell, n in enumerate(counts):
        who, key = PEOPLE[cell // 3], KINDS[cell % 3]
        total[who, key] = (n, n if cell in cells else 0)
        for part, size in enumerate(sizes):
            common = {"seed": seed + 10 * cell + part, "size": list(size), "side": size[1] / 8, "annotator": who}
            over = [1 + 60 * part, 60 + 60 * part]
            boxes.append({"scatter": n, "over": over, "class": key} | common | (fault if cell in cells else {}))
    images = [{"repeat": 60, "width": width, "height": height} for width, height in sizes]
    data = dataset(boxes=boxes, images=images, categories={key: f"class {key}" for key in KINDS})
    for row in data.audited("coordinate-scale", "box-format").to_pylist():
        mine = [
            pair
            for (who, key), pair in total.items()
            if row["annotator"] in (None, who) and row["category_id"] in (None, key)
        ]
        n, wrong = np.sum(mine, axis=0)
        assert wrong > n / 2, row["message"]


def _edges(boxes: np.ndarray, size: tuple[int, int]) -> dict[str, list[int]]:
    """The bins of each edge, rising."""
    rows = [{"box": box} for box in boxes.tolist()]
    shards, _ = dataset(boxes=rows, images=[{"width": size[0], "height": size[1]}]).shards()
    counted = tally.merge([("val", measure(View(shards[0])))])["val"]
    return {side: np.repeat(*counted.histogram(side, 1)).tolist() for side in ("left", "top", "right", "bottom")}


@pytest.mark.parametrize("error", [0.0, 1e-13, -1e-13, 1e-4, -1e-4])
def test_rounding_puts_no_edge_outside_the_image(error: float) -> None:
    found = _edges(np.array([[error, error, 640 - 2 * error, 480 - 2 * error]]), (640, 480))
    last = EDGE_STEPS - 1
    assert found == {"left": [0], "top": [0], "right": [last], "bottom": [last]}


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 64)] * 4), min_size=1, max_size=20))
def test_mirrored_boxes_have_mirrored_edges(corners: list[tuple[int, int, int, int]]) -> None:
    """Also where edges lie on the border of two bins."""
    first, second = np.array(corners)[:, :2] * 5.0, np.array(corners)[:, 2:] * 5.0
    low, high = np.minimum(first, second), np.maximum(first, second) + 5
    found = _edges(np.concatenate([low, high - low], axis=1), (325, 325))
    mirrored = _edges(np.concatenate([325 - high, high - low], axis=1), (325, 325))
    for side, other in (("left", "right"), ("top", "bottom")):
        assert mirrored[side] == sorted(EDGE_STEPS - 1 - bin for bin in found[other])
