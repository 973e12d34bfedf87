"""How protocols.json was made: the numbers that the evaluators of LVIS and of the TF Object Detection API give.

Neither installs beside our NumPy, so the numbers were taken once, in an environment thrown away afterwards:

    python -m venv env && env/bin/pip install numpy pycocotools six absl-py
    env/bin/pip install --no-deps lvis==0.5.3 tf-models-research-object-detection==2.8.0.post1
    env/bin/python tests/evaluate/golden/make_protocols.py > tests/evaluate/golden/protocols.json

Both use names that NumPy has dropped, and import what their arithmetic does not need: TensorFlow, OpenCV, Matplotlib.
"""

import json
import sys
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np

float, np.nan = float, np.nan
for name in ("cv2", "matplotlib", "matplotlib.pyplot", "matplotlib.patches", "lvis.vis", "tensorflow"):
    sys.modules[name] = MagicMock()
sys.modules["tensorflow.compat"] = sys.modules["tensorflow.compat.v1"] = MagicMock()
labels = ModuleType("object_detection.utils.label_map_util")
labels.create_category_index = lambda categories: {entry["id"]: entry for entry in categories}
sys.modules[labels.__name__] = labels

from lvis.eval import LVISEval  # noqa: E402
from lvis.lvis import LVIS  # noqa: E402
from lvis.results import LVISResults  # noqa: E402
from object_detection.dataset_tools import oid_hierarchical_labels_expansion as expansion  # noqa: E402
from object_detection.utils import object_detection_evaluation as evaluation  # noqa: E402

CLASSES = 5
HIERARCHY = {
    "LabelName": "/m/root",
    "Subcategory": [
        {"LabelName": "class 1", "Subcategory": [{"LabelName": "class 2"}, {"LabelName": "class 3"}]},
        {"LabelName": "class 4", "Subcategory": [{"LabelName": "class 3"}]},
        {"LabelName": "class 5"},
    ],
}


def scene(seed: int, images: int) -> dict[str, Any]:
    """A LVIS data set and detections. No two scores are equal: the API's order of ties is not stable."""
    rng = np.random.default_rng(seed)
    annotations, detections = [], []
    letters = "rcf"
    for image in range(1, images + 1):
        for _ in range(int(rng.integers(1, 9))):
            box = [*(rng.integers(0, 40, 2) * 4.0), *rng.choice([12.0, 24.0, 40.0, 100.0], 2)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(rng.integers(1, CLASSES + 1)),
                    "bbox": [float(side) for side in box],
                    "area": float(box[2] * box[3]),
                    "group_of": int(rng.random() < 0.2),
                    "difficult": int(rng.random() < 0.2),
                }
            )
    for place, note in enumerate(annotations):
        for _ in range(int(rng.integers(0, 4))):
            x, y, width, height = note["bbox"]
            shift = rng.choice([0.0, 1.0, 4.0, 8.0], 4)
            size = 0.5 if note["group_of"] else 1.0
            category = note["category_id"] if rng.random() < 0.8 else int(rng.integers(1, CLASSES + 1))
            box = [x + shift[0], y + shift[1], width * size + shift[2], height * size + shift[3]]
            detections.append({"image_id": note["image_id"], "category_id": category, "bbox": [float(s) for s in box]})
        if place % 7 == 0:
            other = int(rng.integers(1, images + 1))
            detections.append(
                {"image_id": other, "category_id": int(rng.integers(1, CLASSES + 1)), "bbox": [5.0, 5.0, 30.0, 20.0]}
            )
    for entry, score in zip(detections, rng.permutation(len(detections)), strict=True):
        entry["score"] = float((score + 1) / (len(detections) + 1))
    lists = [
        [sorted(rng.choice(CLASSES, 2, replace=False) + 1), sorted(rng.choice(CLASSES, 1) + 1)] for _ in range(images)
    ]
    return {
        "images": [
            {
                "id": image,
                "width": 320,
                "height": 320,
                "file_name": f"{image}.jpg",
                "neg_category_ids": [int(n) for n in lists[image - 1][0]],
                "not_exhaustive_category_ids": [int(n) for n in lists[image - 1][1]],
            }
            for image in range(1, images + 1)
        ],
        "annotations": annotations,
        "categories": [
            {"id": number, "name": f"class {number}", "frequency": letters[number % 3]}
            for number in range(1, CLASSES + 1)
        ],
        "detections": detections,
        "image_labels": [
            [image, f"class {int(rng.integers(1, CLASSES + 1))}", int(rng.integers(0, 2))]
            for image in range(1, images + 1)
        ],
    }


