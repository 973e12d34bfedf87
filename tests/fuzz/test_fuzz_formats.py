"""Hostile files: each is read, row by row accounted for, or refused in one sentence; nothing else ever happens.

``DETRAY_FUZZ=10000`` (``make fuzz``) tries that many mutated files of each format.
"""

import contextlib
import json
import os
import re
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from reading import read_whole

from detray import schema
from detray.errors import DetrayError
from detray.formats import canonical
from detray.formats.catalogue import FORMATS
from detray.formats.chunk import Chunk
from detray.formats.detections.check import validate
from detray.formats.detections.rows import read_all
from detray.formats.json import lists as json_lists
from detray.formats.label_map import read_label_map
from detray.formats.source import Source
from detray.formats.tfrecord.records import checksum
from detray.pipeline.edit import apply
from detray.pipeline.geometry import anchors_of, finest_stride, resize_of
from detray.pipeline.read import parse_pipeline, read_pipeline

PIPELINE = (Path(__file__).parents[1] / "pipeline" / "ssd.config").read_bytes()
EXAMPLES = int(os.environ.get("DETRAY_FUZZ", "200"))

NASTY = (
    b"NaN", b"Infinity", b"-1e999", b"null", b"true", b'"', b"\\", b"[", b"]", b"{", b"}", b",", b":", b"}, {",
    b'"bbox"', b'"annotations": [', b'"images": [', b'{"id": 1', b"9" * 30, b"9" * 5000, b"\0", b"\xff",
    b"\xef\xbb\xbf", b"<!DOCTYPE a [",
    b"\r\n", b"\\ud800", b"../../etc/passwd", b"[" * 3000, b"]" * 3000, b"<object>", b"</annotation>",
    b"&x;", b"<bndbox>", b"nan", b"1_0", b"-0", b"0x10", b" ", b"\t", b"names:", b"item {", b"'", b"#", b"???",
    struct.pack("<Q", 2**63), struct.pack("<Q", 2**31), b"\x80" * 12, b"\x0a\xff\x7f",
)  # fmt: skip

COCO = json.dumps(
    {
        "info": {"year": 2024},
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 64, "height": 48} for n in range(3)],
        "annotations": [
            {"id": n, "image_id": n % 3, "category_id": 1 + n % 2, "bbox": [1, 2.5, 3, 4], "area": 12, "iscrowd": 0,
             "segmentation": [[1, 2, 3, 4, 5, 6]], "note": "é { \\ }"}
            for n in range(8)
        ],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    },
    ensure_ascii=False,
).encode()  # fmt: skip
RESULTS = json.dumps(
    [{"image_id": n % 3, "category_id": 1, "bbox": [1, 2, 3, 4.5], "score": 0.5} for n in range(9)]
    + [{"image_id": 1, "category_id": 1, "score": 1, "segmentation": {"size": [9, 9], "counts": "0a0"}}]
).encode()
VOC = b"""<annotation><filename>a.jpg</filename><size><width>64</width><height>48</height></size>
<object><name>cat</name><difficult>0</difficult><pose>Left</pose><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax>
<ymax>40</ymax></bndbox></object><object><name>dog</name><bndbox><xmin>5</xmin><ymin>2</ymin><xmax>30.5</xmax>
<ymax>40</ymax></bndbox></object></annotation>"""
YOLO = b"0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.5 0.1 0.5 0.9\n0 0.5 0.5 0.1 0.1 0.9\n"
DATA_FILE = b"path: .\ntrain: images\nval: [images]\nnames:\n  0: cat\n  1: dog\n"
CSV = b"ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n" + b"a,x,/m/01,1,0.25,0.75,0.5,1,0\n" * 5
PBTXT = b"item {\n  id: 1\n  name: 'cat'\n  display_name: \"Cat \\303\\266\"\n}\n# more\nitem { id: 2 name: 'dog' }\n"


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", checksum(length)) + data + struct.pack("<I", checksum(data))


def _example() -> bytes:
    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    floats = {side: field(2, field(1, struct.pack("<2f", 0.25, 0.5))) for side in ("xmin", "ymin", "xmax", "ymax")}
    features = {f"image/object/bbox/{side}": value for side, value in floats.items()} | {
        "image/width": field(3, field(1, b"\x40")),
        "image/height": field(3, field(1, b"\x30")),
        "image/filename": field(1, field(1, b"a.jpg")),
        "image/object/class/label": field(3, field(1, b"\x01\x02")),
    }
    entries = [field(1, field(1, name.encode()) + field(2, value)) for name, value in features.items()]
    body = b"".join(entries)
    return b"\x0a" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) + body


