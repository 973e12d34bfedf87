"""Data sets with label noise of four kinds, cleaned by detectors that are trained on them fold by fold."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from detray.arrays import Floats
from detray.boxes import pairwise_iou
from detray.demo.draw import draw_dataset
from detray.settings import to_yaml
from detray.store import Store

Json = dict[str, Any]
KINDS = ("missing", "bad_box", "wrong_class", "spurious")
SHARE = 0.1
"""Of the labels, for each kind."""
FOLDS = 4
ACTIONS = ("drop", "relabel", "move", "add")
_MOVED = (0.2, 0.4)
"""Shares of its width and height by which a box is moved."""
_APART = 0.1
"""IoU with every object that a box of nothing stays below."""


@dataclass(frozen=True)
class Source:
    """A data set with true labels: COCO documents and folders of pictures by split."""

    name: str
    documents: Mapping[str, Json]
    pictures: Mapping[str, Path]
    detector: Json
    epochs: int
    """Of a training on the whole split train."""


@dataclass(frozen=True)
class Noise:
    """The split train with faults. ``kind`` ``[n]`` is that of each of its labels, "" where it is right, and
    ``true_class`` ``[n]``; ``missing`` are the labels that were left out."""

    document: Json
    kind: tuple[str, ...]
    true_class: tuple[int, ...]
    missing: tuple[Json, ...]


def drawn(cache: Path) -> Source:
    """The pictures that ``detray demo`` makes: 300 to learn from and 150 to be judged on."""
    folder = cache / "drawn"
    if not (folder / "annotations" / "val.json").is_file():
        draw_dataset(folder, test=0)
    documents = {
        split: json.loads((folder / "annotations" / f"{split}.json").read_text()) for split in ("train", "val")
    }
    pictures = {split: folder / "images" / split for split in documents}
    return Source("drawn", documents, pictures, {"input_height": 128, "input_width": 128}, 16)


def blood_cells(folder: Path, cache: Path) -> Source:
    """BCCD, 205 and 87 photographs of blood cells, as detray reads it; boxes without area are left out."""
    out, config = cache / "cells", cache / "cells.yaml"
    names = ("train", "val")
    own = {
        name: {
            "format": "voc",
            "annotations": str(folder / "Annotations"),
            "images": str(folder / "JPEGImages"),
            "list": str(folder / "ImageSets" / "Main" / f"{name}.txt"),
        }
        for name in names
    }
    config.write_text(to_yaml({"dataset": {"splits": own}}))
    detray("ingest", config, out)
    documents = {name: _document(Store(str(out)), name) for name in names}
    pictures = dict.fromkeys(names, folder / "JPEGImages")
    return Source("cells", documents, pictures, {"input_height": 192, "input_width": 256}, 8)


def _document(store: Store, split: str) -> Json:
    """A split of an ingested data set as COCO writes it."""
    own = [("split", "=", split)]
    images = store.read("images", columns=["image_id", "file_name", "width", "height"], filters=own).to_pylist()
    rows = store.read("annotations", filters=own).to_pylist()
    rows = [row for row in rows if row["width"] > 0 and row["height"] > 0]
    classes = store.read("categories", filters=own)
    classes = classes.filter(pc.equal(classes["source"], "annotations")).to_pylist()
    return {
        "images": [{"id": row.pop("image_id")} | row for row in images],
        "annotations": [
            {
                "id": number,
                "image_id": row["image_id"],
                "category_id": row["category_id"],
                "bbox": [row[side] for side in ("x", "y", "width", "height")],
                "area": row["width"] * row["height"],
                "iscrowd": 0,
            }
            for number, row in enumerate(rows, start=1)
        ],
        "categories": [{"id": row["category_id"], "name": row["category_name"]} for row in classes],
    }


def plant(document: Json, seed: int, share: float = SHARE) -> Noise:
    """Leave out, move and relabel a share of the labels each, and add as many boxes of nothing."""
    random = np.random.default_rng(seed)
    rows, images = document["annotations"], {image["id"]: image for image in document["images"]}
    classes = np.array([one["id"] for one in document["categories"]])
    shares = [share, share, share, 1 - 3 * share]
    kinds = random.choice([*KINDS[:3], ""], len(rows), p=shares).tolist()
    kept: list[Json] = []
    true_class: list[int] = []
    for row, kind in zip(rows, kinds, strict=True):
        if kind != "missing":
            image = images[row["image_id"]]
            box = _moved(row["bbox"], image, random) if kind == "bad_box" else row["bbox"]
            others = classes[classes != row["category_id"]]
            category = int(random.choice(others)) if kind == "wrong_class" else row["category_id"]
            kept.append(row | {"bbox": box, "area": box[2] * box[3], "category_id": category})
            true_class.append(row["category_id"])
    own = [kind for kind in kinds if kind != "missing"]
    for _ in range(round(share * len(rows))):
        added = _of_nothing(rows, images, random)
        kept.append(added | {"iscrowd": 0, "area": added["bbox"][2] * added["bbox"][3]})
        own.append("spurious")
        true_class.append(added["category_id"])
    order = np.argsort([row["image_id"] for row in kept], kind="stable").tolist()
    numbered = [kept[place] | {"id": number} for number, place in enumerate(order, start=1)]
    return Noise(
        document | {"annotations": numbered},
        tuple(own[place] for place in order),
        tuple(true_class[place] for place in order),
        tuple(row for row, kind in zip(rows, kinds, strict=True) if kind == "missing"),
    )


def _moved(box: Sequence[float], image: Json, random: np.random.Generator) -> list[float]:
    x, y, width, height = box
    move = random.choice([-1, 1], 2) * random.uniform(*_MOVED, 2) * [width, height]
    low = np.clip([x + move[0], y + move[1]], 0, [image["width"] - width, image["height"] - height])
    return [float(low[0]), float(low[1]), width, height]


def _of_nothing(rows: Sequence[Json], images: Mapping[int, Json], random: np.random.Generator) -> Json:
    """A box as large as some other one, of its class, at a place where no object is."""
    while True:
        like, image = rows[random.integers(len(rows))], images[int(random.choice(list(images)))]
        width, height = like["bbox"][2:]
        if width < image["width"] and height < image["height"]:
            low = random.uniform(0, [image["width"] - width, image["height"] - height])
            box = [float(low[0]), float(low[1]), width, height]
            there = np.array([row["bbox"] for row in rows if row["image_id"] == image["id"]]).reshape(-1, 4)
            if not (pairwise_iou(to_xywh([box]), there) >= _APART).any():
                return {"image_id": image["id"], "category_id": like["category_id"], "bbox": box}


def to_xywh(boxes: Sequence[Sequence[float]]) -> Floats:
    """Boxes ``[n, 4]``."""
    return np.array(boxes, np.float64).reshape(-1, 4)


def judge_by_folds(source: Source, document: Json, folder: Path, seed: int) -> Store:
    """The results of ``detray clean`` of the split train, by suspects of detectors that have not seen the pictures."""
    clean = {"folds": FOLDS, "actions": ACTIONS, "format": "coco"}
    return _run("clean", source, {"train": document}, source.pictures, folder, source.epochs, seed, clean)


def train_and_predict(
    source: Source, documents: Mapping[str, Json], pictures: Mapping[str, Path], folder: Path, epochs: int, seed: int
) -> Store:
    """The results of ``detray evaluate``: trained on the split train, evaluated on val; nothing is done twice."""
    return _run("evaluate", source, documents, pictures, folder, epochs, seed, {})


def _run(
    verb: str,
    source: Source,
    documents: Mapping[str, Json],
    pictures: Mapping[str, Path],
    folder: Path,
    epochs: int,
    seed: int,
    clean: Json,
) -> Store:
    folder.mkdir(parents=True, exist_ok=True)
    splits = {}
    for split, document in documents.items():
        file = folder / f"{split}.json"
        text = json.dumps(document)
        if not file.is_file() or file.read_text() != text:
            file.write_text(text)
        splits[split] = {"format": "coco", "annotations": str(file), "images": str(pictures[split].resolve())}
    train = {"epochs": epochs, "seed": seed, "keep": "last"}
    config = folder / "config.yaml"
    values = {"dataset": {"root": "/", "splits": splits}, "detector": dict(source.detector), "train": train}
    config.write_text(to_yaml(values | ({"clean": clean} if clean else {})))
    detray(verb, config, folder / "out")
    return Store(str(folder / "out"))


def detray(verb: str, config: Path, out: Path) -> None:
    """Run a verb, niced, where its results are not there already."""
    if (out / verb / "manifest.json").is_file():
        return
    command = [sys.executable, "-m", "detray.cli", verb, "--serial", "--config", str(config), "--output", str(out)]
    with (out.parent / f"{out.name}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, preexec_fn=lambda: os.nice(10))
