"""Pictures of coloured shapes, small enough that a network learns them in seconds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from outputs import write_data_set
from PIL import Image

from detray import schema
from detray.detectors.settings import DetectorSettings
from detray.flow.data import cut as cut_shard
from detray.store import Store
from detray.tables import Shard

CLASSES = {3: "red", 7: "green"}
COLOURS = {3: (220, 40, 40), 7: (40, 200, 60)}
DETECTOR = DetectorSettings(input_height=64, input_width=96)
SIZE = (144, 96)
"""Width and height of the pictures in px: half as wide and as high again as the input."""


def draw(folder: Path, count: int, split: str = "train", seed: int = 0) -> Shard:
    """``count`` pictures, each of a red and a green square on grey, and their canonical tables."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for image_id in range(1, count + 1):
        pixels = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
        for number, category_id in enumerate(CLASSES):
            side = int(random.integers(26, 48))
            x = int(random.integers(0, SIZE[0] // 2 - side)) + number * SIZE[0] // 2
            y = int(random.integers(0, SIZE[1] - side))
            pixels[y : y + side, x : x + side] = COLOURS[category_id]
            annotations.append((image_id, category_id, x, y, side, side))
        path = folder / f"{split}-{image_id:03d}.png"
        Image.fromarray(pixels).save(path)
        images.append({"split": split, "image_id": image_id, "file_name": path.name, "path": str(path)})
    return Shard(split, schema.from_rows("images", images, run="t"), boxes(annotations, split), categories(split))


def boxes(rows: Sequence[tuple[object, ...]], split: str = "train") -> pa.Table:
    """Annotations from tuples of image_id, category_id, x, y, width, height and, if given, is_crowd."""
    names = ("image_id", "category_id", "x", "y", "width", "height", "is_crowd")
    made = [
        {"split": split, "annotation_id": number, "annotation_row": number, "is_crowd": False, "is_difficult": False}
        | dict(zip(names, row, strict=False))
        for number, row in enumerate(rows)
    ]
    return schema.from_rows("annotations", made, run="t")


def categories(split: str) -> pa.Table:
    rows = [
        {"split": split, "category_id": number, "category_name": name, "source": "annotations"}
        for number, name in CLASSES.items()
    ]
    return schema.from_rows("categories", rows, run="t")


def ingest(store: Store, shards: Sequence[Shard], cut: int = 5) -> None:
    """Write shards as the stage ingest does, each split in parts of about ``cut`` images."""
    write_data_set(store, [part for shard in shards for part in cut_shard(shard, -(-shard.images.num_rows // cut))])
