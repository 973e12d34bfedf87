"""CVAT XML 1.1 for images: boxes, turned ones, polygons, ellipses, masks; image by image."""

import json
from pathlib import Path

import pytest
import samples

from detray.errors import DetrayError
from detray.formats.chunk import Chunk
from detray.formats.cvat import reader as cvat
from detray.formats.source import Source


def read(folder: Path, read_source, data: bytes | str) -> Chunk:
    path = folder / "annotations.xml"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_source(Source("val", "cvat", (str(path),), str(folder)))


def image(*shapes: str, attributes: str = 'name="a.jpg" width="64" height="48"') -> str:
    return f"<image {attributes}>{''.join(shapes)}</image>"


def of(found: Chunk, *names: str) -> list[tuple]:
    return [tuple(row[name] for name in names) for row in found.annotations.to_pylist()]


@pytest.mark.parametrize("size", [8 << 20, 10])
@pytest.mark.parametrize("window", [1 << 20, 3])
def test_rows(tmp_path: Path, read_source, size: int, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cvat, "CHUNK_BYTES", size)
    monkeypatch.setattr(cvat, "_WINDOW_BYTES", window)
    found = read(tmp_path, read_source, samples.CVAT)
    assert of(found, "annotation_row", "category_name", "x", "y", "width", "height", "area", "defects") == [
        (0, "cat", 1, 2, 29, 38, 1102, None),
        (1, "dog", 5, 2, 25.5, 38, 969, None),
    ]
    assert json.loads(found.annotations["attributes"][0].as_py()) == {"occluded": "1", "z_order": "0", "pose": "left"}
    assert found.annotations["segmentation"].to_pylist() == [None, "[[5.0, 2.0, 30.5, 2.0, 20.0, 40.0]]"]
    images = [(row["file_name"], row["width"], row["height"], row["image_row"]) for row in found.images.to_pylist()]
    assert images == [("a.jpg", 64, 48, 0), ("b.jpg", 64, 48, 1)]
    assert set(found.categories["category_name"].to_pylist()) == {"cat", "dog", "emu"}
    assert found.quarantine.num_rows == 0


def test_further_shapes(tmp_path: Path, read_source) -> None:
    shapes = (
        '<box label="cat" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90.0"/>',
        '<ellipse label="cat" cx="10" cy="20" rx="5" ry="2"/>',
        '<mask label="cat" rle="3, 4" left="1" top="2" width="3" height="4"/>',
    )
    found = read(tmp_path, read_source, f"<annotations>{image(*shapes)}</annotations>")
    assert of(found, "x", "y", "width", "height") == [
        pytest.approx((15, 5, 10, 20)),
        (5, 18, 10, 4),
        (1, 2, 3, 4),
    ]


def test_bad_values_cost_their_own_field(tmp_path: Path, read_source) -> None:
    shapes = (
        '<box label="" xtl="x" ytl="1" xbr="3" ybr="inf"/>',
        '<polygon label="cat" points="1,2;3"/>',
        '<polygon label="cat" points="1,2;3,4;5,x"/>',
    )
    text = image(*shapes, attributes='width="0"')
    found = read(tmp_path, read_source, f"<annotations>{text}</annotations>")
    assert of(found, "x", "y", "width", "height") == [(None, 1, None, None), *[(None,) * 4] * 2]
    noted = [[(one["rule"], one["field"]) for one in row or ()] for row in found.annotations["defects"].to_pylist()]
    assert noted == [
        [("wrong-type", "xtl"), ("not-finite", "ybr"), ("missing-field", "label")],
        [("box-arity", "points")],
        [("wrong-type", "points[2]")],
    ]
    ((*defects,),) = found.images["defects"].to_pylist()
    assert [(one["rule"], one["field"]) for one in defects] == [
        ("missing-field", "name"),
        ("wrong-type", "width"),
        ("missing-field", "height"),
    ]


def test_an_image_that_does_not_parse_costs_itself(tmp_path: Path, read_source) -> None:
    images = [image(), image("<box>"), image("&x;"), image()]
    found = read(tmp_path, read_source, f"<annotations>{''.join(images)}")
    assert found.images["image_row"].to_pylist() == [0, 3]
    assert sorted(found.quarantine["row"].to_pylist(), key=str) == [1, 2, None]
    (end,) = [row["detail"] for row in found.quarantine.to_pylist() if row["row"] is None]
    assert "ends before </annotations>" in end


def test_tracks_of_a_video_are_refused_with_the_mend(tmp_path: Path, read_source) -> None:
    with pytest.raises(DetrayError, match=r"export the task as 'CVAT for images 1\.1'"):
        read(tmp_path, read_source, '<annotations><track id="0" label="cat"></track></annotations>')


def test_an_image_that_would_fill_the_memory_costs_itself(
    tmp_path: Path, read_source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cvat, "MAX_FILE_BYTES", 300)
    monkeypatch.setattr(cvat, "CHUNK_BYTES", 200)
    long = image('<box label="cat" xtl="1" ytl="1" xbr="3" ybr="4"/>' * 20)
    found = read(tmp_path, read_source, f"<annotations>{image()}{image()}{long}{image()}</annotations>")
    assert found.images["image_row"].to_pylist() == [0, 1, 3]
    assert [(row["row"], row["detail"]) for row in found.quarantine.to_pylist()] == [(2, "longer than 0 MiB")]
