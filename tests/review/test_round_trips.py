"""To each tool and back: what was not touched decides nothing, and what a person did is what clean does."""

import json
from pathlib import Path
from typing import Any

import clean_tables as t
import pytest
from exports import BY_NAME, FINDINGS, ROWS, SUSPECTS, decisions, done, export, folder, followed, opened
from hypothesis import HealthCheck, given, settings
from people import PEOPLE, LabelStudioPerson, find
from test_clean_stage import CONFIG, cleaned

from detray.clean.apply import decoded
from detray.errors import UsageError
from detray.review.read import read_all

TOOLS = list(BY_NAME)
EVERY = ("drop", "clip", "relabel", "move", "add")


@pytest.mark.parametrize("tool", TOOLS)
@given(scene=t.scenes())
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_comes_back_untouched_decides_nothing(
    tool: str, scene: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("scene")
    store = folder(place, [scene[0]], *scene[1:])
    person = opened(store, tool, place / "in", is_all=True, min_score=0.0)
    found = read_all([person.save(place / "saved")], store)
    assert found.made == []
    assert [note.rpartition(": ")[2] for note in found.notes] == ["0 accepted, 0 rejected"]


@pytest.mark.parametrize("tool", TOOLS)
def test_boxes_of_a_class_that_no_list_has_travel_too(tool: str, tmp_path: Path) -> None:
    unlisted = t.annotation(len(ROWS), (20, 30, 12, 14), image_id=3, category_id=99)
    store = folder(tmp_path, [t.shard([*ROWS, unlisted])], FINDINGS, SUSPECTS)
    person = opened(store, tool, tmp_path / "in", is_all=True, min_score=0.0)
    assert "id 99" in {box["label"] for box in person.boxes()}
    assert read_all([person.save(tmp_path / "saved")], store).made == []


@pytest.mark.parametrize("tool", TOOLS)
def test_all_is_accepted(tool: str, tmp_path: Path) -> None:
    store = folder(tmp_path)
    person = opened(store, tool, tmp_path / "in")
    for row in person.boxes():
        if row["suspect"]:
            person.say(row["key"], "accept")
    _, edits = followed(store, person.save(tmp_path / "saved"))
    assert sorted(done(edits)) == [
        ("add", "missing", None), ("clip", "out-of-bounds", 3), ("drop", "spurious", 2), ("move", "bad_box", 1),
        ("relabel", "wrong_class", 0),
    ]  # fmt: skip
    _, unasked = cleaned(store, CONFIG | {"clean": {"format": "coco", "actions": EVERY, "min_score": 0.9}})
    by_row = {(row["action"], row["annotation_row"]): row["after"] for row in unasked.to_pylist()}
    for row in edits.to_pylist():  # as clean does it unasked, to the last bit
        if row["action"] != "drop":
            assert by_row[row["action"], row["annotation_row"]] == row["after"]


@pytest.mark.parametrize("tool", TOOLS)
def test_all_is_rejected(tool: str, tmp_path: Path) -> None:
    store = folder(tmp_path)
    person = opened(store, tool, tmp_path / "in")
    for row in person.boxes():
        if row["suspect"]:
            person.say(row["key"], "reject")
    file = person.save(tmp_path / "saved")
    _, unasked = cleaned(store, CONFIG | {"clean": {"format": "coco", "actions": EVERY, "min_score": 0.9}})
    assert unasked.num_rows == 4
    outcome, edits = followed(store, file, actions=EVERY, min_score=0.9)
    assert edits.num_rows == 0
    assert any(note.endswith("0 accepted, 5 rejected") for note in outcome.notes)


@pytest.mark.parametrize("tool", TOOLS)
def test_what_a_person_does_to_suspects(tool: str, tmp_path: Path) -> None:
    store = folder(tmp_path)
    person = opened(store, tool, tmp_path / "in")
    (wrong,) = find(person, suspect="wrong class")
    person.relabel(wrong, "cow")  # neither what it was nor what was suggested
    (loose,) = find(person, suspect="bad box", suggested=False)
    person.delete(loose)  # the suggested box stays in its place
    (spurious,) = find(person, suspect="spurious")
    person.delete(spurious)
    (out,) = find(person, suspect="out-of-bounds")
    person.move(out, (80, 12, 20, 16))
    (missing,) = find(person, suspect="suggested: missing")
    person.move(missing, (42, 44, 10, 12))
    outcome, edits = followed(store, person.save(tmp_path / "saved"))
    assert sorted(done(edits)) == [
        ("add", "missing", None), ("drop", "spurious", 2), ("move", "bad_box", 1), ("move", "out-of-bounds", 3),
        ("relabel", "wrong_class", 0),
    ]  # fmt: skip
    after = {row["action"]: row for row in edits.to_pylist()}
    assert json.loads(after["relabel"]["after"])["category_id"] == 7
    states = {(row["action"], row["annotation_row"]): json.loads(row["after"] or "{}") for row in edits.to_pylist()}
    assert states["move", 1]["bbox"] == [53, 41, 14, 12]
    assert states["move", 3]["bbox"] == pytest.approx([80, 12, 20, 16])
    assert states["add", None]["bbox"] == pytest.approx([42, 44, 10, 12])
    assert not any("Decisions that are not" in table.title for table in outcome.summary)


@pytest.mark.parametrize("tool", TOOLS)
def test_what_a_person_does_beside_the_suspects(tool: str, tmp_path: Path) -> None:
    store = folder(tmp_path)
    person = opened(store, tool, tmp_path / "in")
    (plain,) = [row["key"] for row in person.boxes() if row["box"] == pytest.approx((60, 60, 30, 15))]
    person.move(plain, (58, 61, 30, 15))
    person.relabel(plain, "dog")
    person.add("0.jpg", "cow", (70, 5, 12, 10))
    _, edits = followed(store, person.save(tmp_path / "saved"))
    assert sorted(done(edits)) == [("add", "review", None), ("move", "review", 4), ("relabel", "review", 4)]
    states = decoded(edits)
    assert (states[0].image_id, states[0].category_id) == (1, 7)
    assert states[0].bbox == pytest.approx((70, 5, 12, 10))
    assert (states[-1].category_id, states[-1].bbox) == (2, pytest.approx((58, 61, 30, 15)))


@pytest.mark.parametrize("tool", TOOLS)
def test_suggestions_that_are_deleted_are_rejected(tool: str, tmp_path: Path) -> None:
    store = folder(tmp_path)
    person = opened(store, tool, tmp_path / "in")
    for key in find(person, suggested=True):
        person.delete(key)
    assert sorted(decisions(store, person.save(tmp_path / "saved"))) == [
        ("reject", "bad_box", "move"), ("reject", "missing", "add"),
    ]  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
def test_a_suggestion_drawn_otherwise_stands_alone(tool: str, tmp_path: Path) -> None:
    """What was suggested is not added beside it, whatever clean does unasked."""
    store = folder(tmp_path)
    person = opened(store, tool, tmp_path / "in")
    (missing,) = find(person, suspect="suggested: missing")
    person.move(missing, (41, 44, 9, 12))
    person.relabel(missing, "cow")
    _, edits = followed(store, person.save(tmp_path / "saved"), actions=["add"], min_score=0.9)
    (added,) = decoded(edits)
    assert (added.category_id, added.bbox) == (7, pytest.approx((41, 44, 9, 12)))


@pytest.mark.parametrize("tool", TOOLS)
def test_a_class_that_the_data_set_does_not_have_is_counted(tool: str, tmp_path: Path) -> None:
    store = folder(tmp_path)
    person = opened(store, tool, tmp_path / "in")
    person.add("1.jpg", "unicorn", (50, 50, 9, 9))
    outcome, edits = followed(store, person.save(tmp_path / "saved"))
    assert edits.num_rows == 0
    assert any("1 boxes of a class that the data set does not have: unicorn" in note for note in outcome.notes)


@pytest.mark.parametrize("tool", TOOLS)
def test_what_changed_since_is_refused_by_name(tool: str, tmp_path: Path) -> None:
    store = folder(tmp_path)
    person = opened(store, tool, tmp_path / "in")
    (spurious,) = find(person, suspect="spurious")
    person.delete(spurious)
    file = person.save(tmp_path / "saved")
    later = [row if row is not ROWS[2] else row | {"x": 6.0} for row in ROWS]
    folder(tmp_path, [t.shard(later)], FINDINGS, SUSPECTS)
    outcome, edits = followed(store, file)
    assert edits.num_rows == 0
    (table,) = [table for table in outcome.summary if table.title == "Decisions that are not followed"]
    assert table.rows == [
        ["accept", "spurious in 1.jpg (val), row 2 of val.json", "its box has changed since it was reviewed"]
    ]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_file_of_another_folder_is_refused(tool: str, tmp_path: Path) -> None:
    store = folder(tmp_path)
    file = opened(store, tool, tmp_path / "in").save(tmp_path / "saved")
    other = folder(tmp_path / "other")
    with pytest.raises(UsageError, match=r"which was not made from .*--output"):
        read_all([file], other)


def test_what_nobody_submitted_is_counted(tmp_path: Path) -> None:
    store = folder(tmp_path)
    export(store, "label-studio", tmp_path / "in")
    found = read_all([str(tmp_path / "in" / "tasks.json")], store)
    assert found.made == []
    assert found.notes[-1].endswith("3 pictures that nobody submitted")


def test_two_people_who_differ_are_not_followed_and_who_agree_once(tmp_path: Path) -> None:
    store = folder(tmp_path)
    first, second = (opened(store, "label-studio", tmp_path / "in") for _ in range(2))
    assert isinstance(first, LabelStudioPerson)
    assert isinstance(second, LabelStudioPerson)
    for person in (first, second):
        person.delete(find(person, suspect="spurious")[0])
    first.delete(find(first, suspect="wrong class")[0])
    second.relabel(find(second, suspect="wrong class")[0], "dog")
    for mine, other in zip(first.tasks, second.tasks, strict=True):
        mine["annotations"] += [other["annotations"][0] | {"completed_by": 2}]
    file = first.save(tmp_path / "saved")
    assert decisions(store, file) == [("accept", "spurious", "drop")]
    assert any(
        note.endswith("1 pictures that two people decided differently") for note in read_all([file], store).notes
    )


def test_shapes_that_are_no_boxes_are_counted(tmp_path: Path) -> None:
    store = folder(tmp_path)
    file = Path(opened(store, "cvat", tmp_path / "in").save(tmp_path / "saved"))
    polygon = '<polygon label="cat" points="1,1;5,1;5,9"></polygon></image>'
    file.write_text(file.read_text().replace("</image>", polygon, 1))
    found = read_all([str(file)], store)
    assert found.made == []
    assert found.notes[-1].endswith("1 shapes that are no boxes: polygon")


def test_a_copy_of_a_box_is_a_new_one(tmp_path: Path) -> None:
    """Tools copy the mark too: the box that lies nearest to where it was drawn is the one that was."""
    store = folder(tmp_path)
    file = Path(opened(store, "cvat", tmp_path / "in").save(tmp_path / "saved"))
    text = file.read_text()
    start = text.index("<box")
    box = text[start : text.index("</box>", start) + len("</box>")]
    copied = box.replace('xtl="10.00"', 'xtl="12.00"').replace('xbr="30.25"', 'xbr="32.25"')
    assert copied != box
    file.write_text(text.replace(box, copied + box, 1))
    assert decisions(store, str(file)) == [("accept", "review", "add")]


def test_pictures_whose_boxes_are_all_gone_are_found_by_name(tmp_path: Path) -> None:
    store = folder(tmp_path)
    person = opened(store, "coco", tmp_path / "in")
    for key in find(person, picture="1.jpg"):
        person.delete(key)
    for image in person.data["images"]:  # type: ignore[attr-defined]
        del image["detray"]
    assert decisions(store, person.save(tmp_path / "saved")) == [
        ("accept", "spurious", "drop"), ("accept", "review", "drop"),
    ]  # fmt: skip


def test_pictures_that_are_not_in_the_file_are_left_alone(tmp_path: Path) -> None:
    store = folder(tmp_path)
    person = opened(store, "coco", tmp_path / "in")
    data = person.data  # type: ignore[attr-defined]
    data["images"] = [row for row in data["images"] if row["id"] == 1]
    data["annotations"] = [row for row in data["annotations"] if row["image_id"] == 1]
    assert decisions(store, person.save(tmp_path / "saved")) == []


def test_a_picture_of_no_export_is_counted(tmp_path: Path) -> None:
    store = folder(tmp_path)
    person = opened(store, "coco", tmp_path / "in")
    person.data["images"].append({"id": 99, "file_name": "new.jpg"})  # type: ignore[attr-defined]
    found = read_all([person.save(tmp_path / "saved")], store)
    assert found.made == []
    assert found.notes[-1].endswith("1 pictures that the export does not have, or has twice")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"images": [], "annotations": [], "categories": []}', "bears a mark of detray review"),
        (b'{"images": [], "annotations": {}, "categories": []}', "is not one JSON list"),
        (b'{"samples": 3}', "is not one JSON list"),
        (b'[{"data": {"image": "a.jpg"}, "annotations": []}]', "bears a mark of detray review"),
        (b"<annotations></annotations>", "holds no <image>"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><annotations><image name="&x;"/></annotations>', "XML"),
        (b'{"some": "thing"}', "neither what the review page exports nor of fiftyone, label-studio, cvat, coco"),
        (b"a,b,c\n", "neither what the review page exports"),
        (b"PK\x03\x04", "a zip archive; unpack it"),
        (b"", "neither what the review page exports"),
    ],
)
def test_what_no_tool_saved_is_one_sentence(content: bytes, why: str, tmp_path: Path) -> None:
    store = folder(tmp_path)
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageError) as error:
        read_all([str(tmp_path / "file")], store)
    assert why in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "file"))
    assert "\n" not in str(error.value)


def test_several_files_at_once(tmp_path: Path) -> None:
    store = folder(tmp_path)
    saved = []
    for name in ("coco", "cvat"):
        person = opened(store, name, tmp_path / name)
        person.delete(find(person, suspect="spurious")[0])
        saved.append(person.save(tmp_path / f"{name}.saved"))
    _, edits = followed(store, saved)  # type: ignore[arg-type]
    assert done(edits) == [("drop", "spurious", 2)]


def test_each_tool_has_a_person() -> None:
    assert PEOPLE.keys() == BY_NAME.keys()
