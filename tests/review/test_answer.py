"""What a person left of a picture, as decisions: each case by itself."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detray.clean.decisions import About
from detray.review.answer import ROUNDING, Answer, Found, compare, is_close, word
from detray.review.key import Drawn, Mark, Picture, read_mark

CLASSES = {"cat": 1, "dog": 2}
BOX = (10.0, 10.0, 20.0, 20.0)
OTHER = (14.0, 11.0, 22.0, 19.0)
EXPORT = "0123abcd"


def about(kind: str, action: Any, **more: Any) -> About:
    row: dict[str, Any] = {"source_file": "a.json", "annotation_row": 0, "category_id": 1, "box": BOX}
    return About(kind, "val", 7, "a.jpg", **({} if action == "add" else row), action=action, **more)


WRONG = about("wrong_class", "relabel", suggested_category_id=2)
LOOSE = about("bad_box", "move", suggested_box=OTHER)
SPURIOUS = about("spurious", "drop")
OUT = about("out-of-bounds", "clip")
MISSING = about("missing", "add", suggested_category_id=2, suggested_box=OTHER)
BY_HAND = about("annotator-disagreement", None)


def truth(*asked: About, box: Any = BOX) -> Drawn:
    return Drawn(2, 1, "cat", box, "a.json", 0, None, asked)


def suggestion(asked: About, of: int | None = None) -> Drawn:
    label = "dog" if asked.action == "add" else "cat"
    return Drawn(3, CLASSES[label], label, OTHER, None, None, of, (asked,))


def found(drawn: Drawn, **changes: Any) -> Found:
    return replace(Found(Mark(EXPORT, drawn.number), drawn.label, drawn.box), **changes)


def said(shapes: list[Drawn], *boxes: Found, left: Any = None) -> list[tuple[Any, ...]]:
    """Decisions as word, kind, action, class and box."""
    picture = Picture(1, "val", 7, "a.jpg", "a.jpg", 100, 80, shapes)
    made = compare(picture, Answer(None, "a.jpg", boxes), CLASSES)
    assert +made.left == (left or {})
    return [
        (one.decision, one.about.kind, one.about.action, one.about.suggested_category_id, one.about.suggested_box)
        for one in made.decisions
    ]


def test_accepting_takes_what_goes_together() -> None:
    drawn = truth(WRONG, OUT, SPURIOUS)
    assert said([drawn], found(drawn, word="accept")) == [
        ("accept", "wrong_class", "relabel", 2, None), ("accept", "out-of-bounds", "clip", None, None),
    ]  # fmt: skip
    drawn = truth(SPURIOUS, WRONG)
    assert said([drawn], found(drawn, word="accept")) == [("accept", "spurious", "drop", None, None)]


def test_accepting_a_loose_box_takes_the_suggested_one_as_it_now_is() -> None:
    drawn, instead = truth(LOOSE), suggestion(LOOSE, of=2)
    assert said([drawn, instead], found(drawn, word="accept"), found(instead)) == [
        ("accept", "bad_box", "move", None, OTHER)
    ]
    moved = (15.0, 12.0, 22.0, 19.0)
    for boxes in (
        [found(drawn, word="accept"), found(instead, box=moved)],
        [found(drawn), found(instead, word="accept", box=moved)],
        [found(drawn), found(instead, box=moved)],  # who moves it wants it
        [found(instead, box=moved)],  # and who deletes the other
    ):
        assert said([drawn, instead], *boxes) == [("accept", "bad_box", "move", None, moved)]


def test_a_loose_box_is_left_where_the_suggested_one_is_not_wanted() -> None:
    drawn, instead = truth(LOOSE), suggestion(LOOSE, of=2)
    rejected = [("reject", "bad_box", "move", None, OTHER)]
    assert said([drawn, instead], found(drawn)) == rejected
    assert said([drawn, instead], found(drawn), found(instead, word="reject")) == rejected
    assert said([drawn, instead], found(drawn, word="reject"), found(instead)) == rejected
    assert said([drawn, instead]) == [("accept", "review", "drop", None, None)]
    assert said([drawn, instead], found(instead, word="reject")) == [("accept", "review", "drop", None, None)]


def test_relabelling_the_suggested_box_relabels_the_annotation() -> None:
    drawn, instead = truth(LOOSE), suggestion(LOOSE, of=2)
    assert said([drawn, instead], found(instead, label="dog")) == [
        ("accept", "review", "relabel", 2, None), ("accept", "bad_box", "move", None, OTHER),
    ]  # fmt: skip


def test_what_is_drawn_anew_stands_before_what_was_suggested() -> None:
    drawn, moved = truth(WRONG, OUT), (12.0, 12.0, 20.0, 20.0)
    assert said([drawn], found(drawn, box=moved)) == [("accept", "out-of-bounds", "move", None, moved)]
    assert said([drawn], found(drawn, box=moved, word="reject")) == [
        ("accept", "out-of-bounds", "move", None, moved), ("reject", "wrong_class", "relabel", 2, None),
        ("reject", "out-of-bounds", "clip", None, None),
    ]  # fmt: skip


def test_a_suggestion_to_add() -> None:
    drawn, moved = suggestion(MISSING), (15.0, 12.0, 22.0, 19.0)
    assert said([drawn], found(drawn)) == []
    assert said([drawn]) == [("reject", "missing", "add", 2, OTHER)]
    assert said([drawn], found(drawn, word="accept")) == [("accept", "missing", "add", 2, OTHER)]
    assert said([drawn], found(drawn, label="cat")) == [("accept", "missing", "add", 1, OTHER)]
    assert said([drawn], found(drawn, box=moved)) == [
        ("reject", "missing", "add", 2, OTHER), ("accept", "missing", "add", 2, moved),
    ]  # fmt: skip
    assert said([drawn], found(drawn, box=moved, word="reject")) == [("reject", "missing", "add", 2, OTHER)]


def test_what_no_edit_mends_is_said_by_clean_and_what_nothing_asks_is_counted() -> None:
    drawn = truth(BY_HAND)
    assert said([drawn], found(drawn, word="accept")) == [("accept", "annotator-disagreement", None, None, None)]
    nothing = truth()
    left = {"boxes accepted about which nothing is asked": 1}
    assert said([nothing], found(nothing, word="accept"), left=left) == []


def test_without_marks_boxes_are_found_by_what_they_are() -> None:
    drawn, again = truth(SPURIOUS), replace(truth(), number=4, annotation_row=1)  # two that are equal
    assert said([drawn, again], found(drawn, mark=None), found(again, mark=None)) == []
    assert said([drawn, again], found(again, mark=None)) == [("accept", "review", "drop", None, None)]
    assert said([drawn], found(drawn, mark=None, label="dog")) == [
        ("accept", "spurious", "drop", None, None), ("accept", "review", "add", 2, BOX),
    ]  # fmt: skip


def test_a_mark_of_another_picture_is_a_new_box() -> None:
    drawn = truth()
    other = Found(Mark(EXPORT, 99), "dog", OTHER)
    assert said([drawn], found(drawn), other) == [("accept", "review", "add", 2, OTHER)]


@given(st.lists(st.floats(-ROUNDING, ROUNDING), min_size=4, max_size=4))
def test_rounding_is_no_move(by: list[float]) -> None:
    left, top, right, bottom = (edge + shift for edge, shift in zip((10.0, 10.0, 30.0, 30.0), by, strict=True))
    drawn = truth(SPURIOUS)
    assert said([drawn], found(drawn, box=(left, top, right - left, bottom - top))) == []


def test_what_a_tool_cuts_at_the_edge_is_no_move() -> None:
    picture = Picture(1, "val", 7, "a.jpg", "a.jpg", 100, 80)
    assert is_close(picture, (90, -5, 20, 20), (90, 0, 10, 15))
    assert not is_close(picture, (90, -5, 20, 20), (90, 0, 10, 13))
    assert not is_close(replace(picture, width=None, height=None), (90, 5, 20, 20), (90, 5, 10, 20))


@pytest.mark.parametrize(("text", "meant"), [("accept", "accept"), (" Reject ", "reject"), ("open", None), (3, None)])
def test_words(text: object, meant: str | None) -> None:
    assert word(text) == meant


@pytest.mark.parametrize("text", ["", "0123abcd", "0123abcd-", "0123abcd-1x", "0123ABCD-1", None, 7, "0" * 99])
def test_what_is_no_mark(text: object) -> None:
    assert read_mark(text) is None
    assert read_mark(str(Mark(EXPORT, 12))) == Mark(EXPORT, 12)
