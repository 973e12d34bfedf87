"""A fault counts as found only where it is."""

from typing import Any

import pyarrow as pa
import pytest

from detray import schema
from detray.demo import closing
from detray.demo.faults import Evidence, Fault
from detray.demo.verify import unexplained, verify

FINDING = {
    "finding_id": "f",
    "rule": "degenerate-box",
    "family": "geometry",
    "severity": 3,
    "severity_name": "error",
    "scope": "annotation",
    "message": "m",
    "fix": "f",
}
SUSPECT = {"model": "m", "split": "val", "image_id": 4, "category_id": 2, "category_name": "ring", "score": 0.9}
DIAGNOSIS = {"split": "val", "model": "m", "category_id": 2, "category_name": "ring", "rank": 2}
DIAGNOSIS |= {"evidence": "{}", "sentence": "s", "remedy": "r"}

ROW = Fault("degenerate box", (Evidence("findings", "degenerate-box"),), "val.json", annotation_row=4, image_id=9)
PICTURE = Fault("picture cut off", (Evidence("findings", "corrupt-image"),), "4.jpg", image_id=4)
MISSING = Fault(
    "missing box",
    (Evidence("label_errors", "missing"), Evidence("diagnoses", "missing_labels")),
    "val.json",
    image_id=4,
    category_name="ring",
    box=(10.0, 10.0, 20.0, 20.0),
)


def _table(name: str, *rows: dict[str, Any]) -> dict[str, pa.Table]:
    return {name: schema.from_rows(name, rows, run="r")}


def _suggestion(x: float, name: str = "ring", image_id: int = 4) -> dict[str, pa.Table]:
    side = {"suggested_x": x, "suggested_y": 10.0, "suggested_width": 20.0, "suggested_height": 20.0}
    row = SUSPECT | side | {"kind": "missing", "suggested_category_name": name, "image_id": image_id}
    return _table("label_errors", row)


@pytest.mark.parametrize(
    ("fault", "found", "where"),
    [
        (ROW, _table("findings", FINDING | {"annotation_row": 4}), "row 4"),
        (ROW, _table("findings", FINDING | {"annotation_row": 5, "image_id": 9}), None),
        (ROW, _table("findings", FINDING | {"annotation_row": 4, "rule": "tiny-box"}), None),
        (ROW, {}, None),
        (PICTURE, _table("findings", FINDING | {"rule": "corrupt-image", "image_id": 4}), "image 4"),
        (PICTURE, _table("findings", FINDING | {"rule": "corrupt-image", "image_id": 5}), None),
        (MISSING, _suggestion(12.0), "image 4"),
        (MISSING, _suggestion(25.0), None),
        (MISSING, _suggestion(12.0, name="disc"), None),
        (MISSING, _suggestion(12.0, image_id=5), None),
        (MISSING, _table("label_errors"), None),
        (MISSING, _table("diagnoses", DIAGNOSIS | {"cause": "missing_labels"}), "class ring"),
        (MISSING, _table("diagnoses", DIAGNOSIS | {"cause": "missing_labels", "category_name": "disc"}), None),
        (MISSING, _table("diagnoses", DIAGNOSIS | {"cause": "wrong_labels"}), None),
    ],
)
def test_checks(fault: Fault, found: dict[str, pa.Table], where: str | None) -> None:
    (check,) = verify([fault], found)
    assert check.where == where
    assert check.found is (where is not None)


def test_the_most_exact_evidence_is_named() -> None:
    found = _suggestion(12.0) | _table("diagnoses", DIAGNOSIS | {"cause": "missing_labels"})
    assert verify([MISSING], found)[0].evidence == Evidence("label_errors", "missing")


def test_findings_that_no_fault_explains() -> None:
    rows = [
        FINDING | {"finding_id": "planted", "annotation_row": 4, "root_cause_id": "root"},
        FINDING | {"finding_id": "picture", "image_id": 4},
        FINDING | {"finding_id": "root", "scope": "split"},
        FINDING | {"finding_id": "suspect", "severity": 1, "severity_name": "suspect", "annotation_row": 70},
        FINDING | {"finding_id": "false alarm", "annotation_row": 71, "image_id": 9},
    ]
    left = unexplained([ROW, PICTURE, MISSING], schema.from_rows("findings", rows, run="r"))
    assert left["finding_id"].to_pylist() == ["false alarm"]
    assert unexplained([], schema.empty("findings")).num_rows == 0


def test_closing_tables_and_query() -> None:
    found = _table("findings", FINDING | {"annotation_row": 4})
    rows = closing.fault_rows(verify([ROW, MISSING, MISSING], found))
    assert rows == [
        ["degenerate box", 1, 1, "findings: degenerate-box", "row 4"],
        ["missing box", 2, 0, "", ""],
    ]
    delta = {"category_id": 1, "category_name": "disc", "baseline_ap": 0.5, "best_ap": 0.6, "delta": 0.1}
    delta |= {"delta_low": 0.02, "delta_high": 0.2, "verdict": "better", "is_focus": False}
    star = {"category_id": 6, "category_name": "star", "is_focus": True}
    deltas = schema.from_rows("class_deltas", [delta, star], run="r")
    assert closing.class_rows(deltas) == [
        ["star", None, None, None, None, None],
        ["disc", 0.5, 0.6, 0.1, [0.02, 0.2], "better"],
    ]
