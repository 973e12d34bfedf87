"""TFRecords: own reader against TensorFlow's, and every kind of damage counted."""

import gzip
import json
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detray.errors import UsageError
from detray.formats.catalogue import recognise
from detray.formats.resolve import resolve
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.formats.source import Source
from detray.formats.tfrecord.example import BrokenExample, parse_example
from detray.formats.tfrecord.reader import TFRecord
from detray.formats.tfrecord.records import checksum

TWO = {
    "image/filename": [b"a.jpg"],
    "image/width": [200],
    "image/height": [100],
    "image/source_id": [b"7"],
    "image/encoded": [b"\xff\xd8" * 3000],
    "image/object/bbox/xmin": [0.25, 0.0],
    "image/object/bbox/xmax": [0.75, 0.5],
    "image/object/bbox/ymin": [0.5, 0.0],
    "image/object/bbox/ymax": [1.0, 0.25],
    "image/object/class/label": [2, 1],
    "image/object/class/text": [b"dog", b"cat"],
    "image/object/view": [b"left", b"right"],
}


def varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(found + bytes([value]))


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def example(features: dict[str, list[Any]]) -> bytes:
    """A tf.train.Example as TensorFlow writes it."""

    def feature(values: list[Any]) -> bytes:
        if all(isinstance(value, bytes) for value in values):
            return field(1, b"".join(field(1, value) for value in values))
        if all(isinstance(value, int) for value in values):
            return field(3, field(1, b"".join(varint(value % (1 << 64)) for value in values)))
        return field(2, field(1, struct.pack(f"<{len(values)}f", *values)))

    return field(1, b"".join(field(1, field(1, k.encode()) + field(2, feature(v))) for k, v in features.items()))


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", checksum(length)) + data + struct.pack("<I", checksum(data))


def write(folder: Path, *records: bytes, name: str = "a.record") -> Source:
    (folder / name).write_bytes(b"".join(records))
    return Source("val", "tfrecord", (str(folder / name),), str(folder))


VALUES = (
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4)
    | st.lists(st.binary(max_size=9), max_size=4)
    | st.lists(st.floats(width=32, allow_nan=False), max_size=4)
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=9), VALUES, max_size=5))
def test_examples_are_parsed_as_tensorflow_does(features: dict[str, list[Any]]) -> None:
    import tensorflow as tf

    def feature(values: list[Any]) -> Any:
        if values and isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if values and isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    made = tf.train.Example(features=tf.train.Features(feature={k: feature(v) for k, v in features.items()}))
    found = parse_example(made.SerializeToString())
    assert found == features


@pytest.mark.slow
def test_files_that_tensorflow_writes(tmp_path: Path, read_source) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(tmp_path / "a.record")) as writer:
        for _ in range(3):
            writer.write(example(TWO))
    assert (tmp_path / "a.record").read_bytes() == record(example(TWO)) * 3
    found = read_source(Source("val", "tfrecord", (str(tmp_path / "a.record"),), str(tmp_path)))
    assert (found.images.num_rows, found.annotations.num_rows, found.quarantine.num_rows) == (3, 6, 0)


def test_fields_of_a_record(tmp_path: Path, read_source) -> None:
    found = read_source(write(tmp_path, record(example(TWO)), record(example(TWO))))
    rows = found.annotations.to_pylist()
    assert [(r["category_id"], r["x"], r["y"], r["width"], r["height"], r["area"]) for r in rows[:2]] == [
        (2, 50, 50, 100, 50, 5000),
        (1, 0, 0, 100, 25, 2500),
    ]
    assert [row["annotation_row"] for row in rows] == [0, 1, 2, 3]
    assert json.loads(rows[0]["attributes"]) == {"view": "left"}
    image = found.images.to_pylist()[1]
    assert (image["file_name"], image["width"], image["height"], image["image_row"]) == ("a.jpg", 200, 100, 1)
    assert json.loads(image["attributes"]) == {"image/source_id": "7"}
    assert found.categories.select(["category_id", "category_name"]).to_pylist() == [
        {"category_id": 1, "category_name": "cat"},
        {"category_id": 2, "category_name": "dog"},
    ]


