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


def _pictures(folder: Path, scene: Scene) -> Path:
    (folder / "pictures").mkdir()
    for k in range(len(scene)):
        Image.new("RGB", SIZE).save(folder / "pictures" / f"{k}.jpg")
    return folder / "pictures"


def tf_csv(folder: Path, scene: Scene) -> dict[str, Any]:
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax,view"]
    for k, rows in enumerate(scene):
        lines += [
            f'C:\\{k}.jpg,{SIZE[0]},{SIZE[1]},"{NAMES[label]}", {x:g},{y:g},{x + w:g},{y + h:g},left'
            for label, (x, y, w, h) in rows
        ]
    (folder / "boxes.csv").write_bytes("\r\n".join(lines).encode())
    return _dataset(folder, annotations="boxes.csv")


def retinanet_csv(folder: Path, scene: Scene) -> dict[str, Any]:
    _pictures(folder, scene)
    lines = [f"pictures/{k}.jpg,,,,," for k, rows in enumerate(scene) if not rows]
    for k, rows in enumerate(scene):
        lines += [f"pictures/{k}.jpg,{x:g},{y:g},{x + w:g},{y + h:g},{NAMES[label]}" for label, (x, y, w, h) in rows]
    (folder / "boxes.csv").write_text("\n".join(lines))
    (folder / "classes.csv").write_text("cat,0\ndog,1\n")
    return _dataset(folder, annotations="boxes.csv", images="pictures")


def labelme(folder: Path, scene: Scene) -> dict[str, Any]:
    (folder / "json").mkdir()
    for k, rows in enumerate(scene):
        shapes: list[dict[str, Any]] = [{"label": "ear", "points": [[5, 2]], "shape_type": "point"}]
        shapes += [
            {"label": NAMES[label], "points": [[x + w, y], [x, y + h]], "group_id": None, "shape_type": "rectangle",
             "note": "é"}
            for label, (x, y, w, h) in rows
        ]  # fmt: skip
        data = {"version": "5.0.1", "shapes": shapes, "imagePath": f"{k}.jpg", "imageData": "", "mine": [1.50]}
        data |= {"imageHeight": SIZE[1], "imageWidth": SIZE[0]}
        (folder / "json" / f"{k}.json").write_text(json.dumps(data, indent=2, ensure_ascii=False))
    return _dataset(folder, annotations="json")


def via(folder: Path, scene: Scene) -> dict[str, Any]:
    _pictures(folder, scene)
    images = {}
    for k, rows in enumerate(scene):
        regions: list[dict[str, Any]] = [{"shape_attributes": {"name": "point", "cx": 1}, "region_attributes": {}}]
        regions += [
            {"shape_attributes": {"name": "rect", "x": x, "y": y, "width": w, "height": h},
             "region_attributes": {"view": "left", "class": NAMES[label]}}
            for label, (x, y, w, h) in rows
        ]  # fmt: skip
        images[f"{k}.jpg12"] = {"filename": f"{k}.jpg", "size": 12, "regions": regions, "file_attributes": {"a": "b"}}
    project = {"_via_settings": {"ui": {}}, "_via_img_metadata": images, "_via_attributes": {"region": {"[": "}"}}}
    (folder / "via.json").write_text(json.dumps(project))
    return _dataset(folder, annotations="via.json", images="pictures")


def cvat(folder: Path, scene: Scene) -> dict[str, Any]:
    images = []
    for k, rows in enumerate(scene):
        shapes = "".join(
            f'    <box label="{NAMES[label]}" occluded=\'1\' xtl="{x:.2f}" ytl="{y:.2f}" xbr="{x + w:.2f}"'
            f' ybr="{y + h:.2f}" z_order="0">\n      <attribute name="a>b">left</attribute>\n    </box>\n'
            for label, (x, y, w, h) in rows
        )
        images.append(
            f'  <image id="{k}" name="{k}.jpg" width="{SIZE[0]}" height="{SIZE[1]}">\n    <tag label="é"/>\n'
            f'    <points label="ear" points="5,2"></points>\n{shapes}  </image>\n'
        )
    labels = "".join(f"<label><name>{name}</name></label>" for name in NAMES)
    (folder / "annotations.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta><labels>'
        f"{labels}</labels></meta>\n{''.join(images)}</annotations>\n"
    )
    return _dataset(folder, annotations="annotations.xml")


def label_studio(folder: Path, scene: Scene) -> dict[str, Any]:
    width, height = SIZE
    kind = "rectanglelabels"
    tasks = []
    for k, rows in enumerate(scene):
        sizes = {"original_width": width, "original_height": height, "image_rotation": 0}
        result: list[dict[str, Any]] = [{"id": "whole", "type": "choices", "value": {"choices": ["good"]}}]
        for place, (label, (x, y, w, h)) in enumerate(rows):
            value = {"x": x * 100 / width, "y": y * 100 / height, "width": w * 100 / width, "height": h * 100 / height}
            about = sizes | {"id": f"r{place}", "from_name": "l", "to_name": "i"}
            result += [
                about | {"value": value | {"rotation": 0, kind: [NAMES[label]]}, "type": kind},
                about | {"value": value | {"text": ["a note"]}, "type": "textarea"},
            ]
        result.append(sizes | {"id": "p", "type": "keypointlabels", "value": {"x": 1, "y": 1}})
        made = [{"id": 7, "completed_by": 3, "result": [{"type": "rectanglelabels"}], "was_cancelled": True},
                {"id": 8, "completed_by": 3, "result": result, "was_cancelled": False}]  # fmt: skip
        tasks.append({"id": k, "annotations": made, "data": {"image": f"/data/upload/1/{k}.jpg"}, "meta": {"é": 1.50}})
    (folder / "project.json").write_text(json.dumps(tasks, ensure_ascii=False))
    _pictures(folder, scene)
    return _dataset(folder, annotations="project.json", images="pictures")


def createml(folder: Path, scene: Scene) -> dict[str, Any]:
    _pictures(folder, scene)
    images = [
        {
            "image": f"{k}.jpg",
            "annotations": [
                {"label": NAMES[label], "view": "left",
                 "coordinates": {"x": x + w / 2, "y": y + h / 2, "width": w, "height": h}}
                for label, (x, y, w, h) in rows
            ],
            "mine": {"a": []},
        }
        for k, rows in enumerate(scene)
    ]  # fmt: skip
    (folder / "createml.json").write_text(json.dumps(images, indent=4))
    return _dataset(folder, annotations="createml.json", images="pictures")


FORMATS: dict[str, Callable[[Path, Scene], dict[str, Any]]] = {
    "coco": coco,
    "voc": voc,
    "yolo": yolo,
    "open_images": open_images,
    "tfrecord": tfrecord,
    "tf_csv": tf_csv,
    "retinanet_csv": retinanet_csv,
    "labelme": labelme,
    "via": via,
    "cvat": cvat,
    "label_studio": label_studio,
    "createml": createml,
}
