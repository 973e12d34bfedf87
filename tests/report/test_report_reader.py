"""Best rows and counts are those of the whole table, however it is cut."""

from itertools import pairwise
from pathlib import Path

import pyarrow.compute as pc
import pytest
from outputs import write_stage
from report_sample import finding

from detray import schema
from detray.report import reader as reading
from detray.report.reader import Reader
from detray.store import Store

ROWS = [
    finding(f"rule-{number % 3}", 1, confidence=None if number % 11 == 0 else (number * 37 % 101) / 101)
    | {"finding_id": f"{number:03d}", "image_id": number // 2}
    for number in range(200)
]


def _store(folder: Path, cuts: list[int]) -> Store:
    store = Store(str(folder))
    bounds = [0, *cuts, len(ROWS)]
    parts = [schema.from_rows("findings", ROWS[low:high], run="r") for low, high in pairwise(bounds)]
    write_stage(store, "audit", {"findings": parts})
    return store


@pytest.mark.parametrize("cuts", [[], [1], [50, 51, 199]])
@pytest.mark.parametrize("batch_rows", [7, 1000])
def test_best_rows_of_each_group(tmp_path: Path, monkeypatch, cuts: list[int], batch_rows: int) -> None:
    monkeypatch.setattr(reading, "BATCH_ROWS", batch_rows)
    found = Reader(_store(tmp_path, cuts)).best("findings", ("rule",), "confidence", 4)
    expected = [
        row["finding_id"]
        for rule in ("rule-0", "rule-1", "rule-2")
        for row in sorted((r for r in ROWS if r["rule"] == rule), key=lambda r: -(r["confidence"] or -1))[:4]
    ]
    assert [row["finding_id"] for row in found] == expected


def test_null_counts_as_lowest_and_filters_apply(tmp_path: Path) -> None:
    reader = Reader(_store(tmp_path, [120]))
    everything = reader.best("findings", ("rule",), "confidence", 1000, pc.field("rule") == "rule-1")
    assert [row["rule"] for row in everything] == ["rule-1"] * sum(r["rule"] == "rule-1" for r in ROWS)
    values = [row["confidence"] for row in everything]
    first_null = values.index(None)
    assert values[first_null:] == [None] * (len(values) - first_null)
    assert reader.best("findings", ("rule",), "confidence", 3, pc.field("rule") == "none") == []


def test_counts(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(reading, "BATCH_ROWS", 9)
    reader = Reader(_store(tmp_path, [3, 77]))
    assert {row["rule"]: row["n"] for row in reader.counts("findings", ("rule",))} == {
        "rule-0": 67,
        "rule-1": 67,
        "rule-2": 66,
    }


def test_rows_of_images(tmp_path: Path) -> None:
    reader = Reader(_store(tmp_path, [100]))
    found = reader.of_images("findings", "val", [0, 60])
    assert found["finding_id"].to_pylist() == ["000", "001", "120", "121"]
    assert reader.of_images("findings", "train", [0]).num_rows == 0
    assert reader.of_images("findings", "val", []).num_rows == 0


def test_a_stage_that_is_not_complete_has_no_rows(tmp_path: Path) -> None:
    reader = Reader(Store(str(tmp_path)))
    assert reader.rows("trials") == reader.best("findings", ("rule",), "confidence", 3) == []
    assert reader.counts("findings", ("rule",)) == []
    assert reader.of_images("findings", "val", [1]).num_rows == 0
