"""Label Studio's JSON export: percent of the picture, turned boxes, several annotators."""

import json
from pathlib import Path
from typing import Any

import pytest
import samples
from PIL import Image

from detray.formats.chunk import Chunk
from detray.formats.source import Source


def read(folder: Path, read_source, data: Any, *, images: bool = False) -> Chunk:
    path = folder / "project.json"
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return read_source(Source("val", "label_studio", (str(path),), str(folder), images=str(folder) if images else None))


def task(*results: Any, image: Any = "/data/upload/a.jpg", **more: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"image": image}, "annotations": [{"id": 1, "result": list(results)} | more]}


def result(
    kind: str = "rectanglelabels", labels: Any = ("cat",), size: Any = (200, 100), **value: Any
) -> dict[str, Any]:
    return {"type": kind, "original_width": size[0], "original_height": size[1], "value": value | {kind: labels}}


def of(found: Chunk, *names: str) -> list[tuple]:
    return [tuple(row[name] for name in names) for row in found.annotations.to_pylist()]


def test_rows(tmp_path: Path, read_source) -> None:
    found = read(tmp_path, read_source, samples.LABEL_STUDIO)
    columns = ("annotation_row", "category_name", "x", "y", "width", "height", "annotator", "attributes", "defects")
    assert of(found, *columns) == [
        (0, "cat", 16, 24, 32, 12, "3", None, None),
        (1, "dog", 0, 0, 32, 24, "3", None, None),
    ]
    assert json.loads(found.annotations["segmentation"][1].as_py()) == [[0, 0, 32, 0, 16, 24]]
    images = [(row["file_name"], row["width"], row["height"], row["defects"]) for row in found.images.to_pylist()]
    assert images == [("0123abcd-a.jpg", 64, 48, None), ("imgs/b c.jpg", None, None, None)]


def test_turned_boxes_and_ellipses_are_read_as_their_bounds(tmp_path: Path, read_source) -> None:
    turned = result(x=50, y=50, width=10, height=40, rotation=90)
    ellipse = result("ellipselabels", x=50, y=50, radiusX=10, radiusY=20)
    found = read(tmp_path, read_source, [task(turned, ellipse)])
    assert of(found, "x", "y", "width", "height") == [pytest.approx((60, 50, 40, 20)), (80, 30, 40, 40)]


def test_labels_beside_bare_shapes_are_read_once(tmp_path: Path, read_source) -> None:
    box = {"x": 0, "y": 0, "width": 10, "height": 10}
    found = read(tmp_path, read_source, [task(result("rectangle", **box), result("labels", ["cat", "dog"], **box))])
    assert of(found, "category_name", "width", "attributes") == [("cat", 20, '{"labels": ["cat", "dog"]}')]


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("/data/upload/3/0123abcd-own.jpg", "own.jpg"),
        ("/data/upload/3/0123abcd-gone.jpg", "0123abcd-gone.jpg"),
        ("s3://bucket/deep/own.jpg", "own.jpg"),
        ("https://host/x/y.jpg?token=1", "x/y.jpg"),
    ],
)
def test_names_of_pictures(tmp_path: Path, read_source, stated: str, expected: str) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "own.jpg")
    found = read(tmp_path, read_source, [task(image=stated)], images=True)
    assert found.images["file_name"].to_pylist() == [expected]


def test_bad_values_cost_their_own_field(tmp_path: Path, read_source) -> None:
    results = [
        result(x=1, y="x", width=None, height=float("nan")),
        result(labels=[], x=0, y=0, width=10, height=10, size=(0, 100)),
        {"type": "rectanglelabels"},
        result("polygonlabels", points=[[1, 2], [3, 4]]),
    ]
    found = read(tmp_path, read_source, [task(*results), 7, {"data": {}, "annotations": [7]}, {"annotations": []}])
    assert of(found, "x", "y", "width", "height") == [
        (2, None, None, None),
        (None, 0, None, 10),
        *[(None,) * 4] * 2,
    ]
    noted = [[(one["rule"], one["field"]) for one in row or ()] for row in found.annotations["defects"].to_pylist()]
    assert noted == [
        [("wrong-type", "y"), ("missing-field", "width"), ("not-finite", "height")],
        [("wrong-type", "original_width"), ("missing-field", "rectanglelabels")],
        [("missing-field", name) for name in
         ("value", "original_width", "original_height", "x", "y", "width", "height", "rectanglelabels")],
        [("box-arity", "points")],
    ]  # fmt: skip
    assert found.images["file_name"].to_pylist() == ["a.jpg", None]
    assert found.quarantine["row"].to_pylist() == [1, 2]
