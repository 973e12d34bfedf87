"""Label noise of four kinds, and its cleaning by detectors that are trained on it fold by fold."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from planted.data import Data
from planted.runs import write_if_new

from detray.boxes import pairwise_iou
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
class Noise:
    """The split train with faults. ``kind`` ``[n]`` is that of each of its labels, "" where it is right; ``missing``
    are the labels that were left out."""

    document: Json
    kind: tuple[str, ...]
    missing: tuple[Json, ...]


def plant(document: Json, seed: int, share: float = SHARE) -> Noise:
    """Leave out, move and relabel a share of the labels each, and add as many boxes of nothing."""
    random = np.random.default_rng(seed)
    rows, images = document["annotations"], {image["id"]: image for image in document["images"]}
    classes = np.array([one["id"] for one in document["categories"]])
    shares = [share, share, share, 1 - 3 * share]
    kinds = random.choice([*KINDS[:3], ""], len(rows), p=shares).tolist()
    kept: list[Json] = []
    for row, kind in zip(rows, kinds, strict=True):
        if kind != "missing":
            image = images[row["image_id"]]
            box = _moved(row["bbox"], image, random) if kind == "bad_box" else row["bbox"]
            others = classes[classes != row["category_id"]]
            category = int(random.choice(others)) if kind == "wrong_class" else row["category_id"]
            kept.append(row | {"bbox": box, "area": box[2] * box[3], "category_id": category})
    own = [kind for kind in kinds if kind != "missing"]
    for _ in range(round(share * len(rows))):
        added = _of_nothing(rows, images, random)
        kept.append(added | {"iscrowd": 0, "area": added["bbox"][2] * added["bbox"][3]})
        own.append("spurious")
    order = np.argsort([row["image_id"] for row in kept], kind="stable").tolist()
    numbered = [kept[place] | {"id": number} for number, place in enumerate(order, start=1)]
    return Noise(
        document | {"annotations": numbered},
        tuple(own[place] for place in order),
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
            if not (pairwise_iou(np.array([box]), there) >= _APART).any():
                return {"image_id": image["id"], "category_id": like["category_id"], "bbox": box}


def judge_by_folds(data: Data, document: Json, folder: Path, seed: int) -> Store:
    """The results of ``detray clean`` of the split train, by suspects of detectors that have not seen the pictures."""
    clean = {"folds": FOLDS, "actions": ACTIONS, "format": "coco"}
    return _run("clean", data, {"train": document}, folder, seed, {"clean": clean})


def train_and_evaluate(data: Data, documents: Mapping[str, Json], folder: Path, seed: int) -> Store:
    """The results of ``detray evaluate``: trained on the split train, evaluated on val; nothing is done twice."""
    return _run("evaluate", data, documents, folder, seed, {})


def _run(verb: str, data: Data, documents: Mapping[str, Json], folder: Path, seed: int, sections: Json) -> Store:
    folder.mkdir(parents=True, exist_ok=True)
    splits = {}
    for split, document in documents.items():
        file = folder / f"{split}.json"
        write_if_new(file, json.dumps(document))
        splits[split] = {"format": "coco", "annotations": str(file), "images": str(data.pictures[split].resolve())}
    train = {"epochs": data.epochs, "seed": seed, "keep": "last"}
    config = folder / "config.yaml"
    values = {"dataset": {"root": "/", "splits": splits}, "detector": dict(data.detector), "train": train}
    config.write_text(to_yaml(values | sections))
    detray(verb, config, folder / "out")
    return Store(str(folder / "out"))


def detray(verb: str, config: Path, out: Path) -> None:
    """Run a verb, niced, where its results are not there already."""
    if (out / verb / "manifest.json").is_file():
        return
    command = [sys.executable, "-m", "detray.cli", verb, "--serial", "--config", str(config), "--output", str(out)]
    with (out.parent / f"{out.name}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, preexec_fn=lambda: os.nice(10))