def test_classes_that_an_image_was_looked_through_for_are_kept(tmp_path: Path, read_source) -> None:
    lists = {"image/class/label": [1, 7], "image/neg_category_ids": [], "image/not_exhaustive_category_ids": [3]}
    found = read_source(write(tmp_path, record(example(TWO | lists))))
    (image,) = found.images.to_pylist()
    kept = json.loads(image["attributes"])
    assert kept["image/class/label"] == [1, 7]
    assert kept["image/not_exhaustive_category_ids"] == 3


def test_classes_may_have_only_names(tmp_path: Path, read_source) -> None:
    features = {name: value for name, value in TWO.items() if name != "image/object/class/label"}
    found = read_source(write(tmp_path, record(example(features))))
    assert found.annotations.select(["category_id", "category_name"]).to_pylist() == [
        {"category_id": None, "category_name": "dog"},
        {"category_id": None, "category_name": "cat"},
    ]
    assert found.annotations["defects"].null_count == 2


@pytest.mark.parametrize(
    ("change", "expected", "rule"),
    [
        ({"image/object/bbox/xmax": [0.75]}, {"width": None, "x": 0.0}, "missing-field"),
        ({"image/object/bbox/xmax": [0.75, math.nan]}, {"width": None, "height": 25.0}, "not-finite"),
        ({"image/object/class/label": [2]}, {"category_id": None, "category_name": "cat"}, "missing-field"),
        ({"image/object/bbox/xmin": [b"x", b"y"]}, {"x": None, "y": 0.0}, "wrong-type"),
    ],
)
def test_a_bad_value_costs_its_own_field(tmp_path: Path, read_source, change: dict, expected: dict, rule: str) -> None:
    row = read_source(write(tmp_path, record(example(TWO | change)))).annotations.to_pylist()[1]
    assert {name: row[name] for name in expected} == expected
    assert rule in {defect["rule"] for defect in row["defects"]}


@pytest.mark.parametrize(
    ("change", "table", "field", "observed"),
    [
        ({"image/object/bbox/xmin": [0, 1]}, "annotations", "bbox/xmin", "0 in an Int64List"),
        ({"image/object/class/label": [2.0, 1.0]}, "annotations", "class/label", "2.0 in a FloatList"),
        ({"image/object/class/text": [2, 1]}, "annotations", "class/text", "2 in an Int64List"),
        ({"image/object/class/text": [b"x" * 9999, b"cat"]}, "annotations", "class/text", "9999 characters"),
        ({"image/object/class/text": [b"\xff", b"cat"]}, "annotations", "class/text", "\ufffd"),
        ({"image/filename": [b"a\0.jpg"]}, "images", "image/filename", "a\0.jpg"),
        ({"image/width": [200.0]}, "images", "image/width", "200.0 in a FloatList"),
        ({"image/width": [0]}, "images", "image/width", "0"),
        ({"image/object/is_crowd": [b"0", b"0"]}, "annotations", "is_crowd", "0"),
        ({"image/object/difficult": [2, 0]}, "annotations", "difficult", "2"),
    ],
)
def test_values_of_another_kind_are_noted(
    tmp_path: Path, read_source, change: dict, table: str, field: str, observed: str
) -> None:
    found = read_source(write(tmp_path, record(example(TWO | change))))
    row = getattr(found, table).to_pylist()[0]
    assert row["defects"] == [{"rule": "wrong-type", "field": field, "observed": observed}]


def test_damage_is_counted_and_the_rest_is_read(tmp_path: Path, read_source) -> None:
    good = record(example(TWO))
    flipped = bytearray(good)
    flipped[40] ^= 1
    found = read_source(write(tmp_path, good, bytes(flipped), record(b"\x0a\x7f"), good, good[:100]))
    assert found.images["image_row"].to_pylist() == [0, 3]
    assert found.annotations["annotation_row"].to_pylist() == [0, 1, 2, 3]
    lost = found.quarantine.select(["row", "reason"]).to_pylist()
    assert lost == [
        {"row": 1, "reason": "corrupt-record"},
        {"row": 2, "reason": "corrupt-record"},
        {"row": None, "reason": "unreadable-annotation-file"},
    ]


@pytest.mark.parametrize("length", [2**63, 2**40, 5000])
def test_lengths_beyond_the_file_take_no_memory(tmp_path: Path, read_source, length: int) -> None:
    head = struct.pack("<Q", length)
    found = read_source(write(tmp_path, record(example(TWO)), head + struct.pack("<I", checksum(head)) + b"x"))
    assert found.images.num_rows == 1
    assert f"states {length} bytes where 0 are left" in found.quarantine["detail"][0].as_py()


