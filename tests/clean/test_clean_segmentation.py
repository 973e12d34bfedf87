"""Where a segmentation lies: polygons, and run lengths as pycocotools decodes them."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask

from detray.clean.segmentation import extent, holds


def test_a_polygon_reaches_from_its_least_to_its_greatest_point() -> None:
    assert extent("[[5, 7, 9.5, 8, 6, 20], [1, 9, 2, 9, 2, 10]]").tolist() == [1, 7, 9.5, 20]


@settings(deadline=None)
@given(st.data())
def test_run_lengths_reach_as_far_as_their_mask(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    bits = data.draw(st.lists(st.integers(0, 1), min_size=height * width, max_size=height * width))
    picture = np.asfortranarray(np.array(bits, np.uint8).reshape(height, width))
    encoded = mask.encode(picture)
    rows, columns = np.nonzero(picture)
    x, y, wide, high = mask.toBbox(encoded)
    if len(rows):
        assert [x, y, x + wide, y + high] == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    flat = picture.flatten(order="F")
    starts = np.flatnonzero(np.diff(np.concatenate([[0], flat, [2]])))
    runs = np.diff(np.concatenate([[0], starts])).tolist()
    for counts in (encoded["counts"].decode(), runs):
        found = extent(json.dumps({"size": [height, width], "counts": counts}))
        assert found.tolist() == [x, y, x + wide, y + high]


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "[[]]",
        "[[1, 2, 3, 4]]",
        "[[1, 2, 3, 4, 5, 6, 7]]",
        '[[1, 2, 3, 4, 5, "6"]]',
        "{}",
        '{"size": [0, 5], "counts": "05"}',
        '{"size": [5, 5], "counts": "05P"}',
        '{"size": [5, 5], "counts": "\\u0000"}',
        '{"size": [5, 5], "counts": "05"}',
        '{"size": [5, 5], "counts": [1, 2]}',
        '{"size": [5, 5], "counts": [-1, 26]}',
        '{"size": [9999999, 5], "counts": "05"}',
        "nonsense",
        "[" * 10_000,
    ],
)
def test_what_is_no_segmentation_reaches_nowhere_and_is_held_by_no_box(text: str) -> None:
    assert extent(text) is None
    assert not holds(np.array([0.0, 0.0, 1e9, 1e9]), text)


@settings(deadline=None)
@given(st.text(alphabet=[chr(code) for code in range(48, 112)], max_size=40))
def test_any_run_lengths_are_read_or_refused(counts: str) -> None:
    found = extent(json.dumps({"size": [7, 9], "counts": counts}))
    assert found is None or found.shape == (4,)


def test_a_box_holds_a_polygon_but_for_rounding() -> None:
    assert holds(np.array([10.0, 10.0, 20.0, 20.0]), "[[9.5, 10, 20.5, 10, 15, 20.5]]")
    assert not holds(np.array([10.0, 10.0, 20.0, 20.0]), "[[9.4, 10, 20, 10, 15, 20]]")
    assert not holds(np.array([10.0, 10.0, 20.0, 20.0]), "[[10, 10, 20, 10, 15, 20.6]]")
