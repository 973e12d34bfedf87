"""What class ids mean: by names, by what detections hit, or asked about."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest

from detray.errors import DetrayError, UsageError
from detray.meaning.hits import Hits, count_hits
from detray.meaning.names import match_names, say_nothing
from detray.meaning.reading import Listed
from detray.meaning.settle import Meaning, Stated, settle_file, settle_model

OWN = {1: "cat", 2: "dog", 3: "emu"}
LIST = Listed("labels.txt", {1: ("cat",), 2: ("dog",), 3: ("emu",)}, is_numbered=False)
MAP = Listed("map.pbtxt", {1: ("emu",), 2: ("cat",), 3: ("dog",), 9: ("yak",)})
FROM_0 = Hits(30, [(1, 0, 9), (2, 1, 8), (2, 2, 1), (3, 2, 7)], {0: 9, 1: 8, 2: 8})
"""Detections that count from 0, of which one is wrong."""
FROM_1 = Hits(30, [(1, 1, 9), (2, 2, 8), (3, 3, 7)], {1: 9, 2: 8, 3: 7})
BY_MAP = Hits(30, [(1, 2, 9), (2, 3, 8), (3, 1, 7)], {1: 7, 2: 9, 3: 8, 9: 2})


def model(hits: Hits, names: Mapping[int, str] = {}, base: int | None = None, **stated: Any) -> Meaning:
    return settle_model("m", names, OWN, Stated(**stated), lambda: hits, base)


def file(hits: Hits, *names: str, **stated: Any) -> Meaning:
    return settle_file("f", names, OWN, Stated(**stated), lambda: hits)


def unasked() -> Hits:
    raise AssertionError("the detections are looked at though nothing is open")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("traffic light", 1), ("Traffic-Light", 1), ("TRAFFIC_LIGHTS", 1), ("knives", 3), ("knife", 3), ("bus", 4),
        ("buses", 4), ("light", None), ("", None), ("c++", 5), ("c", 6),
    ],
)  # fmt: skip
def test_names_are_the_same_without_case_spaces_and_plural(name: str, found: int | None) -> None:
    own = {1: "traffic light", 3: "knives", 4: "Bus", 5: "C++", 6: "C"}
    matched = match_names({0: (name,)}, own)
    assert matched.ids.get(0) == found
    assert matched.foreign == ({0: name} if found is None else {})


def test_the_same_spelling_comes_before_a_like_one() -> None:
    assert match_names({0: ("Cat",), 1: ("cat",), 2: ("x", "cat")}, {1: "cat", 2: "Cat"}).ids == {0: 2, 1: 1, 2: 1}


def test_names_that_only_number() -> None:
    assert say_nothing({0: "class_0", 1: "1", 2: "Label 2"})
    assert not say_nothing({0: "class_0", 1: "cat"})


def test_a_model_is_read_by_its_names_without_a_look() -> None:
    found = settle_model("m", {0: "dogs", 1: "yak", 2: "Cat"}, OWN, Stated(label_map=LIST), unasked, 0)
    assert (found.ids, found.foreign) == ({0: 2, 2: 1}, {1: "yak"})
    assert found.notes == ("the model has no class emu", "m: the model's classes that the data lacks: yak")
    assert found.labels(OWN)[1] == (1_000_001, "yak")


def test_names_that_disagree_are_refused_never_obeyed() -> None:
    hands = {1: "hand", 2: "face", 3: "pinch"}
    with pytest.raises(UsageError, match=r"classes are hand, face, pinch, and the data's cat, dog, emu: none is the s"):
        settle_model("m", hands, OWN, Stated(), unasked, 1)
    with pytest.raises(UsageError, match=r"f: its classes are face, hand, .*predict\.category_map"):
        settle_file("f", ("hand", "face"), OWN, Stated(), unasked)
    assert settle_model("m", hands, OWN, Stated({1: 2}), unasked, 1).ids == {1: 2}


@pytest.mark.parametrize("classes", [{1: "1", 2: "2"}, {1: "a", 2: "b"}])
def test_data_without_names_is_read_by_ids(classes: dict[int, str]) -> None:
    own = {1: "1", 2: "2"}
    found = settle_model("m", classes, own, Stated(), lambda: Hits(), None)
    assert {k: found.labels(own)[k] for k in own} == {k: (k, name) for k, name in own.items()}


@pytest.mark.parametrize(
    ("hits", "base", "first"), [(FROM_0, None, 0), (FROM_1, None, 1), (FROM_1, 0, 1), (FROM_0, 1, 0)]
)
def test_a_list_without_ids_counts_as_the_detections_hit(hits: Hits, base: int | None, first: int) -> None:
    expected = {k + first - 1: k for k in OWN}
    for found in (model(hits, base=base, label_map=LIST), model(hits, base=base, category_map=LIST)):
        assert found.ids == expected
        assert f"read by labels.txt counted from {first}: so 24 of 30 boxes" in found.notes[0]
        assert f"by labels.txt counted from {1 - first} {1 if hits is FROM_0 else 0}" in found.notes[0]
    assert file(hits, label_map=LIST).labels(OWN)[first] == (1, "cat")
    assert file(hits, category_map=LIST).labels(OWN)[first] == (1, "cat")


def test_where_nothing_tells_a_person_is_asked() -> None:
    for ask in (model, file):
        with pytest.raises(
            UsageError, match=r"labels\.txt names classes without ids.*detector\.io\.class_base.*predict"
        ):
            ask(Hits(), category_map=LIST)
        assert ask(Hits(), category_map=LIST, class_base=0).ids == {0: 1, 1: 2, 2: 3}
        assert ask(Hits(), category_map=LIST, class_base=1).ids == {1: 1, 2: 2, 3: 3}
    assert model(Hits(), base=0, label_map=LIST).ids == {0: 1, 1: 2, 2: 3}
    # the ids of a file are the data's unless something speaks for another reading
    assert not file(Hits(), label_map=LIST).says


def test_readings_that_say_the_same_of_all_ids_are_one() -> None:
    found = file(FROM_1, label_map=LIST)
    assert not found.says
    assert found.notes[0].startswith("the class ids of f are read as they stand: so 24 of 30 boxes are hit")
    assert file(Hits(30), label_map=LIST).notes == ()


def test_few_or_equal_hits_tell_nothing() -> None:
    few = Hits(30, [(1, 0, 2)], {0: 2})
    equal = Hits(30, [(1, 0, 5), (2, 2, 5)], {0: 5, 2: 5})
    for hits in (few, equal):
        assert "NOTHING TELLS" in model(hits, label_map=LIST).notes[0]
        assert not file(hits, label_map=LIST).says


def test_a_map_with_ids_is_obeyed_by_models_and_no_file() -> None:
    assert model(BY_MAP, label_map=MAP).ids == {1: 3, 2: 1, 3: 2}
    assert model(BY_MAP, label_map=MAP).foreign == {9: "yak"}
    assert not settle_file("f", (), OWN, Stated(label_map=MAP), unasked).says
    assert settle_file("f", (), OWN, Stated(category_map=MAP), unasked).ids == {1: 3, 2: 1, 3: 2}


def test_models_that_count_from_0_are_used_with_maps_that_count_from_1() -> None:
    one_less = Hits(30, [(1, 1, 9), (2, 2, 8), (3, 0, 7)])
    assert model(one_less, base=0, label_map=MAP).ids == {0: 3, 1: 1, 2: 2}
    assert model(BY_MAP, base=0, label_map=MAP).ids == {1: 3, 2: 1, 3: 2}


def test_a_model_without_names_is_told_loudly() -> None:
    found = model(FROM_1)
    assert not found.says
    assert found.notes == (
        "m does not name its classes, their ids are read as they stand: so 24 of 30 boxes are hit by a detection of"
        " their class",
    )
    assert model(FROM_0, base=0).ids == {0: 1, 1: 2, 2: 3}
    by_chance = Hits(30, [(1, 3, 4), (2, 1, 2)], {1: 2, 3: 4, 8: 5})
    notes = model(by_chance).notes
    assert notes[1].startswith("NO BOX of 30 in a few pictures is hit by a detection of its class, though any class hi")
    assert notes[2] == (
        "class ids of the model that mean none of the data's classes: 8; is it a model of these classes?"
    )


def test_names_of_a_file_count_unless_a_map_is_stated() -> None:
    found = file(Hits(), "Dogs", "yak")
    assert (found.names, found.ids) == ({"Dogs": 2}, {})
    assert file(Hits(), "Dogs", category_map=LIST, class_base=1).names == {}
    assert file(Hits(), "Dogs", mapping={0: 1}).names == {}
    assert file(Hits(), "1", "2").names == {}


def test_machine_ids_are_called_by_the_words_of_the_label_map() -> None:
    described = Listed("classes.csv", {1: ("cat", "/m/01yrx"), 2: ("dog", "/m/0bt9lr")}, is_numbered=False)
    found = settle_file("f", ("/m/0bt9lr", "/m/0x"), OWN, Stated(label_map=described), lambda: Hits())
    assert found.names == {"/m/0bt9lr": 2}
    assert settle_model("m", {5: "/m/01yrx"}, OWN, Stated(label_map=described), unasked, None).ids == {5: 1}


def test_a_list_of_other_classes_is_refused() -> None:
    other = Listed("birds.txt", {1: ("rook",)}, is_numbered=False)
    for ask in (model, file):
        with pytest.raises(DetrayError, match=r"birds\.txt: names no class of the data set, which has cat, dog, emu"):
            ask(FROM_0, category_map=other)
    assert not file(FROM_0, label_map=other).says


def rows(*values: tuple[Any, ...], last: str) -> pa.Table:
    names = ("image_id", "category_id", "x", "y", "width", "height", last)
    types = [pa.int64(), pa.int64(), *[pa.float64()] * 4, pa.bool_() if last == "is_crowd" else pa.float64()]
    columns = zip(*values, strict=True) if values else [()] * 7
    return pa.table([pa.array(c, t) for c, t in zip(columns, types, strict=True)], names=names)


def test_the_best_detection_of_a_box_is_counted() -> None:
    boxes = rows(
        (1, 1, 0, 0, 10, 10, False),
        (1, 2, 50, 0, 10, 10, None),
        (1, 2, 90, 0, 10, 10, True),
        (2, 3, 0, 0, 10, 10, False),
        (3, 3, 0, 0, float("nan"), 10, False),
        last="is_crowd",
    )
    found = rows(
        (1, 7, 0, 0, 10, 9, 0.6),
        (1, 8, 0, 0, 10, 10, 0.5),
        (1, 9, 51, 0, 10, 10, None),
        (1, 5, 50, 5, 10, 10, 0.9),
        (1, None, 50, 0, 10, 10, 0.9),
        (2, 7, 0, 0, 10, 10, 0.1),
        (4, 7, 0, 0, 10, 10, 0.1),
        last="score",
    )
    hits = count_hits(boxes, found)
    assert hits == Hits(3, [(1, 7, 1), (3, 7, 1)], {5: 1, 7: 2, 8: 1})
    assert Hits.sum([hits, hits]) == Hits(6, [(1, 7, 2), (3, 7, 2)], {5: 2, 7: 4, 8: 2})
    assert hits.of({7: 1}.get) == 1
    assert hits.any_class == 2
    empty = rows(last="is_crowd")
    assert count_hits(empty, rows(last="score")) == Hits()