@pytest.mark.parametrize("data", [b"\x0a\xff\xff\xff\xff\x7f", b"\x0b", b"\x0a", b"\xff" * 11, b"\x0a\x03\x0a\x01\x0a"])
def test_broken_examples_are_refused(data: bytes) -> None:
    with pytest.raises(BrokenExample):
        parse_example(data)


def test_shards_are_one_split_and_missing_ones_are_named(tmp_path: Path, read_source) -> None:
    for number in (0, 2):
        write(tmp_path, record(example(TWO)), name=f"val.record-{number:05d}-of-00003")
    split = SplitSettings(annotations="val.record-*")
    (source,) = resolve(DatasetSettings(root=str(tmp_path), splits={"val": split}))
    assert (source.format, len(source.annotations)) == ("tfrecord", 2)
    found = read_source(source)
    assert found.images.num_rows == 2
    assert found.quarantine.select(["source_file", "detail"]).to_pylist() == [
        {"source_file": str(tmp_path / "val.record-00001-of-00003"), "detail": "this shard is not there"}
    ]
    with pytest.raises(UsageError, match="no file is so named"):
        resolve(DatasetSettings(root=str(tmp_path), splits={"val": SplitSettings(annotations="x-*")}))


def test_a_name_may_state_any_number_of_shards(tmp_path: Path) -> None:
    write(tmp_path, record(example(TWO)), name="a.record-00007-of-99999")
    source = Source("val", "tfrecord", (str(tmp_path / "a.record-00007-of-99999"),), str(tmp_path))
    plan = TFRecord().plan(source)
    assert (plan.num_rows, plan["chunk"][-1].as_py()) == (99_999, 1)
    lost = TFRecord().read(source, plan.slice(1)).quarantine["source_file"]
    assert (len(lost), lost[0].as_py()) == (99_998, str(tmp_path / "a.record-00000-of-99999"))


def test_recognised_by_content(tmp_path: Path) -> None:
    write(tmp_path, record(b""))
    assert TFRecord().recognises(tmp_path / "a.record")
    assert TFRecord().recognises(tmp_path)
    write(tmp_path, bytes(100))
    assert not TFRecord().recognises(tmp_path / "a.record")


@pytest.mark.parametrize(("name", "compress"), [("GZIP", gzip.compress), ("ZLIB", zlib.compress)])
@pytest.mark.parametrize("file", ["a.record", "a.bin.gz"])
def test_compressed_records_are_said_to_be(
    tmp_path: Path, read_source, name: str, compress: Callable[[bytes], bytes], file: str
) -> None:
    write(tmp_path, compress(record(example(TWO)) * 3), name=file)
    assert TFRecord().recognises(tmp_path)
    assert TFRecord().recognises(tmp_path / file)
    write(tmp_path, record(example(TWO)), name="b.record")
    found = read_source(Source("val", "tfrecord", (str(tmp_path),), str(tmp_path)))
    assert found.images.num_rows == 1
    (lost,) = found.quarantine.to_pylist()
    assert lost["source_file"] == str(tmp_path / file)
    assert f"{name}-compressed" in lost["detail"]
    write(tmp_path, compress(b"some text that is compressed"), name="c.gz")
    assert not TFRecord().recognises(tmp_path / "c.gz")


@pytest.mark.parametrize("name", ["a.tfrecord", "a.record", "train-00000-of-00001", "train.record-00000-of-00001"])
def test_a_file_called_records_that_is_broken_at_once_is_named(tmp_path: Path, read_source, name: str) -> None:
    write(tmp_path, b"\1" + record(example(TWO))[1:], name=name)
    assert recognise(tmp_path).name == recognise(tmp_path / name).name == "tfrecord"
    write(tmp_path, record(example(TWO)), name="b.record")
    found = read_source(Source("val", "tfrecord", (str(tmp_path),), str(tmp_path)))
    assert found.images.num_rows == 1
    assert [(row["source_file"], row["detail"]) for row in found.quarantine.to_pylist()] == [
        (str(tmp_path / name), "record 0, byte 0: its length does not agree with its checksum")
    ]


def test_shards_of_something_else_are_no_records(tmp_path: Path) -> None:
    write(tmp_path, b"some,columns\n1,2\n", name="a.csv-00000-of-00001")
    with pytest.raises(UsageError, match="of no known format"):
        recognise(tmp_path)
