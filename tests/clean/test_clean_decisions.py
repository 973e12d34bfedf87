"""What a person decided on the review page is followed, and refused by name where a row has changed."""

import json
from pathlib import Path
from typing import Any

import clean_tables as t
import pyarrow as pa
import pytest
from test_clean_stage import CONFIG, FINDINGS, ROWS, SUSPECTS, cleaned, ingested

from detray.clean.decisions import read_decisions
from detray.errors import UsageError

BY_DEFAULT = CONFIG | {"clean": {"format": "coco"}}


def about(kind: str, row: dict[str, Any], action: str | None, **more: Any) -> dict[str, Any]:
    named = {name: row.get(name) for name in ("image_id", "source_file", "annotation_row", "category_id")}
    box = [row.get(side) for side in ("x", "y", "width", "height")]
    return {"kind": kind, "split": "val", "file_name": "0.jpg", **named, "box": box, "action": action} | more


def export(path: Path, *decisions: tuple[str, dict[str, Any]]) -> str:
    rows = [{"decision": word, "about": said} for word, said in decisions]
    path.write_text(json.dumps({"detray": "decisions", "version": 1, "run": "r", "decisions": rows}))
    return str(path)


def decided(folder: Path, *decisions: tuple[str, dict[str, Any]], **settings: Any) -> tuple[Any, pa.Table]:
    store = ingested(folder / "out", [t.shard(ROWS)], FINDINGS, SUSPECTS)
    file = export(folder / "decisions.json", *decisions)
    return cleaned(store, CONFIG | {"clean": {"format": "coco", "decisions": file} | settings})


MISSING = {"kind": "missing", "split": "val", "image_id": 1, "action": "add", "suggested_category_id": 2}
MISSING |= {"suggested_box": [40, 40, 10, 10]}


def test_what_is_accepted_is_done_whatever_is_allowed(tmp_path: Path) -> None:
    outcome, edits = decided(
        tmp_path,
        ("accept", MISSING),
        ("accept", about("spurious", ROWS[0], "drop")),
        ("accept", about("bad_box", ROWS[3], "move", suggested_box=[4, 4, 8, 8])),
        actions=[],
    )
    rows = [(row["image_id"], row["action"], row["reason"]) for row in edits.to_pylist()]
    assert rows == [(1, "drop", "spurious"), (1, "add", "missing"), (2, "move", "bad_box")]
    assert "decisions: 3 followed, 0 refused" in outcome.notes


def test_what_is_rejected_is_not_done_and_the_rest_is_as_without(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    _, plain = cleaned(ingested(tmp_path / "plain", [t.shard(ROWS)], FINDINGS, SUSPECTS), BY_DEFAULT)
    skipped = ("skip", about("degenerate-box", ROWS[1], "drop"))
    _, edits = decided(tmp_path, ("reject", about("out-of-bounds", ROWS[2], "clip")), skipped)
    assert plain["reason"].to_pylist() == ["degenerate-box", "out-of-bounds", "wrong_class"]
    assert edits["reason"].to_pylist() == ["degenerate-box", "wrong_class"]


def test_an_accepted_edit_stands_before_what_clean_would_do_itself(tmp_path: Path) -> None:
    _, edits = decided(tmp_path, ("accept", about("bad_box", ROWS[1], "move", suggested_box=[10, 10, 5, 20])))
    assert [r["action"] for r in edits.to_pylist() if r["annotation_row"] == 1] == ["move"]


def test_a_row_that_changed_is_refused_by_name(tmp_path: Path) -> None:
    outcome, edits = decided(
        tmp_path,
        ("accept", about("spurious", ROWS[0] | {"x": 10.0}, "drop")),
        ("accept", about("spurious", ROWS[3] | {"category_id": 1}, "drop")),
        ("reject", about("out-of-bounds", ROWS[2] | {"annotation_row": 77}, "clip")),
        ("accept", MISSING | {"image_id": 9, "file_name": "9.jpg"}),
        ("accept", about("near-synonym-category", ROWS[5], None)),
    )
    (table,) = [table for table in outcome.summary if table.title == "Decisions that are not followed"]
    assert [row[1:] for row in table.rows] == [
        ["spurious in 0.jpg (val), row 0 of val.json", "its box has changed since it was reviewed"],
        ["spurious in 0.jpg (val), row 3 of val.json", "its class has changed since it was reviewed"],
        ["out-of-bounds in 0.jpg (val), row 77 of val.json", "there is no such annotation any more"],
        ["missing in 9.jpg (val)", "there is no such image any more"],
        ["near-synonym-category in 0.jpg (val), row 5 of val.json",
         "accepted, but no edit mends it: mend it by hand"],
    ]  # fmt: skip
    assert "spurious" not in edits["reason"].to_pylist()
    assert "out-of-bounds" in edits["reason"].to_pylist()


def test_what_two_people_decide_differently_is_refused_and_what_they_agree_on_done_once(tmp_path: Path) -> None:
    outcome, edits = decided(
        tmp_path,
        ("accept", MISSING),
        ("accept", MISSING),
        ("accept", about("spurious", ROWS[0], "drop")),
        ("reject", about("spurious", ROWS[0], "drop")),
        actions=[],
    )
    assert edits["action"].to_pylist() == ["add"]
    (table,) = [table for table in outcome.summary if table.title == "Decisions that are not followed"]
    assert [row[2] for row in table.rows] == ["it is both accepted and rejected in the file"] * 2


def test_what_is_mended_by_hand_needs_no_row(tmp_path: Path) -> None:
    row = ROWS[0] | {"annotation_row": 77}
    outcome, _ = decided(
        tmp_path, ("accept", about("not-finite", row, None)), ("reject", about("missing-field", row, None))
    )
    (table,) = [table for table in outcome.summary if table.title == "Decisions that are not followed"]
    assert [row[2] for row in table.rows] == ["accepted, but no edit mends it: mend it by hand"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "Expected `object`"),
        ('{"detray": "decisions", "version": 2, "run": "r", "decisions": []}', "version"),
        (
            '{"detray": "decisions", "version": 1, "run": "r", "decisions":'
            ' [{"decision": "maybe", "about": {"kind": "k", "split": "val", "image_id": 1}}]}',
            "decisions[0].decision",
        ),
        (
            '{"detray": "decisions", "version": 1, "run": "r", "decisions":'
            ' [{"decision": "accept", "about": {"kind": "k", "split": "val", "image_id": 1, "eval": ""}}]}',
            "unknown field `eval`",
        ),
        ("\xff", "not what a review page exports"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "decisions.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="not what a review page exports") as error:
        read_decisions(str(file))
    assert why in str(error.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_decisions(str(tmp_path / "none.json"))
