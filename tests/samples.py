"""A small file of each format, two images of 64 x 48 with a cat and a dog."""

import json
from pathlib import Path

from detray.formats.tfrecord.records import checksum

TF_CSV = (
    b"filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,64,48,cat,1,2,30,40\na.jpg,64,48,dog,5,2,30.5,40\n"
    b"b.jpg,64,48,cat,10,10,20,20\n"
)
RETINANET_CSV = b"imgs/a.jpg,1,2,30,40,cat\nimgs/a.jpg,5,2,30.5,40,dog\nimgs/b.jpg,10,10,20,20,cat\nimgs/c.jpg,,,,,\n"
LABELME = json.dumps(
    {
        "version": "5.0.1",
        "flags": {},
        "shapes": [
            {"label": "cat", "points": [[30, 40], [1, 2]], "group_id": None, "shape_type": "rectangle", "flags": {}},
            {"label": "dog", "points": [[5, 2], [30.5, 2], [20, 40]], "group_id": 7, "shape_type": "polygon"},
            {"label": "ear", "points": [[5, 2]], "shape_type": "point"},
        ],
        "imagePath": "..\\imgs\\a.jpg",
        "imageData": None,
        "imageHeight": 48,
        "imageWidth": 64,
    }
).encode()
_VIA = {
    "a.jpg1234": {
        "filename": "a.jpg",
        "size": 1234,
        "regions": [
            {"shape_attributes": {"name": "rect", "x": 1, "y": 2, "width": 29, "height": 38},
             "region_attributes": {"pose": "left", "class": "cat"}},
            {"shape_attributes": {"name": "polygon", "all_points_x": [5, 30.5, 20], "all_points_y": [2, 2, 40]},
             "region_attributes": {"class": {"cat": False, "dog": True}}},
            {"shape_attributes": {"name": "point", "cx": 1, "cy": 2}, "region_attributes": {}},
        ],
        "file_attributes": {"place": "yard"},
    },
    "b.jpg99": {"filename": "b.jpg", "size": 99, "regions": [], "file_attributes": {}},
}  # fmt: skip
VIA = json.dumps(_VIA).encode()
VIA_PROJECT = json.dumps(
    {
        "_via_settings": {"ui": {}},
        "_via_img_metadata": _VIA,
        "_via_attributes": {},
        "_via_data_format_version": "2.0.10",
    }
).encode()
CVAT = b"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><size>2</size><labels><label><name>cat</name><attributes></attributes>
</label><label><name>dog</name></label><label><name>emu</name></label></labels></task></meta>
<image id="0" name="a.jpg" width="64" height="48"><box label="cat" occluded="1" xtl="1.00" ytl="2.00" xbr="30.00"
 ybr="40.00" z_order="0"><attribute name="pose">left</attribute></box><polygon label="dog"
 points="5.00,2.00;30.50,2.00;20.00,40.00"></polygon><points label="ear" points="5,2"></points></image>
<image id="1" name="b.jpg" width="64" height="48"></image>
</annotations>
"""
LABEL_STUDIO = json.dumps(
    [
        {
            "id": 1,
            "annotations": [
                {
                    "id": 11,
                    "completed_by": 3,
                    "was_cancelled": False,
                    "result": [
                        {"original_width": 64, "original_height": 48, "type": "rectanglelabels", "value":
                         {"x": 25, "y": 50, "width": 50, "height": 25, "rotation": 0, "rectanglelabels": ["cat"]}},
                        {"original_width": 64, "original_height": 48, "type": "polygonlabels",
                         "value": {"points": [[0, 0], [50, 0], [25, 50]], "polygonlabels": ["dog"]}},
                        {"id": "z", "type": "choices", "value": {"choices": ["good"]}},
                    ],
                },
                {"id": 12, "was_cancelled": True, "result": [{"type": "rectanglelabels"}]},
            ],
            "data": {"image": "/data/upload/2/0123abcd-a.jpg"},
        },
        {"id": 2, "annotations": [], "data": {"image": "/data/local-files/?d=imgs/b%20c.jpg"}},
    ]
).encode()  # fmt: skip
CREATEML = json.dumps(
    [
        {
            "image": "a.jpg",
            "annotations": [
                {"label": "cat", "coordinates": {"x": 15.5, "y": 21, "width": 29, "height": 38}},
                {"label": "dog", "coordinates": {"x": 17.75, "y": 21, "width": 25.5, "height": 38}, "confidence": 0.5},
            ],
        },
        {"image": "b.jpg", "annotations": []},
    ]
).encode()
COCO = b'{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": [{"id": 1, "name": "cat"}]}'
RESULTS = b'[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4.5], "score": 0.5}]'
VOC = b"<annotation><filename>a.jpg</filename><object><name>cat</name></object></annotation>"
OPEN_IMAGES = b"ImageID,LabelName,XMin,XMax,YMin,YMax\na,/m/01,0,1,0,1\n"


def record(data: bytes) -> bytes:
    """A TFRecord of ``data``."""
    length = len(data).to_bytes(8, "little")
    sums = [checksum(part).to_bytes(4, "little") for part in (length, data)]
    return length + sums[0] + data + sums[1]


FILES = {
    "coco": ("coco.json", COCO),
    "tfrecord": ("a.record", record(b"\x0a\x00")),
    "open_images": ("boxes.csv", OPEN_IMAGES),
    "tf_csv": ("train_labels.csv", TF_CSV),
    "retinanet_csv": ("annotations.csv", RETINANET_CSV),
    "voc": ("a.xml", VOC),
    "yolo": ("data.yaml", b"train: images\nnames: [cat, dog]\n"),
    "labelme": ("a.json", LABELME),
    "via": ("via.json", VIA),
    "cvat": ("annotations.xml", CVAT),
    "label_studio": ("project.json", LABEL_STUDIO),
    "createml": ("createml.json", CREATEML),
}
"""Of each format the name of a file and what it holds."""


def write_each(folder: Path) -> dict[str, Path]:
    """A file of each format, in a folder of its own."""
    found = {}
    for name, (file, data) in FILES.items():
        (folder / name).mkdir()
        found[name] = folder / name / file
        found[name].write_bytes(data)
    return found
