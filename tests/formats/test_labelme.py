"""LabelMe JSON: rectangles, polygons, circles; a file an image."""

import json
from pathlib import Path
from typing import Any

import pytest
import samples
from PIL import Image

from detray.formats.chunk import Chunk
from detray.formats.source import Source


def read(folder: Path, read_source, shapes: Any = None, images: Path | None = None, **more: Any) -> Chunk:
    """The sample, with other shapes or fields."""
    value = json.loads(samples.LABELME) | more
    if shapes is not None:
        value["shapes"] = shapes
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "a.json").write_text(json.dumps(value))
    stated = str(folder / "data")
    return read_source(Source("val", "labelme", (stated,), stated, images=None if images is None else str(images)))


def shape(kind: str | None, *points: Any, **more: Any) -> dict[str, Any]:
    return {"label": "cat", "points": list(points), "shape_type": kind} | more


def drawn(found: Chunk) -> list[tuple]:
    return [tuple(row[side] for side in ("x", "y", "width", "height")) for row in found.annotations.to_pylist()]


def noted(found: Chunk) -> list[list[tuple]]:
    return [
        [(one["rule"], one["field"], one["observed"]) for one in row or ()]
        for row in found.annotations["defects"].to_pylist()
    ]


def test_rows(tmp_path: Path, read_source) -> None:
    found = read(tmp_path, read_source)
    (image,) = found.images.to_pylist()
    path = str(tmp_path / "data" / "a.json")
    assert (image["file_name"], image["width"], image["height"], image["source_file"]) == ("imgs/a.jpg", 64, 48, path)
    assert (image["defects"], image["attributes"]) == (None, None)
    cat, dog = found.annotations.to_pylist()
    assert (cat["annotation_row"], cat["category_name"], cat["segmentation"], cat["area"]) == (0, "cat", None, 1102)
    assert (dog["annotation_row"], dog["category_name"], dog["attributes"]) == (1, "dog", '{"group_id": 7}')
    assert json.loads(dog["segmentation"]) == [[5, 2, 30.5, 2, 20, 40]]
    assert drawn(found) == [(1, 2, 29, 38), (5, 2, 25.5, 38)]
    assert noted(found) == [[], []]


def test_further_shapes(tmp_path: Path, read_source) -> None:
    shapes = [
        shape("circle", [10, 10], [13, 14]),
        shape(None, [1, 2], [3, 5]),
        shape(None, [1, 2], [3, 5], [2, 9]),
        shape("rectangle", [0, 0], [4, 0], [4, 3], [0, 3], difficult=True),
        shape("mask", [1, 1], [3, 4], mask="iVBOR"),
    ]
    found = read(tmp_path, read_source, shapes)
    assert drawn(found) == [(5, 5, 10, 10), (1, 2, 2, 3), (1, 2, 2, 7), (0, 0, 4, 3), (1, 1, 2, 3)]
    assert found.annotations["is_difficult"].to_pylist() == [False, False, False, True, False]
    assert not any(found.annotations["attributes"].to_pylist())


def test_bad_values_cost_their_own_field(tmp_path: Path, read_source) -> None:
    shapes = [
        shape("rectangle", [1, 2], [3, "x"]),
        shape("rectangle", [1, 2]),
        shape("rectangle", [1, 2, 3]),
        shape("polygon", [1, float("nan")], [3, 4], [5, 6], label=""),
        7,
        {},
    ]
    found = read(tmp_path, read_source, shapes, imageWidth=-1, imageHeight="48", imagePath=None)
    assert drawn(found) == [(None,) * 4] * 6
    assert noted(found) == [
        [("wrong-type", "points[1]", "x")],
        [("box-arity", "points", "1 points of a rectangle")],
        [("wrong-type", "points", "[[1, 2, 3]]")],
        [("not-finite", "points[0]", "nan"), ("missing-field", "label", "")],
        [("wrong-type", "", "7")],
        [("missing-field", "points", ""), ("missing-field", "label", "")],
    ]
    (image,) = found.images.to_pylist()
    assert (image["file_name"], image["width"], image["height"]) == ("a.jpg", None, 48)
    assert [(one["rule"], one["field"]) for one in image["defects"]] == [
        ("missing-field", "imagePath"),
        ("wrong-type", "imageWidth"),
        ("wrong-type", "imageHeight"),
    ]


def test_a_size_that_is_not_stated_is_the_pictures(tmp_path: Path, read_source) -> None:
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "pictures" / "a.jpg")
    found = read(tmp_path, read_source, images=tmp_path / "pictures", imageWidth=None)
    (image,) = found.images.to_pylist()
    assert (image["file_name"], image["width"], image["height"]) == ("a.jpg", 64, 48)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"shapes": 1}', samples.LABELME[:-5], b"\xff\xfe"])
def test_files_that_are_none_are_quarantined(tmp_path: Path, read_source, text: bytes) -> None:
    (tmp_path / "a.json").write_bytes(text)
    (tmp_path / "b.json").write_bytes(samples.LABELME)
    found = read_source(Source("val", "labelme", (str(tmp_path),), str(tmp_path)))
    assert found.images.num_rows == 1
    (lost,) = found.quarantine.to_pylist()
    assert (lost["source_file"], lost["reason"]) == (str(tmp_path / "a.json"), "unreadable-annotation-file")
