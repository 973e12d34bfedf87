"""Open Images CSV: fractions of pictures, rows in any order, bad lines counted."""

import json
from pathlib import Path

import pytest
from PIL import Image

from detray.errors import DetrayError
from detray.formats.csv import lines as csv_lines
from detray.formats.label_map import read_label_map
from detray.formats.open_images.reader import OpenImages
from detray.formats.source import Source

HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsGroupOf\n"
GOOD = "aaa,xclick,/m/01,1,0.25,0.75,0.5,1,1,0\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("aaa", "bbb"):
        Image.new("RGB", (200, 100)).save(tmp_path / "images" / f"{name}.jpg")
    return tmp_path


def source(data: Path, text: str | bytes, *, images: bool = True) -> Source:
    path = data / "boxes.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Source("val", "open_images", (str(path),), str(data), images=str(data / "images") if images else None)


def test_fields_of_a_line(data: Path, read_source) -> None:
    found = read_source(source(data, HEADER + GOOD + GOOD.replace("aaa", "bbb").replace(",1,0\n", ",0,1\n")))
    rows = found.annotations.to_pylist()
    assert [(r["x"], r["y"], r["width"], r["height"], r["area"]) for r in rows] == [(50, 50, 100, 50, 5000)] * 2
    assert [(r["category_name"], r["is_crowd"], r["annotation_row"]) for r in rows] == [
        ("/m/01", False, 0),
        ("/m/01", True, 1),
    ]
    assert json.loads(rows[0]["attributes"]) == {"Source": "xclick", "Confidence": "1", "IsOccluded": "1"}
    assert found.images.select(["file_name", "width", "height"]).to_pylist() == [
        {"file_name": f"{name}.jpg", "width": 200, "height": 100} for name in ("aaa", "bbb")
    ]
    assert found.categories["category_name"].to_pylist() == ["/m/01"]


