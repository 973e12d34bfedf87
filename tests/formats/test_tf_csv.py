"""The CSV of the TensorFlow tutorials: rows of corners in pixels, columns in any order."""

from pathlib import Path

import pytest
import samples
from PIL import Image

from detray.errors import DetrayError
from detray.formats.chunk import Chunk
from detray.formats.csv import lines as csv_lines
from detray.formats.source import Source

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


def source(folder: Path, text: str | bytes, images: Path | None = None) -> Source:
    path = folder / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Source("val", "tf_csv", (str(path),), str(folder), images=None if images is None else str(images))


def boxes(found: Chunk) -> list[tuple]:
    columns = ("annotation_row", "key", "category_name", "x", "y", "width", "height", "area")
    return [tuple(row[name] for name in columns) for row in found.annotations.to_pylist()]


def images_of(found: Chunk) -> dict[str, tuple]:
    return {row["file_name"]: (row["width"], row["height"]) for row in found.images.to_pylist()}


def test_rows(tmp_path: Path, read_source) -> None:
    found = read_source(source(tmp_path, samples.TF_CSV))
    assert boxes(found) == [
        (0, "a.jpg", "cat", 1, 2, 29, 38, 1102),
        (1, "a.jpg", "dog", 5, 2, 25.5, 38, 969),
        (2, "b.jpg", "cat", 10, 10, 10, 10, 100),
    ]
    assert images_of(found) == {"a.jpg": (64, 48), "b.jpg": (64, 48)}
    assert found.categories["category_name"].to_pylist() == ["cat", "dog"]
    assert not any(found.annotations["defects"].to_pylist() + found.images["defects"].to_pylist())
    assert not any(found.annotations["attributes"].to_pylist())


def test_columns_stand_in_any_order_and_further_ones_are_kept(tmp_path: Path, read_source) -> None:
    text = (
        ',ymax,xmin,class,note,filename,ymin,xmax\r\n0,40,1,cat,"a, b","x ,y.jpg",2,30\r\n1, 9 , 3 ,dog,,z.jpg,4,8\r\n'
    )
    found = read_source(source(tmp_path, text))
    assert boxes(found) == [
        (0, "x ,y.jpg", "cat", 1, 2, 29, 38, 1102),
        (1, "z.jpg", "dog", 3, 4, 5, 5, 25),
    ]
    assert images_of(found) == {"x ,y.jpg": (None, None), "z.jpg": (None, None)}
    assert found.annotations["attributes"].to_pylist() == ['{"note": "a, b"}', '{"note": ""}']
    assert found.quarantine.num_rows == 0


@pytest.mark.parametrize("size", [16 << 20, 40])
def test_bad_values_cost_their_own_field(
    tmp_path: Path, read_source, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_lines, "CHUNK_BYTES", size)
    rows = ["a.jpg,64,48,cat,1,x,30,40", "one,two", "", "b.jpg,0,,cat,1e308,-1e308,-1e308,1e308", "c.jpg,64,48,,,,,",
            ",64,48,cat,1,2,3,4", "d.jpg,64,48,,1,2,nan,4"]  # fmt: skip
    found = read_source(source(tmp_path, HEADER + "\n".join(rows)))
    assert boxes(found) == [
        (0, "a.jpg", "cat", 1, None, 29, None, None),
        (3, "b.jpg", "cat", 1e308, -1e308, None, None, None),
        (5, None, "cat", 1, 2, 2, 2, 4),
        (6, "d.jpg", None, 1, 2, None, 2, None),
    ]
    noted = [
        [(one["rule"], one["field"], one["observed"]) for one in row or ()]
        for row in found.annotations["defects"].to_pylist()
    ]
    assert noted == [
        [("wrong-type", "ymin", "x")],
        [],
        [("missing-field", "filename", "")],
        [("missing-field", "class", ""), ("not-finite", "xmax", "nan")],
    ]
    assert images_of(found) == {"a.jpg": (64, 48), "b.jpg": (None, None), "c.jpg": (64, 48), "d.jpg": (64, 48)}
    assert [row["row"] for row in found.quarantine.to_pylist()] == [1]
    of_b = found.images.to_pylist()[1]["defects"]
    assert [(one["rule"], one["field"]) for one in of_b] == [("wrong-type", "width"), ("missing-field", "height")]


def test_rows_that_state_another_size_of_their_image_say_so(tmp_path: Path, read_source) -> None:
    found = read_source(source(tmp_path, HEADER + "a.jpg,64,48,cat,1,2,30,40\na.jpg,64,84,cat,1,2,30,40\n"))
    (first, second) = found.annotations["defects"].to_pylist()
    assert first is None
    assert [(one["rule"], one["field"], one["observed"]) for one in second] == [
        ("wrong-type", "height", "84, and 48 in the first row of this image")
    ]


def test_paths_of_another_machine_are_found_by_their_end(tmp_path: Path, read_source) -> None:
    (tmp_path / "pictures" / "deep").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "deep" / "a.jpg")
    text = HEADER + "C:\\work\\deep\\a.jpg,64,48,cat,1,2,30,40\n/home/me/b.jpg,64,48,cat,1,2,30,40\n"
    assert list(images_of(read_source(source(tmp_path, text, tmp_path / "pictures")))) == [
        "deep/a.jpg",
        "home/me/b.jpg",
    ]
    assert list(images_of(read_source(source(tmp_path, text)))) == ["work/deep/a.jpg", "home/me/b.jpg"]


def test_a_header_without_what_is_needed_is_refused(tmp_path: Path, read_source) -> None:
    with pytest.raises(DetrayError, match="line 1: no column xmax, ymax"):
        read_source(source(tmp_path, "filename,class,xmin,ymin\n"))
    with pytest.raises(DetrayError, match="a column stands twice"):
        read_source(source(tmp_path, HEADER.replace("width", "class")))
