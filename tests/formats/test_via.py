"""VIA JSON: projects and exports, rectangles, polygons, circles; the class among a region's attributes."""

import json
from pathlib import Path
from typing import Any

import pytest
import samples
from PIL import Image

from detray.formats.chunk import Chunk
from detray.formats.json import whole
from detray.formats.source import Source


def read(folder: Path, read_source, data: Any, *, images: bool = False) -> Chunk:
    path = folder / "via.json"
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return read_source(Source("val", "via", (str(path),), str(folder), images=str(folder) if images else None))


def region(attributes: Any, **shape: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def of(found: Chunk, *names: str) -> list[tuple]:
    return [tuple(row[name] for name in names) for row in found.annotations.to_pylist()]


def noted(found: Chunk) -> list[list[tuple]]:
    return [
        [(one["rule"], one["field"], one["observed"]) for one in row or ()]
        for row in found.annotations["defects"].to_pylist()
    ]


@pytest.mark.parametrize("data", [samples.VIA, samples.VIA_PROJECT], ids=["export", "project"])
@pytest.mark.parametrize("size", [2000, 1])
def test_rows(tmp_path: Path, read_source, data: bytes, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "RECORDS_PER_CHUNK", size)
    found = read(tmp_path, read_source, data)
    images = [(row["file_name"], row["width"], row["image_row"], row["attributes"]) for row in found.images.to_pylist()]
    assert images == [("a.jpg", None, 0, '{"place": "yard"}'), ("b.jpg", None, 1, None)]
    assert not any(found.images["defects"].to_pylist())
    assert of(found, "annotation_row", "category_name", "x", "y", "width", "height", "area", "attributes") == [
        (0, "cat", 1, 2, 29, 38, 1102, '{"pose": "left"}'),
        (1, "dog", 5, 2, 25.5, 38, 969, None),
    ]
    assert found.annotations["segmentation"].to_pylist() == [None, "[[5.0, 2.0, 30.5, 2.0, 20.0, 40.0]]"]
    assert noted(found) == [[], []]
    assert found.categories["category_name"].to_pylist() == ["cat", "dog"]


def test_regions_of_1_x_and_round_shapes(tmp_path: Path, read_source) -> None:
    regions = {
        "0": region({"name": " emu "}, name="circle", cx=10, cy=20, r=5),
        "1": region({"type": "emu"}, name="ellipse", cx=10, cy=20, rx=5, ry=2),
    }
    found = read(tmp_path, read_source, {"a.jpg1": {"filename": "a.jpg", "regions": regions}})
    assert of(found, "category_name", "x", "y", "width", "height") == [
        ("emu", 5, 15, 10, 10),
        ("emu", 5, 18, 10, 4),
    ]


def test_bad_values_cost_their_own_field(tmp_path: Path, read_source) -> None:
    regions = [
        region({}, name="rect", x=1, y="2", width=None, height=float("inf")),
        region({"class": ""}, name="polygon", all_points_x=[1, 2, 3], all_points_y=[1, 2]),
        region({"class": 7}, name="polygon", all_points_x=[1, None, 3], all_points_y=[1, 2, 3]),
        7,
    ]
    found = read(tmp_path, read_source, {"a": {"filename": "", "regions": regions}, "b": 7, "c": {"regions": 7}})
    assert of(found, "x", "y", "width", "height") == [(1, 2, None, None), *[(None,) * 4] * 3]
    assert noted(found) == [
        [("wrong-type", "y", "2"), ("missing-field", "width", "null"), ("not-finite", "height", "inf"),
         ("missing-field", "region_attributes", "")],
        [("box-arity", "all_points_x", "3 and 2 numbers of a polygon"),
         ("missing-field", "region_attributes/class", "")],
        [("wrong-type", "all_points_x[1]", "null"), ("wrong-type", "region_attributes/class", "7")],
        [("missing-field", "shape_attributes", "7")],
    ]  # fmt: skip
    assert found.images["file_name"].to_pylist() == [None]
    assert [(row["row"], row["reason"]) for row in found.quarantine.to_pylist()] == [
        (1, "unreadable-row"),
        (2, "unreadable-row"),
    ]


def test_sizes_are_those_of_the_pictures(tmp_path: Path, read_source) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    found = read(tmp_path, read_source, samples.VIA, images=True)
    assert [(row["width"], row["height"]) for row in found.images.to_pylist()] == [(64, 48), (None, None)]
    assert [bool(row) for row in found.images["defects"].to_pylist()] == [False, True]


def test_a_file_that_does_not_parse_is_quarantined(tmp_path: Path, read_source) -> None:
    found = read(tmp_path, read_source, samples.VIA[:-3])
    assert found.images.num_rows == 0
    assert found.quarantine["reason"].to_pylist() == ["unreadable-annotation-file"]
