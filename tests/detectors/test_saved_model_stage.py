"""A SavedModel from the command line: predicted, evaluated, refused, trusted; on Ray the same detections."""

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
import saved_models
from drawn import CLASSES, draw
from models import ONE_PICTURE
from test_saved_model import LINES, writing

from detray import cli, tables
from detray.settings import to_yaml
from detray.store import Store
from detray.verbs.engine import Engine


@dataclass(frozen=True)
class Place:
    """A drawn data set and a model that finds its objects; the model counts from 1, the data set has 3 and 7."""

    folder: Path
    config: Path

    def run(self, verb: str, output: str, *options: str) -> int:
        return cli.main([verb, "--config", str(self.config), "--output", str(self.folder / output), *options])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("stage")
    shard = draw(folder / "pictures", 9, "val")
    boxes, owner, kind = (
        tables.boxes(shard.annotations),
        *(shard.annotations[name].to_pylist() for name in ("image_id", "category_id")),
    )
    found = {
        "images": shard.images.select(["file_name"]).append_column("id", shard.images["image_id"]).to_pylist(),
        "categories": [{"id": number, "name": name} for number, name in CLASSES.items()],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "bbox": box.tolist(), "area": box[2] * box[3]}
            for number, (image, category, box) in enumerate(zip(owner, kind, boxes, strict=True), 1)
        ],
    }
    (folder / "val.json").write_text(json.dumps(found))
    model = saved_models.write(folder / "model", saved_models.api, ONE_PICTURE, "uint8")
    config = {
        "dataset": {"splits": {"val": {"annotations": str(folder / "val.json"), "images": str(folder / "pictures")}}},
        "detector": {"kind": "saved_model", "path": str(model)},
        "predict": {"category_map": {1: 3, 2: 7}},
        "evaluate": {"bootstrap": 0},
    }
    (folder / "config.yaml").write_text(to_yaml(config))
    return Place(folder, folder / "config.yaml")


@pytest.fixture(scope="module")
def serial(place: Place) -> Store:
    assert place.run("evaluate", "serial", "--serial") == 0
    return Store(str(place.folder / "serial"))


def test_its_detections_are_evaluated_as_the_data_sets_classes(serial: Store) -> None:
    metrics = serial.read("class_metrics", filters=[("area_range", "=", "all")]).to_pylist()
    assert {row["category_name"]: row["ap"] for row in metrics} == {"red": 1.0, "green": 1.0}
    manifest = serial.manifest("predict")
    assert manifest is not None
    assert LINES["api of one picture"] in manifest["notes"]
    assert manifest["facts"]["layout"]["box_order"] == "yxyx"
    assert serial.manifest("train") is None


def test_a_model_stands_in_the_place_of_detections(place: Place, serial: Store, tmp_path: Path) -> None:
    """As an exporter leaves it: in a folder beside its checkpoint."""
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "saved_model").symlink_to(place.folder / "model")
    command = ["evaluate", str(place.folder / "val.json"), str(tmp_path / "exported"), "--serial"]
    options = ["--images", str(place.folder / "pictures"), "--set", "predict.category_map={1: 3, 2: 7}"]
    assert cli.main([*command, *options, "--output", str(tmp_path / "out")]) == 0
    columns = ["image_id", "category_id", "x", "y", "width", "height", "score"]
    rows = [
        _sorted(store.read("predictions").select([*columns, "rank"]))
        for store in (serial, Store(str(tmp_path / "out")))
    ]
    assert rows[0].equals(rows[1])


@pytest.mark.ray
@pytest.mark.slow
def test_on_ray_it_finds_the_same(place: Place, serial: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "_pays", lambda engine, work: True)
    assert place.run("predict", "ray") == 0
    own = Store(str(place.folder / "ray"))
    manifest = own.manifest("predict")
    assert manifest is not None
    assert manifest["cluster"]["executor"] == "RayExecutor"
    rows = [_sorted(store.read("predictions").drop_columns("run_id")) for store in (serial, own)]
    assert rows[0].equals(rows[1])


def _sorted(rows: pa.Table) -> pa.Table:
    return rows.sort_by([("image_id", "ascending"), ("rank", "ascending")])


def test_what_is_no_model_ends_before_anything_starts(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x12\xff")
    assert place.run("predict", "bad", "--serial", "--set", f"detector.path={tmp_path}") == 2
    error = capsys.readouterr().err
    assert f"{tmp_path}/saved_model.pb: cut off, or no SavedModel; export the model again" in error
    assert Store(str(place.folder / "bad")).manifest("predict") is None


def test_a_model_that_writes_runs_only_where_it_is_trusted(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "mark"
    saved_models.write(tmp_path / "model", writing(mark), ONE_PICTURE, "uint8")
    command = ("predict", "trust", "--serial", "--set", f"detector.path={tmp_path / 'model'}")
    assert place.run(*command) == 2
    assert "writes files (WriteFile); --trust-model runs it all the same" in capsys.readouterr().err
    assert not mark.exists()
    assert place.run(*command, "--trust-model") == 0
    assert mark.read_text() == "here"
