"""Each planted fault is really there, at the place that its record names, and nothing else is changed."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from detray import schema
from detray.demo import faults, shapes
from detray.demo.draw import draw_dataset
from detray.demo.faults import Fault
from detray.errors import DetrayError
from detray.pictures import PictureError, read_picture

Faulty = tuple[Path, list[Fault]]


def _document(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "annotations" / "val.json").read_text())
    return document


def _rows(faulty: Faulty, name: str) -> list[dict[str, Any]]:
    annotations = _document(faulty[0])["annotations"]
    return [
        annotations[fault.annotation_row]
        for fault in faulty[1]
        if fault.name == name and fault.annotation_row is not None
    ]


def test_faults_of_single_rows_stand_at_their_row(faulty: Faulty) -> None:
    images = {image["id"]: image for image in _document(faulty[0])["images"]}
    assert [row["bbox"][2] for row in _rows(faulty, "degenerate box")] == [0.0]
    assert [math.isnan(row["bbox"][1]) for row in _rows(faulty, "coordinate not finite")] == [True]
    (outside,) = _rows(faulty, "box out of bounds")
    assert outside["bbox"][0] + outside["bbox"][2] > images[outside["image_id"]]["width"] + 1
    (unknown,) = _rows(faulty, "unknown category")
    assert unknown["category_id"] not in range(1, len(shapes.CLASSES) + 1)
    (orphan,) = _rows(faulty, "annotation without image")
    assert orphan["image_id"] not in images
    first, second = _rows(faulty, "annotation id used twice")
    assert first["id"] == second["id"]
    assert first["bbox"] != second["bbox"]
    (twice,) = _rows(faulty, "box twice")
    same = [
        row
        for row in _document(faulty[0])["annotations"]
        if all(row[key] == twice[key] for key in ("image_id", "category_id", "bbox"))
    ]
    assert len(same) == 2
    assert same[1] == twice


def test_wrong_classes_and_missing_boxes_against_the_clean_split(faulty: Faulty, drawn: Path) -> None:
    clean = {row["id"]: row for row in _document(drawn)["annotations"]}
    wrong = _rows(faulty, "wrong class")
    assert len(wrong) >= 5
    for row in wrong:
        assert shapes.CLASSES[row["category_id"] - 1] == faults.RELABELLED_AS
        assert clean[row["id"]]["category_id"] != row["category_id"]
        assert clean[row["id"]]["bbox"] == row["bbox"]
    left_out = [fault for fault in faulty[1] if fault.name == "missing box"]
    assert len(left_out) >= 5
    kept = {(row["image_id"], tuple(row["bbox"])) for row in _document(faulty[0])["annotations"]}
    for fault in left_out:
        assert (fault.image_id, fault.box) not in kept
        assert any(
            row["image_id"] == fault.image_id
            and tuple(row["bbox"]) == fault.box
            and shapes.CLASSES[row["category_id"] - 1] == fault.category_name
            for row in clean.values()
        )


def test_picture_faults(faulty: Faulty) -> None:
    folder, planted = faulty
    by_name = {fault.name: fault for fault in planted}
    with pytest.raises(PictureError, match="truncated"):
        read_picture(str(folder / by_name["picture cut off"].file))
    with pytest.raises(PictureError, match="missing"):
        read_picture(str(folder / by_name["picture missing"].file))
    stated = {image["id"]: image for image in _document(folder)["images"]}[by_name["wrong image size"].image_id]
    assert read_picture(str(folder / "images" / "val" / stated["file_name"])).shape[1] != stated["width"]


def test_everything_else_is_as_it_was(faulty: Faulty, drawn: Path) -> None:
    touched = {fault.annotation_row for fault in faulty[1]}
    clean = {row["id"]: row for row in _document(drawn)["annotations"]}
    rest = [row for number, row in enumerate(_document(faulty[0])["annotations"]) if number not in touched]
    assert len(rest) > 60
    assert all(row == clean[row["id"]] for row in rest)
    names = {Path(fault.file).name for fault in faulty[1] if fault.file.endswith(".jpg")}
    pictures = [path for path in (drawn / "images" / "val").iterdir() if path.name not in names]
    assert all(path.read_bytes() == (faulty[0] / "images" / "val" / path.name).read_bytes() for path in pictures)


def test_planting_again_gives_the_same_and_the_record_reads_back(faulty: Faulty, drawn: Path, tmp_path: Path) -> None:
    again = faults.plant_faults(drawn, tmp_path, seed=5)
    assert again == faulty[1] == faults.read_planted(tmp_path)
    assert faults.plant_faults(drawn, tmp_path, seed=5) == again  # over its own result
    assert faults.plant_faults(drawn, tmp_path, seed=6) != again


def test_too_small_a_split_is_refused(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "clean", train=0, val=4, test=0)
    with pytest.raises(DetrayError, match="too few pictures"):
        faults.plant_faults(tmp_path / "clean", tmp_path / "faulty")


def test_shifted_detections_are_the_same_but_for_their_ids(tmp_path: Path) -> None:
    detection = {"model": "m", "image_id": 7, "x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0, "score": 0.5, "rank": 1}
    predictions = schema.from_rows(
        "predictions",
        [
            detection | {"split": "val", "category_id": 1},
            detection | {"split": "val", "category_id": 6},
            detection | {"split": "train", "category_id": 2},
        ],
        run="r",
    )
    faults.write_detections(predictions, tmp_path / "a.json")
    fault = faults.write_shifted_detections(predictions, tmp_path / "b.json")
    plain, shifted = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert [row["category_id"] for row in plain] == [1, 6]
    assert [row["category_id"] for row in shifted] == [0, 5]
    assert [row["bbox"] for row in shifted] == [row["bbox"] for row in plain] == [[1.0, 2.0, 3.0, 4.0]] * 2
    assert fault.evidence[0].code == "label_id_mismatch"
    assert fault.file == "b.json"
