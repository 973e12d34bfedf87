"""Detection files: every row is kept, or quarantined with its reason."""

import contextlib
import io
import json
from pathlib import Path

import pyarrow as pa
import pytest

from detray.errors import DetrayError, UsageError
from detray.flow.account import LeftOut
from detray.formats.detections import rows as detections
from detray.formats.detections.check import REASONS, left_out
from detray.formats.detections.check import validate as validated
from detray.formats.detections.ids import image_names, image_texts, with_classes, with_image_names
from detray.formats.json import lists as json_lists
from detray.meaning.settle import Meaning

IMAGES = pa.table({"image_id": [1, 2, 2], "file_name": ["a.jpg", "b.jpg", "b.jpg"]})
CLASSES = pa.table({"category_id": [7], "category_name": ["cat"]})
GOOD = {"image_id": 2, "category_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5}


def write(folder: Path, rows: list | str) -> Path:
    path = folder / "detections.json"
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return path


def validate(raw: pa.Table) -> tuple[pa.Table, pa.Table]:
    return validated(raw, IMAGES, CLASSES, run="r", model="m", split="val")


@pytest.mark.parametrize("name", ["fakebbox100_results.json", "fakesegm100_results.json"])
def test_boxes_are_pycocotools_own(shared: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pycocotools.coco import COCO

    folder = shared / "coco_val2014_100"
    with contextlib.redirect_stdout(io.StringIO()):
        expected = COCO(str(folder / "instances_val2014_100.json")).loadRes(str(folder / name)).anns
    monkeypatch.setattr(json_lists, "PART_BYTES", 10_000)
    found = detections.read_all(folder / name).to_pylist()
    assert len(detections.plan(folder / name)) > 3
    assert [
        (
            row["rank"],
            row["image_id"],
            row["category_id"],
            row["score"],
            [row[s] for s in ("x", "y", "width", "height")],
        )
        for row in found
    ] == [
        (number, row["image_id"], row["category_id"], row["score"], list(row["bbox"]))
        for number, row in sorted(expected.items())
    ]


def test_good_rows_keep_their_order_and_names(tmp_path: Path) -> None:
    rows = [GOOD | {"score": score} for score in (0.1, 0.9, 0.9)]
    predictions, quarantine = validate(detections.read_all(write(tmp_path, rows)))
    assert predictions.select(["rank", "score", "file_name", "category_name", "x", "height"]).to_pylist() == [
        {"rank": rank, "score": score, "file_name": "b.jpg", "category_name": "cat", "x": 1.0, "height": 4.0}
        for rank, score in ((1, 0.1), (2, 0.9), (3, 0.9))
    ]
    assert quarantine.num_rows == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ('"score": NaN', "nan-score"),
        ('"score": 1e999', "nan-score"),
        ('"score": 1.5', "score-out-of-range"),
        ('"score": -0.1', "score-out-of-range"),
        ('"score": null', "unreadable-row"),
        ('"bbox": [1, 2, Infinity, 4]', "not-finite-box"),
        ('"bbox": [1, 2, 3]', "unreadable-row"),
        ('"bbox": null', "unreadable-row"),
        ('"bbox": [1, 2, -3, 4]', "negative-size"),
        ('"image_id": 99', "unknown-image"),
        ('"image_id": "a.jpg"', "unknown-image"),
        ('"category_id": 99', "unknown-category"),
        ('"segmentation": {"size": [0, 0], "counts": "abc"}, "bbox": null', "unreadable-row"),
        ('"segmentation": {"size": [9, 9], "counts": "\\u0000\\u7fff"}, "bbox": null', "unreadable-row"),
        # run lengths that do not add up, or break off, send C code beyond its memory
        ('"segmentation": {"size": [9, 9], "counts": "34"}, "bbox": null', "unreadable-row"),
        ('"segmentation": {"size": [9, 9], "counts": "``"}, "bbox": null', "unreadable-row"),
        ('"segmentation": {"size": [9, 9], "counts": [3, 9000]}, "bbox": null', "unreadable-row"),
    ],
)
def test_a_bad_row_is_quarantined_with_its_reason(tmp_path: Path, change: str, reason: str) -> None:
    good = json.dumps(GOOD)
    raw = detections.read_all(write(tmp_path, f"[{good}, {good[:-1]}, {change}}}, {good}]"))
    assert raw.num_rows == 3
    predictions, quarantine = validate(raw)
    assert predictions["rank"].to_pylist() == [1, 3]
    assert quarantine.select(["stage", "row", "reason"]).to_pylist() == [
        {"stage": "predict", "row": 1, "reason": reason}
    ]
    assert reason in REASONS


def test_ids_as_text_are_read_and_noted(tmp_path: Path) -> None:
    raw = detections.read_all(write(tmp_path, [GOOD | {"image_id": "2"}]))
    assert raw["defects"].to_pylist() == [[{"rule": "wrong-type", "field": "image_id", "observed": "2"}]]
    assert validate(raw)[0].num_rows == 1


