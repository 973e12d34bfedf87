"""The diagnosis on a cluster is the one of a single process."""

import json
from pathlib import Path

import numpy as np
import pytest

from detray.flow.executor import Executor, InProcess
from detray.formats.plain import dataset_from_files
from detray.settings import convert
from detray.store import Store
from detray.verbs import runner
from detray.verbs.base import Context
from detray.verbs.config import Config

pytestmark = pytest.mark.ray


def _files(folder: Path) -> tuple[str, str]:
    """60 images of three classes; detections that call class 1 by id 0 and so on, and leave class 3 out at times."""
    rng = np.random.default_rng(0)
    images = [{"id": k, "file_name": f"{k}.jpg", "width": 640, "height": 480} for k in range(1, 61)]
    boxes, found = [], []
    for number in range(240):
        image, category = int(rng.integers(1, 61)), int(rng.integers(1, 4))
        box = [float(v) for v in np.append(rng.uniform(0, 300, 2), rng.uniform(40, 120, 2))]
        row = {"image_id": image, "category_id": category, "bbox": box}
        boxes.append(row | {"id": number + 1, "area": box[2] * box[3], "iscrowd": 0})
        if category < 3 or rng.random() < 0.4:
            near = [float(v) for v in np.array(box) + rng.normal(0, 3, 4)]
            found.append(row | {"category_id": category - 1, "bbox": near, "score": float(rng.uniform(0.2, 1))})
    categories = [{"id": k, "name": f"class{k}"} for k in (1, 2, 3)]
    gt, dt = folder / "gt.json", folder / "dt.json"
    gt.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    dt.write_text(json.dumps(found))
    return str(gt), str(dt)


def _diagnose(folder: Path, files: tuple[str, str], executor: Executor) -> Store:
    values = {"output": str(folder), "detector": {"kind": "predictions", "path": files[1]}}
    config = convert(values | {"dataset": dataset_from_files([files[0]])}, Config, "test")
    store = Store(str(folder))
    runner.run(Context(config, store, executor), ["diagnose"])
    return store


def test_tables_are_those_of_one_process(ray_executor: Executor, tmp_path: Path) -> None:
    files = _files(tmp_path)
    plain = _diagnose(tmp_path / "plain", files, InProcess())
    spread = _diagnose(tmp_path / "spread", files, ray_executor)
    assert plain.read("diagnoses").num_rows >= 3
    for table in ("diagnoses", "label_errors"):
        ours, theirs = (store.read(table).drop_columns("run_id") for store in (spread, plain))
        assert ours.equals(theirs)
    assert spread.manifest("diagnose")["notes"] == plain.manifest("diagnose")["notes"]
    maps = [(tmp_path / run / "diagnose" / "label_map.pbtxt").read_text() for run in ("plain", "spread")]
    assert maps[0] == maps[1]
