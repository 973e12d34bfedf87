"""Which annotators are compared."""

import pytest
from audit_data import dataset

from detray.audit.agreement import MAX_TOGETHER, compare_annotators
from detray.audit.view import View


@pytest.mark.parametrize(
    ("people", "pairs"), [(3, 3), (MAX_TOGETHER, MAX_TOGETHER * (MAX_TOGETHER - 1) // 2), (500, 1)]
)
def test_an_image_that_too_many_drew_on_is_left_out(people: int, pairs: int) -> None:
    boxes = [{"annotator": f"a{number:03d}", "box": [number, 1, 20, 30]} for number in range(people)]
    boxes += [{"annotator": f"a{number:03d}", "image": 2, "box": [number, 1, 20, 30]} for number in range(2)]
    (shard,), _ = dataset(boxes=boxes, images=2).shards()
    found = {measure for part in compare_annotators(View(shard)) for measure in part["measure"].to_pylist()}
    assert len([measure for measure in found if measure.startswith("pair:boxes:")]) == pairs
