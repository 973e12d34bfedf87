"""Images whose pictures the detector could not read are not judged; images without detections are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from coco_oracle import as_tables
from evaluation import shards_of

from detray import schema
from detray.evaluate.against import OtherModel, OtherRun
from detray.evaluate.flow import TABLES, evaluate
from detray.evaluate.settings import EvaluateSettings
from detray.flow.data import MemoryData
from detray.flow.memory import InMemoryRun, run_in_memory

UNSEEN = [2, 5]


def tables_of_a_scene() -> list[pa.Table]:
    """Seven images of two boxes each, all found but for image 3, where nothing is, and those that were not seen."""
    random = np.random.default_rng(0)
    ids = range(1, 8)
    boxes = [
        {"id": 2 * k + c, "image_id": k, "category_id": c, "bbox": [10.0 * c, 20.0, 30.0, 40.0], "area": 1200.0}
        for k in ids
        for c in (1, 2)
    ]
    truth = {
        "images": [{"id": k, "file_name": f"{k}.png", "width": 99, "height": 99} for k in ids],
        "annotations": [box | {"iscrowd": 0} for box in boxes],
        "categories": [{"id": c, "name": str(c)} for c in (1, 2)],
    }
    found = [box | {"score": float(random.random())} for box in boxes if box["image_id"] not in (3, *UNSEEN)]
    return list(as_tables(truth, found))


def run(tables: Sequence[pa.Table], unseen: Sequence[int], n_shards: int = 2) -> InMemoryRun:
    rows = [{"split": "val", "stage": "predict", "reason": "missing", "image_id": k} for k in unseen]
    further: list[dict[str, Any]] = [{"split": "val", "stage": "predict", "reason": "a row of a file", "row": 1}]
    given = {"quarantine": schema.from_rows("quarantine", rows + further, run="test")}
    data = MemoryData(shards_of(tables, n_shards), given, {"predict": {"facts": {"model": "a"}}})
    other = OtherModel("b", "b", OtherRun(MemoryData(shards_of(tables, n_shards))))
    settings = EvaluateSettings(bootstrap=3)
    return run_in_memory(evaluate, data, "test", ["val"], settings, other, tables=TABLES)


def test_unseen_images_are_as_if_they_were_not_there() -> None:
    tables = tables_of_a_scene()
    images, annotations, categories, predictions = tables
    kept = [t.filter(pc.invert(pc.is_in(t["image_id"], value_set=pa.array(UNSEEN)))) for t in (images, annotations)]
    found, expected = run(tables, UNSEEN), run([*kept, categories, predictions], [])
    for name in TABLES:
        assert found.tables[name].equals(expected.tables[name]), name
    assert found.tables["image_metrics"].num_rows == 5
    assert found.tables["summary_metrics"]["value"][0].as_py() < 1  # image 3 was looked at, and nothing found
    assert found.outcome.notes[:2] == [
        "2 images whose pictures could not be read take no part",
        "4 annotations of images whose pictures could not be read take no part",
    ]


def test_images_without_detections_are_judged() -> None:
    found = run(tables_of_a_scene(), [])
    assert found.tables["image_metrics"].num_rows == 7
    assert not any("could not be read" in note for note in found.outcome.notes)
