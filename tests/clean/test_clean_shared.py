"""Faults that many boxes share: corners are exchanged back, boxes in another format converted, none is dropped."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import clean_tables as t
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from test_clean_reaudit import clean_and_audit_again, run

from detray.box_formats import FORMATS, Notation, as_written, named_in
from detray.clean.edits import FreshIds, Plan, plan
from detray.clean.settings import CleanSettings
from detray.clean.shared import ROOTS, Roots


def data(drawn: list[list[float]], per_image: int = 4) -> dict[str, Any]:
    return {
        "images": [
            {"id": 1 + k, "file_name": f"{k}.jpg", "width": 200, "height": 160} for k in range(len(drawn) // per_image)
        ],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 1 + k, "image_id": 1 + k // per_image, "category_id": 1, "bbox": box, "iscrowd": 0}
            for k, box in enumerate(drawn)
        ],
    }


def right_boxes(count: int) -> list[list[float]]:
    rng = np.random.default_rng(3)
    return [[*map(float, rng.integers((0, 0, 20, 20), (120, 90, 60, 60)))] for _ in range(count)]


def as_file(path: Path, drawn: list[list[float]]) -> dict[str, Any]:
    (path / "val.json").write_text(json.dumps(data(drawn)))
    return {"root": str(path), "splits": {"val": {"annotations": "val.json"}}}


def test_exchanged_corners_are_one_root_and_are_exchanged_back(tmp_path: Path) -> None:
    right = right_boxes(80)
    given = [[x + w, y + h, -w, -h] if k % 8 == 0 else [x, y, w, h] for k, (x, y, w, h) in enumerate(right)]
    first, second = clean_and_audit_again(tmp_path, as_file(tmp_path, given), ["drop", "clip", "relabel", "move"])
    findings = first.read("findings")
    (root,) = findings.filter(pc.equal(findings["rule"], "swapped-corners")).to_pylist()
    assert (root["count"], root["scope"], root["family"]) == (10, "split", "pattern")
    rows = findings.filter(pc.equal(findings["rule"], "degenerate-box"))
    assert rows["root_cause_id"].to_pylist() == [root["finding_id"]] * 10
    edits = first.read("edits")
    assert set(zip(edits["action"].to_pylist(), edits["reason"].to_pylist(), strict=True)) == {
        ("move", "swapped-corners")
    }
    made = second.read("annotations").sort_by("annotation_row")
    assert [
        list(box) for box in zip(*(made[side].to_pylist() for side in ("x", "y", "width", "height")), strict=True)
    ] == right


@pytest.mark.parametrize("actions", [("drop", "clip"), ("drop", "move")])
def test_a_box_whose_corners_cannot_be_exchanged_is_not_dropped_either(
    tmp_path: Path, actions: tuple[str, ...]
) -> None:
    given = [[260.0, 40.0, -30.0, 20.0], *right_boxes(39)]  # in the other order it is outside of the image
    store = run("clean", tmp_path / "out", as_file(tmp_path, given), clean={"actions": list(actions)})
    assert store.read("edits").num_rows == 0
    notes = json.loads((tmp_path / "out" / "clean" / "manifest.json").read_text())["facts"]
    assert notes["edits"] == 0


def test_boxes_in_another_format_are_converted_and_not_dropped(tmp_path: Path) -> None:
    right = right_boxes(80)
    given = [[x, y, x + w, y + h] for x, y, w, h in right]
    first, second = clean_and_audit_again(tmp_path, as_file(tmp_path, given), ["drop", "clip", "relabel", "move"])
    edits = first.read("edits")
    assert Counter(edits["action"].to_pylist()) == {"move": 80}
    made = second.read("annotations").sort_by("annotation_row")
    assert [
        list(box) for box in zip(*(made[side].to_pylist() for side in ("x", "y", "width", "height")), strict=True)
    ] == right


def planned(box: tuple[float, ...], rule: str, observed: str, **row: Any) -> Plan:
    about = t.annotation(0, box, **row)  # type: ignore[arg-type]
    root = {"finding_id": "root", "rule": rule, "split": "val", "observed": observed}
    findings = t.findings(("degenerate-box", about), ("out-of-bounds", about), ("fully-outside", about))
    place = findings.schema.get_field_index("root_cause_id")
    findings = findings.set_column(place, "root_cause_id", pa.array(["root"] * 3))
    roots = Roots(pa.Table.from_pylist([root], ROOTS), {"val": "coco"})
    every = CleanSettings(actions=("drop", "clip", "relabel", "move"))
    return plan(t.shard([about]), findings, t.label_errors(), every, FreshIds(1000, 2000), run="r", roots=roots)


@pytest.mark.parametrize(("name", "how"), FORMATS.items())
def test_every_format_that_is_named_is_converted(name: str, how: Notation) -> None:
    right = np.array([[20.0, 30.0, 40.0, 16.0]])
    given = as_written(right[:, [1, 0, 3, 2]] if how.order == (1, 0, 3, 2) else right, np.array([[100.0, 80.0]]), how)
    if how.kind == "corners backwards":
        given = np.array([[60.0, 46.0, 20.0, 30.0]])
    if how.order != (0, 1, 2, 3) and how.kind == "corners":
        corners = {
            None: [20.0, 30.0, 60.0, 46.0],
            "own": [20 / 100, 30 / 80, 60 / 100, 46 / 80],
            "other": [20 / 80, 30 / 100, 60 / 80, 46 / 100],
        }
        given = np.array([corners[how.shares]])
        given = given[:, np.argsort(how.order)]
    assert named_in(f"80 boxes of a.json read better as {name}") == how
    result = planned(tuple(given[0].tolist()), "box-format", f"80 boxes read better as {name}")
    if name == "x, y, width, height":
        assert result.edits.num_rows == 0
    else:
        (after,) = result.edits["after"].to_pylist()
        assert json.loads(after)["bbox"] == pytest.approx(right[0].tolist())


def test_corners_in_another_order_of_columns_are_put_in_theirs() -> None:
    # x, x2, y, y2 = 20, 60, 30, 46 read as x, y, width, height
    result = planned((20.0, 60.0, 30.0, 46.0), "column-order", "80 of 80 boxes")
    (after,) = result.edits["after"].to_pylist()
    assert json.loads(after)["bbox"] == [20, 30, 40, 16]


@pytest.mark.parametrize(
    ("rule", "observed"),
    [
        ("box-format", "80 boxes read better as x, y, x2, y2, or y before x"),
        ("coordinate-scale", "80 boxes are about 1.50 times as large as the images say"),
        ("swapped-size", "12 images"),
        ("column-copy", "ymax equals xmin in 208 of 208 boxes"),
    ],
)
def test_where_no_conversion_is_certain_nothing_is_touched_and_that_is_said(rule: str, observed: str) -> None:
    result = planned((90.0, 10.0, 40.0, 10.0), rule, observed)
    assert result.edits.num_rows == 0
    assert [reason for reason in result.not_followed if rule in reason]


def test_boxes_that_nearly_coincide_are_dropped_where_they_can_hardly_be_told_apart() -> None:
    rows = [
        t.annotation(0, (10.0, 10.0, 40.0, 40.0)),
        t.annotation(1, (10.0, 10.0, 40.0, 40.1)),
        t.annotation(2, (10.0, 10.0, 40.0, 42.0)),
        t.annotation(3, (10.0, 10.0, 40.0, 40.1), category_id=2),
    ]
    findings = t.findings(*(("near-duplicate-box", row) for row in rows[1:]), severity=2)
    result = plan(t.shard(rows), findings, t.label_errors(), CleanSettings(), FreshIds(1000, 2000), run="r")
    assert result.edits["annotation_row"].to_pylist() == [1]
    assert result.edits["reason"].to_pylist() == ["near-duplicate-box"]
    assert result.not_followed == {"near-duplicate-box, boxes that overlap by less than 0.995 may be two objects": 2}


def test_why_a_box_of_nothing_stays_is_said() -> None:
    row = t.annotation(0, (10.0, 10.0, 40.0, 40.0))
    suspects = t.label_errors(t.suspect("spurious", row, 0.95), t.suspect("spurious", row, 0.4))
    result = plan(t.shard([row]), t.findings(), suspects, CleanSettings(), FreshIds(1000, 2000), run="r")
    assert result.edits.num_rows == 0
    assert result.not_followed == {
        "spurious, a box is not deleted on a model's word alone": 1,
        "score below clean.min_score": 1,
    }
