"""The Keras callback: each epoch's AP by class, in ``logs``, in Parquet and in a line."""

import contextlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import detray
from detray import schema
from detray.detectors.runtime import tensorflow
from detray.errors import UsageError
from detray.judge import ClassScores

sys.path.append(str(Path(__file__).parents[1] / "detectors"))
import keras_models

IMAGES, SIDE = 60, 100
NAMES = {1: "cat", 2: "dog", 9: "rare/one"}


def scene(seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """What a network is shown of each image, ``[n, 6]``: box as shares of the side and class; and the annotations."""
    random = np.random.default_rng(seed)
    boxes = np.concatenate([random.uniform(0.05, 0.5, (IMAGES, 2)), random.uniform(0.2, 0.45, (IMAGES, 2))], axis=1)
    classes = random.choice([1, 2], IMAGES)
    shown = np.concatenate([boxes, np.eye(3)[classes][:, 1:]], axis=1)
    coco = {
        "images": [{"id": n + 1, "file_name": f"{n}.jpg", "width": SIDE, "height": SIDE} for n in range(IMAGES)],
        "categories": [{"id": number, "name": name} for number, name in NAMES.items()],
        "annotations": [
            {"id": n + 1, "image_id": n + 1, "category_id": int(classes[n]), "bbox": (SIDE * boxes[n]).tolist(),
             "area": float(SIDE**2 * boxes[n, 2] * boxes[n, 3]), "iscrowd": 0}
            for n in range(IMAGES)
        ],
    }  # fmt: skip
    return shown, coco


def pycocotools_ap(coco: dict[str, Any], results: list[dict[str, Any]]) -> tuple[float, float, dict[int, float]]:
    """AP, AP50, and the AP of each class with a box."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = coco
        truth.createIndex()
        judged = COCOeval(truth, truth.loadRes([dict(row) for row in results]), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    precision = judged.eval["precision"][:, :, :, 0, 2]
    by_class = {number: float(precision[:, :, place].mean()) for place, number in enumerate(NAMES) if number != 9}
    return judged.stats[0], judged.stats[1], by_class


def small_model() -> Any:
    """One layer that shall learn to repeat what it is shown."""
    _, keras = tensorflow()
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])
    model.compile(keras.optimizers.Adam(0.02), "mse")
    return model


def test_a_training_of_two_epochs_has_the_numbers_of_evaluate_and_of_pycocotools(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, keras = tensorflow()
    shown, coco = scene(0)
    told: list[list[dict[str, Any]]] = []

    def predict(model: Any) -> list[dict[str, Any]]:
        found = np.asarray(model(shown))
        told.append(
            [
                {"image_id": n + 1, "category_id": 1 + int(row[5] > row[4]), "bbox": [float(SIDE * v) for v in row[:4]],
                 "score": float(np.clip(row[4:].max(), 0.01, 0.99))}
                for n, row in enumerate(found)
            ]
        )  # fmt: skip
        return told[-1]

    table = detray.ClassTableCallback(coco, predict, parquet=tmp_path / "epochs")
    stop = keras.callbacks.EarlyStopping("val_AP/cat", mode="max", patience=1)
    after = keras.callbacks.CSVLogger(str(tmp_path / "after.csv"))
    train = np.repeat(scene(1)[0], 10, axis=0)
    learned = small_model().fit(train, train, epochs=2, batch_size=8, verbose=0, callbacks=[table, stop, after])

    assert len(told) == 2
    history = learned.history
    assert 0.01 < history["val_AP"][0] < history["val_AP"][1] < 0.99
    for epoch, results in enumerate(told):
        ap, ap50, by_class = pycocotools_ap(coco, results)
        metrics = detray.evaluate(coco, results, settings={"evaluate.bootstrap": 0}).class_metrics.to_pylist()
        own = {row["category_id"]: row for row in metrics if row["area_range"] == "all"}
        assert history["val_AP"][epoch] == pytest.approx(ap, abs=1e-12)
        assert history["val_AP50"][epoch] == pytest.approx(ap50, abs=1e-12)
        for number, expected in by_class.items():
            assert history[f"val_AP/{NAMES[number]}"][epoch] == pytest.approx(expected, abs=1e-12)
            assert own[number]["ap"] == pytest.approx(expected, abs=1e-12)
    assert "val_AP/rare/one" not in history  # no box: it has no AP

    assert {file.name[-13:] for file in (tmp_path / "epochs").iterdir()} == {"00001.parquet", "00002.parquet"}
    kept = pq.read_table(tmp_path / "epochs").sort_by([("epoch", "ascending"), ("category_id", "ascending")])
    assert kept.select(["epoch", "category_id", "ap", "ap50"]).equals(
        table.table.select(["epoch", "category_id", "ap", "ap50"])
    )
    assert kept.schema.names == schema.schema("history").names
    assert len(kept["run_id"].unique()) == 1
    assert kept["ap"].to_pylist() == [*(history[f"val_AP/{NAMES[n]}"][0] for n in (1, 2)), None,
                                      *(history[f"val_AP/{NAMES[n]}"][1] for n in (1, 2)), None]  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(f"epoch 2: AP {history['val_AP'][1]:.3f}, AP50 {history['val_AP50'][1]:.3f} (")
    assert "cat" in lines[1]
    assert stop.best == pytest.approx(history["val_AP/cat"][1])
    assert "val_AP/cat" in (tmp_path / "after.csv").read_text()


def test_another_training_is_told_apart_and_epochs_can_be_left_out(tmp_path: Path) -> None:
    shown, coco = scene(0)
    nothing = {name: [] for name in ("image_id", "category_id", "bbox", "score")}
    table = detray.ClassTableCallback(coco, lambda model: nothing, every=2, verbose=0, parquet=tmp_path, prefix="")
    for _ in range(2):
        history = small_model().fit(shown, shown, epochs=4, verbose=0, callbacks=[table]).history
        assert history["AP"] == [0.0, 0.0]
    kept = pq.read_table(tmp_path)
    assert len(kept["run_id"].unique()) == 2
    assert sorted(set(kept["epoch"].to_pylist())) == [2, 4]


def test_a_model_that_detray_runs_itself(tmp_path: Path) -> None:
    _, keras = tensorflow()
    path = keras_models.write(tmp_path, keras_models.named)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    random = np.random.default_rng(0)
    boxes = []
    for n in range(12):
        pixels = np.full((64, 96, 3), 90, np.uint8)
        for category, colour in ((1, (230, 20, 20)), (2, (20, 230, 20))):
            low, high = (2, 2, 10, 10), (12, 20, 30, 40)
            x, y, width, height = random.integers(low, high).tolist()
            x += 48 * (category - 1)
            pixels[y : y + height, x : x + width] = colour
            drawn = [x, y, width, height] if n % 3 else [x, y, width, height + 6]  # a third of them drawn too high
            boxes.append({"id": len(boxes) + 1, "image_id": n + 1, "category_id": category, "bbox": drawn,
                          "area": drawn[2] * drawn[3], "iscrowd": 0})  # fmt: skip
        Image.fromarray(pixels).save(pictures / f"{n}.png")
    coco = {
        "images": [{"id": n + 1, "file_name": f"{n}.png", "width": 96, "height": 64} for n in range(12)],
        "categories": [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}],
        "annotations": boxes,
    }
    stated = {"resize": "stretch", "input_range": "0..255", "box_order": "xyxy", "box_unit": "share"}
    settings = {f"detector.io.{key}": value for key, value in stated.items()}
    table = detray.ClassTableCallback(coco, images=pictures, verbose=0, settings=settings)
    table.set_model(keras.models.load_model(path))
    table.on_train_begin()
    logs: dict[str, Any] = {}
    table.on_epoch_end(0, logs)
    found = detray.evaluate(coco, path, images=pictures, settings={"evaluate.bootstrap": 0, **settings})
    metrics = {row["category_name"]: row["ap"] for row in found.class_metrics.to_pylist() if row["area_range"] == "all"}
    assert 0.3 < metrics["red"] < 1
    assert {name: logs[f"val_AP/{name}"] for name in metrics} == pytest.approx(metrics, abs=1e-12)


def test_a_model_that_detray_cannot_run_is_refused_before_the_first_epoch(tmp_path: Path) -> None:
    _, coco = scene(0)
    (tmp_path / "0.jpg").touch()
    table = detray.ClassTableCallback(coco, images=tmp_path)
    with pytest.raises(UsageError, match=r"^model\.keras: takes input_layer\S* float32 \[\?, 6\]"):
        small_model().fit(scene(0)[0], scene(0)[0], epochs=1, verbose=0, callbacks=[table])


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    _, coco = scene(0)
    with pytest.raises(UsageError, match="images must name the folder of the pictures"):
        detray.ClassTableCallback(coco)
    with pytest.raises(UsageError, match="no annotation has a box to judge by"):
        detray.ClassTableCallback(coco | {"annotations": []}, lambda model: [])
    table = detray.ClassTableCallback(coco, lambda model: [{"image_id": 1}])
    with pytest.raises(UsageError, match="row 0 has no category_id"):
        table.on_epoch_end(0, {})


def test_detections_that_cannot_count_are_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    _, coco = scene(0)
    boxes = coco["annotations"]
    found = {
        "image_id": np.array([row["image_id"] for row in boxes]),
        "category_id": np.array([row["category_id"] for row in boxes]),
        "bbox": np.array([row["bbox"] for row in boxes], np.float32),
        "score": np.ones(len(boxes)),
    }
    found["score"][:3] = np.nan
    found["image_id"][3] = 4711
    logs: dict[str, Any] = {}
    detray.ClassTableCallback(coco, lambda model: found).on_epoch_end(0, logs)
    assert 0.8 < logs["val_AP"] < 1
    said = capsys.readouterr().out
    assert "1 detections left out (of unknown images)" in said
    assert "3 detections left out (not finite)" in said


def test_classes_of_one_name_both_count_in_the_mean() -> None:
    ap = np.array([[0.2] * 10, [0.6] * 10, [np.nan] * 10])
    scores = ClassScores({1: "cell", 2: "cell", 3: "none"}, ap, {})
    assert scores.logs() == pytest.approx({"AP": 0.4, "AP50": 0.4, "AP/cell": 0.6})
