"""The clean data sets: their annotations as COCO documents, their pictures, and how a detector is trained on them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defusedxml import ElementTree

from detray.demo.draw import draw_dataset

Json = dict[str, Any]

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Data:
    """A clean data set. ``epochs`` are those after which its common classes have an AP50 of .8 or more."""

    name: str
    documents: dict[str, Json]
    """By split: images, annotations and categories as COCO writes them."""
    pictures: dict[str, Path]
    """By split: the folder of its pictures."""
    detector: Json
    epochs: int


def blood_cells(folder: Path, splits: tuple[str, ...] = SPLITS) -> Data:
    """BCCD, its splits train and val: 205 and 87 photographs of blood cells; test has 72."""
    documents = {split: _of_voc(folder, split) for split in splits}
    pictures = dict.fromkeys(splits, folder / "JPEGImages")
    return Data("cells", documents, pictures, {"input_height": 192, "input_width": 256}, 8)


def drawn(folder: Path) -> Data:
    """The pictures that ``detray demo`` makes, written to ``folder`` unless they are there: 300 and 150."""
    if not (folder / "annotations" / "val.json").is_file():
        draw_dataset(folder, test=0)
    documents = {split: json.loads((folder / "annotations" / f"{split}.json").read_text()) for split in SPLITS}
    pictures = {split: folder / "images" / split for split in SPLITS}
    return Data("drawn", documents, pictures, {"input_height": 128, "input_width": 128}, 16)


def _of_voc(folder: Path, split: str) -> Json:
    names = (folder / "ImageSets" / "Main" / f"{split}.txt").read_text().split()
    categories: dict[str, int] = {"RBC": 1, "WBC": 2, "Platelets": 3}
    images: list[Json] = []
    annotations: list[Json] = []
    for image_id, name in enumerate(names, start=1):
        root = ElementTree.parse(folder / "Annotations" / f"{name}.xml").getroot()
        width, height = (int(root.findtext(f"size/{side}")) for side in ("width", "height"))
        images.append({"id": image_id, "file_name": f"{name}.jpg", "width": width, "height": height})
        for label, box in _boxes(root):
            row = {"id": len(annotations) + 1, "image_id": image_id, "category_id": categories[label], "bbox": box}
            annotations.append(row | {"area": box[2] * box[3], "iscrowd": 0})
    listed = [{"id": number, "name": name} for name, number in categories.items()]
    return {"images": images, "annotations": annotations, "categories": listed}


def _boxes(root: Any) -> Iterator[tuple[str, list[float]]]:
    """Names and boxes (x, y, width, height) of a file; those without area, of which BCCD has two, are left out."""
    for entry in root.iter("object"):
        x1, y1, x2, y2 = (float(entry.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
        if x2 > x1 and y2 > y1:
            yield entry.findtext("name"), [x1, y1, x2 - x1, y2 - y1]
