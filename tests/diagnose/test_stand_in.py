"""Where no cause is proven, or only a cheap symptom, the dearest kind of error is told as the table errors has it."""

import json
from pathlib import Path

import numpy as np

from detray import cli
from detray.store import Store


def swapped(folder: Path) -> list[str]:
    """Ten images with four boxes of each of two classes, all detected; in three of them the two names are exchanged."""
    rng = np.random.default_rng(3)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(10)]
    annotations, detections = [], []
    for image in range(10):
        for place in range(8):
            box = [80.0 * place + 5, 40.0 * image + 10, 60.0, 30.0]
            label = 1 + place % 2
            drawn = 3 - label if image < 3 else label
            annotations.append({"id": len(annotations) + 1, "image_id": image, "category_id": drawn, "bbox": box})
            annotations[-1] |= {"area": 1800.0, "iscrowd": 0}
            moved = (np.array(box) + rng.uniform(-1, 1, 4)).tolist()
            detections.append({"image_id": image, "category_id": label, "bbox": moved})
            detections[-1]["score"] = float(rng.uniform(0.7, 1))
    for extra in range(2):  # missed by the detector: a cheap symptom beside
        box = [10.0 + 300 * extra, 440.0, 50.0, 30.0]
        annotations.append({"id": len(annotations) + 1, "image_id": 9, "category_id": 1, "bbox": box})
        annotations[-1] |= {"area": 1500.0, "iscrowd": 0}
    categories = [{"id": 1, "name": "carrot"}, {"id": 2, "name": "broccoli"}]
    (folder / "gt.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    (folder / "dets.json").write_text(json.dumps(detections))
    return [str(folder / "gt.json"), str(folder / "dets.json")]


def test_names_exchanged_in_some_images_are_what_costs_most(tmp_path: Path) -> None:
    files = swapped(tmp_path)
    weak = ["--set", "diagnose.weak_below=0.9"]
    assert cli.main(["diagnose", *files, *weak, "--serial", "--output", str(tmp_path / "out")]) == 0
    store = Store(str(tmp_path / "out"))
    diagnoses = [row for row in store.read("diagnoses").to_pylist() if row["rank"] == 1]
    assert {row["category_name"] for row in diagnoses} == {"carrot", "broccoli"}
    for row in diagnoses:
        errors = {
            error["error"]: error["d_ap"]
            for error in store.read("errors", filters=[("category_id", "=", row["category_id"])]).to_pylist()
        }
        assert max(errors, key=lambda error: errors[error] or 0.0) == "classification"
        assert row["cause"] in ("class_confusion", "receives_class", "wrong_labels")
        assert abs(row["d_ap"] - errors["classification"]) < 0.1
