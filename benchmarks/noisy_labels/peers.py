"""Suspects of cleanlab's ObjectLab and of hotcoco, by an interpreter that has them.

``python peers.py NAME INPUT.json OUTPUT.json``; INPUT has a COCO document and COCO results. OUTPUT has
the seconds, and by kind a list of (row of a label or of a detection, score that rises with suspicion).
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from time import process_time

import numpy as np


def objectlab(document: dict, results: list[dict]) -> tuple[float, dict]:
    """Its three scores of boxes, each turned around: low ones are suspicious."""
    from cleanlab.object_detection import rank

    images = [image["id"] for image in document["images"]]
    classes = {one["id"]: number for number, one in enumerate(document["categories"])}
    boxes, found = defaultdict(list), defaultdict(lambda: [[] for _ in classes])
    for row, one in enumerate(document["annotations"]):
        boxes[one["image_id"]].append((row, one))
    for row, one in enumerate(results):
        found[one["image_id"]][classes[one["category_id"]]].append((row, one))
    labels, predictions, places = [], [], []
    for image in images:
        own = [one for _, one in boxes[image]]
        labels.append(
            {
                "bboxes": np.array([_corners(one["bbox"]) for one in own]).reshape(-1, 4),
                "labels": np.array([classes[one["category_id"]] for one in own], int),
            }
        )
        tables = np.empty(len(classes), object)
        tables[:] = [_table(rows) for rows in found[image]]
        predictions.append(tables)
        places.append([row for rows in found[image] for row, _ in rows])
    start = process_time()
    inputs = {"labels": labels, "predictions": predictions}
    # as it is shipped it looks at detections from .95 on only, which models of this size hardly have
    overlooked = rank.compute_overlooked_box_scores(**inputs, high_probability_threshold=1e-6)
    badloc = rank.compute_badloc_box_scores(**inputs)
    swap = rank.compute_swap_box_scores(**inputs)
    seconds = process_time() - start
    kinds = {"missing": _listed(places, overlooked)}
    rows = [[row for row, _ in boxes[image]] for image in images]
    kinds |= {"bad_box": _listed(rows, badloc), "wrong_class": _listed(rows, swap)}
    kinds["spurious"] = kinds["bad_box"]  # it has no such kind: a box that nothing is near is badly located to it
    return seconds, kinds


def _corners(box: list[float]) -> list[float]:
    x, y, width, height = box
    return [x, y, x + width, y + height]


def _table(rows: list) -> np.ndarray:
    return np.array([[*_corners(one["bbox"]), one["score"]] for _, one in rows]).reshape(-1, 5)


def _listed(places: list, scores: list) -> list:
    return [
        (row, 1 - float(score))
        for rows, own in zip(places, scores, strict=True)
        for row, score in zip(rows, own, strict=True)
        if np.isfinite(score)
    ]


def hotcoco(document: dict, results: list[dict]) -> tuple[float, dict]:
    """Its wrong labels and missing annotations, of detections with any score."""
    from hotcoco import COCO, COCOeval

    path = Path(sys.argv[3]).with_suffix(".gt.json")
    path.write_text(json.dumps(document))
    truth = COCO(str(path))
    ours = truth.load_res([one | {"id": row} for row, one in enumerate(results)])
    start = process_time()
    evaluation = COCOeval(truth, ours, "bbox")
    evaluation.evaluate()
    found = evaluation.image_diagnostics(iou_thr=0.5, score_thr=0.0)["label_errors"]
    seconds = process_time() - start
    rows = {one["id"]: row for row, one in enumerate(document["annotations"])}
    detections = defaultdict(list)
    for row, one in enumerate(results):
        detections[one["image_id"], one["category_id"], round(one["score"], 6)].append(row)
    kinds = defaultdict(list)
    for one in found:
        if one["type"] == "wrong_label":
            kinds["wrong_class"].append((rows[one["gt_id"]], one["dt_score"]))
        else:
            own = detections[one["image_id"], one["dt_category_id"], round(one["dt_score"], 6)]
            kinds["missing"].append((own[0], one["dt_score"]))
    return seconds, dict(kinds)


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[2]).read_text())
    took, suspects = {"objectlab": objectlab, "hotcoco": hotcoco}[sys.argv[1]](given["document"], given["results"])
    Path(sys.argv[3]).write_text(json.dumps({"seconds": took, "suspects": suspects}))
