"""A fault is told of the annotator, source file, class or split that explains it, and their rows point to it."""

from typing import Any

import pytest
from audit_data import dataset

from detray.audit import tally
from detray.audit.groups import Group, at_fault
from detray.audit.measures import measure
from detray.audit.rule import Fact
from detray.audit.view import MAX_FILES, View


def _found(boxes: list[dict[str, Any]], cuts: int = 2) -> list[dict[str, Any]]:
    data = dataset(boxes=boxes, images=40, categories={1: "cell", 2: "vial"})
    return data.audited("box-format", "out-of-bounds", cuts=cuts).to_pylist()


def _entries(**columns: Any) -> list[dict[str, Any]]:
    return [{"scatter": 150, "over": [1, 40], "seed": key, "class": key, **columns} for key in (1, 2)]


def _bad(**columns: Any) -> list[dict[str, Any]]:
    return [entry | {"format": "corners", "seed": entry["seed"] + 2} for entry in _entries(**columns)]


@pytest.mark.parametrize("column", ["annotator", "source_file"])
def test_rows_point_to_who_drew_them(column: str) -> None:
    found = _found([*_entries(**{column: "a"}), *_bad(**{column: "b"}), {"box": [95, 10, 20, 20], column: "a"}])
    (root,) = [row for row in found if row["rule"] == "box-format"]
    assert root["observed"] == "300 boxes of b read better as x, y, x2, y2"
    outside = [row for row in found if row["rule"] == "out-of-bounds" and row["scope"] == "annotation"]
    assert {row["root_cause_id"] for row in outside if row["annotation_row"] >= 300} >= {root["finding_id"]}
    (other,) = [row for row in outside if row["annotation_row"] == 600]
    assert other["root_cause_id"] is None
    assert len([row for row in outside if row["root_cause_id"] == root["finding_id"]]) == len(outside) - 1


def test_an_annotator_who_is_a_file_is_told_once() -> None:
    good, bad = (_entries(annotator="a", source_file="a.json"), _bad(annotator="b", source_file="b.json"))
    (root,) = [row for row in _found([*good, *bad]) if row["rule"] == "box-format"]
    assert " of b read" in root["observed"]


def test_all_files_alike_are_the_split() -> None:
    (root,) = [
        row for row in _found([*_bad(source_file="a.json"), *_bad(source_file="b.json")]) if row["rule"] == "box-format"
    ]
    assert (root["scope"], root["count"], root["source_file"]) == ("split", 600, None)


@pytest.mark.parametrize("cuts", [1, 5])
def test_a_file_for_each_picture_is_no_group(cuts: int) -> None:
    boxes = [
        {"scatter": 30, "over": [1, 40], "seed": number, "source_file": f"{number}.xml"} | {"format": kind}
        for number, kind in enumerate(["corners"] + ["sides"] * MAX_FILES)
    ]
    assert not [row for row in _found(boxes, cuts) if row["rule"] == "box-format"]
    assert [row for row in _found(boxes[:10], cuts) if row["rule"] == "box-format"]


def _named(faulty: tuple[str, ...], rest_is_faulty: bool = False) -> list[str]:
    """Whom a fault is told of, if the ``faulty`` groups and the whole have it, or also what is left without them."""
    boxes = [
        {"scatter": 100 * key, "over": [1, 40], "seed": 10 * key + number, "class": key, "annotator": who}
        for key in (1, 2, 3)
        for number, who in enumerate(("a", "b", "c"))
    ]
    data = dataset(boxes=boxes, images=40, categories={1: "one", 2: "two", 3: "three"})
    shards, _ = data.shards()
    summary = data.summary(tally.merge((shard.split, measure(View(shard))) for shard in shards))

    def verdict(group: Group) -> Fact | None:
        is_rest = bool(group.without) or (not group.is_class and 0 < len(group.category_ids) < 3 and not group.suffix)
        name = group.annotator or group.category_name
        bad = rest_is_faulty if is_rest else name in faulty if name else True
        n_boxes = group.count(summary.tallies["val"], "boxes")
        return group.fact(name or "all", n_boxes) if bad else None

    return [fact.observed for fact in at_fault(summary, "val", lambda group: True, verdict)]


@pytest.mark.parametrize(
    ("faulty", "rest_is_faulty", "named"),
    [
        (("a",), False, ["a"]),
        (("a", "b"), True, ["all"]),
        (("three",), False, ["three"]),
        (("two", "three"), True, ["all"]),
        (("one", "two", "three"), False, ["all"]),
        (("a", "b", "one"), False, ["one"]),
        (("a", "two", "three"), False, ["a"]),
    ],
)
def test_a_fault_is_told_of_the_fewest_boxes_without_which_there_is_none(
    faulty: tuple[str, ...], rest_is_faulty: bool, named: list[str]
) -> None:
    assert _named(faulty, rest_is_faulty) == named


def test_a_split_without_an_annotator_or_a_class_is_what_is_left() -> None:
    boxes = [*_entries(annotator="a"), *_bad(annotator="b")]
    data = dataset(boxes=boxes, images=40, categories={1: "cell", 2: "vial"})
    shards, _ = data.shards(3)
    counted = tally.merge((shard.split, measure(View(shard))) for shard in shards)["val"]
    left = Group("val", (1, 2), without=("@b",))
    assert left.count(counted, "boxes") == 300
    keys, n = left.histogram(counted, "right")
    expected = counted.histogram("right@a")
    assert (keys.tolist(), n.tolist()) == (expected[0].tolist(), expected[1].tolist())