def test_class_ids_are_read_as_a_mapping_says(tmp_path: Path) -> None:
    rows = [GOOD | {"category_id": k} for k in (0, 7, None, 5)]
    raw = with_classes(detections.read_all(write(tmp_path, rows)), Meaning({0: 7, 7: 3}))
    assert raw["category_id"].to_pylist() == [7, 3, None, 5]
    assert raw.schema.equals(detections.RAW)


@pytest.mark.parametrize("key", ["category_name", "class_name", "label", "class"])
def test_names_of_classes_count_for_more_than_ids(tmp_path: Path, key: str) -> None:
    rows = [GOOD | {"category_id": k, key: name} for k, name in ((0, "cat"), (7, "dog"), (7, 5), (5, None))]
    rows += [{name: value for name, value in GOOD.items() if name != "category_id"} | {key: "cat"}]
    text = json.dumps(rows)
    for written in (text, text.replace('"score": 0.5', '"score": "0.5"')):  # numbers as text are read row by row
        raw = detections.read_all(write(tmp_path, written))
        assert raw["category_name"].to_pylist() == ["cat", "dog", None, None, "cat"]
        raw = with_classes(raw, Meaning({5: 3}, foreign={6: "emu"}, names={"cat": 7}))
        assert raw["category_id"].to_pylist() == [7, None, 7, 3, 7]
    predictions, quarantine = validate(raw)
    assert predictions["rank"].to_pylist() == [1, 3, 5]
    assert quarantine["reason"].to_pylist() == ["unknown-category"] * 2
    assert "class dog" in quarantine["detail"][0].as_py()


def test_ids_of_classes_that_the_data_lacks_mean_none_of_its(tmp_path: Path) -> None:
    raw = detections.read_all(write(tmp_path, [GOOD, GOOD | {"category_id": 8}]))
    _, quarantine = validate(with_classes(raw, Meaning({8: 7}, foreign={7: "emu"})))
    assert quarantine.select(["row", "reason"]).to_pylist() == [{"row": 0, "reason": "unknown-category"}]
    assert "class emu" in quarantine["detail"][0].as_py()


def test_no_detections_at_all(tmp_path: Path) -> None:
    raw = detections.read_all(write(tmp_path, "[]"))
    assert [table.num_rows for table in (raw, *validate(raw))] == [0, 0, 0]


@pytest.mark.parametrize("text", ["", "[{}", '[{"image_id": 1} {"image_id": 2}]', "[1, 2,, 3]"])
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DetrayError, match=r"detections\.json, byte \d+"):
        detections.read_all(path)


@pytest.mark.parametrize("name", detections.WRAPPERS)
def test_a_list_that_an_object_wraps_is_read(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [GOOD | {"score": number / 100} for number in range(100)]
    monkeypatch.setattr(json_lists, "PART_BYTES", 1000)
    wrapped = write(tmp_path, json.dumps({"info": {"name": "x"}, name: rows, "images": []}))
    assert len(detections.plan(wrapped)) > 3
    found = detections.read_all(wrapped).drop_columns("source_file")
    assert found.equals(detections.read_all(write(tmp_path, rows)).drop_columns("source_file"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{}", "0 lists of detections"),
        (b'{"results": [], "detections": []}', "2 lists of detections"),
        (b'{"image_id": 1}\n{"image_id": 2}\n', "one JSON object a line"),
        (b"image_id,score\n1,0.5\n", "not JSON"),
        (b"\x1f\x8b\x08\x00abc", "compressed by gzip"),
        (b'{"annotations": [{"image_id": 1}', "cut off"),
    ],
)
def test_what_is_no_results_file_says_what_it_is(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "detections.json"
    path.write_bytes(data)
    with pytest.raises(DetrayError, match=words):
        detections.read_all(path)


def test_images_may_be_named_by_their_files(tmp_path: Path) -> None:
    images = pa.table({"image_id": [1, 2, 3, 4], "file_name": ["x/a.jpg", "x/b.v2.png", "y/a.jpg", "c.jpg"]})
    names = ["b.v2", "c", "x/a.jpg", "a.jpg", "7", "none.jpg", None]
    raw = detections.read_all(write(tmp_path, [GOOD | {"image_id": name} for name in names]))
    assert image_texts(raw).to_pylist() == ["b.v2", "c", "x/a.jpg", "a.jpg", None, "none.jpg", None]
    found = with_image_names(raw, image_names(images))
    assert found["image_id"].to_pylist() == [2, 4, 1, None, 7, None, None]
    assert found.schema.equals(detections.RAW)


def test_what_was_left_out_is_counted_with_an_example(tmp_path: Path) -> None:
    rows = [GOOD, GOOD | {"image_id": "x.jpg"}, GOOD | {"score": 3}, GOOD | {"score": 2}]
    _, quarantine = validate(detections.read_all(write(tmp_path, rows)))
    assert left_out(quarantine) == {
        "score-out-of-range": LeftOut(2, 2, "image 2, class 7, score 3, box 1 2 3 4"),
        "unknown-image": LeftOut(1, 1, "image x.jpg, class 7, score 0.5, box 1 2 3 4"),
    }


def test_a_path_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no such file"):
        detections.plan("absent.json")