RECORDS = _record(_example()) * 3

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.floats(0, 1), st.sampled_from(NASTY) | st.binary(max_size=6)),
        st.tuples(st.just("overwrite"), st.floats(0, 1), st.sampled_from(NASTY) | st.binary(min_size=1, max_size=4)),
        st.tuples(st.just("delete"), st.floats(0, 1), st.integers(1, 40).map(bytes)),
        st.tuples(st.just("repeat"), st.floats(0, 1), st.integers(1, 60).map(bytes)),
        st.tuples(st.just("cut"), st.floats(0, 1), st.just(b"")),
    ),
    min_size=1,
    max_size=4,
)


def mutate(data: bytes, operations: list[tuple[str, float, bytes]]) -> bytes:
    """``data`` with the operations applied one after another."""
    for name, place, argument in operations:
        at = int(place * len(data))
        if name == "insert":
            data = data[:at] + argument + data[at:]
        elif name == "overwrite":
            data = data[:at] + argument + data[at + len(argument) :]
        elif name == "delete":
            data = data[:at] + data[at + len(argument) :]
        elif name == "repeat":
            data = data[:at] + data[at : at + len(argument)] * 3 + data[at:]
        else:
            data = data[:at]
    return data


def conforms(found: Chunk) -> None:
    """What was read fits the canonical tables."""
    for name in ("images", "annotations"):
        rows = canonical.canonical(name, getattr(found, name), "r", "val")
        assert rows.num_rows == getattr(found, name).num_rows
    for name in ("x", "y", "width", "height", "area"):
        values = found.annotations[name].drop_null().to_numpy()
        assert not (values != values).any()
    quarantine = canonical.canonical(
        "quarantine", found.quarantine, "r", "val", stage=pa.repeat("ingest", found.quarantine.num_rows)
    )
    assert quarantine.schema == schema.schema("quarantine")


def accounted_coco(data: bytes, found: Chunk) -> None:
    """A file that Python's json reads too has all its rows."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    assert found.images.num_rows == len(value["images"])
    assert found.annotations.num_rows == len(value.get("annotations") or [])
    assert found.categories.num_rows + found.quarantine.num_rows == len(value.get("categories") or [])


def accounted_file(data: bytes, found: Chunk) -> None:
    assert found.images.num_rows + found.quarantine.num_rows == 1


def accounted_rows(data: bytes, found: Chunk) -> None:
    """A line of a CSV of corners is a box, an image without boxes, or quarantined."""
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    rows = {*found.annotations["annotation_row"].to_pylist(), *found.quarantine["row"].to_pylist()}
    assert found.annotations.num_rows + found.quarantine.num_rows == len(rows) <= sum(bool(line) for line in lines)
    assert not found.quarantine.num_rows or set(found.quarantine["reason"].to_pylist()) == {"unreadable-row"}


def accounted_records(data: bytes, found: Chunk) -> None:
    """A list that Python's json reads has all its records."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(value, list):
        assert found.images.num_rows + found.quarantine.num_rows == len(value)


def accounted_elements(data: bytes, found: Chunk) -> None:
    starts = len(re.findall(rb"<image(?=[\s>/])", data))
    lost = found.quarantine["reason"].to_pylist().count("unreadable-row")
    assert found.images.num_rows + lost == starts


def accounted_lines(data: bytes, found: Chunk) -> None:
    lines = data.partition(b"\n")[2].replace(b"\r\n", b"\n").split(b"\n")
    expected = sum(bool(line) for line in lines)
    assert found.annotations.num_rows + found.quarantine.num_rows == expected


