"""Files of drawing tools with some of their boxes changed: those rows are read anew as they should be, the others as
they were."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import samples
from reading import read_whole

from detray.changes import CHANGES, Changes
from detray.formats.label_studio.writer import rewrite as rewrite_label_studio
from detray.formats.rewriting import WRITERS
from detray.formats.source import Source

Row = dict[str, Any]

SHAPES = json.dumps(
    {
        "version": "5.0.1",
        "shapes": [
            {"label": "cat", "points": [[30, 40], [1, 2]], "shape_type": "rectangle"},
            {"label": "ear", "points": [[5, 2]], "shape_type": "point"},
            {"label": "dog", "points": [[5, 2], [30.5, 2], [20, 40]], "shape_type": "polygon"},
            {"label": "dog", "points": [[20, 20], [25, 20]], "shape_type": "circle"},
            {"label": "dog", "points": [[9, 9], [20, 12]], "shape_type": "mask", "mask": "iVBO"},
            {"label": "cat", "points": [[10, 5], [20, 10], [15, 20], [5, 15]], "shape_type": "oriented_rectangle"},
        ],
        "imagePath": "a.jpg",
        "imageHeight": 48,
        "imageWidth": 64,
    },
    indent=1,
).encode()
REGIONS = json.dumps(
    {
        "a.jpg1": {
            "filename": "a.jpg",
            "regions": {
                "0": {"shape_attributes": {"name": "circle", "cx": 20, "cy": 20, "r": 5},
                      "region_attributes": {"class": {"cat": True, "dog": False}}},
                "1": {"shape_attributes": {"name": "polyline"}, "region_attributes": {"class": "dog"}},
                "2": {"shape_attributes": {"cx": 20, "cy": 20, "rx": 5, "ry": 7, "name": "ellipse"},
                      "region_attributes": {}},
            },
        },
        "b.jpg1": {"filename": "b.jpg", "regions": []},
    },
    indent="\t",
).encode()  # fmt: skip
XML = b"""<?xml version='1.0' encoding="utf-8"?>
<annotations><meta/><image id="0" name="a.jpg" width="64" height="48"><tag label="a>b"/>
  <ellipse label="cat" cx="20.00" cy="20.00" rx="5.00" ry="6.00" rotation="10.0" z_order="1"></ellipse>
  <points label="ear" points="5,2"/>
  <box label='a &amp; "b"' occluded="0" xtl="10.00" ytl="2.00" xbr="30.00" ybr="40.00" rotation="20.0"/>
  <mask label="dog" rle="1, 2" left="3" top="4" width="10" height="8"><attribute name="x">1</attribute></mask>
