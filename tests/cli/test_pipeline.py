"""``--pipeline``: a pipeline.config is checked against data, label map and checkpoint, and names the data by itself."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pipelines import CONFIG, bccd_records, example, write_label_map

from detray import cli
from detray.pipeline.edit import apply
from detray.settings import read_yaml

DENSE = [("RBC", (10 + 3 * k, 10, 60 + 3 * k, 60)) for k in range(20)]
FEW = [("Platelets", (100, 100, 120, 120)), ("WBC", (10, 10, 150, 150))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small records of two splits, a label map and a pipeline.config, in the current directory."""
    for part, boxes in (("train.record-00000-of-00002", DENSE), ("train.record-00001-of-00002", FEW)):
        records = (example(f"{part[-13]}{k}.jpg", (640, 480), boxes) for k in range(4))
        (tmp_path / part).write_bytes(b"".join(records))
    (tmp_path / "val.record").write_bytes(b"".join(example(f"v{k}.jpg", (640, 480), FEW) for k in range(12)))
    write_label_map(tmp_path / "label_map.pbtxt")
    (tmp_path / "pipeline.config").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _audit(*arguments: str) -> list[dict[str, Any]]:
    """The findings of the family pipeline."""
    assert cli.main(["audit", *arguments, "--serial", "--output", "out", "--force"]) == 0
    rows = pq.read_table(Path("out") / "audit" / "findings").to_pylist()
    return [row for row in rows if row["family"] == "pipeline"]


def _edit(**overrides: Any) -> None:
    place = Path("pipeline.config")
    place.write_text(apply(place.read_text(), {key.replace("__", "."): value for key, value in overrides.items()}))


def test_alone_it_names_the_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {row["rule"] for row in _audit("--pipeline", "pipeline.config")}
    assert found == {"pipeline-checkpoint", "pipeline-input"}  # there is none, and platelets have 12 px
    printed = capsys.readouterr().out
    assert "pipeline.config: no rule reads 8 of its fields" in printed
    assert "train  tfrecord       8" in printed
    assert "val    tfrecord      12" in printed


def test_ids_beyond_num_classes_are_told_with_the_class_that_gets_their_misses(folder: Path) -> None:
    _edit(model__ssd__num_classes=2)
    rows = [row for row in _audit("--pipeline", "pipeline.config") if row["rule"] == "class-id-range"]
    assert {(row["split"], row["category_name"], row["other_category_name"], row["count"]) for row in rows} == {
        ("train", "Platelets", "RBC", 4),
        ("val", "Platelets", "RBC", 12),
    }
    assert {row["fix"] for row in rows} == {"write `num_classes: 3` (line 4, in model.ssd)"}


def test_a_change_of_the_label_map_or_the_configuration_is_seen(folder: Path) -> None:
    arguments = ["audit", "--pipeline", "pipeline.config", "--serial", "--output", "out"]
    assert cli.main(arguments) == 0
    write_label_map(folder / "label_map.pbtxt", {"RBC": 1, "WBC": 2})
    assert cli.main(arguments) == 0
    rows = pq.read_table(Path("out") / "audit" / "findings").to_pylist()
    dropped = [row for row in rows if row["rule"] == "pipeline-classes" and row["category_name"] == "Platelets"]
    assert [row["count"] for row in dropped] == [4, 12]


def test_beside_data_that_are_stated(folder: Path) -> None:
    (folder / "other.record").write_bytes((folder / "val.record").read_bytes())
    rules = {row["rule"]: row for row in _audit("other.record", "--pipeline", "pipeline.config")}
    assert rules["pipeline-paths"]["severity"] == 2
    assert "not of the data set" in rules["pipeline-paths"]["observed"]


def test_beside_a_configuration(folder: Path) -> None:
    Path("detray.yaml").write_text("dataset: {splits: {val: {annotations: val.record}}}\n")
    found = {row["rule"] for row in _audit("--config", "detray.yaml", "--pipeline", "pipeline.config")}
    assert "pipeline-checkpoint" in found


def test_a_configuration_without_splits_has_those_that_it_reads(folder: Path) -> None:
    Path("detray.yaml").write_text("dataset: {pipeline: pipeline.config}\n")
    assert "pipeline-checkpoint" in {row["rule"] for row in _audit("--config", "detray.yaml")}
    assert set(read_yaml(Path("out") / "audit" / "config.yaml")["dataset"]["splits"]) == {"train", "val"}


