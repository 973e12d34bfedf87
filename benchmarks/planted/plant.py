"""What is planted: each a change of a `Case`, and nothing else of it is changed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from detray.arrays import Pixels

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What a detector is trained with, and what it is evaluated on."""

    documents: dict[str, Json]
    """By split, train and val, as COCO writes them."""
    detector: Json
    train: Json
    """Settings of the training."""
    predict: Json
    picture: str = ""
    """How val's pictures are changed: a key of `PICTURES`, or not at all."""


Plant = Callable[[Case, np.random.Generator], Case]


def drop_labels(split: str, name: str, share: float) -> Plant:
    """A share of the class's boxes in a split is missing."""

    def plant(case: Case, random: np.random.Generator) -> Case:
        lost = _chosen(case.documents[split], name, share, random)
        return _with_rows(case, split, lambda row: None if row["id"] in lost else row)

    return plant


def swap_names(split: str, one: str, other: str) -> Plant:
    """Boxes of each of two classes carry the label of the other in a split."""

    def plant(case: Case, random: np.random.Generator) -> Case:
        a, b = (_category(case.documents[split], name) for name in (one, other))
        new = {a: b, b: a}
        return _with_rows(
            case, split, lambda row: row | {"category_id": new.get(row["category_id"], row["category_id"])}
        )

    return plant


def relabel(split: str, name: str, label: str, share: float) -> Plant:
    """A share of the class's boxes in a split carries another class's label."""

    def plant(case: Case, random: np.random.Generator) -> Case:
        document = case.documents[split]
        wrong, new = _chosen(document, name, share, random), _category(document, label)
        return _with_rows(case, split, lambda row: row | {"category_id": new} if row["id"] in wrong else row)

    return plant


def loosen(split: str, name: str, most: float) -> Plant:
    """Each side of the class's boxes in a split lies outside by up to ``most`` of the box, within the picture."""

    def plant(case: Case, random: np.random.Generator) -> Case:
        document = case.documents[split]
        category, sizes = _category(document, name), {image["id"]: image for image in document["images"]}

        def changed(row: Json) -> Json:
            if row["category_id"] != category:
                return row
            image, (x, y, width, height) = sizes[row["image_id"]], row["bbox"]
            left, top, right, bottom = random.uniform(0, most, 4) * (width, height, width, height)
            x1, y1 = max(x - left, 0.0), max(y - top, 0.0)
            x2, y2 = min(x + width + right, image["width"]), min(y + height + bottom, image["height"])
            box = [round(float(value), 2) for value in (x1, y1, x2 - x1, y2 - y1)]
            return row | {"bbox": box, "area": box[2] * box[3]}

        return _with_rows(case, split, changed)

    return plant


def keep_pictures(split: str, count: int) -> Plant:
    """A split has but so many pictures."""

    def plant(case: Case, random: np.random.Generator) -> Case:
        images = case.documents[split]["images"]
        places = np.sort(random.choice(len(images), count, replace=False))
        return _with_images(case, split, [images[place] for place in places])

    return plant


def drop_pictures(split: str, name: str, share: float) -> Plant:
    """A share of the pictures that hold the class are not in a split."""

    def plant(case: Case, random: np.random.Generator) -> Case:
        document = case.documents[split]
        category = _category(document, name)
        holding = sorted({row["image_id"] for row in document["annotations"] if row["category_id"] == category})
        lost = set(random.choice(holding, round(share * len(holding)), replace=False).tolist())
        return _with_images(case, split, [image for image in document["images"] if image["id"] not in lost])

    return plant


def setting(section: str, **values: Any) -> Plant:
    """Settings of the sections detector, train or predict."""

    def plant(case: Case, random: np.random.Generator) -> Case:
        return replace(case, **{section: getattr(case, section) | values})

    return plant


def change_pictures(how: str) -> Plant:
    """Pictures of val are changed, their boxes are not."""

    def plant(case: Case, random: np.random.Generator) -> Case:
        return replace(case, picture=how)

    return plant


def _category(document: Json, name: str) -> int:
    return next(entry["id"] for entry in document["categories"] if entry["name"] == name)


def _chosen(document: Json, name: str, share: float, random: np.random.Generator) -> set[int]:
    """Ids of a share of the class's annotations."""
    category = _category(document, name)
    rows = [row["id"] for row in document["annotations"] if row["category_id"] == category]
    return set(random.choice(rows, round(share * len(rows)), replace=False).tolist())


def _with_rows(case: Case, split: str, change: Callable[[Json], Json | None]) -> Case:
    document = case.documents[split]
    rows = [new for row in document["annotations"] if (new := change(row)) is not None]
    return replace(case, documents=case.documents | {split: document | {"annotations": rows}})


def _with_images(case: Case, split: str, images: list[Json]) -> Case:
    kept = {image["id"] for image in images}
    annotations = [row for row in case.documents[split]["annotations"] if row["image_id"] in kept]
    changed = case.documents[split] | {"images": images, "annotations": annotations}
    return replace(case, documents=case.documents | {split: changed})


def inverted(pixels: Pixels) -> Pixels:
    """The negative."""
    return 255 - pixels


def darkened(pixels: Pixels) -> Pixels:
    """A quarter of the light."""
    return (pixels * 0.25).astype(np.uint8)


def blurred(pixels: Pixels) -> Pixels:
    """Out of focus, by 4% of the longer side."""
    return cv2.GaussianBlur(pixels, (0, 0), 0.04 * max(pixels.shape[:2])).astype(np.uint8)


def halved(pixels: Pixels) -> Pixels:
    """Half as wide and as high."""
    return cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.uint8)


PICTURES: dict[str, Callable[[Pixels], Pixels]] = {
    "inverted": inverted,
    "darkened": darkened,
    "blurred": blurred,
    "halved": halved,
}
