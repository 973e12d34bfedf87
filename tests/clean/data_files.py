"""One scene in the files of each format, with fields that detray does not read."""

import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from detray.formats.tfrecord.example import message
from detray.formats.tfrecord.records import checksum

Scene = Sequence[Sequence[tuple[int, tuple[float, float, float, float]]]]
"""The boxes of each image: class (0 cat, 1 dog) and x, y, width, height."""
NAMES = ("cat", "dog")
SIZE = (100, 80)


def _dataset(root: Path, **split: Any) -> dict[str, Any]:
    return {"root": str(root), "splits": {"val": split}}


def coco(folder: Path, scene: Scene) -> dict[str, Any]:
    width, height = SIZE
    boxes = [(image, label, box) for image, rows in enumerate(scene) for label, box in rows]
    data = {
        "info": {"year": 2024, "who": "é"},
        "licenses": [{"id": 3, "name": "of its own"}],
        "images": [
            {"license": 3, "id": 1 + k, "file_name": f"{k}.jpg", "width": width, "height": height, "sharp": True}
            for k in range(len(scene))
        ],
        "annotations": [
            {"score": 1.50, "id": 5 + k, "image_id": 1 + image, "category_id": 1 + label, "bbox": list(box),
             "keypoints": [1, 2, 2], "iscrowd": 0, "note": {"a": [1.0, None]}}
            for k, (image, label, box) in enumerate(boxes)
        ],
        "videos": [],
        "categories": [{"id": 1 + k, "name": name, "supercategory": "animal"} for k, name in enumerate(NAMES)],
    }  # fmt: skip
    (folder / "val.json").write_text(json.dumps(data, indent=1, ensure_ascii=False))
    return _dataset(folder, annotations="val.json")


def voc(folder: Path, scene: Scene) -> dict[str, Any]:
    (folder / "Annotations").mkdir()
    for k, rows in enumerate(scene):
        objects = "".join(
            f"\t<object pose='left'>\n\t\t<name>{NAMES[label]}</name><!-- é -->\n\t\t<bndbox><xmax>{x + w:g}</xmax>"
            f"<xmin>{x:g}</xmin><ymin> {y:g} </ymin>\n\t\t<ymax>{y + h:g}</ymax></bndbox>\n"
            f"\t\t<part><name>head</name></part></object>\n"
            for label, (x, y, w, h) in rows
        )
        (folder / "Annotations" / f"{k}.xml").write_text(
            f'<?xml version="1.0" encoding="utf-8"?>\n<annotation verified="yes">\n\t<filename>{k}.jpg</filename>\n'
            f"\t<size><width>{SIZE[0]}</width><height>{SIZE[1]}</height><depth>3</depth></size>\n\t<made by='me'/>\n"
            f"{objects}</annotation>\n"
        )
    (folder / "val.txt").write_text("".join(f"{k}\n" for k in range(len(scene))))
    return _dataset(folder, annotations="Annotations", list="val.txt")


def yolo(folder: Path, scene: Scene) -> dict[str, Any]:
    for name in ("images", "labels"):
        (folder / name / "val").mkdir(parents=True)
    width, height = SIZE
    for k, rows in enumerate(scene):
        Image.new("RGB", SIZE).save(folder / "images" / "val" / f"{k}.png")
        lines = [
            f"{label}  {(x + w / 2) / width!r} {(y + h / 2) / height!r}\t{w / width!r} {h / height!r} 0.75\r\n"
            for label, (x, y, w, h) in rows
        ]
        (folder / "labels" / "val" / f"{k}.txt").write_bytes("".join(lines).encode())
    (folder / "data.yaml").write_text("# ours\nval: images/val\nnames: [cat, dog]\nhub: x\n")
    return _dataset(folder, annotations="data.yaml")


def open_images(folder: Path, scene: Scene) -> dict[str, Any]:
    (folder / "pictures").mkdir()
    width, height = SIZE
    lines = ["ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded"]
    for k, rows in enumerate(scene):
        Image.new("RGB", SIZE).save(folder / "pictures" / f"{k}.jpg")
        lines += [
            f'{k},xclick,"{NAMES[label]}",1.0,{x / width!r},{(x + w) / width!r},{y / height!r},{(y + h) / height!r},-1'
            for label, (x, y, w, h) in rows
        ]
    (folder / "boxes.csv").write_bytes("\r\n".join(lines).encode())
    return _dataset(folder, annotations="boxes.csv", images="pictures")


def features(k: int, rows: Sequence[tuple[int, tuple[float, float, float, float]]]) -> dict[str, list[Any]]:
    width, height = SIZE
    return {
        "image/object/bbox/xmin": [x / width for _, (x, _, _, _) in rows],
        "image/filename": [b"%d.jpg" % k],
        "image/source_id": [b"%d" % k],
        "image/width": [width],
        "image/height": [height],
        "image/encoded": [b"\xff\xd8" * 50],
        "image/object/bbox/xmax": [(x + w) / width for _, (x, _, w, _) in rows],
        "image/object/bbox/ymin": [y / height for _, (_, y, _, _) in rows],
        "image/object/bbox/ymax": [(y + h) / height for _, (_, y, _, h) in rows],
        "image/object/class/label": [1 + label for label, _ in rows],
        "image/object/class/text": [NAMES[label].encode() for label, _ in rows],
        "image/object/view": [b"left"] * len(rows),
        "mine": [0.5, 1.5],
    }


def example(values: dict[str, list[Any]]) -> bytes:
    made = message("Example")()
    for key, found in values.items():
        entry = made.features.feature.add(key=key.encode())
        kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
        if found:
            getattr(entry.value, kind[type(found[0])]).value.extend(found)
    return bytes(made.SerializeToString())


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", checksum(length)) + data + struct.pack("<I", checksum(data))


def tfrecord(folder: Path, scene: Scene) -> dict[str, Any]:
    whole = [record(example(features(k, rows))) for k, rows in enumerate(scene)]
    for shard in (0, 1):
        (folder / f"val.record-0000{shard}-of-00002").write_bytes(b"".join(whole[shard::2]))
    return _dataset(folder, annotations="val.record-*")


FORMATS: dict[str, Callable[[Path, Scene], dict[str, Any]]] = {
    "coco": coco,
    "voc": voc,
    "yolo": yolo,
    "open_images": open_images,
    "tfrecord": tfrecord,
}
