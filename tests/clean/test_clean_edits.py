"""Which edits follow from findings and label errors, and what they do to a table."""

import json
from typing import Any

import clean_tables as t
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings

from detray import boxes, tables
from detray.clean.apply import apply
from detray.clean.edits import FreshIds, Plan, plan
from detray.clean.settings import CleanSettings
from detray.tables import Shard

ALL = CleanSettings(actions=("drop", "clip", "relabel", "move", "add", "renumber"))
NOTHING = t.findings()
NO_SUSPECTS = t.label_errors()


def planned(
    shard: Shard, findings: pa.Table = NOTHING, suspects: pa.Table = NO_SUSPECTS, settings: CleanSettings = ALL
) -> Plan:
    return plan(shard, findings, suspects, settings, FreshIds(1000, 2000), run="r")


def actions(result: Plan) -> list[tuple[int | None, str]]:
    return list(zip(result.edits["annotation_row"].to_pylist(), result.edits["action"].to_pylist(), strict=True))


def corrected(shard: Shard, result: Plan) -> dict[int, dict[str, Any]]:
    """What is left, by annotation id."""
    return {row["annotation_id"]: row for row in apply(shard.annotations, result.edits).to_pylist()}


@pytest.mark.parametrize("rule", ["degenerate-box", "fully-outside", "duplicate-box"])
def test_such_a_box_is_dropped(rule: str) -> None:
    rows = [t.annotation(0, (5, 5, 10, 10)), t.annotation(1, (5, 5, 10, 10))]
    shard = t.shard(rows)
    result = planned(shard, t.findings((rule, rows[1])))
    assert actions(result) == [(1, "drop")]
    assert result.edits["reason"].to_pylist() == [rule]
    assert result.edits["reason_id"].to_pylist() == [f"{rule}-1"]
    assert json.loads(result.edits["before"][0].as_py())["bbox"] == [5, 5, 10, 10]
    assert list(corrected(shard, result)) == [100]


def test_a_box_is_clipped_to_the_image_and_keeps_the_sides_that_are_inside() -> None:
    row = t.annotation(0, (90.3, 33.7, 20.5, 0.1))
    shard = t.shard([row])
    result = planned(shard, t.findings(("out-of-bounds", row)))
    after = corrected(shard, result)[100]
    assert (after["x"], after["y"], after["width"], after["height"]) == (90.3, 33.7, 100 - 90.3, 0.1)
    assert after["area"] == (100 - 90.3) * 0.1


def test_what_the_audit_only_notes_is_left_alone() -> None:
    row = t.annotation(0, (90, 10, 10.5, 10))
    assert planned(t.shard([row]), t.findings(("out-of-bounds", row), severity=0)).edits.num_rows == 0
    assert planned(t.shard([row]), t.findings(("out-of-bounds", row), severity=2)).edits.num_rows == 1


def test_a_box_that_clipping_would_empty_is_dropped() -> None:
    row = t.annotation(0, (100, 10, 10, 10))
    result = planned(t.shard([row]), t.findings(("out-of-bounds", row)))
    assert actions(result) == [(0, "drop")]
    assert result.edits["reason"].to_pylist() == ["out-of-bounds"]
    kept = planned(t.shard([row]), t.findings(("out-of-bounds", row)), settings=CleanSettings(actions=("clip",)))
    assert kept.edits.num_rows == 0
    assert sum(kept.not_followed.values()) == 1


def test_without_a_stated_image_size_only_the_known_borders_clip() -> None:
    row = t.annotation(0, (-5, 10, 500, 10))
    shard = t.shard([row], size=(0, 0))
    assert corrected(shard, planned(shard, t.findings(("out-of-bounds", row))))[100]["width"] == 495


def test_label_errors_relabel_move_and_add_from_their_score_on() -> None:
    rows = [t.annotation(row, (10 * row, 10, 8, 8)) for row in range(5)]
    suspects = t.label_errors(
        t.suspect("wrong_class", rows[0], 0.5, category_id=2),
        t.suspect("wrong_class", rows[1], 0.49, category_id=2),
        t.suspect("bad_box", rows[2], 0.95, box=(20, 9, 9, 9)),
        t.suspect("missing", {"image_id": 2, "category_id": 7}, 0.99, category_id=7, box=(1, 2, 3, 4)),
        t.suspect("spurious", rows[3], 1.0),
        t.suspect("bad_box", rows[4], 0.89, box=(40, 9, 9, 9)),  # likelier wrong than right, but so may be the other
    )
    shard = t.shard(rows)
    result = planned(shard, suspects=suspects)
    assert actions(result) == [(0, "relabel"), (2, "move"), (None, "add")]
    after = corrected(shard, result)
    assert [after[number]["category_id"] for number in (100, 101, 102, 103)] == [2, 1, 1, 1]
    assert tuple(after[102][side] for side in ("x", "y", "width", "height")) == (20, 9, 9, 9)
    new = after[2000]
    assert (new["image_id"], new["category_id"], new["x"], new["height"], new["area"]) == (2, 7, 1, 4, 12)
    assert new["annotation_row"] is None
    assert result.not_followed["score below clean.min_score"] == 1
    assert result.not_followed["bad_box, a box is not moved on a score below 0.9"] == 1