CASES: dict[str, tuple[str, str, bytes, Callable[[bytes, Chunk], None]]] = {
    "coco": ("coco", "a.json", COCO, accounted_coco),
    "voc": ("voc", "a.xml", VOC, accounted_file),
    "yolo": ("yolo", "labels/a.txt", YOLO, accounted_file),
    "yolo data file": ("yolo", "data.yaml", DATA_FILE, lambda data, found: None),
    "tfrecord": ("tfrecord", "a.record", RECORDS, lambda data, found: None),
    "open_images": ("open_images", "a.csv", CSV, accounted_lines),
    "tf_csv": ("tf_csv", "a.csv", samples.TF_CSV, accounted_rows),
    "retinanet_csv": ("retinanet_csv", "a.csv", samples.RETINANET_CSV, accounted_rows),
    "labelme": ("labelme", "a.json", samples.LABELME, accounted_file),
    "via": ("via", "a.json", samples.VIA, lambda data, found: None),
    "via project": ("via", "a.json", samples.VIA_PROJECT, lambda data, found: None),
    "cvat": ("cvat", "a.xml", samples.CVAT, accounted_elements),
    "label_studio": ("label_studio", "a.json", samples.LABEL_STUDIO, accounted_records),
    "createml": ("createml", "a.json", samples.CREATEML, accounted_records),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples: files are written over."""
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("images", "labels"):
        (folder / name).mkdir()
    Image.new("RGB", (64, 48)).save(folder / "images" / "a.jpg")
    return folder


def fuzz(test: Callable[..., None]) -> Callable[..., None]:
    """Many examples, each within seconds."""
    checks = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)
    return settings(max_examples=EXAMPLES, deadline=timedelta(seconds=20), suppress_health_check=checks)(
        given(operations=OPERATIONS)(test)
    )


def test_every_format_is_tried() -> None:
    assert {case[0] for case in CASES.values()} == {item.name for item in FORMATS}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@fuzz
def test_mutated_annotations(
    folder: Path, case: tuple[str, str, bytes, Callable[[bytes, Chunk], None]], operations: list
) -> None:
    name, file, good, accounted = case
    data = mutate(good, operations)
    path = folder / file
    path.write_bytes(data)
    stated = str(path.parent) if file == "labels/a.txt" else str(path)
    source = Source("val", name, (stated,), str(folder), images=str(folder / "images"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lists, "PART_BYTES", 300)
        patch.setattr(json_lists, "BLOCK_BYTES", 120)
        for reader in FORMATS:
            with contextlib.suppress(DetrayError):
                reader.recognises(path)
        try:
            found = read_whole(source)
        except DetrayError:
            return
        finally:
            path.unlink()
    conforms(found)
    accounted(data, found)


@fuzz
def test_mutated_detections(folder: Path, operations: list) -> None:
    data = mutate(RESULTS, operations)
    path = folder / "results.json"
    path.write_bytes(data)
    images = pa.table({"image_id": [0, 1, 2], "file_name": ["a", "b", "c"]})
    categories = pa.table({"category_id": [1], "category_name": ["a"]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lists, "PART_BYTES", 200)
        try:
            raw = read_all(path)
        except DetrayError:
            return
    kept, lost = validate(raw, images, categories, run="r", model="m", split="val")
    assert kept.num_rows + lost.num_rows == raw.num_rows
    with contextlib.suppress(ValueError, RecursionError):
        assert raw.num_rows == len(json.loads(data))


@pytest.mark.parametrize("name", ["a.pbtxt", "a.yaml", "a.json", "a.txt", "a.csv"])
@fuzz
def test_mutated_label_maps(folder: Path, name: str, operations: list) -> None:
    good = {
        "a.pbtxt": PBTXT,
        "a.yaml": b"names: {0: cat, 1: dog}\n",
        "a.json": b'{"1": "cat", "2": "dog"}',
        "a.txt": b"1 cat\n2 dog\n",
        "a.csv": b'/m/01,Cat\n/m/02,"Bow, arrow"\n',
    }[name]
    (folder / name).write_bytes(mutate(good, operations))
    try:
        found = read_label_map(folder / name)
    except DetrayError:
        return
    assert all(isinstance(entry.id, int | None) for entry in found.entries)
    pa.array([entry.label for entry in found.entries], pa.string())
    pa.array([entry.id for entry in found.entries], pa.int64())


@fuzz
def test_mutated_pipelines(folder: Path, operations: list) -> None:
    path = folder / "pipeline.config"
    path.write_bytes(mutate(PIPELINE, operations))
    try:
        found = read_pipeline(str(path))
        text = apply(found.text, {"train_config.batch_size": 7})
    except DetrayError:
        return
    again = parse_pipeline(text, "edited")
    assert again.config.train_config.batch_size == 7
    assert len(again.unknown) == len(found.unknown)
    resize = None if found.architecture is None else resize_of(found.architecture.image_resizer)
    if found.architecture is not None and resize is not None:
        assert np.isfinite(anchors_of(found.architecture, resize)).all()
        assert finest_stride(found.architecture) is not None
