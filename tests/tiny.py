"""A data set of a few small pictures, as ingest leaves it, and the configuration that goes with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from outputs import write_data_set
from PIL import Image

from detray import schema
from detray.detectors.runtime import tensorflow
from detray.settings import convert
from detray.store import Store
from detray.tables import Shard
from detray.verbs.config import Config

CLASSES = {3: "red", 7: "blue"}
COLOURS = {3: (220, 30, 30), 7: (30, 30, 220)}
SIDE = 64


def make_store(folder: Path) -> Store:
    """An output folder whose ingest is complete: 12 pictures for training and 8 for validation."""
    store = Store(str(folder / "out"))
    shards = []
    for seed, (split, count) in enumerate({"train": 12, "val": 8}.items()):
        images, annotations = draw(folder / split, split, count, seed)
        categories = {
            "split": [split] * 2,
            "category_id": list(CLASSES),
            "category_name": list(CLASSES.values()),
            "source": ["annotations"] * 2,
        }
        shards.append(
            Shard(
                split,
                schema.from_rows("images", images, run="tiny"),
                schema.from_rows("annotations", annotations, run="tiny"),
                schema.from_columns("categories", categories, run="tiny"),
            )
        )
    write_data_set(store, shards)
    return store


def draw(folder: Path, split: str, count: int, seed: int) -> tuple[list[dict], list[dict]]:
    """Pictures of two coloured squares, side by side on grey noise, and their canonical rows."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    images, annotations = [], []
    for number in range(1, count + 1):
        pixels = random.integers(90, 130, (SIDE, SIDE, 3), np.uint8)
        for place, category in enumerate(CLASSES):
            size = int(random.integers(14, 26))
            x, y = (
                int(random.integers(0, 32 - size // 2)) + 28 * place - 4 * place,
                int(random.integers(0, SIDE - size)),
            )
            x = min(x, SIDE - size)
            pixels[y : y + size, x : x + size] = COLOURS[category]
            box = {"x": float(x), "y": float(y), "width": float(size), "height": float(size), "area": float(size**2)}
            annotations.append(
                {
                    "split": split,
                    "annotation_id": len(annotations) + 1,
                    "annotation_row": len(annotations),
                    "image_id": number,
                    "category_id": category,
                    "is_crowd": False,
                    "is_difficult": False,
                    **box,
                }
            )
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        images.append(
            {
                "split": split,
                "image_id": number,
                "file_name": path.name,
                "width": SIDE,
                "height": SIDE,
                "image_row": number - 1,
                "path": str(path),
            }
        )
    return images, annotations


def make_config(store: Store) -> Config:
    """Three epochs of a network for 64 x 64 pixels; three trials, proven on two seeds."""
    splits = {split: {"annotations": f"{split}.json", "images": split} for split in ("train", "val")}
    values = {
        "name": "tiny",
        "output": store.root,
        "dataset": {"splits": splits},
        "detector": {"input_height": SIDE, "input_width": SIDE},
        "train": {"epochs": 3, "batch_size": 4, "augmentation": "none"},
        "tune": {
            "focus": ["blue"],
            "trials": 3,
            "proof_seeds": 2,
            "proof_split": "val",
            "search": "random",
            "scheduler": "none",
            "space": {"focal_gamma": [1.0, 1.5], "oversample": [2]},
        },
    }
    return convert(values, Config, "test")


@contextmanager
def eagerly() -> Iterator[None]:
    """Run TensorFlow without tracing: of a step or two, tracing is most of the time."""
    tf, _ = tensorflow()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