def test_the_weightiest_suspicion_counts() -> None:
    row = t.annotation(0, (10, 10, 8, 8))
    suspects = t.label_errors(
        t.suspect("wrong_class", row, 0.92, category_id=2), t.suspect("wrong_class", row, 0.97, category_id=7)
    )
    shard = t.shard([row])
    assert corrected(shard, planned(shard, suspects=suspects))[100]["category_id"] == 7


def test_one_annotation_has_one_chain_and_a_drop_wins() -> None:
    rows = [t.annotation(row, (95, 10 * row, 20, 8)) for row in range(2)]
    suspects = t.label_errors(
        *(t.suspect("wrong_class", row, category_id=2) for row in rows),
        *(t.suspect("bad_box", row, box=(90, 30 + row["y"], 20, 9)) for row in rows),
    )
    found = t.findings(
        ("out-of-bounds", rows[0]),
        ("out-of-bounds", rows[1]),
        ("duplicate-annotation-id", rows[0]),
        ("degenerate-box", rows[1]),
    )
    shard = t.shard(rows)
    result = planned(shard, found, suspects)
    assert actions(result) == [(0, "relabel"), (0, "move"), (0, "renumber"), (1, "drop")]
    texts = list(zip(result.edits["before"].to_pylist(), result.edits["after"].to_pylist(), strict=True))
    assert texts[0][1] == texts[1][0]
    assert texts[1][1] == texts[2][0]
    after = corrected(shard, result)
    assert list(after) == [1000]
    assert (after[1000]["category_id"], after[1000]["width"]) == (2, 10.0)  # what is moved stays inside the image


def test_an_action_that_is_not_allowed_is_counted() -> None:
    row = t.annotation(0, (5, 5, 0, 10))
    result = planned(t.shard([row]), t.findings(("degenerate-box", row)), settings=CleanSettings(actions=("clip",)))
    assert result.edits.num_rows == 0
    assert result.not_followed == {"drop is not in clean.actions": 1}


def test_a_suggestion_that_cannot_be_written_is_counted() -> None:
    row = t.annotation(0, (5, 5, 10, 10))
    suspects = t.label_errors(
        t.suspect("wrong_class", row, category_id=99),
        t.suspect("bad_box", row, box=(200, 5, 10, 10)),
        t.suspect("missing", {"image_id": 77, "category_id": 1}, category_id=1, box=(1, 1, 5, 5)),
    )
    result = planned(t.shard([row]), suspects=suspects)
    assert result.edits.num_rows == 0
    assert sum(result.not_followed.values()) == 3


def test_boxes_that_edits_made_equal_leave_one() -> None:
    rows = [
        t.annotation(0, (90, 10, 20, 8)),
        t.annotation(1, (90, 10, 30, 8)),
        t.annotation(2, (5, 5, 9, 9), category_id=2),
        t.annotation(3, (5, 5, 9, 9)),
        t.annotation(4, (40, 40, 9, 9)),
        t.annotation(5, (40, 40, 9, 9)),  # equal before, but a third is asked for
    ]
    found = t.findings(("out-of-bounds", rows[0]), ("out-of-bounds", rows[1]))
    suspects = t.label_errors(
        t.suspect("wrong_class", rows[2], category_id=1),
        t.suspect("missing", {"image_id": 1, "category_id": 1}, category_id=1, box=(40, 40, 9, 9)),
    )
    rows.append(t.annotation(6, (5, 5, 9, 9), annotator="ann"))  # another's box of the same object
    result = planned(t.shard(rows), found, suspects)
    assert actions(result) == [(0, "clip"), (1, "drop"), (2, "relabel"), (3, "drop"), (5, "drop")]


def test_boxes_that_were_equal_before_are_for_the_audit_to_judge() -> None:
    rows = [t.annotation(0, (5, 5, 9, 9)), t.annotation(1, (5, 5, 9, 9)), t.annotation(2, (90, 10, 20, 8))]
    assert actions(planned(t.shard(rows), t.findings(("out-of-bounds", rows[2])))) == [(2, "clip")]


