"""The table of classes: one name for each, as people call it."""

from pathlib import Path

import pyarrow as pa
import pytest

from detray.formats import chunk
from detray.formats.classes import categories_table, contradictions, note_contradictions, number_names
from detray.formats.label_map import read_label_map


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("class-descriptions.csv", "/m/01g317,Person\n/m/0k4j,Car\n/m/015p6,Bird\n"),
        ("map.pbtxt", "\n".join(f"item {{ id: {n} name: '{m}' display_name: '{w}' }}" for n, (m, w) in enumerate(
            [("/m/01g317", "Person"), ("/m/0k4j", "Car"), ("/m/015p6", "Bird")], 1))),
    ],
)  # fmt: skip
def test_machine_ids_are_called_by_their_words(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    label_map = read_label_map(tmp_path / file)
    stated = pa.Table.from_pylist(
        [{"category_name": name} for name in ("/m/0k4j", "/m/01g317", "/m/x")], chunk.CATEGORIES
    )
    ids = number_names({"val": stated}, label_map)
    assert ids == {"val": {"/m/01g317": 1, "/m/0k4j": 2, "/m/x": 4}}
    found = categories_table({"val": stated}, ids, label_map, "run", {"val": {}}).to_pylist()
    assert {(row["source"], row["category_id"], row["category_name"]) for row in found} == {
        ("annotations", 1, "Person"), ("annotations", 2, "Car"), ("annotations", 4, "/m/x"),
        ("label_map", 1, "Person"), ("label_map", 2, "Car"), ("label_map", 3, "Bird"),
    }  # fmt: skip
    assert {row["source"] for row in found if row["is_listed"] is False} == {"annotations"}
    assert not any(row["is_listed"] for row in found if row["source"] == "annotations")


def _pairs(**boxes: int) -> dict[str, pa.Table]:
    rows = []
    for pair, count in boxes.items():
        name, _, number = pair.rpartition("_")
        rows.append({"category_id": int(number), "category_name": name, "boxes": count})
    return {"val": pa.Table.from_pylist(rows, chunk.CATEGORIES)}


def test_a_pair_that_most_boxes_contradict_is_noted_at_its_rows() -> None:
    stated = _pairs(cat_1=100, dog_1=3, dog_2=80, cat_99=1, bird_3=1)
    found = contradictions(stated["val"])
    assert found == {
        (1, "dog"): ("class/text", "dog, and label 1 is cat"),
        (99, "cat"): ("class/label", "99, and cat is 1"),
    }
    rows = [{"category_id": 1, "category_name": "cat"}, {"category_id": 1, "category_name": "dog"},
            {"category_id": 99, "category_name": "cat"}, {"category_id": None, "category_name": "dog"}]  # fmt: skip
    noted = note_contradictions(pa.Table.from_pylist(rows, chunk.ANNOTATIONS), found)["defects"].to_pylist()
    assert [one and one[0]["field"] for one in noted] == [None, "class/text", "class/label", None]
    table = categories_table(stated, {"val": {}}, None, "run", {"val": found})
    assert table.select(["category_id", "category_name"]).to_pylist() == [
        {"category_id": 1, "category_name": "cat"},
        {"category_id": 2, "category_name": "dog"},
        {"category_id": 3, "category_name": "bird"},
    ]


def test_two_classes_may_share_a_name() -> None:
    assert contradictions(_pairs(NA_1=50, NA_2=30, cat_3=9)["val"]) == {}
    assert contradictions(chunk.CATEGORIES.empty_table()) == {}


def test_a_class_stated_with_and_without_its_number_is_one() -> None:
    stated = _pairs(cat_1=9, dog_2=9, dog_7=1)
    more = [{"category_name": name, "boxes": 1} for name in ("dog", "bird", "ape")] + [{"category_id": 40, "boxes": 1}]
    stated["val"] = pa.concat_tables([stated["val"], pa.Table.from_pylist(more, chunk.CATEGORIES)])
    assert number_names(stated, None) == {"val": {"dog": 2, "ape": 41, "bird": 42}}
    far = pa.Table.from_pylist([{"category_id": 2**63 - 1}, {"category_name": "a"}], chunk.CATEGORIES)
    assert number_names({"val": far}, None) == {"val": {"a": 1}}


def test_a_split_is_judged_by_its_own_numbers() -> None:
    stated = {"train": _pairs(bolt_2=90, nut_3=90)["val"], "val": _pairs(bolt_1=40, nut_2=40)["val"]}
    assert [contradictions(table) for table in stated.values()] == [{}, {}]
    unnumbered = pa.Table.from_pylist([{"category_name": name} for name in ("nut", "cam")], chunk.CATEGORIES)
    stated = {split: pa.concat_tables([table, unnumbered]) for split, table in stated.items()}
    assert number_names(stated, None) == {"train": {"nut": 3, "cam": 4}, "val": {"nut": 2, "cam": 4}}
    stated["val"] = pa.concat_tables([_pairs(cap_3=5)["val"], unnumbered])  # train's number of nut is taken here
    assert number_names(stated, None) == {"train": {"cam": 4, "nut": 3}, "val": {"cam": 4, "nut": 5}}


def test_a_file_that_numbers_the_classes_in_its_own_way_is_at_fault_and_not_its_boxes() -> None:
    def of_file(name: str, **pairs: int) -> pa.Table:
        table = _pairs(**pairs)["val"]
        return table.set_column(3, table.schema.field(3), pa.repeat(name, table.num_rows))

    stated = pa.concat_tables([of_file("a", cat_1=90, dog_2=90), of_file("b", dog_1=6, cat_2=6)])
    assert contradictions(stated) == {}
    found = categories_table({"val": stated}, {"val": {}}, None, "run", {"val": {}})
    assert [(row["source_file"], row["category_id"], row["category_name"]) for row in found.to_pylist()] == [
        ("a", 1, "cat"), ("a", 2, "dog"), ("b", 1, "dog"), ("b", 2, "cat"),
    ]  # fmt: skip
    few = pa.concat_tables([of_file("a", cat_1=90, dog_2=90), of_file("b", cat_1=9, dog_1=2)])
    assert contradictions(few) == {(1, "dog"): ("class/text", "dog, and label 1 is cat")}
