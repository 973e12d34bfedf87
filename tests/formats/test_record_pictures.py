"""Pictures within TFRecords are opened as those beside other annotation files are."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from test_tfrecord import TWO, example, record, write

from detray import cli, pictures
from detray.files import RECORD, in_record
from detray.formats.source import Source
from detray.formats.tfrecord.reader import TFRecord

SIDE = (100, 80)


def encoded(seed: int, kind: str = "JPEG", **options: Any) -> bytes:
    """Noise of 100 x 80 px."""
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE[1], SIDE[0], 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def one(number: int, picture: bytes | None, **changes: Any) -> bytes:
    """A record of its own name, with two boxes."""
    name = f"{number}.jpg".encode()
    features = TWO | {"image/width": [SIDE[0]], "image/height": [SIDE[1]], "image/filename": [name]}
    features |= {"image/source_id": [name], "image/encoded": [picture]}
    features |= {f"image/{key}": value for key, value in changes.items()}
    return record(example({key: value for key, value in features.items() if value != [None]}))


def test_the_place_of_a_picture_is_that_of_its_bytes(tmp_path: Path, read_source) -> None:
    picture = encoded(0)
    twin = picture[:64] + b"something else that begins alike"
    found = read_source(write(tmp_path, one(0, picture), one(1, picture, thumbnail=[twin], aaa=[twin]), one(2, b"\0")))
    paths = found.images["path"].to_pylist()
    assert [pictures.read_file(path) for path in paths] == [picture, picture, b"\0"]
    assert len(set(paths)) == 3


def test_records_without_a_picture_look_for_it_in_a_stated_folder(tmp_path: Path, read_source) -> None:
    source = write(tmp_path, one(0, None), one(1, b""), one(2, encoded(2)))
    paths = read_source(source).images["path"].to_pylist()
    reasons = ["the record has no image/encoded", "image/encoded is empty in the record"]
    for path, detail in zip(paths, reasons, strict=False):
        with pytest.raises(pictures.PictureError) as caught:
            pictures.read_file(path)
        assert (caught.value.reason, caught.value.detail) == ("missing", detail)
    beside = Source(source.split, source.format, source.annotations, source.root, images=str(tmp_path))
    images = TFRecord().read(beside, TFRecord().plan(beside)).images
    assert [path is not None and path.startswith(RECORD) for path in images["path"].to_pylist()] == [False, True, True]


def test_a_part_of_a_file_that_is_not_there_has_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "a#1,2.record"
    file.write_bytes(b"0123456789")
    assert pictures.read_file(in_record(str(file), 2, 3)) == b"234"
    for place, reason in (
        (in_record(str(file), 8, 3), "unreadable"),
        (in_record(str(tmp_path / "b.record"), 0, 3), "unreadable"),
        (in_record(str(file), 0, pictures.MAX_BYTES + 1), "too_large"),
        (str(tmp_path / "b#0,3"), "missing"),
    ):
        with pytest.raises(pictures.PictureError) as caught:
            pictures.read_file(place)
        assert caught.value.reason == reason


def test_every_rule_on_pictures_judges_those_of_records(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[pictures.ORIENTATION_TAG] = 6
    kinds = {
        0: encoded(0),
        1: None,
        2: encoded(2)[:-500],
        3: b"no picture",
        4: encoded(4, exif=exif),
        5: encoded(5, "WEBP"),
        6: encoded(6),
        7: encoded(0),
    }
    records = [one(number, picture) for number, picture in kinds.items()]
    records[6] = one(6, kinds[6], width=[80], height=[100])
    write(tmp_path, *records, name="val.record")
    write(tmp_path, one(90, kinds[6]), one(91, encoded(91)), name="train.record")
    arguments = ["audit", tmp_path / "val.record", "--train", tmp_path / "train.record", "--serial", "--output"]
    assert cli.main([*map(str, arguments), str(tmp_path / "out")]) == 0
    rows = pq.read_table(tmp_path / "out/audit/findings").to_pylist()
    found = {(row["rule"], row["file_name"]) for row in rows if row["family"] == "image" and row["scope"] == "image"}
    assert found >= {
        ("missing-image", "1.jpg"),
        ("corrupt-image", "2.jpg"),
        ("corrupt-image", "3.jpg"),
        ("exif-rotation", "4.jpg"),
        ("picture-format", "5.jpg"),
        ("size-mismatch", "6.jpg"),
        ("exact-duplicate-image", "0.jpg"),
        ("split-leakage", "6.jpg"),
    }
    assert not any(name == "91.jpg" for _, name in found)
    manifest = json.loads((tmp_path / "out/audit/manifest.json").read_text())
    assert manifest["facts"]["pictures_checked"]


def split(folder: Path, name: str, labels: list[int], texts: list[bytes] | None = None) -> str:
    """A file of three records that hold boxes of these classes."""
    sides = {"xmin": 0.1, "xmax": 0.4, "ymin": 0.2, "ymax": 0.5}
    boxes = {
        f"object/bbox/{side}": [value + place / 200 for place in range(len(labels))] for side, value in sides.items()
    }
    boxes |= {"object/class/label": labels, "object/class/text": texts or [], "object/view": []}
    first = 3 * ord(name[0])
    write(folder, *(one(number, encoded(number), **boxes) for number in range(first, first + 3)), name=name)
    return str(folder / name)


def audited(output: Path, *arguments: str) -> list[dict[str, Any]]:
    assert cli.main(["audit", *arguments, "--serial", "--output", str(output)]) == 0
    return pq.read_table(output / "audit/findings").to_pylist()


def test_splits_that_number_the_classes_differently_are_one_fault(tmp_path: Path) -> None:
    val = split(tmp_path, "val.record", [1, 2] * 4, [b"bolt", b"nut"] * 4)
    train = split(tmp_path, "train.record", [1, 2] * 40, [b"nut", b"bolt"] * 40)
    rows = audited(tmp_path / "out", val, "--train", train)
    (fault,) = [row for row in rows if row["rule"] == "label-map-mismatch"]
    assert (fault["severity_name"], fault["split"]) == ("fatal", "val")
    assert fault["observed"] == "against split train: bolt is 1 here and 2 there, nut is 2 here and 1 there"
    assert not {"wrong-type", "unknown-category"} & {row["rule"] for row in rows}
    boxes = [{"image_id": n, "category_id": 1, "bbox": [10, 8, 30, 32], "score": 0.9} for n in (1, 2, 3)]
    (tmp_path / "dets.json").write_text(json.dumps(boxes))
    common = ["--train", train, "--serial", "--output", str(tmp_path / "out")]
    assert cli.main(["diagnose", val, str(tmp_path / "dets.json"), *common]) == 0
    metrics = pq.read_table(tmp_path / "out/evaluate/class_metrics").to_pylist()
    assert {row["category_name"] for row in metrics} == {"bolt", "nut"}


def test_files_of_one_split_that_number_the_classes_differently_are_one_fault(tmp_path: Path) -> None:
    first = split(tmp_path, "a.record", [1, 2] * 40, [b"bolt", b"nut"] * 40)
    second = split(tmp_path, "b.record", [1, 2] * 4, [b"nut", b"bolt"] * 4)
    rows = audited(tmp_path / "out", first, second)
    (fault,) = [row for row in rows if row["severity_name"] in ("error", "fatal") and row["root_cause_id"] is None]
    assert (fault["rule"], Path(fault["source_file"]).name) == ("label-map-mismatch", "b.record")
    assert fault["observed"] == "of b.record, against a.record: nut is 1 here and 2 there, bolt is 2 here and 1 there"


@pytest.mark.parametrize("beside", ["map.pbtxt", "train.record"])
def test_labels_without_names_that_count_from_zero_are_one_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], beside: str
) -> None:
    val = split(tmp_path, "val.record", [0, 1, 2])
    split(tmp_path, "train.record", [1, 2, 3])
    items = "".join(f"item {{ id: {number} name: '{name}' }}\n" for number, name in enumerate(("a", "b", "c"), 1))
    (tmp_path / "map.pbtxt").write_text(items)
    option = "--label-map" if beside == "map.pbtxt" else "--train"
    rows = audited(tmp_path / "out", val, option, str(tmp_path / beside))
    (fault,) = [row for row in rows if row["severity_name"] in ("error", "fatal") and row["root_cause_id"] is None]
    assert (fault["rule"], fault["severity_name"], fault["count"]) == ("label-map-mismatch", "fatal", 9)
    assert "their ids are shifted by -1 against it" in fault["observed"]
    unknown = [row for row in rows if row["rule"] == "unknown-category"]
    assert {row["root_cause_id"] for row in unknown} <= {fault["finding_id"]}
    said = "every label is shifted by -1" in capsys.readouterr().out
    assert said == (beside == "map.pbtxt")  # ingest says so too: what only evaluates sees it
