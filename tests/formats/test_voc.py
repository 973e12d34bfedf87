"""Pascal VOC: read as an XML parser reads it, and a file that cannot be read is quarantined."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from detray.formats.source import Source
from detray.formats.voc.reader import Voc

IMAGE = "<filename>a.jpg</filename><size><width>640</width><height>480</height><depth>3</depth></size>"
BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>11.5</xmax><ymax>22</ymax></bndbox>"


def write(folder: Path, body: str | bytes, name: str = "a.xml") -> Source:
    data = body if isinstance(body, bytes) else f"<annotation>{body}</annotation>".encode()
    (folder / name).write_bytes(data)
    return Source("val", "voc", (str(folder),), str(folder))


def test_real_files_read_as_an_xml_parser_reads_them(shared: Path, read_source) -> None:
    folder = shared / "bccd" / "Annotations"
    found = read_source(Source("val", "voc", (str(folder),), str(shared)))
    expected = []
    for path in sorted(folder.glob("*.xml")):
        for row, item in enumerate(ET.parse(path).getroot().iter("object")):  # noqa: S314 - known files
            x, y, right, bottom = (float(item.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
            expected.append((str(path), row, item.findtext("name"), x, y, right - x, bottom - y))
    assert [
        (r["source_file"], r["annotation_row"], r["category_name"], r["x"], r["y"], r["width"], r["height"])
        for r in found.annotations.to_pylist()
    ] == expected
    assert (found.images.num_rows, found.quarantine.num_rows) == (364, 0)
    degenerate = [r["source_file"][-9:] for r in found.annotations.to_pylist() if r["width"] <= 0 or r["height"] <= 0]
    assert degenerate == ["00338.xml", "00343.xml"]


def test_the_lists_of_a_real_folder(shared: Path, read_source) -> None:
    bccd = shared / "bccd"
    sizes = {}
    for name in ("train", "val", "test"):
        listed = str(bccd / "ImageSets" / "Main" / f"{name}.txt")
        sizes[name] = read_source(Source(name, "voc", (str(bccd),), str(bccd), list=listed)).images.num_rows
    assert sizes == {"train": 205, "val": 87, "test": 72}


def test_fields_of_an_object(tmp_path: Path, read_source) -> None:
    parts = "<part><name>head</name><bndbox><xmin>9</xmin></bndbox></part>"
    body = f"{IMAGE}<object><name>cat</name><pose>Left</pose><difficult>1</difficult>{parts}{BOX}</object>"
    found = read_source(write(tmp_path, body))
    (row,) = found.annotations.to_pylist()
    assert (row["x"], row["y"], row["width"], row["height"], row["area"]) == (1, 2, 10.5, 20, 210)
    assert (row["is_difficult"], row["is_crowd"], row["defects"]) == (True, False, None)
    part = {"name": "head", "bndbox": {"xmin": "9"}}
    assert json.loads(row["attributes"]) == {"pose": "Left", "part": part}
    (image,) = found.images.to_pylist()
    assert (image["file_name"], image["width"], image["height"], image["defects"]) == ("a.jpg", 640, 480, None)
    assert json.loads(image["attributes"]) == {"size": {"depth": "3"}}


def test_elements_without_a_column_are_kept(tmp_path: Path, read_source) -> None:
    about = (
        "<folder>VOC2012</folder><source><database>D</database><image>flickr</image></source><segmented>0</segmented>"
    )
    actions = "<actions><jumping>1</jumping></actions><part><name>hand</name></part><part><name>foot</name></part>"
    body = f'<annotation verified="yes">{about}{IMAGE}<object><name>cat</name>{actions}{BOX}</object></annotation>'
    found = read_source(write(tmp_path, body.encode()))
    kept = {"@verified": "yes", "folder": "VOC2012", "source": {"database": "D", "image": "flickr"}}
    assert json.loads(found.images["attributes"][0].as_py()) == kept | {"segmented": "0", "size": {"depth": "3"}}
    parts = {"actions": {"jumping": "1"}, "part": [{"name": "hand"}, {"name": "foot"}]}
    assert json.loads(found.annotations["attributes"][0].as_py()) == parts


@pytest.mark.parametrize(
    ("body", "table", "defect"),
    [
        (f"{IMAGE}<object>{BOX}</object>", "annotations", ("missing-field", "name", "")),
        (f"{IMAGE}<object><name>a</name></object>", "annotations", ("missing-field", "bndbox", "")),
        (IMAGE + f"<object><name>a</name>{BOX.replace('11.5', 'nan')}</object>", "annotations",
         ("not-finite", "bndbox/xmax", "nan")),
        (IMAGE + f"<object><name>a</name>{BOX.replace('11.5', '1_1')}</object>", "annotations",
         ("wrong-type", "bndbox/xmax", "1_1")),
        (IMAGE + f"<object><name>a</name>{BOX.replace('<xmin>1</xmin>', '')}</object>", "annotations",
         ("missing-field", "bndbox/xmin", "")),
        (IMAGE + f"<object><name>a</name><difficult>maybe</difficult>{BOX}</object>", "annotations",
         ("wrong-type", "difficult", "maybe")),
        (IMAGE.replace("a.jpg", ""), "images", ("missing-field", "filename", "")),
        (IMAGE.replace("640", "wide"), "images", ("wrong-type", "size/width", "wide")),
        (IMAGE.replace("640", "0"), "images", ("wrong-type", "size/width", "0")),
        ("<filename>a.jpg</filename>", "images", ("missing-field", "size", "")),
        (IMAGE + "<filename>b.jpg</filename>", "images", ("repeated-field", "filename", "a.jpg, then b.jpg")),
        (IMAGE + "<size/>", "images", ("repeated-field", "size", "640 480 3, then ")),
        (IMAGE + f"<object><name>a</name><name>b</name>{BOX}</object>", "annotations",
         ("repeated-field", "name", "a, then b")),
        (IMAGE + f"<object><name>a</name>{BOX}<bndbox><xmin>7</xmin></bndbox></object>", "annotations",
         ("repeated-field", "bndbox", "1 2 11.5 22, then 7")),
        (IMAGE + "<object><name>a</name>" + BOX.replace("<ymin>", "<xmin>5</xmin><ymin>") + "</object>", "annotations",
         ("repeated-field", "bndbox/xmin", "1, then 5")),
    ],
)  # fmt: skip
def test_a_bad_value_costs_its_own_field(
    tmp_path: Path, read_source, body: str, table: str, defect: tuple[str, str, str]
) -> None:
    (row,) = getattr(read_source(write(tmp_path, body)), table).to_pylist()
    assert row["defects"] == [dict(zip(("rule", "field", "observed"), defect, strict=True))]


BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;">]><annotation>&y;</annotation>'
EXTERNAL = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation><filename>&x;</filename></annotation>'


@pytest.mark.parametrize(
    "data",
    [b"", b"\0\0\0", b"<annotation><object>", b"<html/>", BOMB, EXTERNAL, b"<annotation>\xff</annotation>",
     b'<?xml version="1.0" encoding="no-such"?><annotation/>'],
    ids=["empty", "nul", "cut", "other", "bomb", "external", "encoding", "unknown encoding"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_quarantined(tmp_path: Path, read_source, data: bytes) -> None:
    write(tmp_path, f"{IMAGE}<object><name>a</name>{BOX}</object>", "b.xml")
    found = read_source(write(tmp_path, data))
    (row,) = found.quarantine.to_pylist()
    assert (row["source_file"], row["reason"]) == (str(tmp_path / "a.xml"), "unreadable-annotation-file")
    assert row["detail"]
    assert found.annotations.num_rows == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings(tmp_path: Path, read_source, encoding: str) -> None:
    head = '<?xml version="1.0" encoding="latin-1"?>' if encoding == "latin-1" else ""
    text = f"{head}<annotation>{IMAGE}<object><name>Käfer</name>{BOX}</object></annotation>"
    found = read_source(write(tmp_path, text.replace("\n", "\r\n").encode(encoding)))
    assert found.annotations["category_name"].to_pylist() == ["Käfer"]


def test_deep_nesting_does_not_crash(tmp_path: Path, read_source) -> None:
    found = read_source(write(tmp_path, IMAGE + "<a>" * 100_000 + "</a>" * 100_000))
    assert found.images.num_rows + found.quarantine.num_rows == 1


def test_images_with_boxes_beyond_all_bounds_are_quarantined(tmp_path: Path, read_source) -> None:
    found = read_source(write(tmp_path, IMAGE + "<object/>" * 100_001))
    assert "holds 100001 boxes" in found.quarantine["detail"][0].as_py()
    found = read_source(write(tmp_path, IMAGE + " " * (17 << 20)))
    assert found.quarantine["detail"].to_pylist() == ["longer than 16 MiB"]


def test_names_in_a_list_may_not_lead_out(tmp_path: Path, read_source) -> None:
    inside = tmp_path / "data"
    inside.mkdir()
    write(tmp_path, f"{IMAGE}<object><name>secret</name>{BOX}</object>", "out.xml")
    write(inside, IMAGE, "in.xml")
    (inside / "link.xml").symlink_to(tmp_path / "out.xml")
    (inside / "list.txt").write_text("in\n../out\nlink\nabsent\nin 1\n")
    found = read_source(Source("val", "voc", (str(inside),), str(inside), list=str(inside / "list.txt")))
    assert found.images["source_file"].to_pylist() == [str(inside / "in.xml")]
    assert found.annotations.num_rows == 0
    assert len(found.quarantine["detail"].to_pylist()) == 3


def test_recognised_by_content(tmp_path: Path) -> None:
    assert not Voc().recognises(tmp_path)
    write(tmp_path, b"<html/>", "x.xml")
    assert not Voc().recognises(tmp_path / "x.xml")
    write(tmp_path, "<annotation/>".encode("utf-16"), "y.xml")
    assert Voc().recognises(tmp_path / "y.xml")
    assert Voc().recognises(tmp_path)


def test_of_elements_that_stand_twice_the_first_is_read(tmp_path: Path, read_source) -> None:
    body = f"{IMAGE}<object><name>a</name><name>b</name>{BOX}<bndbox><xmin>7</xmin></bndbox><part/><part/></object>"
    (row,) = read_source(write(tmp_path, body)).annotations.to_pylist()
    assert (row["category_name"], row["x"], row["width"], len(row["defects"])) == ("a", 1, 10.5, 2)