def test_paths_are_followed_below_the_data_sets_folder_only(folder: Path) -> None:
    outside = folder.parent / f"{folder.name} elsewhere"
    outside.mkdir()
    (outside / "val.record").write_bytes((folder / "val.record").read_bytes())
    write_label_map(outside / "label_map.pbtxt")
    (folder / "linked.pbtxt").symlink_to(outside / "label_map.pbtxt")
    _edit(train_input_reader__label_map_path="linked.pbtxt")
    _edit(train_config__fine_tune_checkpoint="gs://bucket/ckpt-0")
    place = Path("pipeline.config")
    place.write_text(place.read_text().replace('"val.record"', f'"{outside}/val.record"'))
    rows = _audit("--pipeline", "pipeline.config")
    paths = {row["observed"].partition(":")[0]: row for row in rows if row["rule"] == "pipeline-paths"}
    linked = paths["train_input_reader.label_map_path"]
    assert linked["severity"] == 0
    assert "not looked at" in linked["observed"]
    records = paths["eval_input_reader[0].tf_record_input_reader.input_path[0]"]
    assert records["severity"] == 2
    assert records["fix"].startswith('write `input_path: "val.record"`')
    checkpoint = next(row for row in rows if row["rule"] == "pipeline-checkpoint")
    assert "is a URL, which is not fetched" in checkpoint["observed"]


@pytest.mark.parametrize(
    ("text", "code", "what"),
    [
        ("model { ssd { num_classes: many } }", 2, "pipeline.config, line 1: Couldn't parse integer: many"),
        ("model { ssd { num_classes: 3 } }", 2, "names no records"),
        ("train_input_reader { tf_record_input_reader { input_path: 'a' } }", 2, "a is not there"),
    ],
)
def test_what_is_no_pipeline_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, code: int, what: str
) -> None:
    Path("pipeline.config").write_text(text)
    assert cli.main(["audit", "--pipeline", "pipeline.config", "--output", "out"]) == code
    error = capsys.readouterr().err.strip()
    assert what in error
    assert "\n" not in error


def test_a_path_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["audit", "--pipeline", "none.config"]) == 2
    assert "none.config: no such file" in capsys.readouterr().err


def test_blood_cells_as_the_api_trains_them(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stated = shared.parent / "tf" / "pipeline.config"
    if not stated.is_file():
        pytest.skip("no pipeline.config of the API beside the data")
    (tmp_path / "DATA").mkdir()
    for split in ("train", "val"):
        (tmp_path / "DATA" / f"{split}.record").write_bytes(b"".join(bccd_records(shared / "bccd", split)))
    write_label_map(tmp_path / "DATA" / "label_map.pbtxt")
    (tmp_path / "pipeline.config").write_text(stated.read_text())
    monkeypatch.chdir(tmp_path)
    found = {(row["rule"], row["category_name"]): row for row in _audit("--pipeline", "pipeline.config")}
    assert set(found) == {
        ("pipeline-schedule", None),
        ("pipeline-input", "Platelets"),
        ("pipeline-checkpoint", None),
    }
    assert "8.0 times too high by ssd_mobilenet_v2_fpnlite_320x320" in found["pipeline-schedule", None]["observed"]
    assert "no rule reads 22 of its fields" in capsys.readouterr().out


def test_a_remedy_is_also_lines_of_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boxes = [[20 * (k % 10), 40 * (k // 10 % 3), 20, 20] for k in range(90)]
    truth = {
        "images": [{"id": k, "file_name": f"{k}.jpg", "width": 640, "height": 480} for k in range(3)],
        "categories": [{"id": 1, "name": "RBC"}],
        "annotations": [
            {"id": k + 1, "image_id": k % 3, "category_id": 1, "bbox": box, "area": 400, "iscrowd": 0}
            for k, box in enumerate(boxes)
        ],
    }
    found = [
        {"image_id": k % 3, "category_id": 1, "bbox": [box[0] + 300, box[1] + 200, 20, 20], "score": 0.9 - k / 200}
        for k, box in enumerate(boxes)
    ]
    Path("gt.json").write_text(json.dumps(truth))
    Path("dets.json").write_text(json.dumps(found))
    files = ["gt.json", "dets.json", "--pipeline", "pipeline.config"]
    assert cli.main(["diagnose", *files, "--serial", "--output", "out"]) == 0
    rows = pq.read_table(Path("out") / "diagnose" / "diagnoses").to_pylist()
    first = next(row["remedy_pipeline"] for row in rows if row["rank"] == 1 and row["remedy_pipeline"])
    assert f"    pipeline.config: {first.splitlines()[0]}" in capsys.readouterr().out.splitlines()
