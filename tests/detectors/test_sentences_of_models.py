"""TFLite and Keras files on the command line: predicted and evaluated as they are, or refused in a sentence."""

import json
from pathlib import Path

import keras_models
import pytest
import tflite_models as lite
from drawn import CLASSES, draw

from detray import cli
from detray.store import Store

LABELS = "".join(f"{name}\n" for name in CLASSES.values())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures, each of a red and a green square, in COCO's format."""
    folder = tmp_path_factory.mktemp("data")
    shard = draw(folder / "images", 4, "val")
    images = [
        {"id": row["image_id"], "file_name": row["file_name"], "width": 144, "height": 96}
        for row in shard.images.to_pylist()
    ]
    boxes = [
        {"id": row["annotation_id"] + 1, "image_id": row["image_id"], "category_id": row["category_id"], "iscrowd": 0,
         "bbox": [row[side] for side in ("x", "y", "width", "height")], "area": row["width"] * row["height"]}
        for row in shard.annotations.to_pylist()
    ]  # fmt: skip
    categories = [{"id": number, "name": name} for number, name in CLASSES.items()]
    (folder / "val.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return folder


def run(verb: str, data: Path, output: Path, *settings: str) -> int:
    splits = {"val": {"format": "coco", "annotations": "val.json", "images": "images"}}
    config = output.parent / "config.yaml"
    config.write_text("name: models\n")
    given = [f"dataset.splits={json.dumps(splits)}", f"dataset.root={data}", "evaluate.bootstrap=0", *settings]
    pairs = [part for value in given for part in ("--set", value)]
    return cli.main([verb, "--config", str(config), "--output", str(output), "--serial", *pairs])


def test_a_tflite_file(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported = lite.renamed(
        lite.convert(lite.suppressed()),
        ("score", "location", "count", "category"),
        lite.metadata([127.5], [127.5], ("score", "location", "count", "category")),
    )
    path = tmp_path / "finder.tflite"
    path.write_bytes(lite.with_files(exported, {"labels.txt": LABELS}))
    assert run("evaluate", data, tmp_path / "out", "detector.kind=tflite", f"detector.path={path}") == 0
    shown = capsys.readouterr()
    assert "at most 2 detections: input float32 -1..1, batch 1, stretched to 96 x 64 px" in shown.out + shown.err
    assert mean_ap50(tmp_path / "out") == 1
    manifest = json.loads((tmp_path / "out/predict/manifest.json").read_text())
    assert manifest["facts"]["layout"]["box_order"] == "yxyx"


def test_a_keras_file(data: Path, tmp_path: Path) -> None:
    path = keras_models.write(tmp_path, keras_models.api)
    ids = "predict.category_map={1: 3, 2: 7}"
    assert run("evaluate", data, tmp_path / "out", "detector.kind=keras", f"detector.path={path}", ids) == 0
    assert mean_ap50(tmp_path / "out") == 1


def test_what_a_file_does_not_say_is_asked_with_what_each_answer_hits(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "finder.tflite"
    path.write_bytes(lite.convert(lite.suppressed()))
    assert run("predict", data, tmp_path / "out", "detector.kind=tflite", f"detector.path={path}") == 2
    said = capsys.readouterr().err
    assert "its signature does not tell input_range; of 8 objects in 4 pictures" in said
    assert "input_range" in said.partition("4 pictures")[2]
    assert "-1..1" in said.partition(" hits 8")[0]


@pytest.mark.parametrize("kind", ["tflite", "keras"])
def test_files_that_are_no_models(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    for place, says in (
        (path, "save it as .keras" if kind == "keras" else "no TFLite file"),
        (tmp_path / "absent", "no such file"),
    ):
        assert run("predict", data, tmp_path / "out", f"detector.kind={kind}", f"detector.path={place}") == 2
        said = capsys.readouterr().err
        assert str(place) in said
        assert says in said
        assert "Traceback" not in said
    assert run("predict", data, tmp_path / "out", f"detector.kind={kind}") == 2
    assert f"detector.kind is {kind}, so detector.path must name the model" in capsys.readouterr().err


def mean_ap50(output: Path) -> float:
    rows = Store(str(output)).read("summary_metrics").to_pylist()
    return next(row["value"] for row in rows if row["metric"] == "AP50")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("resize=none", "detector.io.resize is none, but it takes"),
        ("batch=4", "detector.io.batch is 4, but it takes"),
        ("anchors=FILE", "detector.io.anchors is set, but its boxes are decoded"),
        ("outputs={boxes: output_0}", "boxes are [1, n, 4] and scores and classes [1, n]"),
    ],
)
def test_settings_that_contradict_a_tflite_file(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, sentence: str
) -> None:
    path = tmp_path / "finder.tflite"
    path.write_bytes(lite.convert(lite.suppressed()))
    stated = f"detector.io.{setting.replace('FILE', str(data / 'val.json'))}"
    given = ("detector.kind=tflite", f"detector.path={path}", "detector.io.input_range=-1..1", stated)
    assert run("predict", data, tmp_path / "out", *given) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "ingest" not in said


@pytest.mark.parametrize("kind", ["retinanet", "saved_model", "tflite", "keras"])
def test_a_model_that_is_none_is_refused_before_anything_starts(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    file, folder = tmp_path / "picture.jpg", tmp_path / "empty"
    file.write_bytes(next((data / "images").iterdir()).read_bytes())
    folder.mkdir()
    for path in (file, folder, tmp_path / "nowhere"):
        assert run("evaluate", data, tmp_path / "out", f"detector.kind={kind}", f"detector.path={path}") == 2
        said = capsys.readouterr().err
        assert str(path) in said
        assert "ingest" not in said
    assert not (tmp_path / "out/ingest").exists()