def test_rows_are_named_by_file_and_position_since_ids_collide() -> None:
    rows = [
        t.annotation(0, (5, 5, 10, 10), annotation_id=1),
        t.annotation(0, (6, 5, 10, 10), annotation_id=1, source_file="other.json"),
    ]
    shard = t.shard(rows)
    result = planned(shard, t.findings(("degenerate-box", rows[1])))
    assert apply(shard.annotations, result.edits)["x"].to_pylist() == [5.0]
    unknown_file = planned(shard, t.findings(("degenerate-box", rows[1]), with_file=False))
    assert unknown_file.edits.num_rows == 0
    assert unknown_file.not_followed == {"it names no single annotation": 1}


def test_a_row_is_found_by_image_and_position_where_the_file_is_not_known() -> None:
    row = t.annotation(3, (5, 5, 10, 10))
    assert actions(planned(t.shard([row]), t.findings(("degenerate-box", row), with_file=False))) == [(3, "drop")]


def test_a_segmentation_stays_where_the_box_still_holds_it() -> None:
    inside, across = "[[91,11,99,11,99,17]]", "[[91,11,109,11,109,17]]"
    rows = [
        t.annotation(0, (90, 10, 20, 8), segmentation=inside, area=24.0),
        t.annotation(1, (90, 10, 21, 8), category_id=2, segmentation=across, area=54.0),
    ]
    shard = t.shard(rows)
    result = planned(shard, t.findings(*(("out-of-bounds", row) for row in rows)))
    after = corrected(shard, result)
    assert (after[100]["segmentation"], after[100]["area"]) == (inside, 24.0)
    assert (after[101]["segmentation"], after[101]["area"]) == (None, 80.0)
    assert result.segmentations_left_out == 1


@settings(deadline=None)
@given(t.scenes())
def test_rows_that_no_edit_names_are_untouched_and_counts_add_up(scene: tuple[Shard, pa.Table, pa.Table]) -> None:
    shard, found, suspects = scene
    edits = planned(shard, found, suspects).edits
    after = apply(shard.annotations, edits)
    named = set(edits["annotation_row"].to_pylist())
    untouched = pc.invert(pc.is_in(shard.annotations["annotation_row"], value_set=pa.array(named, pa.int64())))
    still = pc.invert(pc.is_in(after["annotation_row"], value_set=pa.array(named, pa.int64())))
    assert after.filter(still).equals(shard.annotations.filter(untouched), check_metadata=True)
    made = edits["action"].to_pylist()
    assert after.num_rows == shard.annotations.num_rows - made.count("drop") + made.count("add")
    assert after["image_id"].to_pylist() == sorted(after["image_id"].to_pylist())


@settings(deadline=None)
@given(t.scenes())
def test_applying_twice_changes_nothing(scene: tuple[Shard, pa.Table, pa.Table]) -> None:
    shard, found, suspects = scene
    edits = planned(shard, found, suspects).edits
    once = apply(shard.annotations, edits)
    assert apply(once, edits).equals(once)


@settings(deadline=None)
@given(t.scenes())
def test_every_edited_box_lies_in_its_image_and_none_is_doubled(scene: tuple[Shard, pa.Table, pa.Table]) -> None:
    shard, found, suspects = scene
    edits = planned(shard, found, suspects).edits
    after = apply(shard.annotations, edits)
    placed = edits.filter(pc.is_in(edits["action"], value_set=pa.array(["clip", "move", "add"])))
    new = after.filter(pc.is_in(after["annotation_row"], value_set=placed["annotation_row"].combine_chunks()))
    corners = boxes.to_corners(tables.boxes(new))
    assert (corners[:, :2] >= 0).all()
    assert (corners[:, 2:] <= np.array([100, 80]) + 1e-9).all()
    assert (tables.boxes(new)[:, 2:] > 0).all()


@settings(deadline=None)
@given(t.scenes())
def test_the_plan_depends_neither_on_the_cut_nor_on_the_order_of_reports(
    scene: tuple[Shard, pa.Table, pa.Table],
) -> None:
    shard, found, suspects = scene
    whole = planned(shard, found, suspects).edits
    found_backwards, suspects_backwards = (table.take(np.arange(len(table))[::-1]) for table in (found, suspects))
    backwards = planned(shard, found_backwards, suspects_backwards)
    assert backwards.edits.equals(whole)
    parts, rows, added = [], 1000, 2000
    for part in t.cut(shard, 1):
        own = [
            table.filter(pc.is_in(table["image_id"], value_set=part.images["image_id"].combine_chunks()))
            for table in (found, suspects)
        ]
        parts.append(plan(part, *own, ALL, FreshIds(rows, added), run="r").edits)
        rows += part.annotations.num_rows
        strong = own[1].filter(pc.and_(pc.equal(own[1]["kind"], "missing"), pc.greater_equal(own[1]["score"], 0.9)))
        added += strong.num_rows
    assert pa.concat_tables(parts).equals(whole)