@pytest.mark.parametrize("size", [10, 40, 100, 10**6])
def test_any_cut_keeps_every_line_at_its_place(
    data: Path, read_source, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(csv_lines, "CHUNK_BYTES", size)
    lines = [GOOD if number % 7 else "too,few\r\n" for number in range(1, 40)]
    found = read_source(source(data, HEADER + "".join(lines) + GOOD.rstrip()))
    good = [number for number, line in enumerate([*lines, GOOD]) if line == GOOD]
    assert found.annotations["annotation_row"].to_pylist() == good
    assert found.quarantine["row"].to_pylist() == [n for n in range(40) if n not in good]


@pytest.mark.parametrize(
    ("old", "new", "defect"),
    [
        ("0.25", "left", ("wrong-type", "XMin", "left")),
        ("0.25", "nan", ("not-finite", "XMin", "nan")),
        ("0.25", "", ("missing-field", "XMin", "")),
    ],
)
def test_a_bad_value_costs_its_own_field(
    data: Path, read_source, old: str, new: str, defect: tuple[str, str, str]
) -> None:
    rows = read_source(source(data, HEADER + GOOD + GOOD.replace(old, new) + GOOD)).annotations.to_pylist()
    assert [row["defects"] for row in rows] == [
        None,
        [dict(zip(("rule", "field", "observed"), defect, strict=True))],
        None,
    ]
    assert (rows[1]["x"], rows[1]["width"], rows[1]["height"], rows[0]["x"]) == (None, None, 50, 50)


def test_without_an_image_folder_fractions_are_kept(data: Path, read_source) -> None:
    found = read_source(source(data, HEADER + GOOD, images=False))
    (row,) = found.annotations.to_pylist()
    assert (row["x"], row["defects"], found.images["defects"].to_pylist()) == (None, None, [None])
    kept = json.loads(row["attributes"])
    assert [kept[side] for side in ("XMin", "XMax", "YMin", "YMax")] == ["0.25", "0.75", "0.5", "1"]


@pytest.mark.parametrize(
    ("old", "new", "defect"),
    [
        ("0.25", "0.85", ("degenerate-box", "-0.1 x 0.5 of the picture")),
        ("0.25", "-0.25", ("out-of-bounds", "0.25 of the picture outside")),
        ("0.25,0.75", "10,200", ("fully-outside", "at 10, 0.5 of the picture")),
    ],
)
def test_fractions_are_judged_where_the_size_is_unknown(
    data: Path, read_source, old: str, new: str, defect: tuple[str, str]
) -> None:
    bad, near = GOOD.replace(old, new), GOOD.replace("0.75", "1.004")
    rows = read_source(source(data, HEADER + bad + GOOD + near, images=False)).annotations.to_pylist()
    assert [row["defects"] and [(one["rule"], one["observed"]) for one in row["defects"]] for row in rows] == [
        [defect],
        None,
        None,
    ]
    assert read_source(source(data, HEADER + bad)).annotations["defects"].to_pylist() == [None]


def test_boxes_of_a_picture_that_is_not_there_are_said_so(data: Path, read_source) -> None:
    found = read_source(source(data, HEADER + GOOD.replace("aaa", "gone")))
    assert found.annotations["defects"].to_pylist()[0][0]["field"] == "picture size"
    assert "no readable picture" in found.images["defects"].to_pylist()[0][0]["observed"]


@pytest.mark.parametrize("bad", [b"x\0click", b"x\xffclick"])
def test_bytes_that_are_no_text_are_noted(data: Path, read_source, monkeypatch: pytest.MonkeyPatch, bad: bytes) -> None:
    monkeypatch.setattr(csv_lines, "CHUNK_BYTES", 50)
    lines = [b"too,few\n", b"\n", *[GOOD.encode()] * 3, GOOD.encode().replace(b"xclick", bad), GOOD.encode()]
    rows = read_source(source(data, HEADER.encode() + b"".join(lines))).annotations.to_pylist()
    noted = {row["annotation_row"]: row["defects"] for row in rows}
    assert noted.pop(5) == [{"rule": "wrong-type", "field": "", "observed": "bytes that are no text"}]
    assert set(noted) == {2, 3, 4, 6}
    assert not any(noted.values())


@pytest.mark.parametrize(("old", "field"), [("aaa", "ImageID"), ("/m/01", "LabelName")])
def test_an_empty_name_is_said_so(data: Path, read_source, old: str, field: str) -> None:
    found = read_source(source(data, HEADER + GOOD + GOOD.replace(old, "")))
    rows = found.annotations.to_pylist()
    assert [row["defects"] for row in rows] == [None, [{"rule": "missing-field", "field": field, "observed": ""}]]
    assert (rows[1]["key"], rows[1]["x"]) == ((None, None) if field == "ImageID" else ("aaa.jpg", 50))
    assert found.images["file_name"].to_pylist() == ["aaa.jpg"]


@pytest.mark.parametrize("text", [HEADER, HEADER.rstrip(), "\ufeff" + HEADER])
def test_no_boxes(data: Path, read_source, text: str) -> None:
    found = read_source(source(data, text))
    assert (found.images.num_rows, found.annotations.num_rows) == (0, 0)


def test_quotes_around_fields_are_taken_off(data: Path, read_source) -> None:
    quoted = ['"' + text.strip().replace(",", '","') + '"\n' for text in (HEADER, GOOD)]
    rows = read_source(source(data, "".join(quoted) + GOOD + '"' + GOOD)).annotations.to_pylist()
    assert [(row["x"], row["category_name"], row["defects"]) for row in rows[:2]] == [(50, "/m/01", None)] * 2
    assert (rows[0]["key"], rows[0]["attributes"]) == (rows[1]["key"], rows[1]["attributes"])
    assert rows[2]["key"] == '"aaa.jpg'  # a quote by itself swallows nothing


def test_a_folder_is_no_csv(data: Path, read_source) -> None:
    with pytest.raises(DetrayError, match="state the CSV file itself"):
        read_source(Source("val", "open_images", (str(data),), str(data)))


def test_hostile_lines(data: Path, read_source, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [b'"aaa,x,"/m/01,1,0,1,0,1,0,0\n', b"a\0b,\xff,/m/01,1,0,1,0,1,0,0\n", b"../../x,s,/m/1,1,0,1,0,1,0,0\n"]
    found = read_source(source(data, HEADER.encode() + b"".join(lines)))
    assert found.annotations.num_rows + found.quarantine.num_rows == 3
    monkeypatch.setattr(csv_lines, "MAX_LINE_BYTES", 200)
    monkeypatch.setattr(csv_lines, "CHUNK_BYTES", 10)
    with pytest.raises(DetrayError, match="a line is longer than"):
        read_source(source(data, HEADER + "x" * 1000))


def test_machine_ids_are_named_by_the_descriptions(tmp_path: Path) -> None:
    path = tmp_path / "class-descriptions-boxable.csv"
    path.write_text('LabelName,DisplayName\n/m/01,Tortoise\n/m/02,"Bow, arrow"\n')
    found = read_label_map(path)
    assert found.names == {1: "Tortoise", 2: "Bow, arrow"}
    assert found.ids["/m/02"] == 2


def test_recognised_by_content(data: Path) -> None:
    source(data, HEADER)
    assert OpenImages().recognises(data / "boxes.csv")
    source(data, "a,b\n")
    assert not OpenImages().recognises(data / "boxes.csv")


@pytest.mark.parametrize(
    ("text", "is_set"),
    [("1", True), ("True", True), ("true", True), ("1.0", True), (" TRUE ", True)]
    + [(text, False) for text in ("0", "0.0", "False", "-1", "")],
)
def test_flags_are_read_as_tools_write_them(data: Path, read_source, text: str, is_set: bool) -> None:
    rows = read_source(source(data, HEADER + GOOD.replace(",1,0\n", f",1,{text}\n"))).annotations.to_pylist()
    assert [(row["is_crowd"], row["defects"]) for row in rows] == [(is_set, None)]


@pytest.mark.parametrize("text", ["x", "2", "nan", "yes"])
@pytest.mark.parametrize(("field", "line"), [("IsGroupOf", ",1,{}\n"), ("IsOccluded", ",{},0\n")])
def test_a_flag_that_is_none_is_said_at_its_row(data: Path, read_source, text: str, field: str, line: str) -> None:
    bad = GOOD.replace(",1,0\n", line.format(text))
    rows = read_source(source(data, HEADER + GOOD + bad)).annotations.to_pylist()
    said = [{"rule": "wrong-type", "field": field, "observed": text}]
    assert [(row["is_crowd"], row["defects"]) for row in rows] == [(False, None), (False, said)]


@pytest.mark.parametrize(
    ("file", "image_id"),
    [
        ("ccc.JPG", "ccc"),  # another suffix than .jpg
        ("b2.c.d.jpeg", "b2.c.d"),
        ("e e.png", "e e"),
        ("im 00.jpg", "im 00.jpg"),  # the suffix is in the id
        ("c.png", "c.png"),
        ("a.png.jpg", "a.png"),
    ],
)
def test_pictures_are_found_whatever_their_suffix(data: Path, read_source, file: str, image_id: str) -> None:
    Image.new("RGB", (400, 100)).save(
        data / "images" / file, "JPEG" if file.lower().endswith(("jpg", "jpeg")) else "PNG"
    )
    found = read_source(source(data, HEADER + GOOD + GOOD.replace("aaa", image_id)))
    assert found.images.select(["file_name", "width", "defects"]).to_pylist() == [
        {"file_name": "aaa.jpg", "width": 200, "defects": None},
        {"file_name": file, "width": 400, "defects": None},
    ]
    assert found.annotations.select(["key", "x"]).to_pylist() == [
        {"key": "aaa.jpg", "x": 50},
        {"key": file, "x": 100},
    ]


def test_a_suffix_in_the_id_is_not_written_twice(data: Path, read_source) -> None:
    found = read_source(source(data, HEADER + GOOD.replace("aaa", "aaa.jpg") + GOOD, images=False))
    assert found.images["file_name"].to_pylist() == ["aaa.jpg"]
    assert found.annotations["key"].to_pylist() == ["aaa.jpg"] * 2
