"""Detections as shares of their picture: folders of YOLO predictions, outputs of TensorFlow detectors."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from detray import cli, schema
from detray.errors import DetrayError
from detray.flow.data import MemoryData
from detray.flow.memory import InMemoryRun, run_in_memory
from detray.formats import canonical
from detray.formats.detections import shares
from detray.formats.detections.flow import take_over
from detray.formats.json import whole
from detray.meaning.settle import Stated
from detray.store import Store
from detray.tables import Shard

SIZES = {1: ("deep/a.jpg", 100, 200), 2: ("b.png", 10, 10), 3: ("3.jpg", None, None)}


@pytest.fixture(scope="module")
def data() -> MemoryData:
    """Three images, of which one has no known size."""
    images = [
        {"split": "val", "image_id": number, "file_name": name, "width": width, "height": height}
        for number, (name, width, height) in SIZES.items()
    ]
    classes = [{"split": "val", "category_id": 2, "category_name": "red", "source": "annotations"}]
    images_table, classes_table = (
        schema.from_rows("images", images, run="t"),
        schema.from_rows("categories", classes, run="t"),
    )
    return MemoryData([Shard("val", images_table, schema.empty("annotations"), classes_table)])


def taken(data: MemoryData, path: Path) -> InMemoryRun:
    return run_in_memory(take_over, data, str(path), "val", Stated(), "t", tables=("predictions", "quarantine"))


def kept(run: InMemoryRun) -> list[tuple]:
    columns = ("image_id", "category_id", "x", "y", "width", "height", "score", "rank")
    return [tuple(row[name] for name in columns) for row in run.tables["predictions"].to_pylist()]


def lost(run: InMemoryRun) -> dict[int, str]:
    table = run.tables["quarantine"]
    return dict(zip(table["row"].to_pylist(), table["reason"].to_pylist(), strict=True))


@pytest.mark.parametrize("size", [1000, 1])
def test_a_folder_of_yolo_predictions(
    tmp_path: Path, data: MemoryData, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "FILES_PER_CHUNK", size)
    (tmp_path / "a.txt").write_text("1 0.5 0.5 0.25 0.5 0.75\n1 0.5 0.5 0.5 0.5 0.5 7\n1 0.5 0.5 0.5 0.5\n\nx\n")
    (tmp_path / "b.txt").write_text("1 .5 .5 1 1 1\n0 .5 .5 1 1 1\n")
    (tmp_path / "c.txt").write_text("1 .5 .5 1 1 1\n")
    (tmp_path / "3.txt").write_text("1 .5 .5 1 1 1\n")
    (tmp_path / "classes.txt").write_text("red\n")
    run = taken(data, tmp_path)
    # rows in the order of the files 3, a, b, c
    assert kept(run) == [
        (1, 2, 37.5, 50, 25, 100, 0.75, 2),
        (1, 2, 25, 50, 50, 100, 0.5, 3),
        (2, 2, 0, 0, 10, 10, 1, 6),
    ]
    assert lost(run) == {
        0: "unreadable-row",  # nobody knows the size of its image
        3: "unreadable-row",
        4: "unreadable-row",
        6: "unknown-category",
        7: "unknown-image",
    }
    assert run.outcome.counts == {"in": 8, "kept": 3, "quarantined": 5}


def outputs(image: Any, boxes: Any, classes: Any, scores: Any, **more: Any) -> dict[str, Any]:
    return {
        "image_id": image,
        "detection_boxes": boxes,
        "detection_classes": classes,
        "detection_scores": scores,
    } | more


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("size", [2000, 1])
def test_outputs_of_a_tensorflow_detector(
    tmp_path: Path, data: MemoryData, wrap: bool, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "RECORDS_PER_CHUNK", size)
    three = [[0.25, 0.5, 0.75, 1.0], [0, 0, 1, "x"], [0, 0, 0, 0]]
    rows = [
        outputs("a.jpg", three, [2.0, 2, 2], [0.5, 0.5], num_detections=2.0),
        outputs(2, [[0, 0, 1, 1]], [2], [0.25]),
        outputs(None, [[0, 0, 1, 1]], [2], [0.25]),
        7,
    ]  # fmt: skip
    path = tmp_path / "dets.json"
    path.write_text(json.dumps({"predictions": rows} if wrap else rows))
    run = taken(data, path)
    assert kept(run) == [(1, 2, 50, 50, 50, 100, 0.5, 1), (2, 2, 0, 0, 10, 10, 0.25, 3)]
    assert lost(run) == {1: "unreadable-row", 3: "unreadable-row", 4: "unreadable-row"}


@pytest.mark.parametrize("key", ["detection_class_entities", "detection_class_names"])
def test_outputs_may_name_their_classes(tmp_path: Path, data: MemoryData, key: str) -> None:
    boxes = [[0.25, 0.5, 0.75, 1.0], [0, 0, 1, 1], [0, 0, 0.5, 0.5]]
    path = tmp_path / "dets.json"
    path.write_text(json.dumps([outputs("a.jpg", boxes, [7, 2, 2], [0.5, 0.4, 0.3], **{key: ["Reds", "emu"]})]))
    run = taken(data, path)
    assert [row[:2] for row in kept(run)] == [(1, 2), (1, 2)]
    assert lost(run) == {1: "unknown-category"}
    assert run.outcome.notes[1].endswith("dets.json: its classes that the data lacks: emu")


def test_a_folder_without_predictions_is_refused(tmp_path: Path, data: MemoryData) -> None:
    with pytest.raises(DetrayError, match="a folder of YOLO predictions, or a file of detections"):
        taken(data, tmp_path)


def test_by_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical, "SHARD_ROWS", 1)
    images = [{"id": number, "file_name": f"{number}.jpg", "width": 10, "height": 10} for number in (1, 2)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [2, 2, 4, 4]} for n in (1, 2)]
    truth = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "red"}]}
    (tmp_path / "val.json").write_text(json.dumps(truth))
    (tmp_path / "labels").mkdir()
    for number in (1, 2):
        (tmp_path / "labels" / f"{number}.txt").write_text("0 0.4 0.4 0.4 0.4 0.9\n")
    arguments = [str(tmp_path / "val.json"), str(tmp_path / "labels"), "--serial", "--output", str(tmp_path / "out")]
    assert cli.main(["evaluate", *arguments]) == 0
    rows = Store(str(tmp_path / "out")).read("class_metrics", filters=[("area_range", "=", "all")]).to_pylist()
    assert [row["ap"] for row in rows] == [pytest.approx(1)]


def test_nothing_in_a_file_ends_the_reading(tmp_path: Path, data: MemoryData) -> None:
    path = tmp_path / "dets.json"
    good = json.dumps([outputs("a.jpg", [[0, 0, 1, 1]], [2], [0.5])] * 2)
    nasty = ["null", "NaN", "-1e999", "[]", "{}", '"x"', "9" * 30, "true"]
    for old in ("[[0, 0, 1, 1]]", "[0, 0, 1, 1]", "[2]", "[0.5]", '"a.jpg"', "0.5", "2"):
        for new in nasty:
            path.write_text(good.replace(old, new, 1))
            with contextlib.suppress(DetrayError):
                run = taken(data, path)
                assert run.outcome.counts["in"] == run.outcome.counts["kept"] + run.outcome.counts["quarantined"]
