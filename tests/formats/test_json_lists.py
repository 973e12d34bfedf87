"""Lists are found and cut so that no element is lost or torn, whatever the file does to mislead."""

import json
from pathlib import Path

import pytest

from detray.formats.json import lists as json_lists
from detray.formats.json.file import open_json
from detray.formats.json.lists import BrokenJson, cut, find_lists, find_only_list

NAMES = ("images", "annotations", "categories")
ROWS = [{"id": i, "bbox": [1, 2, 3, 4], "note": 'a "quoted" }, {"id": 1} [' * (i % 3)} for i in range(50)]
PLAIN = {"info": {"a": [1]}, "images": [{"id": 1}], "annotations": ROWS, "categories": [{"id": 1, "name": "a"}]}
MISLEADING = {
    "info": {"images": [{"id": 9}], "annotations": [1, 2]},
    "images": [{"id": 1, "annotations": [{"id": 7}, {"id": 8}], "categories": []}],
    "note": 'images": [{"id": 1}], "annotations": [',
    "annotations": ROWS,
    "categories": [],
    "more": {"annotations": [{"id": 3}]},
}


def write(folder: Path, text: str | bytes) -> str:
    path = folder / "data.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("data", [PLAIN, MISLEADING], ids=["plain", "misleading"])
@pytest.mark.parametrize("indent", [None, 2])
def test_lists_are_those_of_the_outermost_object(tmp_path: Path, data: dict, exact: bool, indent: int | None) -> None:
    file = open_json(write(tmp_path, json.dumps(data, indent=indent)))
    found = find_lists(file, NAMES, exact=exact)
    assert {item.name: json.loads(file.read(item.start, item.end)) for item in found} == {
        name: data[name] for name in NAMES
    }


@pytest.mark.parametrize("exact", [False, True])
def test_keys_may_be_written_as_escapes(tmp_path: Path, exact: bool) -> None:
    text = json.dumps(PLAIN).replace('"annotations":', '"\\u0061nnot\\u0061tions":', 1)
    file = open_json(write(tmp_path, text))
    assert [found.name for found in find_lists(file, NAMES, exact=exact)] == [name for name in PLAIN if name in NAMES]
    twice = text.removesuffix("}") + ', "annotations": []}'
    with pytest.raises(BrokenJson, match="'annotations' stands twice"):
        find_lists(open_json(write(tmp_path, twice)), NAMES, exact=exact)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("size", [1, 10, 100, 1000, 10**6])
def test_parts_hold_every_element_once(tmp_path: Path, size: int, exact: bool) -> None:
    file = open_json(write(tmp_path, json.dumps(PLAIN)))
    (found,) = (item for item in find_lists(file, NAMES) if item.name == "annotations")
    parts = cut(file, found, exact=exact, size=size)
    assert [row for start, end in parts for row in json.loads(b"[" + file.read(start, end) + b"]")] == ROWS
    assert len(parts) > 3 or size >= 1000


@pytest.mark.parametrize("element", ["{}", "null", "7", '{"id": 1}'])
def test_parts_of_short_elements_hold_fewer_bytes(tmp_path: Path, element: str) -> None:
    rows = [json.loads(element)] * 20_000
    file = open_json(write(tmp_path, json.dumps({"images": [], "annotations": rows})))
    found = find_lists(file, NAMES)[1]
    parts = [json.loads(b"[" + file.read(start, end) + b"]") for start, end in cut(file, found, size=64_000)]
    assert [row for part in parts for row in part] == rows
    assert max(map(len, parts)) <= 1.1 * 64_000 / json_lists.SHORT_BYTES + 1


def test_blocks_divide_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lists, "BLOCK_BYTES", 500)
    file = open_json(write(tmp_path, json.dumps(PLAIN)))
    (found,) = (item for item in find_lists(file, NAMES) if item.name == "annotations")
    second = cut(file, found, size=1000)[1]
    divided = json_lists.blocks(file, *second)
    assert len(divided) > 1
    whole = json.loads(b"[" + file.read(*second) + b"]")
    assert [row for start, end in divided for row in json.loads(b"[" + file.read(start, end) + b"]")] == whole


def test_exact_cuts_are_right_where_guesses_are_not(tmp_path: Path) -> None:
    # every element holds a list of objects that begin with the same key
    rows = [{"id": i, "parts": [{"id": j} for j in range(20)]} for i in range(20)]
    file = open_json(write(tmp_path, json.dumps({"images": [], "annotations": rows})))
    found = find_lists(file, NAMES)[1]
    parts = cut(file, found, exact=True, size=300)
    assert [row for start, end in parts for row in json.loads(b"[" + file.read(start, end) + b"]")] == rows


def test_a_list_of_whole_file(tmp_path: Path) -> None:
    file = open_json(write(tmp_path, " [1, [2]] \n"))
    found = find_only_list(file)
    assert file.read(found.start, found.end) == b"[1, [2]]"


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("[]", "not a JSON object"),
        (json.dumps(PLAIN)[:200], "cut off inside the list 'annotations'"),
        (json.dumps(PLAIN)[:-1], "cut off"),
        (json.dumps(PLAIN) + "x", "follows the end"),
        ('{"images": {}}', "'images' is not a list"),
        ('{"images": [], "images": []}', "stands twice"),
        ('{"images": [] "annotations": []}', "a comma was expected"),
        ('{"images": [], "info": {"a" 1}, "annotations": []}', "expecting ':'"),
        ('{"images": [], "deep": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ],
)
def test_a_broken_file_is_named_with_its_place(tmp_path: Path, text: str, said: str, exact: bool) -> None:
    path = write(tmp_path, text)
    with pytest.raises(BrokenJson, match=said) as error:
        find_lists(open_json(path), NAMES, exact=exact)
    assert f"{path}, byte " in str(error.value)
