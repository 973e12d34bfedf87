"""What an audit found of pictures that are drawn twice stands beside AP, and only where it is of these data."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from coco_oracle import as_coco, as_tables
from evaluation import shards_of
from outputs import write_stage

from detray import schema
from detray.evaluate.flow import TABLES, evaluate
from detray.evaluate.kernel import Detections, GroundTruth
from detray.evaluate.settings import EvaluateSettings
from detray.flow.data import MemoryData
from detray.flow.executor import InProcess
from detray.flow.memory import run_in_memory
from detray.settings import convert
from detray.store import Store
from detray.verbs.base import Context
from detray.verbs.config import Config
from detray.verbs.evaluate import STAGE
from detray.verbs.runner import _fingerprint

ROW = {"split": "train", "other_split": "val", "n_pictures": 12, "n_boxes": 100, "finding_id": "a"}


def drawn_twice(*changes: dict[str, Any]) -> pa.Table:
    rows = [
        ROW | {"iou_threshold": threshold, "n_matched": matched, "agreement": 2 * matched / 100} | changed
        for changed in changes
        for threshold, matched in ((0.5, 46), (0.75, 30))
    ]
    return schema.from_rows("drawn_twice", rows, run="test")


def said(table: pa.Table | None, off: int = 0, **settings: Any) -> list[str]:
    """The lines on noise; ``off``: how many rows more the audit counted than there are."""
    one, box = np.ones(1, np.int64), np.array([[0.0, 0, 20, 20]])
    truth = GroundTruth(one, one, box, np.array([400.0]), np.zeros(1, bool))
    shards = shards_of(as_tables(*as_coco(truth, Detections(one, one, box, np.array([0.5]), one))))
    rows = sum(shard.images.num_rows + shard.annotations.num_rows for shard in shards)
    manifests: dict[str, Any] = {"predict": {"facts": {"model": "a"}}}
    tables = {}
    if table is not None:
        manifests["audit"] = {"counts": {"in": rows + off}}
        tables["drawn_twice"] = table
    chosen = EvaluateSettings(bootstrap=0, slices=(), **settings)
    run = run_in_memory(evaluate, MemoryData(shards, tables, manifests), "test", ["val"], chosen, tables=TABLES)
    return [line for line in run.outcome.notes if "drawn twice" in line]


LINE = (
    "val: drawn twice: AP50 above about 0.92 and AP75 above about 0.60 are noise (12 pictures; duplicate-disagreement)"
)


@pytest.mark.parametrize(
    ("table", "changes", "expected"),
    [
        (drawn_twice({}), {}, [LINE]),
        (drawn_twice({}, {"category_id": 1, "n_matched": 2}), {}, [LINE]),
        (drawn_twice({}, {"split": "val", "n_boxes": 20, "n_matched": 0, "n_pictures": 2}), {},
         [LINE.replace("0.92", "0.77").replace("0.60", "0.50").replace("12", "14")]),
        (drawn_twice({}), {"protocol": "pascal"},
         ["val: drawn twice: AP50 above about 0.92 is noise (12 pictures; duplicate-disagreement)"]),
        (drawn_twice({}), {"off": 1}, []),
        (drawn_twice({"finding_id": None}), {}, []),
        (drawn_twice({"split": "test", "other_split": "test"}), {}, []),
        (None, {}, []),
    ],
)  # fmt: skip
def test_a_line_beside_ap(table: pa.Table | None, changes: dict[str, Any], expected: list[str]) -> None:
    assert said(table, **changes) == expected


def test_only_an_audit_that_found_such_pictures_makes_an_evaluation_stale(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    context = Context(convert({"name": "test"}, Config, "test"), store, InProcess())
    before = _fingerprint(STAGE, context, [])
    write_stage(store, "audit", {"findings": schema.empty("findings"), "drawn_twice": schema.empty("drawn_twice")})
    assert _fingerprint(STAGE, context, []) == before
    write_stage(store, "audit", {"findings": schema.empty("findings"), "drawn_twice": drawn_twice({})})
    assert _fingerprint(STAGE, context, []) != before