def lvis(data: dict[str, Any], cap: int) -> dict[str, float | None]:
    """What LVIS's own evaluator gives."""
    truth = LVIS.__new__(LVIS)
    truth.logger = MagicMock()
    truth.dataset = json.loads(json.dumps(data))
    truth._create_index()
    results = LVISResults(truth, json.loads(json.dumps(data["detections"])), max_dets=cap)
    judge = LVISEval(truth, results, "bbox")
    judge.params.max_dets = cap
    judge.run()
    return {
        name.replace("@", "") if name.startswith("AR@") else name.partition("@")[0]: none(value)
        for name, value in judge.results.items()
    }


def none(value: float) -> float | None:
    return None if value == -1 or np.isnan(value) else float(value)


def corners(rows: list[dict[str, Any]]) -> np.ndarray:
    found = np.array([row["bbox"] for row in rows], float).reshape(-1, 4)
    return np.stack([found[:, 1], found[:, 0], found[:, 1] + found[:, 3], found[:, 0] + found[:, 2]], axis=1)


def api(data: dict[str, Any], judge: Any, *, expand: bool = False, labels: bool = False) -> dict[str, float | None]:
    """What an evaluator of the TF Object Detection API gives: the mean, and the AP of each class."""
    tree = expansion.OIDHierarchicalLabelsExpansion(HIERARCHY)
    for image in data["images"]:
        truth = [note for note in data["annotations"] if note["image_id"] == image["id"]]
        if expand:
            lines = [
                (note, line.split(",")[1])
                for note in truth
                for line in tree.expand_boxes_or_segments_from_csv(f"x,class {note['category_id']}")
            ]
            truth = [note | {"category_id": int(name.split()[-1])} for note, name in lines]
        stated = {
            "groundtruth_boxes": corners(truth),
            "groundtruth_classes": np.array([note["category_id"] for note in truth], int),
            "groundtruth_group_of": np.array([note["group_of"] for note in truth], int),
            "groundtruth_difficult": np.array([note["difficult"] for note in truth], bool),
        }
        if labels:
            rows = [row for row in data["image_labels"] if row[0] == image["id"]]
            lines = [
                line.strip()
                for _, name, sign in rows
                for line in (tree.expand_labels_from_csv(f"x,{name},{sign}") if expand else [f"x,{name},{sign}"])
            ]
            stated["groundtruth_image_classes"] = np.array([int(line.split(",")[1].split()[-1]) for line in lines], int)
        judge.add_single_ground_truth_image_info(image["id"], stated)
        found = [row for row in data["detections"] if row["image_id"] == image["id"]]
        judge.add_single_detected_image_info(
            image["id"],
            {
                "detection_boxes": corners(found),
                "detection_classes": np.array([row["category_id"] for row in found], int),
                "detection_scores": np.array([row["score"] for row in found], float),
            },
        )
    numbers = judge.evaluate()
    return {name.rpartition("/")[2]: none(value) for name, value in numbers.items()}


def main() -> None:
    entries = [{"id": number, "name": f"class {number}"} for number in range(1, CLASSES + 1)]
    found = []
    for seed, images in ((1, 6), (2, 15), (3, 40)):
        data = scene(seed, images)
        numbers = {
            "lvis": lvis(data, 300),
            "lvis_cap_5": lvis(data, 5),
            "pascal": api(data, evaluation.PascalDetectionEvaluator(entries)),
            "open_images_v2": api(data, evaluation.OpenImagesDetectionEvaluator(entries)),
            "challenge": api(data, evaluation.OpenImagesDetectionChallengeEvaluator(entries), labels=True),
            "challenge_expanded": api(
                data, evaluation.OpenImagesDetectionChallengeEvaluator(entries), labels=True, expand=True
            ),
        }
        found.append({"data": data, "numbers": numbers})
    print(json.dumps({"hierarchy": HIERARCHY, "scenes": found}))


if __name__ == "__main__":
    main()
