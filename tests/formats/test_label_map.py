"""Label maps in every form people write them, the malformed ones told apart."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detray.errors import DetrayError, UsageError
from detray.formats.label_map import read_category_map, read_label_map, write_label_map


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_the_coco_label_map(shared: Path) -> None:
    found = read_label_map(shared / "labelmaps" / "mscoco_label_map.pbtxt")
    assert (len(found.entries), found.problems) == (80, ())
    assert (min(found.names), max(found.names), 12 in found.names) == (1, 90, False)
    assert (found.names[90], found.ids["toothbrush"], found.ids["/m/01g317"]) == ("toothbrush", 90, 1)


def test_one_item_for_three_classes(shared: Path) -> None:
    found = read_label_map(shared / "labelmaps" / "one_item_for_three_classes.pbtxt")
    assert found.names == {3: "orange"}
    (problem,) = found.problems
    assert (problem.line, problem.observed) == (1, "one item holds 3 times 'name' and 3 times 'id'")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.pbtxt", "item { id: 1 name: 'cat' }\n# a comment { }\nitem: <\n name: \"d\\303\\266g\", id: 3\n>"),
        ("a.txt", "item {\n  id: 1\n  name: 'cat'\n}\nitem { id: 3 name: 'dög' }"),
        ("a.yaml", "1: cat\n3: dög\n"),
        ("a.yaml", "cat: 1\ndög: 3\n"),
        ("a.json", '{"1": "cat", "3": "dög"}'),
        ("a.json", '{"cat": 1, "dög": 3}'),
        ("a.json", '{"categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dög"}]}'),
        ("a.json", '[{"id": 1, "name": "cat"}, {"id": 3, "name": "dög"}]'),
        ("a.txt", "1 cat\n3: dög\n"),
        ("a.txt", "cat\n???\ndög\n"),
        ("a.yaml", "path: .\nnames: {0: cat, 2: dög}\n"),
    ],
)
def test_one_map_in_many_forms(tmp_path: Path, name: str, text: str) -> None:
    found = read_label_map(write(tmp_path, name, "\ufeff" + text.replace("\n", "\r\n")))
    assert (found.names, found.problems) == ({1: "cat", 3: "dög"}, ())


@pytest.mark.parametrize(("name", "text"), [("a.names", "a\nb\n"), ("a.yaml", "[a, b]"), ("a.yaml", "names: [a, b]")])
def test_positions_count_from_one(tmp_path: Path, name: str, text: str) -> None:
    assert read_label_map(write(tmp_path, name, text)).names == {1: "a", 2: "b"}


@pytest.mark.parametrize(
    ("name", "text", "line", "observed"),
    [
        ("a.pbtxt", "item { name: 'a' }", 1, "class 'a' has no id"),
        ("a.pbtxt", "\nitem { id: 4 }", 2, "id 4 has no name"),
        ("a.pbtxt", "item { id: 1 name: 'a' }\nitem { id: 1 name: 'b' }", 2, "id 1 stands 2 times"),
        ("a.pbtxt", "item { id: 1 name: 'a' }\nitem { id: 2 name: 'a' }", 2, "name 'a' stands 2 times"),
        ("a.pbtxt", "item { id: one name: 'a' }", 1, "id one"),
        ("a.pbtxt", "item { id: 1 name: cat }", 1, "name: cat"),
        ("a.pbtxt", "item { id: 1 name: 'a'\nitem { id: 2 name: 'b' }", 1, "an item without its closing brace"),
        ("a.pbtxt", "items { id: 1 }", 1, "items"),
        ("a.yaml", "1: a\n2: [x]\n", None, '["x"] as the name of id 2'),
        ("a.txt", "1 a\n1 b\n", 2, "id 1 stands 2 times"),
    ],
)
def test_what_is_malformed_is_said(tmp_path: Path, name: str, text: str, line: int | None, observed: str) -> None:
    found = read_label_map(write(tmp_path, name, text))
    assert (line, observed) in [(problem.line, problem.observed) for problem in found.problems]


def test_a_key_that_stands_twice_is_said(tmp_path: Path) -> None:
    found = read_label_map(write(tmp_path, "a.json", '{"1": "cat", "2": "dog", "1": "bird"}'))
    assert found.names == {1: "bird", 2: "dog"}
    assert [problem.observed for problem in found.problems] == ["key '1' stands 2 times"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{"),
        ("a.json", "[" * 100_000),
        ("a.yaml", "a: &x [1]\nb: *x\n"),
        ("a.yaml", "a: [\n"),
        ("a.yaml", "5"),
        ("a.json", '"x"'),
        ("a.txt", ""),
        ("a.pbtxt", ""),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path: Path, name: str, text: str) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(DetrayError, match=name):
        read_label_map(path)


def test_a_label_map_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_label_map(tmp_path / "absent.pbtxt")
    (tmp_path / "b.pbtxt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_label_map(tmp_path / "b.pbtxt")


NAMES = {1: "cat", 3: "Dog house", 9: "bus"}


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("map.yaml", "0: 1\n2: 3\n5: 77\n", {0: 1, 2: 3}),
        ("map.json", '{"0": 1, "4": 9}', {0: 1, 4: 9}),
        (
            "map.pbtxt",
            "item { id: 7 name: 'CAT' }\nitem { id: 8 name: '/m/1' display_name: 'dog house' }",
            {7: 1, 8: 3},
        ),
        ("map.txt", "cat\nDog house\n", {1: 1, 2: 3}),
        ("map.yaml", "4: bus\n", {4: 9}),
    ],
)
def test_category_maps_hold_ids_or_names(tmp_path: Path, file: str, text: str, expected: dict[int, int]) -> None:
    path = tmp_path / file
    path.write_text(text)
    assert read_category_map(str(path), NAMES) == expected


def test_a_category_map_of_no_known_class_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.txt"
    path.write_text("bird\n")
    with pytest.raises(DetrayError, match="names no class of the data set, which has cat"):
        read_category_map(str(path), NAMES)
    assert read_category_map(None, NAMES) == {}
    assert read_category_map({4: 5}, NAMES) == {4: 5}


@given(st.dictionaries(st.integers(0, 10**6), st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)))
def test_a_written_label_map_is_read_back(tmp_path_factory: pytest.TempPathFactory, names: dict[int, str]) -> None:
    path = tmp_path_factory.mktemp("maps") / "map.pbtxt"
    path.write_text(write_label_map(names), encoding="utf-8")
    if names:
        assert read_label_map(path).names == names


def test_a_long_field_of_a_csv_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('/m/01,"' + "a" * 200_000 + '"\n')
    assert len(read_label_map(tmp_path / "a.csv").names[1]) == 200_000
