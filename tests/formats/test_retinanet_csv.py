"""keras-retinanet's CSV: corners in pixels without a header, images without boxes, a list of classes beside it."""

from pathlib import Path

import samples
from PIL import Image

from detray.formats.retinanet_csv.reader import RetinaNetCsv
from detray.formats.source import Source


def source(folder: Path, text: bytes, *, images: bool = False) -> Source:
    path = folder / "annotations.csv"
    path.write_bytes(text)
    return Source("val", "retinanet_csv", (str(path),), str(folder), images=str(folder) if images else None)


def rows(table, *names: str) -> list[tuple]:
    return [tuple(row[name] for name in names) for row in table.to_pylist()]


def test_rows(tmp_path: Path, read_source) -> None:
    found = read_source(source(tmp_path, b"\xef\xbb\xbf" + samples.RETINANET_CSV))
    assert rows(
        found.annotations, "annotation_row", "key", "category_name", "category_id", "x", "y", "width", "height"
    ) == [
        (0, "imgs/a.jpg", "cat", None, 1, 2, 29, 38),
        (1, "imgs/a.jpg", "dog", None, 5, 2, 25.5, 38),
        (2, "imgs/b.jpg", "cat", None, 10, 10, 10, 10),
    ]
    names = ["imgs/a.jpg", "imgs/b.jpg", "imgs/c.jpg"]
    assert rows(found.images, "file_name", "width", "defects") == [(name, None, None) for name in names]
    assert rows(found.categories, "category_id", "category_name") == [(None, "cat"), (None, "dog")]


def test_the_list_of_classes_beside_it_gives_ids(tmp_path: Path, read_source) -> None:
    (tmp_path / "class_mapping.csv").write_text("emu,1\ncat,0\n\n")
    found = read_source(source(tmp_path, samples.RETINANET_CSV))
    assert found.annotations["category_id"].to_pylist() == [1, None, 1]
    listing = str(tmp_path / "class_mapping.csv")
    assert rows(found.categories, "category_id", "category_name", "source_file") == [
        (2, "emu", listing),
        (1, "cat", listing),
        (None, "dog", None),
    ]


def test_a_list_that_is_none_or_one_of_two_is_not_taken(tmp_path: Path, read_source) -> None:
    (tmp_path / "classes.csv").write_text("cat,zero\n")
    assert read_source(source(tmp_path, samples.RETINANET_CSV)).annotations["category_id"].null_count == 3
    for name in ("classes.csv", "my_classes.csv"):
        (tmp_path / name).write_text("cat,0\n")
    assert read_source(source(tmp_path, samples.RETINANET_CSV)).annotations["category_id"].null_count == 3


def test_sizes_are_those_of_the_pictures(tmp_path: Path, read_source) -> None:
    (tmp_path / "imgs").mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "imgs" / "a.jpg")
    found = read_source(source(tmp_path, samples.RETINANET_CSV, images=True))
    assert rows(found.images, "file_name", "width", "height")[:2] == [
        ("imgs/a.jpg", 64, 48),
        ("imgs/b.jpg", None, None),
    ]
    assert [bool(row) for row in found.images["defects"].to_pylist()] == [False, True, True]


def test_bad_lines_are_counted(tmp_path: Path, read_source) -> None:
    text = b"a.jpg,1,2,3,4\n" + samples.RETINANET_CSV + b"d.jpg,1,,3,4,cat\n"
    assert RetinaNetCsv().recognises(Path(source(tmp_path, text).annotations[0]))
    found = read_source(source(tmp_path, text))
    assert rows(found.quarantine, "row", "reason") == [(0, "unreadable-row")]
    last = found.annotations.to_pylist()[-1]
    assert (last["annotation_row"], last["x"], last["y"]) == (5, 1, None)
    assert [(one["rule"], one["field"]) for one in last["defects"]] == [("missing-field", "y1")]


def test_other_tables_of_six_columns_are_not_taken(tmp_path: Path) -> None:
    for text in (b"1,2,3,4,5,6\n", b"a.jpg,b,c,d,e,f\n", b"filename,xmin,ymin,xmax,ymax,class\na.jpg,1,2,3,4,cat\n"):
        assert not RetinaNetCsv().recognises(Path(source(tmp_path, text).annotations[0]))
