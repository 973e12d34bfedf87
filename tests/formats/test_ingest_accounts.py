"""Every row that a file states is kept, or quarantined with a reason: in is kept plus quarantined."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import samples
from PIL import Image

from detray.flow.executor import InProcess
from detray.formats import canonical, listing
from detray.formats.catalogue import FORMATS
from detray.formats.csv import lines as csv_lines
from detray.formats.cvat import reader as cvat_reader
from detray.formats.json import lists as json_lists
from detray.formats.json import whole
from detray.formats.plain import dataset_from_files
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.formats.tfrecord import reader as tfrecord
from detray.formats.tfrecord.records import checksum
from detray.store import Json, Store
from detray.verbs import runner
from detray.verbs.base import Context
from detray.verbs.config import Config

Written = tuple[DatasetSettings, int, int]
"""A data set, how many images and boxes its files state, and how many things that cannot be read as such."""


def coco(folder: Path) -> Written:
    images: list[Any] = [{"id": n, "file_name": f"{n}.jpg", "width": 9, "height": 9} for n in range(30)]
    boxes: list[Any] = [{"id": n, "image_id": n % 40, "category_id": 1, "bbox": [0, 0, 1, 1]} for n in range(100)]
    boxes[3], boxes[50] = None, {"id": "x", "bbox": "none"}
    images[7] = [1, 2]
    categories = [{"id": 1, "name": "a"}, {"name": "no id"}, {"id": 2, "name": ""}]
    text = {"info": {}, "images": images, "annotations": boxes, "categories": categories, "videos": [1, 2]}
    (folder / "val.json").write_text(json.dumps(text))
    return dataset_from_files([str(folder / "val.json")]), 130, 1


def coco_of_two(folder: Path) -> Written:
    """Two annotators: an image that both state is one; and a list that asks for some."""
    for name in ("ann", "bob"):
        coco(folder)[0]
        (folder / "val.json").rename(folder / f"{name}.json")
    (folder / "list.txt").write_text("".join(f"{n}.jpg\n" for n in range(10, 20)))
    split = SplitSettings(annotations=("ann.json", "bob.json"), list="list.txt")
    # kept: boxes of the ten images, of images that are not there (7, 30 to 39), and of none
    wanted = sum(n in (3, 50) or n % 40 in (7, *range(10, 20), *range(30, 40)) for n in range(100))
    return DatasetSettings(root=str(folder), splits={"val": split}), 10 + 2 + 2 * wanted, 2


def voc(folder: Path) -> Written:
    box = "<object><name>a</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>1</xmax><ymax>1</ymax></bndbox></object>"
    for n in range(20):
        (folder / f"{n:02d}.xml").write_text(f"<annotation><filename>{n}.jpg</filename>{box * 3}<object/></annotation>")
    (folder / "bad.xml").write_text("<annotation>")
    return dataset_from_files([str(folder)]), 100, 1


def yolo(folder: Path) -> Written:
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for n in range(20):
        if n % 5:
            Image.new("RGB", (8, 8)).save(folder / "images" / f"{n}.png")
        (folder / "labels" / f"{n}.txt").write_text("0 .5 .5 .5 .5\n1 .5\n\nx\n")
    (folder / "labels" / "bad.txt").write_bytes(b"\xff\xfe\0")
    Image.new("RGB", (8, 8)).save(folder / "images" / "bad.png")
    (folder / "data.yaml").write_text("val: images\nnames: [a, b]\n")
    return dataset_from_files([str(folder)]), 80, 1


def csv(folder: Path) -> Written:
    lines = [f"{n % 20:02d},/m/{n % 3},0,1,0,{'x' if n == 9 else 1}\n" for n in range(80)]
    lines += ["one,two\n", ",/m/1,0,1,0,1\n"]
    (folder / "boxes.csv").write_text("ImageID,LabelName,XMin,XMax,YMin,YMax\n" + "".join(lines))
    return dataset_from_files([str(folder / "boxes.csv")]), 101, 1


def records(folder: Path) -> Written:
    def field(number: int, data: bytes) -> bytes:
        return bytes([number << 3 | 2, len(data)]) + data

    def example(number: int) -> bytes:
        corners = field(2, field(1, struct.pack("<3f", 0.25, 0.5, 0.5)))
        features = {f"image/object/bbox/{side}": corners for side in ("xmin", "ymin", "xmax", "ymax")}
        features["image/filename"] = field(1, field(1, b"%d.jpg" % number))
        body = b"".join(field(1, field(1, name.encode()) + field(2, value)) for name, value in features.items())
        return b"\x0a" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) + body

    def record(data: bytes) -> bytes:
        length = struct.pack("<Q", len(data))
        return length + struct.pack("<I", checksum(length)) + data + struct.pack("<I", checksum(data))

    whole = [record(example(n)) for n in range(20)]
    whole[4] = record(b"\xff\xff")
    whole[6] = whole[6][:-1] + bytes([whole[6][-1] ^ 1])
    (folder / "val.record-00000-of-00002").write_bytes(b"".join(whole) + b"cut")
    return dataset_from_files([str(folder / "val.record-00000-of-00002")]), 18 * 4, 4


def tf_csv(folder: Path) -> Written:
    lines = [f"{n % 20}.jpg,64,48,c{n % 3},0,{'x' if n == 9 else 1},10,10\n" for n in range(80)]
    lines += ["one,two\n", "a.jpg,64,48,,,,,\n", "\n", ",64,48,c1,0,0,1,1\n"]
    (folder / "val.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\n" + "".join(lines))
    return dataset_from_files([str(folder / "val.csv")]), 80 + 20 + 1 + 1, 1


def retinanet_csv(folder: Path) -> Written:
    lines = [f"{n % 20}.jpg,0,{'x' if n == 9 else 1},10,10,c{n % 3}\n" for n in range(80)]
    (folder / "val.csv").write_text("".join([*lines, "one,two\n", "a.jpg,,,,,\n"]))
    (folder / "classes.csv").write_text("c0,0\nc1,1\nc2,2\n")
    return dataset_from_files([str(folder / "val.csv")]), 80 + 20 + 1, 1


def labelme(folder: Path) -> Written:
    for n in range(20):
        (folder / f"{n:02d}.json").write_bytes(samples.LABELME.replace(b'"label": "dog"', b'"label": 7'))
    (folder / "bad.json").write_bytes(samples.LABELME[:-9])
    (folder / "classes.json").write_text('["cat", "dog"]')
    return dataset_from_files([str(folder)]), 20 * 3, 2


def via(folder: Path) -> Written:
    images = json.loads(samples.VIA)
    value = {f"{n}": image for n in range(10) for image in (images["a.jpg1234"] | {"filename": f"{n}.jpg"},)}
    (folder / "val.json").write_text(json.dumps(value | {"bad": 7}))
    return dataset_from_files([str(folder / "val.json")]), 10 * 3, 1


def cvat(folder: Path) -> Written:
    head, image, tail = (samples.CVAT.partition(b"<image")[0], *samples.CVAT.partition(b"<image")[1:])
    image, tail = (image + tail).split(b"</image>", 1)
    broken = image.replace(b"occluded", b"<")
    (folder / "val.xml").write_bytes(head + (image + b"</image>") * 9 + broken + b"</image>" + tail)
    return dataset_from_files([str(folder / "val.xml")]), 9 * 3 + 1, 1


def label_studio(folder: Path) -> Written:
    task = json.loads(samples.LABEL_STUDIO)[0]
    (folder / "val.json").write_text(json.dumps([task] * 10 + [7, {"annotations": 7, "data": {}}]))
    return dataset_from_files([str(folder / "val.json")]), 10 * 3, 2


def createml(folder: Path) -> Written:
    images = json.loads(samples.CREATEML)
    (folder / "val.json").write_text(json.dumps(images * 10 + [None, {"image": "c.jpg", "annotations": [1, {}]}]))
    return dataset_from_files([str(folder / "val.json")]), 10 * 4 + 3, 1


WRITERS = (
    *(coco, coco_of_two, voc, yolo, csv, records, tf_csv, retinanet_csv, labelme, via, cvat, label_studio, createml),
)


def run(dataset: DatasetSettings, output: Path) -> tuple[Store, Json, Json]:
    """Ingest and audit: what each says of itself."""
    config = Config(name="t", output=str(output), dataset=dataset)
    store = Store(config.output)
    read, audited = runner.run(Context(config, store, InProcess(1)), ("ingest", "audit"))
    return store, read.manifest, audited.manifest


@pytest.mark.parametrize("small", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_in_is_kept_plus_quarantined(
    tmp_path: Path, write: Callable[[Path], Written], small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small:
        monkeypatch.setattr(json_lists, "PART_BYTES", 500)
        monkeypatch.setattr(listing, "FILES_PER_CHUNK", 3)
        monkeypatch.setattr(csv_lines, "CHUNK_BYTES", 60)
        monkeypatch.setattr(whole, "RECORDS_PER_CHUNK", 3)
        monkeypatch.setattr(cvat_reader, "CHUNK_BYTES", 600)
        monkeypatch.setattr(tfrecord, "CHUNK_RECORDS", 3)
        monkeypatch.setattr(canonical, "SHARD_ROWS", 10)
        monkeypatch.setattr(canonical, "BATCH_ROWS", 2)
    (tmp_path / "data").mkdir()
    dataset, kept, quarantined = write(tmp_path / "data")
    store, read, audited = run(dataset, tmp_path / "out")
    assert read["counts"] == {"in": kept + quarantined, "kept": kept, "quarantined": quarantined}
    assert store.read("images").num_rows + store.read("annotations").num_rows == kept
    assert store.read("quarantine", "ingest").num_rows == quarantined
    counts = audited["counts"]
    assert (counts["in"], counts["kept"], counts["quarantined"]) == (kept, kept, 0)
    found = store.read("findings")["rule"].to_pylist()
    assert found.count("unreadable-annotation-file") == quarantined


def test_every_format_is_counted(tmp_path: Path) -> None:
    formats = set()
    for write in WRITERS:
        (tmp_path / write.__name__).mkdir()
        formats |= {split.format for split in write(tmp_path / write.__name__)[0].splits.values()}
    assert formats - {"auto"} == {item.name for item in FORMATS}


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    _, read, _ = run(coco(tmp_path)[0], tmp_path / "out")
    assert read["facts"]["further"] == {"val": {"info": 1, "videos": 2}}
    assert read["notes"] == ["val: not read, but counted: videos (2)"]
    (tmp_path / "oi").mkdir()
    _, read, _ = run(csv(tmp_path / "oi")[0], tmp_path / "out2")
    assert "no image folder is stated" in read["notes"][0]