</image><image id="1" name="b.jpg" width="64" height="48"/></annotations>"""
RESULTS = json.dumps(
    [
        {
            "data": {"image": "a.jpg"},
            "annotations": [
                {"result": [
                    {"id": "a", "type": "rectangle", "original_width": 64, "original_height": 48,
                     "value": {"x": 25, "y": 50, "width": 50, "height": 25, "rotation": 0}},
                    {"id": "a", "type": "labels", "original_width": 64, "original_height": 48,
                     "value": {"x": 25, "y": 50, "width": 50, "height": 25, "rotation": 0, "labels": ["cat"]}},
                    {"id": "a", "type": "choices", "value": {"choices": ["sharp"]}},
                ]},
                {"was_cancelled": False, "result": [
                    {"id": "a", "type": "ellipselabels", "original_width": 64, "original_height": 48,
                     "value": {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 5,
                               "ellipselabels": ["dog"]}},
                ]},
            ],
        },
        {"data": {"image": "b.jpg"}, "annotations": []},
    ],
    indent=2,
).encode()  # fmt: skip
CSV = (
    b'\xef\xbb\xbffilename,width,height,class,xmin,ymin,xmax,ymax,note\r\na.jpg,64,48,"a, b",1,2,30,40,\r\n\r\n'
    b'"a.jpg",64,48, dog ,5.5,2,30.5,40,"x, y"\r\nb.jpg,64,48,cat,10,10,20,20,'
)
FILES = {
    name: samples.FILES[name]
    for name in ("tf_csv", "retinanet_csv", "labelme", "via", "cvat", "label_studio", "createml")
}
CASES = {
    **{name: (name, file, data) for name, (file, data) in FILES.items()},
    "via project": ("via", "via.json", samples.VIA_PROJECT),
    "shapes": ("labelme", "a.json", SHAPES),
    "regions": ("via", "via.json", REGIONS),
    "xml": ("cvat", "a.xml", XML),
    "results": ("label_studio", "p.json", RESULTS),
    "quoted": ("tf_csv", "boxes.csv", CSV),
}
SIDES = ("x", "y", "width", "height")
BOX = {"x": 3.0, "y": 4.0, "width": 21.0, "height": 11.0}


@dataclass(frozen=True)
class File:
    source: Source
    images: list[Row]
    boxes: list[Row]

    def with_changes(self, *changes: Row) -> "File":
        """The file written back with some changes, and read again."""
        defaults = {"is_drop": False, "loses_mask": False, "image_width": 64, "image_height": 48}
        table = pa.Table.from_pylist([defaults | change for change in changes], CHANGES)
        path = Path(self.source.annotations[0])
        data = b"".join(WRITERS[self.source.format](str(path), Changes(table)))
        path.write_bytes(data)
        return read(self.source)


def read(source: Source) -> File:
    found = read_whole(source)
    assert not found.quarantine.num_rows
    return File(source, found.images.to_pylist(), found.annotations.to_pylist())


@pytest.fixture(params=CASES)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> File:
    name, path, data = CASES[request.param]
    (tmp_path / path).write_bytes(data)
    return read(Source("val", name, (str(tmp_path / path),), str(tmp_path)))


def named(rows: list[Row], *without: str) -> list[Row]:
    """Rows without their places, which follow from the others."""
    return [
        {name: row[name] for name in row if name not in ("annotation_row", "image_row", "key", *without)}
        for row in rows
    ]


def test_without_changes_all_bytes_stay(file: File) -> None:
    path = Path(file.source.annotations[0])
    before = path.read_bytes()
    file.with_changes()
    assert path.read_bytes() == before


def test_each_box_can_be_dropped_alone(file: File) -> None:
    path = Path(file.source.annotations[0])
    before = path.read_bytes()
    for place, box in enumerate(file.boxes):
        path.write_bytes(before)
        left = file.with_changes({"row": box["annotation_row"], "is_drop": True})
        assert named(left.boxes) == named(file.boxes[:place] + file.boxes[place + 1 :])
        if file.source.format != "tf_csv":
            assert {row["file_name"] for row in left.images} == {row["file_name"] for row in file.images}
    path.write_bytes(before)
    left = file.with_changes(*({"row": box["annotation_row"], "is_drop": True} for box in file.boxes))
    assert not left.boxes


def test_each_box_can_be_moved_and_called_otherwise(file: File) -> None:
    path = Path(file.source.annotations[0])
    before = path.read_bytes()
    for place, box in enumerate(file.boxes):
        path.write_bytes(before)
        made = file.with_changes({"row": box["annotation_row"], "category_name": 'é, "b" & <c>'} | BOX)
        moved = made.boxes[place]
        assert [moved[side] for side in SIDES] == pytest.approx(list(BOX.values()))
        assert moved["category_name"] == 'é, "b" & <c>'
        assert moved["attributes"] == box["attributes"]
        assert not moved["defects"]
        others = made.boxes[:place] + made.boxes[place + 1 :]
        assert named(others) == named(file.boxes[:place] + file.boxes[place + 1 :])
        assert named(made.images) == named(file.images)


def test_boxes_are_added_to_each_image(file: File) -> None:
    new = [
        {
            "row": None,
            "category_name": "new",
            "file_name": image["file_name"],
            "image_row": image["image_row"],
            "area": 1.0,
        }
        | BOX
        for image in file.images
    ]
    dropped = {"row": file.boxes[0]["annotation_row"], "is_drop": True}
    made = file.with_changes(dropped, *new, *new)
    added = [row for row in made.boxes if row["category_name"] == "new"]
    assert len(made.boxes) == len(file.boxes) - 1 + 2 * len(new)
    assert {row["key"].partition("\0")[0] for row in added} == {row["file_name"] for row in file.images}
    for row in added:
        assert [row[side] for side in SIDES] == pytest.approx(list(BOX.values()))
    assert named([row for row in made.boxes if row["category_name"] != "new"]) == named(file.boxes[1:])


def test_what_belongs_to_a_result_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(RESULTS)
    change = pa.Table.from_pylist([{"row": 0, "is_drop": True, "loses_mask": False}], CHANGES)
    made = json.loads(b"".join(rewrite_label_studio(str(path), Changes(change))))
    assert [one["result"] for one in made[0]["annotations"]] == [[], json.loads(RESULTS)[0]["annotations"][1]["result"]]
