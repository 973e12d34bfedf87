"""COCO files: read as pycocotools reads them, and a bad value costs its own field."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from detray.formats.coco.reader import Coco
from detray.formats.json import lists as json_lists
from detray.formats.json.lists import BrokenJson
from detray.formats.source import Source

Rows = Callable[[str], list[dict[str, Any]]]

IMAGE = {"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}
BOX = {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3.5, 4], "area": 14, "iscrowd": 0}


def source(*paths: str | Path) -> Source:
    return Source("val", "coco", tuple(str(path) for path in paths), str(Path(paths[0]).parent))


@pytest.fixture
def rows(read_source) -> Rows:
    """The annotations of a file, as dictionaries."""
    return lambda path: read_source(source(path)).annotations.to_pylist()


@pytest.mark.parametrize(
    "name", ["coco_val2014_100/instances_val2014_100.json", "taco/annotations.json", "visdrone50/annotations.json"]
)
def test_every_value_is_pycocotools_own(shared: Path, name: str, monkeypatch: pytest.MonkeyPatch, read_source) -> None:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(shared / name)).dataset
    monkeypatch.setattr(json_lists, "PART_BYTES", 40_000)
    found = read_source(source(shared / name))
    assert found.annotations["defects"].null_count == len(truth["annotations"])
    assert [
        (row["annotation_id"], row["image_id"], row["category_id"], row["area"], int(row["is_crowd"]),
         [row["x"], row["y"], row["width"], row["height"]])
        for row in found.annotations.to_pylist()
    ] == [
        (row["id"], row["image_id"], row["category_id"], row["area"], row["iscrowd"], row["bbox"])
        for row in truth["annotations"]
    ]  # fmt: skip
    masks = [json.loads(text) if text else [] for text in found.annotations["segmentation"].to_pylist()]
    assert masks == [row.get("segmentation", []) for row in truth["annotations"]]
    assert [(r["image_id"], r["file_name"], r["width"], r["height"]) for r in found.images.to_pylist()] == [
        (row["id"], row["file_name"], row["width"], row["height"]) for row in truth["images"]
    ]
    assert [(r["category_id"], r["category_name"]) for r in found.categories.to_pylist()] == [
        (row["id"], row["name"]) for row in truth["categories"]
    ]


BAD = {
    "nan": ('"bbox": [1, 2, NaN, 4]', {"width": None, "x": 1.0, "area": 14.0}, ("not-finite", "bbox[2]", "nan")),
    "infinity": ('"bbox": [1, -Infinity, 3, 4]', {"y": None, "height": 4.0}, ("not-finite", "bbox[1]", "-inf")),
    "huge": ('"bbox": [1, 1e999, 3, 4]', {"y": None}, ("not-finite", "bbox[1]", "inf")),
    "short": ('"bbox": [1, 2, 3]', {"x": None, "height": None}, ("box-arity", "bbox", "[1, 2, 3]")),
    "box of text": ('"bbox": ["1", 2, 3, 4]', {"x": 1.0}, ("wrong-type", "bbox[0]", "1")),
    "no box": ('"bbox": null', {"x": None}, ("missing-field", "bbox", "null")),
    "box object": ('"bbox": {"x": 1}', {"x": None}, ("wrong-type", "bbox", '{"x": 1}')),
    "text id": ('"image_id": "17"', {"image_id": 17}, ("wrong-type", "image_id", "17")),
    "word id": ('"image_id": "a.jpg"', {"image_id": None}, ("wrong-type", "image_id", "a.jpg")),
    "fraction": ('"category_id": 1.5', {"category_id": None}, ("wrong-type", "category_id", "1.5")),
    "true": ('"category_id": true', {"category_id": None}, ("wrong-type", "category_id", "true")),
    "too large": (f'"id": {10**30}', {"annotation_id": None}, ("wrong-type", "id", str(10**30))),
    "thousands of digits": (f'"id": {"9" * 6000}', {"annotation_id": None}, ("not-finite", "id", "inf")),
    "the lowest": (f'"id": {-(2**63)}', {"annotation_id": None}, ("wrong-type", "id", str(-(2**63)))),
    "null id": ('"id": null', {"annotation_id": None}, ("missing-field", "id", "null")),
    "crowd": ('"iscrowd": 7', {"is_crowd": True}, ("wrong-type", "iscrowd", "7")),
    "area": ('"area": "x"', {"area": 14.0}, ("wrong-type", "area", "x")),
    "nan area": ('"area": NaN', {"area": 14.0}, ("not-finite", "area", "nan")),
    "mask": ('"segmentation": 5', {"segmentation": None}, ("wrong-type", "segmentation", "5")),
    "nan mask": ('"segmentation": [[NaN]]', {"segmentation": "[[null]]"}, ("not-finite", "segmentation", "[[NaN]]")),
    "deep": (f'"extra": {"[" * 100_000}{"]" * 100_000}', {"image_id": None}, ("wrong-type", "", "nested too deeply")),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_value_costs_its_own_field(coco_file, bad: tuple, monkeypatch: pytest.MonkeyPatch, rows: Rows) -> None:
    text, expected, (rule, field, observed) = bad
    good = json.dumps(BOX)
    broken = good[:-1] + f", {text}}}"  # the last of two equal keys counts
    found = rows(coco_file([IMAGE], f"[{good}, {broken}, {good}]"))
    assert [row["annotation_row"] for row in found] == [0, 1, 2]
    assert [row["defects"] for row in found if row["defects"] is None] == [None, None]
    assert {name: found[1][name] for name in expected} == expected
    assert {"rule": rule, "field": field, "observed": observed} in found[1]["defects"]
    clean = {name: value for name, value in found[0].items() if name != "annotation_row"}
    assert clean == {name: value for name, value in found[2].items() if name != "annotation_row"}


@pytest.mark.parametrize("text", ["5", "null", '"word"', "[1]", "{}"])
def test_an_element_that_is_no_annotation_keeps_its_row(coco_file, text: str, rows: Rows) -> None:
    found = rows(coco_file([IMAGE], f"[{json.dumps(BOX)}, {text}, {json.dumps(BOX)}]"))
    assert [row["annotation_row"] for row in found] == [0, 1, 2]
    assert found[1]["image_id"] is None
    faults = [defect["rule"] for defect in found[1]["defects"]]
    assert faults == (["missing-field"] * 4 if text == "{}" else ["wrong-type"])


def test_whole_numbers_may_be_written_as_floats(coco_file, rows: Rows) -> None:
    (row,) = rows(coco_file([IMAGE], [BOX | {"image_id": 3.0, "iscrowd": True, "area": None}]))
    assert (row["image_id"], row["is_crowd"], row["area"], row["defects"]) == (3, True, 14.0, None)


def test_difficult_boxes_are_told_and_ignore_is_kept(coco_file, rows: Rows) -> None:
    boxes = [BOX, BOX | {"difficult": 1}, BOX | {"difficult": True}, BOX | {"difficult": 0, "ignore": 1}]
    found = rows(coco_file([IMAGE], [*boxes, BOX | {"difficult": 7}]))
    assert [row["is_difficult"] for row in found] == [False, True, True, False, True]
    assert json.loads(found[3]["attributes"]) == {"ignore": 1}
    assert [row["attributes"] for row in found[:3]] == [None] * 3
    assert [row["defects"] is None for row in found] == [True] * 4 + [False]


def test_an_absent_area_is_width_times_height(coco_file, rows: Rows) -> None:
    (row,) = rows(coco_file([IMAGE], [{name: value for name, value in BOX.items() if name != "area"}]))
    assert (row["area"], row["defects"]) == (14.0, None)


@pytest.mark.parametrize("odd", [{}, {"a\nb": 1}, {'a"b': 1}, {"a\\b": 1}, {"": 1}, {"a` - at `b": 1}])
def test_fields_without_a_column_are_kept(coco_file, read_source, odd: dict[str, int]) -> None:
    extra = {"isfake": 1, "attributes": {"truck": "gr`ün"}, "q z": None} | odd
    found = read_source(source(coco_file([IMAGE | {"license": 3}], [BOX, BOX | extra, BOX | {"bbox": []} | extra])))
    assert json.loads(found.images["attributes"][0].as_py()) == {"license": 3}
    kept = [text and json.loads(text) for text in found.annotations["attributes"].to_pylist()]
    assert kept == [None, extra, extra]


def test_lvis_images_are_named_by_their_url(coco_file, read_source) -> None:
    image = {"id": 1, "width": 5, "height": 5, "coco_url": "http://images.cocodataset.org/val2017/000000397133.jpg"}
    (row,) = read_source(source(coco_file([image | {"neg_category_ids": [1]}]))).images.to_pylist()
    assert (row["file_name"], row["defects"]) == ("val2017/000000397133.jpg", None)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, newline: str, read_source) -> None:
    data = {"images": [IMAGE | {"file_name": "é.jpg"}], "annotations": [BOX], "categories": [{"id": 2, "name": "ä"}]}
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps(data, ensure_ascii=False, indent=1).replace("\n", newline).encode(encoding))
    assert Coco().recognises(path)
    found = read_source(source(path))
    assert found.images["file_name"].to_pylist() == ["é.jpg"]
    assert found.categories["category_name"].to_pylist() == ["ä"]


@pytest.mark.parametrize("name", [b'"a\xff.jpg"', b'"a\x01.jpg"', b'"\\ud800.jpg"', b'"a\\u0000.jpg"'])
def test_odd_text_is_read(tmp_path: Path, name: bytes, read_source) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"images": [{"id": 1, "file_name": %b, "width": 1, "height": 1}], "annotations": []}' % name)
    (row,) = read_source(source(path)).images.to_pylist()
    assert row["image_id"] == 1
    assert row["file_name"].endswith(".jpg")


def test_a_class_without_an_id_is_quarantined(coco_file, read_source) -> None:
    found = read_source(source(coco_file([IMAGE], [], [{"name": "a"}, {"id": "2", "name": "b"}, {"id": 3}])))
    assert [(r["category_id"], r["category_name"]) for r in found.categories.to_pylist()] == [(2, "b"), (3, None)]
    assert found.quarantine.select(["row", "reason"]).to_pylist() == [{"row": 0, "reason": "category-without-id"}]


@pytest.mark.parametrize(("part", "block"), [(150, 1 << 20), (1 << 20, 150), (1000, 100)])
def test_rows_survive_misleading_cuts(
    coco_file, monkeypatch: pytest.MonkeyPatch, rows: Rows, part: int, block: int
) -> None:
    monkeypatch.setattr(json_lists, "PART_BYTES", part)
    monkeypatch.setattr(json_lists, "BLOCK_BYTES", block)
    nested = [{"id": 900 + i, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]} for i in range(5)]
    boxes = [{"id": i, "parts": nested, "image_id": 1, "category_id": 1, "bbox": [i, 0, 1, 1]} for i in range(30)]
    found = rows(coco_file([IMAGE], boxes))
    assert [row["annotation_id"] for row in found] == list(range(30))


def test_fields_and_defects_stay_with_their_rows_across_blocks(
    coco_file, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    monkeypatch.setattr(json_lists, "BLOCK_BYTES", 200)
    boxes = [BOX | {"id": i} | ({f"extra {i}": i} if i % 7 == 0 else {}) for i in range(60)]
    boxes[31]["bbox"] = [1, 2, "x", 4]
    found = rows(coco_file([IMAGE], boxes))
    assert [row["annotation_row"] for row in found] == list(range(60))
    assert [row["annotation_id"] for row in found if row["attributes"]] == list(range(0, 60, 7))
    assert [row["annotation_id"] for row in found if row["defects"]] == [31]


@pytest.mark.parametrize("block", [60, 1 << 20])
def test_garbage_between_rows_is_named_by_its_byte(
    coco_file, rows: Rows, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(json_lists, "BLOCK_BYTES", block)
    text = f"[{json.dumps(BOX)}, {json.dumps(BOX)[:-1]}, oops}}]"
    path = coco_file([IMAGE], text)
    with pytest.raises(BrokenJson) as error:
        rows(path)
    at = Path(path).read_text().index("oops")
    assert f"byte {at}" in str(error.value)


def test_several_files_of_a_split_tell_who_drew(tmp_path: Path, read_source) -> None:
    for name in ("ann", "bob"):
        box = BOX | ({"annotator": "robert"} if name == "bob" else {})
        (tmp_path / f"{name}.json").write_text(json.dumps({"images": [IMAGE], "annotations": [box], "categories": []}))
    found = read_source(source(tmp_path / "ann.json", tmp_path / "bob.json"))
    assert found.annotations["annotator"].to_pylist() == ["ann", "robert"]


def test_what_stands_beside_the_lists_is_counted(coco_file) -> None:
    path = coco_file([{"id": 1, "file_name": "a", "width": 9, "height": 9}], info={"year": 1}, videos=[{"id": 1}, {}])
    source = Source("val", "coco", (path,), "/")
    plan = Coco().plan(source)
    pieces = plan.filter(pc.equal(plan["chunk"], plan["chunk"][-1]))
    assert Coco().read(source, pieces).further == {"info": 1, "videos": 2}
    Path(path).write_text('{"images": [], "annotations": [], "categories": []}')
    assert set(Coco().plan(source)["part"].to_pylist()) == {"images", "annotations", "categories"}


@pytest.mark.parametrize("value", [0, -3])
def test_a_stated_side_below_one_pixel_is_a_defect(coco_file, read_source, value: int) -> None:
    path = coco_file(
        [{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9},
         {"id": 2, "file_name": "b.jpg", "width": value, "height": 9}]
    )  # fmt: skip
    rows = read_source(Source("val", "coco", (path,), "/")).images.to_pylist()
    assert [(row["width"], row["height"]) for row in rows] == [(9, 9), (None, 9)]
    assert rows[1]["defects"] == [{"rule": "wrong-type", "field": "width", "observed": str(value)}]


@pytest.mark.parametrize(
    ("written", "defect"),
    [
        (None, ("missing-field", "null")),
        ("", ("missing-field", "")),
        (7, ("wrong-type", "7")),
        ("a\0", ("wrong-type", "a\0")),
        ("a\ud800", ("wrong-type", "a?")),
    ],
)
def test_names_that_are_none(coco_file, read_source, written: object, defect: tuple[str, str]) -> None:
    path = coco_file([{"id": 1, "file_name": written, "width": 9, "height": 9}], [], [{"id": 1, "name": written}])
    found = read_source(Source("val", "coco", (path,), "/"))
    # a zero byte in a file name is noted where pictures are placed
    for rows, field in ((found.images, "file_name"), (found.categories, "name"))[written == "a\0" :]:
        (row,) = rows.to_pylist()
        assert row["defects"] == [{"rule": defect[0], "field": field, "observed": defect[1]}]


def _rows(text: str, coco_file, read_source) -> list[dict[str, Any]]:
    return read_source(Source("val", "coco", (coco_file([], text),), "/")).annotations.to_pylist()


def test_a_repeated_key_is_a_defect_at_its_row(coco_file, read_source) -> None:
    good = '{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "area": 1, "iscrowd": 0}'
    twice = good.replace('"image_id": 1', '"image_id": 1, "image_id": 2')
    rows = _rows(f"[{', '.join([good, good, twice, good])}]", coco_file, read_source)
    assert [row["image_id"] for row in rows] == [1, 1, 2, 1]
    assert [row["defects"] for row in rows] == [
        None, None, [{"rule": "repeated-field", "field": "image_id", "observed": "1, then 2"}], None
    ]  # fmt: skip


@pytest.mark.parametrize("extra", [b'"\xff"', b'["\xff"]'])
def test_bytes_that_are_no_text_are_noted(tmp_path: Path, read_source, extra: bytes) -> None:
    good = b'{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "note": "a"}'
    path = tmp_path / "a.json"
    path.write_bytes(b'{"images": [], "annotations": [%b, %b]}' % (good, good.replace(b'"a"', extra)))
    rows = read_source(Source("val", "coco", (str(path),), "/")).annotations.to_pylist()
    assert [row["defects"] and row["defects"][0]["rule"] for row in rows] == [None, "wrong-type"]


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_row_that_would_fill_the_memory_is_not_read(
    coco_file, read_source, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr("detray.formats.json.rows.MAX_ROW_BYTES", 1000)
    monkeypatch.setattr("detray.formats.json.rows.BLOCK_BYTES", 200)
    rows = [{"id": n, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "note": "x, {"} for n in range(7)]
    rows[place]["note"] = "}, {" * 500
    rows[(place + 1) % 7]["bbox"] = None
    found = _rows(json.dumps(rows), coco_file, read_source)
    assert [row["annotation_id"] for row in found] == [None if n == place else n for n in range(7)]
    assert [row["annotation_row"] for row in found] == list(range(7))
    (defect,) = found[place]["defects"]
    assert "bytes, more than the 1000 that are read" in defect["observed"]
    assert found[(place + 1) % 7]["defects"][0]["field"] == "bbox"
    assert [json.loads(row["attributes"])["note"] for row in found if row["annotation_id"] is not None] == ["x, {"] * 6
