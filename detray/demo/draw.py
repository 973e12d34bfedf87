"""The built-in data set: splits of drawn pictures as JPEG files with COCO annotations."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detray.demo import scene, shapes
from detray.errors import DetrayError

RARE_SHARE = {"train": 0.083}
"""Share of a split's pictures that show the rare class."""

RARE_SHARE_MEASURED = 0.16
"""The same in the other splits: enough boxes for an AP, and no shift that would be a cause of its own."""

_SIDES = np.arange(96, 129, 8)
_JPEG_QUALITY = 90

CATEGORIES = [{"id": number, "name": name} for number, name in enumerate(shapes.CLASSES, 1)]


@dataclass(frozen=True)
class SplitFiles:
    """One drawn split: its files, below the data set's folder, and what stands in them."""

    annotations: str
    images: str
    n_images: int
    n_boxes: dict[str, int]


def draw_dataset(
    folder: Path | str, seed: int = 0, train: int = 300, val: int = 150, test: int = 60
) -> dict[str, dict[str, Any]]:
    """Draw the splits train, val and test into ``folder``; the same seed gives the same pictures.

    ``annotations/<split>.json`` is COCO JSON, ``images/<split>/*.jpg`` the pictures, RGB of 96 to
    128 pixels a side with two to six shapes each. A box bounds the visible part of its shape, exact
    to a quarter of a pixel (see `scene`). A picture does not depend on how many others are drawn.

    Returns:
        By split: ``annotations`` and ``images`` (paths below ``folder``), ``n_images``, and
        ``n_boxes`` by class.

    Raises:
        DetrayError: the folder cannot be written.
    """
    root = Path(folder)
    files: dict[str, dict[str, Any]] = {}
    first_image_id = 1
    try:
        for index, (split, count) in enumerate({"train": train, "val": val, "test": test}.items()):
            files[split] = asdict(_draw_split(root, split, count, first_image_id, (seed, index)))
            first_image_id += count
    except OSError as error:
        raise DetrayError(
            f"{error.filename or root}: cannot be written ({error.strerror}); choose another --output"
        ) from None
    return files


def _draw_split(root: Path, split: str, count: int, first_image_id: int, seed: tuple[int, int]) -> SplitFiles:
    pictures = root / "images" / split
    pictures.mkdir(parents=True, exist_ok=True)
    with_rare = set(_spread(count, RARE_SHARE.get(split, RARE_SHARE_MEASURED)))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(count):
        rng = np.random.default_rng((*seed, number))
        width, height = (int(side) for side in rng.choice(_SIDES, 2))
        drawn = scene.draw(_cast(number in with_rare, rng), width, height, rng)
        image_id, file_name = first_image_id + number, f"{split}_{number:04d}.jpg"
        encoded = cv2.imencode(".jpg", drawn.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
        (pictures / file_name).write_bytes(encoded.tobytes())
        images.append({"id": image_id, "file_name": file_name, "width": width, "height": height})
        for name, box in zip(drawn.names, drawn.boxes.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": shapes.CLASSES.index(name) + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    place = root / "annotations" / f"{split}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({"images": images, "annotations": annotations, "categories": CATEGORIES}))
    n_boxes = dict.fromkeys(shapes.CLASSES, 0)
    for annotation in annotations:
        n_boxes[shapes.CLASSES[annotation["category_id"] - 1]] += 1
    return SplitFiles(f"annotations/{split}.json", f"images/{split}", count, n_boxes)


def _spread(count: int, share: float) -> list[int]:
    """``share`` of the numbers below ``count``, at least one, evenly spread."""
    wanted = min(count, max(1, round(count * share)))
    return [int(number) for number in (np.arange(wanted) + 0.5) * count / wanted] if count else []


def _cast(with_rare: bool, rng: np.random.Generator) -> list[str]:
    """The classes of one picture's shapes, the rare one last and so in front."""
    common = [name for name in shapes.CLASSES if name != shapes.RARE]
    names = [common[index] for index in rng.integers(len(common), size=rng.integers(2, 6))]
    return [*names, shapes.RARE] if with_rare else names
