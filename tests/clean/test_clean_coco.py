"""COCO JSON text from canonical tables reads back as the same numbers and texts."""

import json
from collections.abc import Callable
from typing import Any

import clean_tables as t
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from detray import schema
from detray.clean import coco

number = st.floats(allow_nan=False, allow_infinity=False)
text = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def read(rows: pa.Table, objects: Callable[[pa.Table], pa.ChunkedArray]) -> list[dict[str, Any]]:
    body = b"".join(coco.fragments(rows, objects))
    return json.loads(b"[" + body.removeprefix(b",") + b"]")


@settings(deadline=None)
@given(st.lists(st.tuples(number, number, number, number, text, st.booleans()), max_size=5))
def test_annotations_read_back_bit_for_bit(found: list[tuple[float, float, float, float, str | None, bool]]) -> None:
    rows = [
        t.annotation(row, box, area=box[0], annotator=annotator, is_crowd=flag, is_difficult=not flag)
        for row, (*box, annotator, flag) in enumerate(found)
    ]
    for row, back in zip(rows, read(t.shard(rows).annotations, coco.annotation_objects), strict=True):
        assert back["bbox"] == [row["x"], row["y"], row["width"], row["height"]]
        assert (back["id"], back["image_id"], back["category_id"]) == (row["annotation_id"], 1, 1)
        assert (back["area"], back["iscrowd"], back.get("annotator")) == (row["x"], row["is_crowd"], row["annotator"])
        assert back.get("difficult", 0) == row["is_difficult"]


def test_an_absent_area_is_width_times_height() -> None:
    shard = t.shard([t.annotation(0, (1, 2, 3, 4.5), area=None)])
    assert read(shard.annotations, coco.annotation_objects)[0]["area"] == 13.5


def test_segmentation_and_further_fields_stand_as_they_were_and_hide_none_of_ours() -> None:
    shard = t.shard(
        [
            t.annotation(0, (1, 2, 3, 4), segmentation="[[1.50,2,3,4,5,6]]", attributes='{"pose": "Left", "id": 7}'),
            t.annotation(1, (1, 2, 3, 4), attributes="{ }"),
        ]
    )
    assert '"segmentation":[[1.50,2,3,4,5,6]]' in coco.annotation_objects(shard.annotations)[0].as_py()
    first, second = read(shard.annotations, coco.annotation_objects)
    assert (first["pose"], first["id"]) == ("Left", 100)
    assert set(second) == {"id", "image_id", "category_id", "bbox", "area", "iscrowd"}


@settings(deadline=None)
@given(text)
def test_images_read_back_and_what_is_not_stated_is_left_out(name: str | None) -> None:
    images = schema.from_rows("images", [{"split": "val", "image_id": 3, "file_name": name, "width": 640}], run="r")
    expected = {"id": 3, "width": 640} | ({} if name is None else {"file_name": name})
    assert read(images, coco.image_objects) == [expected]


def test_more_rows_than_are_written_at_once() -> None:
    images = schema.from_columns("images", {"split": ["val"] * 100_000, "image_id": list(range(100_000))}, run="r")
    assert [image["id"] for image in read(images, coco.image_objects)] == list(range(100_000))
