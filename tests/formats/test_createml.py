"""CreateML JSON: boxes around their centre, in pixels."""

import json
from pathlib import Path
from typing import Any

import samples

from detray.formats.chunk import Chunk
from detray.formats.source import Source


def read(folder: Path, read_source, data: Any) -> Chunk:
    path = folder / "createml.json"
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return read_source(Source("val", "createml", (str(path),), str(folder)))


def of(found: Chunk, *names: str) -> list[tuple]:
    return [tuple(row[name] for name in names) for row in found.annotations.to_pylist()]


def test_rows(tmp_path: Path, read_source) -> None:
    found = read(tmp_path, read_source, samples.CREATEML)
    assert of(found, "annotation_row", "category_name", "x", "y", "width", "height", "attributes", "defects") == [
        (0, "cat", 1, 2, 29, 38, None, None),
        (1, "dog", 5, 2, 25.5, 38, '{"confidence": 0.5}', None),
    ]
    images = [(row["file_name"], row["image_row"], row["width"], row["defects"]) for row in found.images.to_pylist()]
    assert images == [("a.jpg", 0, None, None), ("b.jpg", 1, None, None)]


def test_the_other_names_of_the_fields(tmp_path: Path, read_source) -> None:
    box = {"label": "cat", "coordinates": {"x": 5, "y": 5, "width": 2, "height": 4}}
    found = read(tmp_path, read_source, [{"imagefilename": "a.jpg", "annotation": [box]}])
    assert of(found, "x", "y", "width", "height") == [(4, 3, 2, 4)]


def test_bad_values_cost_their_own_field(tmp_path: Path, read_source) -> None:
    boxes = [
        {"label": "cat", "coordinates": {"x": 5, "y": "5", "width": 2}},
        {"label": 7, "coordinates": [1, 2, 3, 4]},
        7,
    ]
    found = read(tmp_path, read_source, [{"image": 7, "annotations": boxes}, None, {"image": "b", "annotations": 7}])
    assert of(found, "x", "y", "width", "height") == [(4, None, 2, None), *[(None,) * 4] * 2]
    noted = [[(one["rule"], one["field"]) for one in row or ()] for row in found.annotations["defects"].to_pylist()]
    assert noted == [
        [("wrong-type", "y"), ("missing-field", "height")],
        [("wrong-type", "label"), ("wrong-type", "coordinates")],
        [("missing-field", "label"), ("missing-field", "coordinates")],
    ]
    assert found.images["file_name"].to_pylist() == [None]
    assert found.quarantine["row"].to_pylist() == [1, 2]
