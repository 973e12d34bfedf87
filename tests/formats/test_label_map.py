"""Label maps in every form people write them, the malformed ones told apart."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detray.errors import DetrayError, UsageError
from detray.formats.label_map import read_label_map, stated_classes, write_label_map
from detray.meaning.reading import by_list
from detray.meaning.settle import Stated


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
        ("a.yaml", "val: images\nnames: {0: cat, 2: dög}\n"),
        ("a.yaml", "nc: 3\nnames: {0: cat, 2: dög}\n"),
        ("data.yaml", "names: {0: cat, 2: dög}\n"),
        ("a.yaml", "names: {1: cat, 3: dög}\n"),  # no YOLO data file: the numbers are ids
        ("a.json", '{"names": {"1": "cat", "3": "dög"}}'),
        ("a.json", '{"names": {"cat": 1, "dög": 3}}'),
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
        ("a.txt", "a\nb\0c\n", 2, r"name 'b\x00c'"),
        ("a.json", '["a\\u0000"]', None, r"name 'a\x00'"),
        ("a.pbtxt", "item { id: [1, 2] name: 'a' }", 1, "id ["),
        ("a.pbtxt", "item { id: 09 name: 'a' }", 1, "id 09"),
        ("a.pbtxt", "item { id: 0x80000000 name: 'a' }", 1, "id 0x80000000"),
        ("a.pbtxt", "item: [{ id: 1 name: 'a' }\nitem { id: 2 name: 'b' }", 2, "item"),
    ],
)
def test_what_is_malformed_is_said(tmp_path: Path, name: str, text: str, line: int | None, observed: str) -> None:
    found = read_label_map(write(tmp_path, name, text))
    assert (line, observed) in [(problem.line, problem.observed) for problem in found.problems]


_NAME = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
_ID = st.integers(1, 2**31 - 1)


def _quoted(text: str, quote: str) -> str:
    special = {ord(quote), ord("\\"), *range(32), *range(127, 256)}
    return quote + "".join(f"\\{byte:03o}" if byte in special else chr(byte) for byte in text.encode()) + quote


@st.composite
def _item_text(draw: st.DrawFn) -> str:
    """An item as protobuf's text format may write it."""
    name, number = draw(_NAME), draw(_ID)
    cut = draw(st.integers(0, len(name)))
    literals = [_quoted(part, draw(st.sampled_from("'\""))) for part in (name[:cut], name[cut:])]
    fields = [
        f"id: {draw(st.sampled_from(['{}', '{:#x}', '0{:o}'])).format(number)}",
        "name: " + draw(st.sampled_from([" ", "\n # and\n"])).join(literals),
        draw(
            st.sampled_from(["", "ancestor_ids: [1, 2]", "ancestor_ids: 3", "ancestor_ids: []", "instance_count: 0x3"])
        ),
        draw(st.sampled_from(["", "keypoints { id: 5 label: 'nose' }", "keypoints: [{ id: 5 }, < label: 'ear' >]"])),
    ]
    opening, closing = draw(st.sampled_from([("{", "}"), ("<", ">")]))
    return f"{opening}{draw(st.sampled_from([' ', ', ', '; '])).join(field for field in fields if field)}{closing}"


@given(st.lists(_item_text(), min_size=1, max_size=4), st.booleans())
def test_what_protobuf_reads_is_read_alike(
    tmp_path_factory: pytest.TempPathFactory, items: list[str], in_list: bool
) -> None:
    text = f"item: [{', '.join(items)}]" if in_list else "\n".join(f"item: {item}" for item in items)
    expected = pytest.importorskip("google.protobuf.text_format").Parse(text, label_map_message()())
    found = read_label_map(write(tmp_path_factory.mktemp("map"), "a.pbtxt", text))
    assert [(entry.id, entry.name) for entry in found.entries] == [(item.id, item.name) for item in expected.item]
    assert not [problem for problem in found.problems if "times" not in problem.observed]


@lru_cache
def label_map_message() -> Any:
    """object_detection/protos/string_int_label_map.proto, proto2."""
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    field = descriptor_pb2.FieldDescriptorProto
    optional, repeated = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    file = descriptor_pb2.FileDescriptorProto(name="label_map.proto", package="t", syntax="proto2")
    points, item, labels = (file.message_type.add(name=name) for name in ("KeypointMap", "Item", "LabelMap"))
    points.field.add(name="id", number=1, label=optional, type=field.TYPE_INT32)
    points.field.add(name="label", number=2, label=optional, type=field.TYPE_STRING)
    item.field.add(name="name", number=1, label=optional, type=field.TYPE_STRING)
    item.field.add(name="id", number=2, label=optional, type=field.TYPE_INT32)
    item.field.add(name="display_name", number=3, label=optional, type=field.TYPE_STRING)
    item.field.add(name="keypoints", number=4, label=repeated, type=field.TYPE_MESSAGE, type_name=".t.KeypointMap")
    item.field.add(name="ancestor_ids", number=5, label=repeated, type=field.TYPE_INT32)
    item.field.add(name="instance_count", number=8, label=optional, type=field.TYPE_INT32)
    labels.field.add(name="item", number=1, label=repeated, type=field.TYPE_MESSAGE, type_name=".t.Item")
    pool = pytest.importorskip("google.protobuf.descriptor_pool").DescriptorPool()
    pool.Add(file)
    factory = pytest.importorskip("google.protobuf.message_factory")
    return factory.GetMessageClass(pool.FindMessageTypeByName("t.LabelMap"))


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
    stated = stated_classes(str(path), None)
    assert stated.category_map is not None
    assert by_list(stated.category_map, NAMES).ids == expected


@pytest.mark.parametrize(
    ("file", "text", "is_numbered"),
    [
        ("a.txt", "cat\ndog\n", False),
        ("a.txt", "???\ncat\n", False),
        ("a.txt", "0 cat\n1 dog\n", True),
        ("a.json", '["cat", "dog"]', False),
        ("a.json", '{"0": "cat"}', True),
        ("a.json", '[{"id": 3, "name": "cat"}]', True),
        ("a.csv", "/m/1,cat\n", False),
        ("a.yaml", "names: [cat, dog]\n", False),
        ("a.yaml", "nc: 1\nnames: {0: cat}\n", False),
        ("a.yaml", "names: {0: cat}\n", True),
        ("a.pbtxt", "item { id: 1 name: 'cat' }", True),
    ],
)
def test_whether_a_label_map_numbers_its_classes(tmp_path: Path, file: str, text: str, is_numbered: bool) -> None:
    assert read_label_map(write(tmp_path, file, text)).listed.is_numbered == is_numbered


def test_a_stated_mapping_is_no_list() -> None:
    assert stated_classes({4: 5}, None).mapping == {4: 5}
    assert stated_classes(None, None) == Stated()


@given(st.dictionaries(st.integers(0, 10**6), st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)))
def test_a_written_label_map_is_read_back(tmp_path_factory: pytest.TempPathFactory, names: dict[int, str]) -> None:
    path = tmp_path_factory.mktemp("maps") / "map.pbtxt"
    path.write_text(write_label_map(names), encoding="utf-8")
    if names:
        assert read_label_map(path).names == names


def test_a_long_field_of_a_csv_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('/m/01,"' + "a" * 200_000 + '"\n')
    assert len(read_label_map(tmp_path / "a.csv").names[1]) == 200_000
